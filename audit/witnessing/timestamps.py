"""RFC 3161 time stamps over checkpoints: an upper bound in time that an authority outside vouches for.

What is stamped is the note as the log signed it (``Checkpoint.note``). The request carries a nonce and asks for the
certificate; the answer is verified against the pinned root (TIMESTAMP_CA) before it is kept, whole, as the authority sent
it, so that ``openssl ts -verify -data note.txt -in file.tsr -CAfile ca.pem`` reads it.
"""

import hashlib
import logging
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from django.conf import settings
from django.utils import timezone
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from audit import selectors
from audit.models import Checkpoint, Entry
from audit.witnessing import records
from audit.witnessing.models import Attestor, TimeStamp
from audit.witnessing.records import Failed
from config.outgoing import Unreachable, ask

logger = logging.getLogger(__name__)

NAME: Final = "timestamp"
SECONDS: Final = 20.0
SHORTEST: Final = timedelta(minutes=1)
"""Between two stamps that permits ask for."""
APART: Final = timedelta(minutes=5)
"""By how much the authority's clock and ours may differ before it is said."""
_LONGEST: Final = 65536
_QUERY: Final = "application/timestamp-query"


def due(record: Attestor) -> Checkpoint | None:
    """The checkpoint to stamp now: once an interval, and soon after an action that is worth it, such as a permit."""
    head = selectors.head()
    if not settings.TIMESTAMP_URL or head is None or head.size <= record.size:
        return None
    if record.succeeded_at is None or (since := timezone.now() - record.succeeded_at) >= settings.TIMESTAMP_INTERVAL:
        return head
    if since < SHORTEST:
        return None
    wanted = Entry.objects.filter(action__in=settings.TIMESTAMP_ACTIONS, index__gte=record.size, index__lt=head.size)
    return head if wanted.exists() else None


def stamp(checkpoint: Checkpoint) -> TimeStamp:
    """Have the authority stamp a checkpoint, verify what it says and keep it. Raises ``Failed``."""
    note = checkpoint.note.encode()
    request = TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True)
    asked = request.cert_request(cert_request=True).build()
    try:
        answer = ask(
            settings.TIMESTAMP_URL,
            body=asked.as_bytes(),
            headers={"Content-Type": _QUERY},
            seconds=SECONDS,
            most=_LONGEST,
        )
    except Unreachable as error:
        raise Failed(str(error)) from error
    if answer.status != HTTPStatus.OK:
        raise Failed(f"it answered {answer.status}")
    verifier = VerifierBuilder.from_request(asked)
    response = _verified(answer.body, note, verifier)
    at = response.tst_info.gen_time
    if abs(at - timezone.now()) > APART:
        logger.warning("The time-stamp authority says %s: its clock or ours is wrong", at.isoformat())
    host = urlsplit(settings.TIMESTAMP_URL).hostname or "authority"
    kept = TimeStamp.objects.create(size=checkpoint.size, authority=host, token=answer.body, at=at)
    records.worked(NAME, checkpoint.size)
    return kept


def _verified(body: bytes, note: bytes, builder: VerifierBuilder) -> TimeStampResponse:
    """Status, imprint, nonce, signature, the certificate's purpose and its chain to the pinned root. Raises ``Failed``."""
    try:
        response = decode(body)
    except ValueError as error:
        raise Failed(f"its answer is no time stamp: {error}") from error
    if response.status not in {0, 1}:
        raise Failed(f"it refused, with status {response.status}: {'; '.join(response.status_string)[:200]}")
    roots, intermediates = authorities(Path(str(settings.TIMESTAMP_CA)))
    for root in roots:
        builder = builder.add_root_certificate(root)
    for one in intermediates:
        builder = builder.add_intermediate_certificate(one)
    try:
        if bytes(response.tst_info.message_imprint.message) != hashlib.sha256(note).digest():
            raise Failed("its time stamp is over something else than our checkpoint")
        builder.build().verify_message(response, note)
    except (VerificationError, ValueError) as error:
        raise Failed(f"its time stamp does not verify: {error}") from error
    return response


def decode(body: bytes) -> TimeStampResponse:
    """Read a response. Raises ``ValueError``.

    OpenSSL, and so many an authority, writes the certificates in another order than DER has for a SET OF, which the
    library refuses to read. No signature is over them (RFC 5652 5.4), so they are put in order first.
    """
    try:
        return decode_timestamp_response(body)
    except ValueError:
        return decode_timestamp_response(_in_order(body))


def _in_order(body: bytes) -> bytes:
    """Sort ``TimeStampResp.timeStampToken.content.certificates``; the length stays. Raises ``ValueError``."""
    response = _inside(body, 0)
    token = _inside(body, _parts(body, response)[1][0])  # after the status
    content = _inside(body, _parts(body, token)[1][0])  # [0], after the type
    signed = _inside(body, content[0])
    for begin, end in _parts(body, signed):
        if body[begin] == 0xA0:  # [0] IMPLICIT certificates
            inner = _inside(body, begin)
            ordered = sorted(body[one:other] for one, other in _parts(body, inner))
            return body[: inner[0]] + b"".join(ordered) + body[end:]
    raise ValueError("no certificates")


def _inside(body: bytes, begin: int) -> tuple[int, int]:
    """Where the content of the element at ``begin`` begins and ends (X.690 8.1, definite lengths)."""
    try:
        length, at = body[begin + 1], begin + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(body[at : at + count], "big"), at + count
    except IndexError as error:
        raise ValueError("cut off") from error
    if at + length > len(body):
        raise ValueError("cut off")
    return at, at + length


def _parts(body: bytes, within: tuple[int, int]) -> list[tuple[int, int]]:
    """Where each element of a constructed one begins and ends. At least two."""
    at, end = within
    found = []
    while at < end:
        after = _inside(body, at)[1]
        found.append((at, after))
        at = after
    if len(found) < 2:
        raise ValueError("not a signed time stamp")
    return found


def authorities(path: Path) -> tuple[list[x509.Certificate], list[x509.Certificate]]:
    """Read the roots and the intermediates of a PEM file. Raises ``Failed``: without a root nothing is verified."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise Failed(f"cannot read TIMESTAMP_CA {path}: {error.strerror}") from error
    except ValueError as error:
        raise Failed(f"TIMESTAMP_CA {path} holds no certificates in PEM") from error
    roots = [one for one in found if one.issuer == one.subject]
    if not roots:
        raise Failed(f"TIMESTAMP_CA {path} holds no root certificate (issuer and subject the same)")
    return roots, [one for one in found if one not in roots]
