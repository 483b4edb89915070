"""Secrets that must be used again and so cannot be hashed: encrypted at rest, bound to the row they belong to.

AES-256-GCM (NIST SP 800-38D) under a key that HKDF-SHA256 (RFC 5869) derives from ``SECRET_KEY``, so that a copy of the
database alone tells nothing. After a change of ``SECRET_KEY`` name the old one in ``SECRET_KEY_FALLBACKS``.
"""

import os
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_FORMAT: Final = b"\x01"
_NONCE: Final = 12


class Unreadable(Exception):
    """No key that this process has opens it."""


@lru_cache(maxsize=8)
def _cipher(secret_key: str) -> AESGCM:
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"countersign sealed secrets v1")
    return AESGCM(key.derive(secret_key.encode()))


def seal(text: str, *, place: str) -> bytes:
    """Encrypt ``text`` for ``place`` (a table, a row, a column): moved elsewhere, it does not open."""
    nonce = os.urandom(_NONCE)
    return _FORMAT + nonce + _cipher(settings.SECRET_KEY).encrypt(nonce, text.encode(), place.encode())


def unseal(sealed: bytes | memoryview, *, place: str) -> str:
    """The text again. Raises ``Unreadable``."""
    content = bytes(sealed)
    if content[:1] == _FORMAT:
        nonce, body = content[1 : 1 + _NONCE], content[1 + _NONCE :]
        for secret_key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
            try:
                return _cipher(secret_key).decrypt(nonce, body, place.encode()).decode()
            except (InvalidTag, ValueError):
                continue
    raise Unreadable("It was encrypted under another SECRET_KEY.")
