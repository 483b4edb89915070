"""The root digest of OpenSSF model signing, for an artifact whose files are known by digest.

As ``model_signing`` 1.1 computes it (``_signing/signing.py:Payload``, ``manifest.py:resource_descriptors``): SHA-256 over
the raw SHA-256 digests of all files, in the order of their paths compared part by part. It says nothing of names, so two
artifacts that swap the contents of two files can share it, and a permit names it only beside our own digest.
"""

import hashlib
from collections.abc import Mapping


def root(files: Mapping[str, str]) -> str:
    """The root over files, POSIX path to hexadecimal SHA-256; sharding off, nothing ignored."""
    ordered = sorted(files.items(), key=lambda file: file[0].split("/"))
    return hashlib.sha256(b"".join(bytes.fromhex(digest) for _, digest in ordered)).hexdigest()
