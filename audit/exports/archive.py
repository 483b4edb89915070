"""A ZIP file written in one pass, whose bytes depend on the names and contents alone.

Python's ``zipfile`` would seek back to patch sizes, or, on a stream, add data descriptors, and writes what its release
thinks best; this writes one thing only (APPNOTE.TXT 6.3.10 of PKWARE): members stored as they are, no times, no extra
fields but the ZIP64 ones that a large archive needs, and those only where they are needed. Memory: the directory.
"""

import hashlib
import re
import struct
import zlib
from typing import IO, Final

LARGEST_MEMBER: Final = 2**28
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_STORED_20: Final = struct.pack("<HHHHH", 20, 0, 0, 0, 0x21)  # version 2.0, no flags, stored, 1980-01-01 00:00
_UNIX_FILE: Final = 0o100644 << 16
_MOST_32: Final = 0xFFFFFFFF
_MOST_16: Final = 0xFFFF


class BadMember(ValueError):
    """A member's name is taken, reserved or unsafe, or it is too large."""


class Archive:
    """Add members, then ``close``. ``members`` lists what was added; ``sha256`` and ``size`` are of all that was written."""

    def __init__(self, out: IO[bytes]) -> None:
        self.members: dict[str, dict[str, str | int]] = {}
        self.size = 0
        self._out = out
        self._digest = hashlib.sha256()
        self._directory: list[bytes] = []

    @property
    def sha256(self) -> str:
        """Digest of everything written so far."""
        return self._digest.hexdigest()

    def add(self, name: str, data: bytes) -> None:
        """Write one member. Raises ``BadMember``."""
        if name in self.members:
            raise BadMember(f"{name} is there twice")
        if not _NAME.fullmatch(name) or ".." in name:
            raise BadMember(f"{name!r} is no safe member name")
        if len(data) > LARGEST_MEMBER:
            raise BadMember(f"{name} has {len(data)} bytes; a member has at most {LARGEST_MEMBER}")
        self.members[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        text, offset = name.encode("ascii"), self.size
        common = _STORED_20 + struct.pack("<III", zlib.crc32(data), len(data), len(data))
        self._write(b"PK\x03\x04" + common + struct.pack("<HH", len(text), 0) + text)
        self._write(data)
        extra = struct.pack("<HHQ", 1, 8, offset) if offset >= _MOST_32 else b""
        self._directory.append(
            b"PK\x01\x02"
            + struct.pack("<H", (3 << 8) | 45)
            + common
            + struct.pack("<HHHHHII", len(text), len(extra), 0, 0, 0, _UNIX_FILE, min(offset, _MOST_32))
            + text
            + extra
        )

    def close(self) -> None:
        """Write the directory."""
        start, count = self.size, len(self._directory)
        for record in self._directory:
            self._write(record)
        length = self.size - start
        if count >= _MOST_16 or start >= _MOST_32 or length >= _MOST_32:
            end = self.size
            self._write(
                b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, (3 << 8) | 45, 45, 0, 0, count, count, length, start)
            )
            self._write(b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1))
        counted = min(count, _MOST_16)
        self._write(
            b"PK\x05\x06"
            + struct.pack("<HHHHIIH", 0, 0, counted, counted, min(length, _MOST_32), min(start, _MOST_32), 0)
        )

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self.size += len(data)
        self._out.write(data)
