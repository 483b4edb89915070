"""A reader of tiled logs, from https://c2sp.org/tlog-tiles and RFC 6962 alone: nothing of the product is imported.

It knows a way to fetch a path, the name of the log and its key, and believes nothing that does not hash to the root.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class Untrue(Exception):
    """What was fetched does not fit together."""


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def whole_tree(hashes: list[bytes]) -> bytes:
    """MTH over hashes that stand for complete subtrees of one size (RFC 6962 2.1)."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node(whole_tree(hashes[:split]), whole_tree(hashes[split:]))


@dataclass
class Reader:
    """Reads one checkpoint and what it covers."""

    fetch: Callable[[str], bytes]
    origin: str
    key: Ed25519PublicKey
    size: int = 0
    root: bytes = b""
    fetched: list[str] = field(default_factory=list)

    def open(self) -> None:
        """Fetch the checkpoint and check the log's signature."""
        note = self.fetch("checkpoint").decode()
        text, _, signatures = note.partition("\n\n")
        text += "\n"
        origin, size, root = text.split("\n")[:3]
        raw = self.key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        key_id = hashlib.sha256(origin.encode() + b"\n\x01" + raw).digest()[:4]
        for line in signatures.splitlines():
            dash, name, blob = line.split(" ")
            if dash == "—" and name == self.origin == origin and base64.b64decode(blob)[:4] == key_id:
                self.key.verify(base64.b64decode(blob)[4:], text.encode())
                self.size, self.root = int(size), base64.b64decode(root)
                return
        raise Untrue("not signed by the log")

    def _path(self, kind: str, index: int, width: int) -> str:
        rest, parts = index, [f"{index % 1000:03d}"]
        while rest >= 1000:
            rest //= 1000
            parts.insert(0, f"x{rest % 1000:03d}")
        return f"tile/{kind}/{'/'.join(parts)}" + (f".p/{width}" if width < 256 else "")

    def _get(self, kind: str, index: int, width: int) -> bytes:
        path = self._path(kind, index, width)
        self.fetched.append(path)
        return self.fetch(path)

    def tile(self, level: int, index: int) -> list[bytes]:
        """All hashes of a tile in a tree of this size."""
        width = min(256, (self.size >> 8 * level) - index * 256)
        content = self._get(str(level), index, width)
        if len(content) != 32 * width:
            raise Untrue(f"tile {level}/{index} has {len(content)} bytes")
        return [content[place : place + 32] for place in range(0, len(content), 32)]

    def check_tree(self) -> list[bytes]:
        """Fetch every tile, check each against the one above and all against the root; return the leaf hashes."""
        edge: list[bytes] = []
        level = 0
        leaves: list[bytes] = []
        above: list[bytes] = []
        while self.size >> 8 * level:
            hashes = [one for index in range(-(-(self.size >> 8 * level) // 256)) for one in self.tile(level, index)]
            if level == 0:
                leaves = hashes
            elif hashes != above:
                raise Untrue(f"level {level} is not made of the level below")
            full = len(hashes) // 256 * 256
            above = [whole_tree(hashes[place : place + 256]) for place in range(0, full, 256)]
            edge = [*self._complete(hashes[full:]), *edge]
            level += 1
        root = edge[-1]
        for left in reversed(edge[:-1]):
            root = node(left, root)
        if root != self.root:
            raise Untrue("the tiles do not lead to the signed root")
        return leaves

    def _complete(self, hashes: list[bytes]) -> list[bytes]:
        """The complete subtrees of a partial tile, largest first."""
        found, place = [], 0
        for bit in reversed(range(8)):
            if len(hashes) & 1 << bit:
                found.append(whole_tree(hashes[place : place + (1 << bit)]))
                place += 1 << bit
        return found

    def entries(self) -> list[bytes]:
        """Every entry, as the bundles hold it."""
        found = []
        for index in range(-(-self.size // 256)):
            width = min(256, self.size - index * 256)
            content, count = self._get("entries", index, width), 0
            while content:
                length = int.from_bytes(content[:2], "big")
                found.append(content[2 : 2 + length])
                content, count = content[2 + length :], count + 1
            if count != width:
                raise Untrue(f"bundle {index} has {count} entries, not {width}")
        return found
