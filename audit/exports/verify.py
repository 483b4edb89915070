#!/usr/bin/env python3
# ruff: noqa: T201, E501 - a program that prints; the numbers are those of the formats
# fmt: off
"""Check a Countersign evidence bundle, offline. Needs Python 3.11 and the package `cryptography`, nothing else.

    python verify.py bundle.zip [--key ledger.pub.pem] [--witness VKEY …] [--tsa tsa-ca.pem] [--root trust-root.json]

Exit code 0: everything it checks holds. 1: something does not, and it says what and where. 2: the file cannot be read.
What each member is and what binds it: docs/auditors/bundle.md. Take this program from a place you trust.

It reads the log of the bundle in one pass, a few megabytes at a time, however long it is. Parts, in order: the archive; the
checkpoint and who cosigned it; the tree and the streams; time stamps; people; the policy's quorum; the story of each
request and permit; the sample; the report; what is printed.
"""

import argparse
import base64
import binascii
import hashlib
import heapq
import json
import re
import struct
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID

LARGEST_MEMBER = 2**28
"""Bytes of one member; a longer log is in several."""
MOST_KEPT = 2**29
"""Bytes of all members that are held in memory together: everything but the log and the evidence files."""
NAME = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
HEX = "[0-9a-f]{64}"
ALWAYS = ("README.txt", "keys/ledger.pub.pem", "log/checkpoint.txt", "log/streams.json", "question.json", "verify.py")
KINDS = ("request", "version", "model", "period", "sample", "log")
SUBJECTS = {
    "request": "governance.promotionrequest",
    "version": "registry.modelversion",
    "model": "registry.registeredmodel",
    "sample": "governance.sample",
}
LOG_LINES = re.compile("log/entries/[0-9]{6}[.]txt")
BY_DIGEST = re.compile(f"(policies|artifacts|snapshots|lineage|cards|decisions|checks|checks/files)/({HEX})([.][a-z]+)?")
MAY_BE = re.compile(
    r"left-out[.]json|people[.]json|sample[.]json|report[.]pdf|requests/[^/]+[.]json|permits/[^/]+[.]json"
    r"|keys/permit(-[0-9a-f]+)?[.]pub[.]pem|trust/[^/]+[.]json|log/timestamps/[^/]+|verify_permit[.]py|log/heads[.]json"
)
COUNTS = ("approve", "approve_with_conditions")
NOT_PROVED = (
    "that others see the same checkpoint, unless witnesses you know cosigned it: compare it with one you kept",
    "that nothing happened after the checkpoint, such as a revocation",
    "that an object has no entry after the last one shown here, unless it is said above",
    "that a person's account was used by that person",
    "that the checks measured what they should: look at their results",
)

Json = Any
Members = dict[str, bytes]


class Broken(Exception):
    """Something does not hold."""


def need(holds: object, complaint: str) -> None:
    if not holds:
        raise Broken(complaint)


def refuse(complaint: str) -> NoReturn:
    raise Broken(complaint)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON objects with a repeated key mean different things to different readers."""
    result = dict(pairs)
    need(len(result) == len(pairs), "a JSON object repeats a key")
    return result


def load(data: bytes, where: str) -> Json:
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        refuse(f"{where} is not JSON: {error}")


def from_base64(text: str, where: str) -> bytes:
    """The one canonical form only: another spelling of the same bytes is a change."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        refuse(f"{where} is not base64: {error}")
    need(base64.b64encode(data).decode() == text, f"{where} is not in the one canonical form of base64")
    return data


def day(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


# 1. The archive


class Bundle:
    """The members, each read when it is needed, and each compared with the manifest whenever it is read.

    What it accepts is narrow, so that no two programs can see different things in it: members stored uncompressed, one after
    the other without gap or overlap, each name once, plain files only, local and central headers agreeing.
    """

    def __init__(self, path: str) -> None:
        self.archive = zipfile.ZipFile(path)
        infos = self.archive.infolist()
        names = [info.filename for info in infos]
        twice = [name for name, count in Counter(names).items() if count > 1]
        need(not twice, f"the member name {twice[:1]} occurs twice")
        for info in infos:
            name = info.orig_filename
            need(NAME.fullmatch(name) and ".." not in name and name == info.filename, f"a member has an unsafe name: {name!r}")
            need(info.external_attr >> 28 in {0, 0o10}, f"{name} is no plain file but a link or a directory")
            need(not info.flag_bits & ~0x0808, f"{name} is encrypted or oddly flagged")
            need(info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size, f"{name} is compressed")
            need(info.file_size <= LARGEST_MEMBER, f"{name} is larger than 256 MiB")
        need(not self.archive.comment, "the archive has a comment, which is bound by nothing")
        self._check_layout(path, infos)
        self.names = set(names)
        need("manifest.json" in self.names, "there is no manifest.json")
        manifest = load(self.archive.read("manifest.json"), "manifest.json")
        need(isinstance(manifest, dict), "manifest.json is no JSON object")
        need(manifest["format"] == "countersign-bundle/2", f"unknown format {manifest['format']!r} of the bundle")
        need(manifest["kind"] in KINDS, f"unknown kind {manifest['kind']!r} of bundle")
        self.kind: str = manifest["kind"]
        self.listed: dict[str, Any] = manifest["members"]
        differing = sorted(set(self.listed) ^ (self.names - {"manifest.json"}))
        need(not differing, f"the manifest and the archive differ in {', '.join(differing[:5])}")
        for name in ALWAYS:
            need(name in self.names, f"{name} is missing")
        for name in self.listed:
            known = name in ALWAYS or LOG_LINES.fullmatch(name) or BY_DIGEST.fullmatch(name) or MAY_BE.fullmatch(name)
            need(known, f"{name} is nothing that a bundle has")
        self.log = sorted(name for name in self.names if LOG_LINES.fullmatch(name))
        need(self.log == [f"log/entries/{number:06d}.txt" for number in range(len(self.log))], "a part of the log is missing")

    @staticmethod
    def _check_layout(path: str, infos: list[zipfile.ZipInfo]) -> None:
        """From the first byte to the directory there are members and nothing else."""
        place = 0
        with open(path, "rb") as file:
            for info in sorted(infos, key=lambda one: one.header_offset):
                need(
                    info.header_offset == place,
                    f"before {info.filename} there are bytes that are no member, or members overlap",
                )
                file.seek(place)
                header = file.read(30)
                need(len(header) == 30 and header[:4] == b"PK\x03\x04", f"{info.filename} has no header of its own")
                flags, method, crc, packed, plain, name, extra = struct.unpack("<6xHH4xIIIHH", header)
                need(file.read(name) == info.filename.encode(), f"{info.filename} has another name in front of it")
                need(method == info.compress_type and flags == info.flag_bits, f"{info.filename} has two different headers")
                described = 0
                if flags & 8:
                    described = 24 if extra else 16
                else:
                    same = (crc, packed, plain) == (info.CRC, info.file_size, info.file_size)
                    need(same and not extra, f"{info.filename} has two different headers")
                place += 30 + name + extra + info.file_size + described
            directory = sum(46 + len(info.orig_filename) + len(info.extra) + len(info.comment) for info in infos)
            file.seek(place)
            need(file.read(4) in {b"PK\x01\x02", b"PK\x05\x06"}, "behind the last member there are bytes that are no member")
            file.seek(place + directory)
            end = file.read(56 + 20 + 22 + 1)
        count, most_16, most_32 = len(infos), 0xFFFF, 0xFFFFFFFF
        expected = b""
        if count >= most_16 or place >= most_32 or directory >= most_32:
            record = struct.pack("<QHHIIQQQQ", 44, (3 << 8) | 45, 45, 0, 0, count, count, directory, place)
            expected = b"PK\x06\x06" + record + b"PK\x06\x07" + struct.pack("<IQI", 0, place + directory, 1)
        counted, length, start = min(count, most_16), min(directory, most_32), min(place, most_32)
        expected += b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, counted, counted, length, start, 0)
        need(end == expected, "the end of the archive is not the one that these members have: something is behind or between")

    def read(self, name: str) -> bytes:
        """A member's bytes, which have the digest that the manifest states."""
        need(name in self.names, f"{name} is missing")
        data = self.archive.read(name)
        stated = self.listed[name]
        need(
            stated == {"sha256": sha256(data), "size": len(data)}, f"{name} was changed: its digest differs from the manifest's"
        )
        found = BY_DIGEST.fullmatch(name)
        need(found is None or found[2] == sha256(data), f"{name} has other content than its name says")
        return data

    def kept(self) -> Members:
        """All members but the log and the evidence files, whose digests are compared and which are then let go."""
        found: Members = {}
        total = 0
        for name in sorted(self.names - {"manifest.json"} - set(self.log)):
            data = self.read(name)
            if not name.startswith("checks/files/"):
                total += len(data)
                need(total <= MOST_KEPT, f"the members up to {name} are larger than 512 MiB together, without the log")
                found[name] = data
        return found


# 2. The checkpoint, and who cosigned it (C2SP signed-note, tlog-checkpoint, tlog-cosignature)


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint. ``witnesses`` maps the name of each witness that is known to us to when it cosigned.

    ``own`` is the note as the log signed it, before others did: what time stamps are over.
    """

    text: str
    own: str
    origin: str
    size: int
    root: bytes
    witnesses: dict[str, int]


def spki(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> str:
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def raw(key: ed25519.Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def vkey(line: str) -> tuple[str, bytes, ed25519.Ed25519PublicKey]:
    """A witness's verifier key, ``name+hash+base64``: its name, the four bytes of its id, the key. Ed25519 only."""
    found = re.fullmatch(r"([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})", line.strip())
    if found is None:
        refuse(f"{line.strip()[:60]!r} is no verifier key (name+hash+base64)")
    material = from_base64(found[3], f"the key of {found[1]}")
    need(material[:1] == b"\x04" and len(material) == 33, f"the key of {found[1]} is no Ed25519 cosignature key")
    identity = hashlib.sha256(found[1].encode() + b"\n" + material).digest()[:4]
    need(identity.hex() == found[2], f"the key id of {found[1]} is not that of its key")
    return found[1], identity, ed25519.Ed25519PublicKey.from_public_bytes(material[1:])


def check_checkpoint(note: bytes, key: ed25519.Ed25519PublicKey, witnesses: list[str]) -> Checkpoint:
    text, _, signatures = note.decode("utf-8").rpartition("\n\n")
    text += "\n"
    lines = text.split("\n")
    need(len(lines) >= 4, "log/checkpoint.txt is too short")
    origin, size, root = lines[0], lines[1], from_base64(lines[2], "the root in log/checkpoint.txt")
    need(re.fullmatch("[1-9][0-9]{0,18}", size) and len(root) == 32, "log/checkpoint.txt is malformed")
    need(signatures.endswith("\n"), "log/checkpoint.txt is cut off")
    known = [vkey(line) for line in witnesses]
    identity = hashlib.sha256(origin.encode() + b"\n\x01" + raw(key)).digest()[:4]
    signed_note, cosigned = "", dict[str, int]()
    for line in signatures[:-1].split("\n"):
        match = re.fullmatch("\u2014 (\\S+) (\\S+)", line)
        if match is None:
            refuse("log/checkpoint.txt has a malformed signature line")
        blob = from_base64(match[2], "a signature in log/checkpoint.txt")
        if match[1] == origin and blob[:4] == identity:
            verified(key, blob[4:], text.encode(), "the ledger key's signature in log/checkpoint.txt")
            signed_note = f"{text}\n{line}\n"
        for name, own, witness in known:
            if match[1] == name and blob[:4] == own:
                need(len(blob) == 4 + 8 + 64, f"the cosignature of {name} is malformed")
                moment = int.from_bytes(blob[4:12], "big")
                message = f"cosignature/v1\ntime {moment}\n{text}".encode()
                verified(witness, blob[12:], message, f"the cosignature of {name} in log/checkpoint.txt")
                cosigned[name] = moment
    need(signed_note, "log/checkpoint.txt is not signed by the ledger key")
    return Checkpoint(text, signed_note, origin, int(size), root, cosigned)


def verified(key: ed25519.Ed25519PublicKey, signature: bytes, message: bytes, what: str) -> None:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        refuse(f"{what} is wrong")


# 3. The tree and the streams

Entry = dict[str, Any]
About = tuple[str, str]


class Tree:
    """Hashes the log up from left to right (RFC 9162 2.1). Holds one hash per level, however large the log is."""

    def __init__(self) -> None:
        self.size = 0
        self.stack: list[tuple[int, bytes]] = []

    def add(self, level: int, digest: bytes) -> None:
        """The next subtree of 2**level leaves. It must begin where the last one ended, at a multiple of its size."""
        position = self.size >> level
        self.size += 1 << level
        while position & 1 and self.stack and self.stack[-1][0] == level:
            digest = hashlib.sha256(b"\x01" + self.stack.pop()[1] + digest).digest()
            level, position = level + 1, position >> 1
        self.stack.append((level, digest))

    def root(self) -> bytes:
        """The root over all that was added."""
        digest = self.stack[-1][1]
        for _, left in reversed(self.stack[:-1]):
            digest = hashlib.sha256(b"\x01" + left + digest).digest()
        return digest


@dataclass
class Log:
    """What the log part says, once checked. ``streams`` holds the entries of the objects that the bundle is about."""

    checkpoint: Checkpoint
    entries: int = 0
    ranges: list[tuple[int, int]] = field(default_factory=list)
    streams: dict[About, list[Entry]] = field(default_factory=dict)
    complete: dict[About, bool] = field(default_factory=dict)
    leaf_hashes: dict[int, bytes] = field(default_factory=dict)
    heads: Entry | None = None
    headed: set[About] = field(default_factory=set)

    def whole(self, begin: int, end: int) -> bool:
        """Whether every entry from ``begin`` to before ``end`` is here."""
        return begin >= end or any(first <= begin and end <= last for first, last in self.ranges)

    def by_id(self) -> dict[str, Entry]:
        return {entry["id"]: entry for stream in self.streams.values() for entry in stream}


def leaves(bundle: Bundle) -> Iterator[tuple[int, bytes, bytes] | tuple[None, int, bytes]]:
    """(index, stated hash, leaf) of each entry, (None, level, hash) of each subtree between entries; one part at a time."""
    place = 0
    for name in bundle.log:
        data = bundle.read(name)
        need(data.endswith(b"\n"), f"{name} is cut off: it does not end in a newline")
        for number, line in enumerate(data[:-1].split(b"\n"), start=1):
            where = f"{name} line {number}"
            if line.startswith(b"^ "):
                match = re.fullmatch(rb"\^ ([0-9]{1,2}) ([0-9]{1,19}) ([0-9a-f]{64})", line)
                if match is None:
                    refuse(f"{where} is malformed")
                level, index = int(match[1]), int(match[2])
                need(index << level == place, f"{where}: a hash stands for entries from {index << level} on, but {place} is due: "
                     "something is missing, doubled or out of order")  # fmt: skip
                yield None, level, bytes.fromhex(match[3].decode())
                place += 1 << level
            else:
                number_text, _, rest = line.partition(b" ")
                stated, _, leaf = rest.partition(b" ")
                need(re.fullmatch(rb"[0-9]{1,19}", number_text) and len(stated) == 16, f"{where} is malformed")
                need(int(number_text) == place, f"{where}: entry {int(number_text)} stands where entry {place} is due: "
                     "something is missing, doubled or out of order")  # fmt: skip
                yield place, stated, leaf
                place += 1


def check_log(bundle: Bundle, checkpoint: Checkpoint, told: Callable[[bytes], None]) -> Log:
    """Every entry is in the signed tree; every stream called complete has no hole up to its last entry here.

    ``told`` sees each leaf.
    """
    stated = load(bundle.read("log/streams.json"), "log/streams.json")
    claims = {(one["type"], one["id"]): one for one in stated}
    need(len(claims) == len(stated), "log/streams.json names an object twice")
    heads = load(bundle.read("log/heads.json"), "log/heads.json") if "log/heads.json" in bundle.names else None
    log, tree = Log(checkpoint), Tree()
    for index, stated_hash, leaf in leaves(bundle):
        if index is None:
            tree.add(int(stated_hash), leaf)  # of a subtree: its level and hash
            continue
        digest = hashlib.sha256(b"\x00" + leaf).digest()
        need(digest.hex()[:16].encode() == stated_hash, f"entry {index} was changed: its text does not have its hash")
        tree.add(0, digest)
        log.entries += 1
        if log.ranges and log.ranges[-1][1] == index:
            log.ranges[-1] = (log.ranges[-1][0], index + 1)
        else:
            log.ranges.append((index, index + 1))
        told(leaf)
        if claims:
            keep_if_wanted(log, claims, index, leaf, digest)
        if heads is not None and index == heads["entry"]:
            log.heads = load(leaf, f"entry {index}")["body"]
    need(
        tree.size == checkpoint.size,
        f"the log here ends at {tree.size}, the checkpoint says {checkpoint.size}: it was cut off or added to",
    )
    need(tree.root() == checkpoint.root, "the log here does not lead to the signed root: an entry, or a hash between entries, "
         "was changed, or it is of another log")  # fmt: skip
    check_streams(log, claims)
    if heads is not None:
        check_heads(log, heads)
    return log


OBJECT = re.compile(rb'"object":\{"digest":"[^"\\]*","id":"((?:[^"\\]|\\.)*)","type":"((?:[^"\\]|\\.)*)"')


def keep_if_wanted(log: Log, claims: dict[About, Json], index: int, leaf: bytes, digest: bytes) -> None:
    """Keep an entry about one of the objects. The pattern only sorts out what cannot be one; then the JSON is read."""
    found = OBJECT.findall(leaf)
    odd = not found or any(b"\\" in key or b"\\" in kind for key, kind in found)
    if not odd and not any((kind.decode(), key.decode()) in claims for key, kind in found):
        return
    content = load(leaf, f"entry {index}")
    body, place = content["body"], content["stream"]
    about = (body["object"]["type"], body["object"]["id"])
    if about in claims:
        entry = {**body, "index": index, "n": place["n"], "previous": place["previous"]}
        log.streams.setdefault(about, []).append(entry)
        log.leaf_hashes[index] = digest


def check_streams(log: Log, claims: dict[About, Json]) -> None:
    for about, claim in claims.items():
        found, what = log.streams.get(about, []), f"{about[0]} {about[1]}"
        need(found, f"{what}: log/streams.json names it, and no entry is about it")
        need(claim["n"] == found[-1]["n"], f"{what}: the last entry is number {found[-1]['n']}, not {claim['n']}")
        before = [None, *(entry["index"] for entry in found)][:-1]
        links = [(entry["n"], entry["previous"]) for entry in found]
        expected = list(zip(range(1, len(found) + 1), before, strict=True))
        whole = links == expected
        missing = next((number for (number, _), (n, _) in zip(expected, links, strict=True) if n != number), len(found))
        need(claim["complete"] is whole, f"{what}: entry number {missing} of its stream is missing or out of place")
        log.complete[about] = whole


def check_heads(log: Log, heads: Json) -> None:
    """An entry ``log.heads`` holds the root of a tree with one line per object: how many entries it had, and which was last.

    An object whose line is proved has no other entries, up to the size of the log that the map is of.
    """
    if log.heads is None or log.heads["action"] != "log.heads":
        refuse("log/heads.json: the entry with the head map is not here")
    facts = log.heads["facts"]
    root = bytes.fromhex(facts["root"])
    for proof in heads["proofs"]:
        about = (proof["type"], proof["id"])
        what = f"log/heads.json: {about[0]} {about[1]}"
        need(about in log.streams and about not in log.headed, f"{what} is no object of this bundle, or is there twice")
        line = json.dumps([*about, proof["n"], proof["index"]], ensure_ascii=False, separators=(",", ":"))
        need(climbs(line.encode(), proof["number"], facts["streams"], proof["hashes"], root), f"{what}: its line is not in the map")
        before = [entry for entry in log.streams[about] if entry["index"] < facts["size"]]
        last = (before[-1]["n"], before[-1]["index"]) if before else None
        need(last == (proof["n"], proof["index"]), f"{what}: the map says that it had {proof['n']} entries, others are here")
        log.headed.add(about)


def climbs(leaf: bytes, index: int, size: int, proof: list[str], root: bytes) -> bool:
    """RFC 9162 2.1.3.2."""
    node, last, running = index, size - 1, hashlib.sha256(b"\x00" + leaf).digest()
    for sibling in map(bytes.fromhex, proof):
        if last == 0:
            return False
        if node & 1 or node == last:
            running = hashlib.sha256(b"\x01" + sibling + running).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            running = hashlib.sha256(b"\x01" + running + sibling).digest()
        node, last = node >> 1, last >> 1
    return last == 0 and running == root


# 4. Time stamps (RFC 3161): the stamp is of this checkpoint; with --tsa also that this authority made it


class Der:
    """Just enough of DER: tag, content, and the whole encoding, of one value after the other."""

    def __init__(self, data: bytes) -> None:
        need(len(data) >= 2, "a time stamp is cut off")
        self.tag, length, head = data[0], data[1], 2
        if length & 0x80:
            count = length & 0x7F
            need(0 < count <= 4 and len(data) >= 2 + count, "a time stamp is malformed")
            length, head = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
        need(len(data) >= head + length, "a time stamp is cut off")
        self.content, self.whole, self.rest = data[head : head + length], data[: head + length], data[head + length :]

    def parts(self) -> list["Der"]:
        found, rest = [], self.content
        while rest:
            found.append(Der(rest))
            rest = found[-1].rest
        return found


SIGNED_DATA, TST_INFO = bytes.fromhex("2a864886f70d010702"), bytes.fromhex("2a864886f70d0109100104")
CONTENT_TYPE, MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010903"), bytes.fromhex("2a864886f70d010904")
DIGESTS: dict[bytes, hashes.HashAlgorithm] = {
    bytes.fromhex("608648016503040201"): hashes.SHA256(),
    bytes.fromhex("608648016503040202"): hashes.SHA384(),
    bytes.fromhex("608648016503040203"): hashes.SHA512(),
}


def check_timestamp(name: str, response: bytes, stamped: bytes, authority: bytes | None) -> str:
    """The moment that a stamp states. Raises ``Broken`` if it is of something else than ``stamped``, or not of the authority."""
    answer = Der(response).parts()
    token = answer[1] if answer[0].parts()[0].tag == 2 else Der(response)  # a response, or the bare token
    kind, wrapped = token.parts()[:2]
    need(kind.content == SIGNED_DATA, f"{name} is no signed time stamp")
    signed = wrapped.parts()[0].parts()
    inner = signed[2].parts()
    need(inner[0].content == TST_INFO, f"{name} is no time stamp")
    info_bytes = inner[1].parts()[0].content
    info = Der(info_bytes).parts()
    algorithm, imprint = info[2].parts()
    chosen = DIGESTS.get(algorithm.parts()[0].content)
    if chosen is None:
        refuse(f"{name} uses a digest that is not SHA-2")
    right = imprint.content == hashlib.new(chosen.name, stamped).digest()
    need(right, f"{name} is a time stamp of something else than the log's own note in log/checkpoint.txt")
    moment = datetime.strptime(info[4].content.decode()[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    if authority is not None:
        try:
            check_signer(name, signed, info_bytes, authority)
        except (x509.InvalidVersion, x509.ExtensionNotFound, UnsupportedAlgorithm, ValueError) as error:
            refuse(f"{name}: its certificates cannot be read: {error}")
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def check_signer(name: str, signed: list[Der], info: bytes, authority: bytes) -> None:
    """The signature over the stamp is of a time-stamping certificate that the authority issued."""
    certificates = [x509.load_der_x509_certificate(one.whole) for part in signed if part.tag == 0xA0 for one in part.parts()]
    trusted = x509.load_pem_x509_certificates(authority)
    signer = signed[-1].parts()[0].parts()
    issuer, serial = signer[1].parts()
    attributes = next((part for part in signer if part.tag == 0xA0), None)
    if attributes is None:
        refuse(f"{name} has no signed attributes")
    found = {part.parts()[0].content: part.parts()[1].parts()[0].content for part in attributes.parts()}
    chosen = DIGESTS.get(signer[2].parts()[0].content)
    if chosen is None:
        refuse(f"{name} is signed with a digest that is not SHA-2")
    need(found.get(CONTENT_TYPE) == TST_INFO, f"{name} is signed as something else")
    need(found.get(MESSAGE_DIGEST) == hashlib.new(chosen.name, info).digest(), f"{name} was changed after it was signed")
    number = int.from_bytes(serial.content, "big")
    own = [
        one for one in (*certificates, *trusted) if one.serial_number == number and one.issuer.public_bytes() == issuer.whole
    ]
    need(own, f"{name} does not carry the certificate that signed it")
    usage = own[0].extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    need(ExtendedKeyUsageOID.TIME_STAMPING in usage, f"{name}: its certificate is not for time stamps")
    need(leads_to(own[0], trusted, certificates), f"{name}: its certificate is not of the authority you gave")
    message = b"\x31" + attributes.whole[1:]
    key, signature = own[0].public_key(), signer[signer.index(attributes) + 2].content
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), chosen)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(chosen))
        else:
            refuse(f"{name} is signed with a kind of key that is not known here")
    except InvalidSignature:
        refuse(f"{name}: its signature is wrong")


def leads_to(one: x509.Certificate, trusted: list[x509.Certificate], others: list[x509.Certificate], depth: int = 4) -> bool:
    if one in trusted:
        return True
    for issuer in (*trusted, *others):
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            continue
        if issuer in trusted or (depth and leads_to(issuer, trusted, others, depth - 1)):
            return True
    return False


# 5. People: what an entry commits to, opened


class People:
    """The opened commitments of people.json. Each must be one that an entry here made; erased ones are named as erased."""

    def __init__(self, data: bytes | None) -> None:
        self.rows: list[dict[str, Any]] = load(data, "people.json") if data is not None else []
        self.names: dict[str, str] = {}
        self.erased = 0
        self._waiting: dict[bytes, dict[str, Any]] = {}
        for row in self.rows:
            digest, what = row["digest"], f"people.json: {row['subject']} {row['field']}"
            if "disclosure" in row:
                made = base64.urlsafe_b64encode(hashlib.sha256(row["disclosure"].encode("ascii")).digest()).rstrip(b"=")
                need(made.decode() == digest, f"{what}: it is not what was committed to")
                opened = load(base64.urlsafe_b64decode(row["disclosure"] + "=" * (-len(row["disclosure"]) % 4)), what)
                need(len(opened) == 3 and opened[1] == row["field"], f"{what}: it opens another field")
                if row["field"] == "username":
                    self.names[row["subject"]] = str(opened[2])
            else:
                need("erased" in row, f"{what}: it is neither opened nor said to be erased")
                self.erased += 1
            self._waiting[digest.encode()] = row

    def see(self, text: bytes) -> None:
        """Look at an entry or a signed record for the commitments that are opened here."""
        if self._waiting:
            for digest in re.findall(rb'"(?:digest|name_commitment)":"([A-Za-z0-9_-]{43})"', text):
                row = self._waiting.get(digest)
                if row is not None and (b'"' + row["subject"].encode() + b'"') in text:
                    del self._waiting[digest]

    def check(self) -> None:
        left = next(iter(self._waiting.values()), None)
        if left is not None:
            refuse(f"people.json: {left['subject']} {left['field']} is committed to by no entry here")

    def called(self, person: str) -> str:
        return f"{person} ({self.names[person]})" if person in self.names else person


# 6. The policy: which signatures its own text asks for

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_. -]*|0|[1-9][0-9]*")
TRUE, FALSE = (
    ("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"),
    ("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"),
)


class Yaml:
    """The part of YAML that a policy's `review` and `waivers` are written in.

    Mappings and lists in either style, words, quoted words, plain numbers. What it does not know it refuses: a guess could
    make two readings of one policy.
    """

    def __init__(self, text: str) -> None:
        self.sections: dict[str, list[tuple[int, str]]] = {}
        need("\t" not in text and "\r" not in text, "the policy has tabs or carriage returns")
        name = ""
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip() or line.lstrip().startswith("#") or (number == 1 and line == "---"):
                continue
            rest = line
            if line[0] not in " -":
                found = re.match(r"([a-z_]+):(?= |$)", line)
                if found is None:
                    refuse(f"line {number} of the policy is no plain key")
                name = found[1]
                need(name not in self.sections, f"the policy says {name} twice")
                self.sections[name] = []
                rest = " " * len(found[0]) + line[len(found[0]) :]
            need(name, f"line {number} of the policy belongs to nothing")
            bare = self._bare(rest, number)
            if bare.strip():
                self.sections[name].append((len(bare) - len(bare.lstrip()), bare.strip()))

    @staticmethod
    def _bare(line: str, number: int) -> str:
        """The line without its comment. A quotation must end where it began: else other lines could be inside it."""
        quote, before = "", " "
        for place, letter in enumerate(line):
            if quote:
                need(not (quote == '"' and letter == "\\"), f"line {number} of the policy has an escaped character")
                quote = "" if letter == quote else quote
            elif letter in "'\"" and line[:place].rstrip()[-1:] in {"", ":", "-", "[", "{", ","}:
                quote = letter
            elif letter == "#" and before == " ":
                return line[:place].rstrip()
            before = letter
        need(not quote, f"line {number} of the policy ends within quotation marks")
        return line.rstrip()

    def section(self, name: str) -> Json:
        """The value of a top-level key, or None."""
        if name not in self.sections:
            return None
        self.rows, self.at = list(self.sections[name]), 0
        need(self.rows, f"the policy's {name} is empty")
        value = self._block(self.rows[0][0])
        need(self.at == len(self.rows), f"the policy's {name} is indented in a way this program cannot read")
        return value

    def _block(self, indent: int) -> Json:
        text = self.rows[self.at][1]
        if text == "-" or text.startswith("- "):
            return self._list(indent)
        if text[0] not in "[{'\"" and re.match(r"[a-z_]+:( |$)", text):
            return self._mapping(indent)
        self.at += 1
        while self.at < len(self.rows) and text[0] in "[{" and not balanced(text):
            text += " " + self.rows[self.at][1]
            self.at += 1
        return Flow(text).whole()

    def _list(self, indent: int) -> list[Json]:
        found = []
        while self.at < len(self.rows) and self.rows[self.at][0] == indent:
            text = self.rows[self.at][1]
            need(text == "-" or text.startswith("- "), "a list in the policy has something else in it")
            rest = text[1:].lstrip()
            if rest:
                deeper = indent + len(text) - len(rest)
                self.rows[self.at] = (deeper, rest)
            else:
                self.at += 1
                deeper = self.rows[self.at][0] if self.at < len(self.rows) else 0
                need(deeper > indent, "a list in the policy has an empty item")
            found.append(self._block(deeper))
        return found

    def _mapping(self, indent: int) -> dict[str, Json]:
        pairs = []
        while self.at < len(self.rows) and self.rows[self.at][0] == indent:
            found = re.match(r"([a-z_]+):(?: +|$)", self.rows[self.at][1])
            if found is None:
                refuse("the policy has a key that this program cannot read")
            rest = self.rows[self.at][1][found.end() :]
            if rest:
                self.rows[self.at] = (indent + found.end(), rest)
                need(not re.match(r"- |[a-z_]+: ", rest), "the policy has a nested value on one line")
                pairs.append((found[1], self._block(indent + found.end())))
            else:
                self.at += 1
                deeper = self.rows[self.at][0] if self.at < len(self.rows) else -1
                dashed = deeper == indent and self.rows[self.at][1].startswith("-")
                need(deeper > indent or dashed, f"the policy's {found[1]} is empty")
                pairs.append((found[1], self._block(deeper)))
        return once(pairs)


def balanced(text: str) -> bool:
    plain = re.sub(r"'[^']*'|\"[^\"]*\"", "", text)
    return sum(map(plain.count, "[{")) == sum(map(plain.count, "]}"))


class Flow:
    """A value in flow style: ``[{role: approver, n: 2}]``, or a single word or number."""

    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0

    def whole(self) -> Json:
        value = self._value()
        need(not self.text[self.place :].strip(), f"the policy has something this program cannot read: {self.text!r}")
        return value

    def _next(self) -> str:
        while self.text[self.place : self.place + 1] == " ":
            self.place += 1
        need(self.place < len(self.text), "the policy has brackets that do not close")
        return self.text[self.place]

    def _value(self) -> Json:
        letter = self._next()
        if letter in "[{":
            return self._several("]" if letter == "[" else "}")
        if letter in "'\"":
            end = self.text.find(letter, self.place + 1)
            need(end > 0 and self.text[end + 1 : end + 2] != letter, "the policy has quotation marks this program cannot read")
            word = self.text[self.place + 1 : end]
            self.place = end + 1
            return word
        found = PLAIN.match(self.text, self.place)
        if found is None:
            refuse(f"the policy has something this program cannot read: {self.text!r}")
        self.place = found.end()
        word = found[0].strip()
        if word in TRUE or word in FALSE:
            return word in TRUE
        need(word.lower() != "null", "the policy has an empty value")
        return int(word) if word.isdigit() else word

    def _several(self, end: str) -> Json:
        self.place += 1
        found: list[Any] = []
        while self._next() != end:
            value = self._value()
            if end == "}":
                need(
                    self._next() == ":" and self.text[self.place + 1 : self.place + 2] == " ",
                    "a mapping in the policy is malformed",
                )
                self.place += 1
                found.append((value, self._value()))
            else:
                found.append(value)
            need(self._next() in {",", end}, "a list in the policy is malformed")
            self.place += self.text[self.place] == ","
        self.place += 1
        return once(found) if end == "}" else found


@dataclass(frozen=True)
class Slot:
    """So many signatures of a role that a stage asks for."""

    role: str
    n: int
    independent: bool


def slot(value: Json) -> Slot:
    need(
        isinstance(value, dict) and set(value) <= {"role", "n", "independent"},
        "the policy asks for signatures in an unknown way",
    )
    role, n, independent = value.get("role"), value.get("n"), value.get("independent", False)
    need(
        isinstance(role, str) and type(n) is int and n > 0 and isinstance(independent, bool),
        "the policy asks for signatures in an unknown way",
    )
    return Slot(role, n, independent)


def review_of(policy: bytes) -> list[list[Slot]]:
    """The signatures that the text of a policy asks for, stage by stage."""
    stages = Yaml(policy.decode("utf-8")).section("review")
    need(isinstance(stages, list) and stages, "the policy has no review")
    for stage in stages:
        need(
            isinstance(stage, dict) and set(stage) == {"stage", "all"} and stage["all"],
            "the policy has an unknown kind of stage",
        )
    return [[slot(one) for one in stage["all"]] for stage in stages]


def waived_by(policy: bytes) -> Slot | None:
    """Who must sign a waiver."""
    rule = Yaml(policy.decode("utf-8")).section("waivers")
    return None if rule is None else slot(rule["by"])


# 7. Requests, decisions, evidence, permits: from each entry to the bytes whose digest it holds


class Story:
    """Walks from the entries to the members they name. ``say`` collects the lines for people.

    A digest that the log holds leads to a member, or left-out.json says why there is none; a member that nothing leads to is
    refused. So nothing is shown that nobody logged, and nothing is dropped in silence.
    """

    def __init__(self, members: Members, names: Iterable[str], log: Log, people: People, trust: "Trust") -> None:
        self.members, self.log, self.people, self.trust, self.policy_text = members, log, people, trust, True
        self.by_digest = {(found[1], found[2]): name for name in names if (found := BY_DIGEST.fullmatch(name))}
        self.reached: set[str] = set()
        self.left_out = load(members["left-out.json"], "left-out.json") if "left-out.json" in members else []
        self.excused = {one["sha256"] for one in self.left_out if "sha256" in one}
        self.entries = log.by_id()
        self.lines: list[str] = []
        self.statuses = self._statuses()

    def say(self, text: str) -> None:
        self.lines.append(text)

    def find(self, room: str, digest: str, needed_by: str) -> bytes | None:
        """The member of that digest; None if left-out.json names it. Evidence files are checked, not kept: None as well."""
        name = self.by_digest.get((room, digest))
        if name is None:
            need(
                digest in self.excused,
                f"{room}/{digest[:16]}…, which {needed_by} names, is neither here nor said to be left out",
            )
            return None
        self.reached.add(name)
        return self.members.get(name)

    def tell(self) -> None:
        for kind, tell in (
            ("registry.modelversion", self.tell_version),
            ("governance.promotionrequest", self.tell_request),
            ("governance.permit", self.tell_permit),
        ):
            for about in sorted(self.log.streams):
                if about[0] == kind:
                    tell(about[1], self.log.streams[about])
        for stream in self.log.streams.values():
            for entry in stream:
                self._follow(entry)
        stray = sorted(set(self.by_digest.values()) - self.reached)
        need(not stray, f"{stray[0] if stray else ''}: no entry of the log here leads to it")
        for name in self.members:
            if name.startswith("requests/"):
                about = ("governance.promotionrequest", name.removeprefix("requests/").removesuffix(".json"))
                need(about in self.log.streams, f"{name} is of a request that no entry here is about")

    def _follow(self, entry: Entry) -> None:
        """What an entry names by digest is here, or said to be left out."""
        facts, where = entry["facts"], f"entry {entry['index']}"
        for room, name in (("artifacts", "manifest_digest"), ("policies", "policy_digest")):
            if facts.get(name):
                self.find(room, facts[name], where)
        if facts.get("evidence_digest"):
            self.snapshot(facts["evidence_digest"], where)
        if entry["action"] == "check.finished":
            self.result(facts["result_digest"], where)

    def tell_version(self, identity: str, stream: list[Entry]) -> None:
        for entry in stream:
            if entry["action"] == "version.sealed":
                digest = entry["facts"]["manifest_digest"]
                self.find("artifacts", digest, f"entry {entry['index']}")
                self.say(f"ok  version {entry['object']['version'] or identity} was sealed as {digest} ({day(entry['at'])})")

    def tell_request(self, identity: str, stream: list[Entry]) -> None:
        """What was asked, on what evidence, and what each person signed."""
        opened = stream[0]
        need(opened["n"] == 1, f"the entry that opened the request {identity} is not here")
        need(self.log.complete["governance.promotionrequest", identity], f"the story of the request {identity} is not complete")
        facts = opened["facts"]
        where = f"entry {opened['index']}"
        self.find("artifacts", facts["manifest_digest"], where)
        self.find("policies", facts["policy_digest"], where)
        states = [entry["diff"]["state"][1] for entry in stream if "state" in entry["diff"]]
        state = states[-1] if states else "draft"
        self._check_told(identity, stream, state)
        label = opened["object"]["version"] or identity
        self.say(
            f"ok  request {label} ({identity}), asked by {self.people.called(facts['requested_by'])} {day(opened['at'])}: {state}"
        )
        votes = 0
        for about, decision in sorted(self.log.streams.items()):
            if about[0] == "governance.decision" and decision[0]["facts"].get("request") == identity:
                votes += self.vote(decision[0], identity, facts)
        for entry in stream:  # a signature may be logged on the request itself
            if "record_digest" in entry["facts"]:
                votes += self.vote(entry, identity, facts)
        self.say(
            f"    {votes} signatures, each a record of that person about these bytes, this policy and this evidence, and in the log"
        )

    def _check_told(self, identity: str, stream: list[Entry], state: str) -> None:
        """requests/<id>.json is for people. Everything in it is what the log says, and it has nothing else."""
        name, opened = f"requests/{identity}.json", stream[0]
        need(name in self.members, f"{name} is missing")
        facts = {key: opened["facts"].get(key) for key in ("requested_by", "manifest_digest", "policy_digest", "target")}
        events = [
            {"entry": one["index"], "at": one["at"], "action": one["action"], "by": one["actor"]["id"], "reason": one["reason"]}
            for one in stream
        ]
        known = {"id": identity, "ref": opened["object"]["version"], "asked_at": opened["at"], "state": state, "events": events}
        told = load(self.members[name], name)
        need("id" in told, f"{name} does not say which request it is")
        for key, value in told.items():
            need(key in known | facts and value == (known | facts)[key], f"{name} tells of another {key} than the log")

    def vote(self, entry: Entry, request: str, opened: Json) -> int:
        """One signature: the record is that of the entry's person, and both are about the same things."""
        facts, where = entry["facts"], f"entry {entry['index']}"
        data = self.find("decisions", facts["record_digest"], where)
        for room, name in (("artifacts", "manifest_digest"), ("policies", "policy_digest")):
            need(facts[name] == opened[name], f"{where}: signed for another {name} than the request was opened with")
            self.find(room, facts[name], where)
        need(facts["request"] == request, f"{where}: signed for another request")
        self.snapshot(facts["evidence_digest"], where)
        if data is None:
            return 1
        record = load(data, f"the record of {where}")
        self.people.see(data)
        need(record["person"] == entry["actor"]["id"], f"{where}: signed by another person than the log says")
        for name in ("request", "manifest_digest", "policy_digest", "evidence_digest", "outcome", "stage", "role"):
            need(record[name] == facts[name], f"{where}: the record and the log differ in {name}")
        return 1

    def snapshot(self, digest: str, needed_by: str) -> None:
        """What the signers saw: its check results, lineage and card are here, too."""
        name = self.by_digest.get(("snapshots", digest))
        if name in self.reached:
            return
        data = self.find("snapshots", digest, needed_by)
        if data is None:
            return
        document = load(data, f"snapshots/{digest}.json")
        for check in document["checks"]:
            self.result(check["result_digest"], "the evidence snapshot")
        for room, field_name in (("lineage", "lineage_digest"), ("cards", "card_digest")):
            if document.get(field_name):
                self.find(room, document[field_name], "the evidence snapshot")

    def result(self, digest: str, needed_by: str) -> None:
        name = self.by_digest.get(("checks", digest))
        if name in self.reached:
            return
        data = self.find("checks", digest, needed_by)
        if data is None:
            return
        for file in load(data, f"checks/{digest}.json").get("files", []):
            self.find("checks/files", file["sha256"], "a check result")

    def tell_permit(self, identity: str, stream: list[Entry]) -> None:
        issued = stream[0]
        need(issued["n"] == 1, f"the entry that issued the permit {identity} is not here")
        name = f"permits/{identity}.dsse.json"
        if name not in self.members:
            need(issued["facts"]["payload_digest"] in self.excused, f"{name} is missing")
            return
        payload, signed = self.trust.permit(self.members[name], issued["facts"], name)
        need(sha256(payload) == issued["facts"]["payload_digest"], f"{name}: the log was told of another permit than this one")
        statement = load(payload, name)
        need(statement["_type"] == "https://in-toto.io/Statement/v1", f"{name} is no in-toto Statement v1")
        predicate = statement["predicate"]
        need(
            predicate["permit"] == identity and predicate["request"] == issued["facts"]["request"],
            f"{name} is another permit or of another request than the log says",
        )
        opened = self.log.streams.get(("governance.promotionrequest", predicate["request"]), [])
        need(opened, f"{name}: the request it rests on is not here")
        artifact = statement["subject"][0]["digest"]["sha256"]
        need(artifact == opened[0]["facts"]["manifest_digest"], f"{name} is for another artifact than was asked for")
        self.find("artifacts", artifact, name)
        self.snapshot(predicate["evidence_digest"], name)
        mark = len(self.lines)
        signers = self._quorum(name, predicate, opened[0]["facts"], issued["index"])
        self._waivers(name, predicate)
        quorum = self.lines[mark:]
        del self.lines[mark:]
        self.say(
            f"ok  permit {identity} for {predicate['target']}, {signed}, valid {day(predicate['not_before'])} to {day(predicate['expires_at'])}"
        )
        self.say(
            f"    signed by {', '.join(map(self.people.called, signers))}: distinct, none the requester or an author as logged"
        )
        self.lines += quorum
        for entry in stream[1:]:
            self.say(
                f"!!  since then: {entry['action']} ({entry['actor']['id']}, {day(entry['at'])}). This permit may no longer be in force"
            )
        if identity in self.statuses:
            self.say(f"    status list: {self.statuses[identity]}")

    def _quorum(self, name: str, predicate: Json, opened: Json, issued: int) -> list[str]:
        """Distinct people, none with a part in the version, as many as the policy's own text asks for."""
        excluded = {opened["requested_by"], *opened["authors"]}
        given: list[tuple[int, str, bool]] = []
        signers: list[str] = []
        for approval in predicate["approvals"]:
            person, entry = approval["person"], self.entries.get(approval["entry_id"])
            if entry is None:
                refuse(f"{name}: the log entry of the signature of {person} is not here")
            need(
                entry["facts"]["record_digest"] == approval["record_digest"],
                f"{name}: the log has another record of {person}'s signature",
            )
            record_data = self.find("decisions", approval["record_digest"], name)
            if record_data is None:
                refuse(f"{name}: the signed record of {person} is not here")
            record = load(record_data, name)
            need(entry["index"] < issued, f"{name}: {person} signed after the permit was issued")
            need(
                approval.get("leaf_index", entry["index"]) == entry["index"],
                f"{name}: {person}'s signature is at another place in the log",
            )
            need(entry["actor"]["id"] == person == record["person"], f"{name}: signed by another person than the permit says")
            need(
                entry["facts"]["evidence_digest"] == predicate["evidence_digest"], f"{name}: {person} signed for other evidence"
            )
            need(
                entry["facts"]["policy_digest"] == predicate["policy"]["digest"],
                f"{name}: {person} signed under another policy",
            )
            need(entry["facts"]["request"] == predicate["request"], f"{name}: {person} signed for another request")
            need(
                entry["facts"]["manifest_digest"] == opened["manifest_digest"], f"{name}: {person} signed for another artifact"
            )
            for key in ("outcome", "stage", "role"):
                need(record[key] == entry["facts"][key] == approval[key], f"{name}: {key} of {person}'s signature differs")
            need(record["outcome"] in COUNTS, f"{name}: {record['outcome']} is no approval")
            need(person not in excluded, f"{name}: {person} signed, but is the requester or an author")
            need(person not in signers, f"{name}: {person} signed twice")
            signers.append(person)
            given.append((record["stage"], record["role"], record.get("independent") is True))
        stated = [(one["stage"], one["role"], one["n"]) for one in predicate["quorum"]]
        need(stated and signers, f"{name} names no quorum or no approvals")
        for stage, role, n in stated:
            have = sum(one[:2] == (stage, role) for one in given)
            need(n > 0 and have >= n, f"{name}: stage {stage} needs {n} {role}, {have} signed")
        self._against_policy(name, predicate["policy"]["digest"], given, stated)
        return sorted(signers)

    def _against_policy(
        self, name: str, digest: str, given: list[tuple[int, str, bool]], stated: list[tuple[int, str, int]]
    ) -> None:
        text = self.find("policies", digest, name)
        if text is None or not self.policy_text:
            self.say(f"!!  {name}: the quorum is the one the permit states; that its policy asks for no more is not checked")
            return
        try:
            stages = review_of(text)
        except Broken as why:
            refuse(f"{name}: {why}. Read policies/{digest}.yaml yourself, then use --policy-read-by-me")
        asked = [(number, one.role, one.n) for number, stage in enumerate(stages) for one in stage]
        need(sorted(asked) == sorted(stated), f"{name} states another quorum than its policy asks for")
        for number, stage in enumerate(stages):
            for role in {one.role for one in stage}:
                wanted = [one for one in stage if one.role == role]
                have = [independent for at, held, independent in given if (at, held) == (number, role)]
                total, outside = sum(one.n for one in wanted), sum(one.n for one in wanted if one.independent)
                need(len(have) >= total and sum(have) >= outside, f"{name}: the policy asks for {total} {role} in stage {number}"
                     f"{f', {outside} of them independent' if outside else ''}; {len(have)} signed, {sum(have)} independent")  # fmt: skip
        self.say(
            f"    the quorum is complete, as policies/{digest[:16]}….yaml itself asks: {', '.join(f'{n} {role}' for _, role, n in asked)}"
        )

    def _waivers(self, name: str, predicate: Json) -> None:
        """Each waiver the permit rests on was signed by as many people as the policy asks for, and granted, as logged."""
        for waiver in predicate.get("waivers", []):
            stream = self.log.streams.get(("governance.waiver", waiver["id"]), [])
            actions = {entry["action"] for entry in stream}
            need({"waiver.signed", "waiver.granted"} <= actions, f"{name}: the log does not grant the waiver {waiver['id']}")
            text = self.find("policies", predicate["policy"]["digest"], name)
            if text is None or not self.policy_text:
                continue
            rule = waived_by(text)
            asker = {entry["actor"]["id"] for entry in stream if entry["action"] == "waiver.asked"}
            signers = {entry["actor"]["id"] for entry in stream if entry["action"] == "waiver.signed"} - asker
            need(
                rule is not None and len(signers) >= rule.n,
                f"{name}: {len(signers)} people signed the waiver {waiver['id']}, the policy asks for more",
            )

    def _statuses(self) -> dict[str, str]:
        if "permits/status.json" not in self.members:
            return {}
        listed = load(
            self.trust.signed(self.members["permits/status.json"], STATUS, "status", "permits/status.json"),
            "permits/status.json",
        )
        need(listed["checkpoint"]["origin"] == self.log.checkpoint.origin, "permits/status.json is of another log")
        until = f"as of {day(listed['issued_at'])}, good until {day(listed['valid_until'])}"
        return {permit: f"{state} ({until})" for permit, state in listed["permits"].items()}


# 8. Who may sign permits: the trust root (after The Update Framework), DSSE envelopes

PERMIT, ROOT = "application/vnd.in-toto+json", "application/vnd.countersign.trust-root+json"
STATUS = "application/vnd.countersign.permit-status+json"
ROLES = {"https://countersign.dev/permit/v1": "permit-v1", "https://countersign.dev/permit/v2": "permit"}


def p256(pem: bytes, what: str) -> ec.EllipticCurvePublicKey:
    key = load_pem_public_key(pem)
    need(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) == pem, f"{what} is spelled in an unusual way")
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        refuse(f"{what} is not ECDSA P-256")
    return key


Signatures = list[tuple[str, bytes]]


def envelope(data: bytes, kind: str, what: str) -> tuple[bytes, bytes, Signatures]:
    """Payload, what is signed (DSSE's PAE), signatures with the ids of the keys they say they are of."""
    outer = load(data, what)
    payload = from_base64(outer["payload"], what)
    need(outer["payloadType"] == kind, f"{what}: the payload is {outer['payloadType']!r}, not {kind!r}")
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    need(all(set(one) == {"keyid", "sig"} for one in outer["signatures"]), f"{what} has an unknown kind of signature")
    return payload, pae, [(one["keyid"], from_base64(one["sig"], what)) for one in outer["signatures"]]


def signers_of(pae: bytes, signatures: Signatures, keys: dict[str, ec.EllipticCurvePublicKey]) -> set[str]:
    """The keys that signed. A signature counts for the key that it names, and for no other."""
    found = set()
    for identity, signature in signatures:
        if identity in keys:
            try:
                keys[identity].verify(signature, pae, ec.ECDSA(hashes.SHA256()))
            except InvalidSignature:
                continue
            found.add(identity)
    return found


class Trust:
    """The newest trust root of the bundle, reached step by step from the one that is trusted; or the keys of before."""

    def __init__(self, members: Members, pinned: bytes | None) -> None:
        self.members = members
        self.root: Json = None
        self.pinned = pinned is not None
        if "trust/roots.json" not in members:
            need(pinned is None, "the bundle has no trust root to compare with yours")
            return
        chain = load(members["trust/roots.json"], "trust/roots.json")
        texts = [json.dumps(one).encode() for one in chain]
        need(texts, "trust/roots.json is empty")
        first = pinned if pinned is not None else texts[0]
        self.root = self._opened(first)
        self._check(first, self.root, "the trust root")
        for text in texts:
            following = self._opened(text)
            if following["version"] != self.root["version"] + 1:
                if pinned is not None and following["version"] == self.root["version"]:
                    need(
                        envelope(text, ROOT, "trust")[0] == envelope(first, ROOT, "trust")[0],
                        "the bundle carries another trust root than yours",
                    )
                continue
            what = f"version {following['version']} of the trust root"
            self._check(text, self.root, f"{what}, asked of the keys before it,")
            self._check(text, following, f"{what}, asked of its own keys,")
            self.root = following
        newest = max(self._opened(text)["version"] for text in texts)
        need(
            self.root["version"] >= newest, f"trust/roots.json goes up to version {newest}, and a version before it is missing"
        )

    @staticmethod
    def _opened(text: bytes) -> Json:
        return load(envelope(text, ROOT, "the trust root")[0], "the trust root")

    def _check(self, text: bytes, root: Json, what: str) -> None:
        _, pae, signatures = envelope(text, ROOT, what)
        keys, threshold = self._role(root, "root")
        have = len(signers_of(pae, signatures, keys))
        need(have >= threshold, f"{what} has {have} of {threshold} signatures that count")

    @staticmethod
    def _role(root: Json, name: str) -> tuple[dict[str, ec.EllipticCurvePublicKey], int]:
        role = root["roles"].get(name)
        need(role, f"the trust root gives nobody the role {name!r}")
        least = 2 if name in {"permit", "status"} else 1
        need(type(role["threshold"]) is int and role["threshold"] >= least, f"the threshold of the role {name!r} cannot stand")
        keys = {identity: p256(root["keys"][identity].encode(), "a key of the trust root") for identity in role["keyids"]}
        for identity, key in keys.items():
            need(spki(key) == identity, "a key of the trust root has another key's id")
        return keys, role["threshold"]

    def signed(self, data: bytes, kind: str, role: str, what: str) -> bytes:
        """The payload that enough distinct keys of a role signed."""
        need(self.root is not None, f"{what}: the bundle has no trust root, so nobody can tell who may sign it")
        payload, pae, signatures = envelope(data, kind, what)
        keys, threshold = self._role(self.root, role)
        have = len(signers_of(pae, signatures, keys))
        need(have >= threshold, f"{what} has {have} of {threshold} signatures that count")
        return payload

    def permit(self, data: bytes, logged: Json, what: str) -> tuple[bytes, str]:
        """The payload of a permit, and in words by whom it is signed. One that was logged with a key id is of that key."""
        payload, pae, signatures = envelope(data, PERMIT, what)
        kind = load(payload, what)["predicateType"]
        need(kind in ROLES, f"{what} is no Countersign permit")
        if kind.endswith("/v1"):  # one key, named in the log when the permit was issued
            identity = logged["key_id"]
            keys = [p256(text, name) for name, text in self.members.items() if name.startswith("keys/permit")]
            if self.root is not None and identity in self.root["keys"]:
                keys.append(p256(self.root["keys"][identity].encode(), "a key of the trust root"))
            own = [key for key in keys if spki(key) == identity]
            need(own, f"{what}: the bundle does not carry the key {identity[:16]}…, which the log says signed it")
            need(len(signatures) == 1 and signers_of(pae, signatures, {identity: own[0]}), f"{what}: a signature is wrong")
            return payload, f"signed with the key {identity[:16]}… that the log names"
        self.signed(data, PERMIT, ROLES[kind], what)
        threshold = self._role(self.root, ROLES[kind])[1]
        own_root = "the trust root you gave" if self.pinned else "the trust root IN THE BUNDLE"
        return payload, f"signed by {threshold} distinct keys of version {self.root['version']} of {own_root}"

    def witnesses(self) -> tuple[list[str], int]:
        return (self.root["witnesses"]["vkeys"], self.root["witnesses"]["quorum"]) if self.root else ([], 0)


# 9. A sample, drawn again


def stratum_of(body: Entry, by: str) -> str:
    """Which stratum an entry belongs to."""
    if by == "action":
        return str(body["action"])
    if by == "actor":
        return str(body["actor"]["id"])
    if by == "month":
        return datetime.fromtimestamp(body["at"] // 1_000_000, UTC).strftime("%Y-%m")
    if by == "outcome":
        return str(body["facts"].get("outcome", ""))
    return ""


def in_population(body: Entry, plan: Json) -> bool:
    return (
        (not plan["actions"] or body["action"] in plan["actions"])
        and (not plan["object_type"] or body["object"]["type"] == plan["object_type"])
        and plan["since"] <= body["at"] < plan["until"]
    )


def check_sample(bundle: Bundle, members: Members, log: Log) -> list[str]:
    """Seed, population and choice: the seed is the one committed to, and gives these entries of this population."""
    plan_id = load(members["question.json"], "question.json")["sample"]
    stream = log.streams.get(("governance.sample", plan_id), [])
    planned = next((entry for entry in stream if entry["action"] == "sample.planned"), None)
    drawn = next((entry for entry in stream if entry["action"] == "sample.drawn"), None)
    if planned is None or drawn is None or not log.complete["governance.sample", plan_id]:
        refuse("the entries that planned and drew the sample are not here")
    plan, seed = planned["facts"], drawn["facts"]["seed"]
    need(sha256(seed.encode()) == plan["seed_commitment"], "the seed is not the one that was committed to before the draw")
    begin, end = plan["begin"], plan["end"]
    need(end <= planned["index"], "the sample was planned before its population ended")
    need(log.whole(begin, end), f"the entries {begin} to {end - 1}, of which the sample was drawn, are not all here")
    key = hashlib.sha256(seed.encode() + log.leaf_hashes[planned["index"]]).digest()
    sizes = {one["stratum"]: one["size"] for one in plan["strata"]}
    counts = dict.fromkeys(sizes, 0)
    chosen: dict[str, list[tuple[int, int]]] = {name: [] for name in sizes}
    for index, _, leaf in leaves(bundle):
        if index is None or not begin <= index < end:
            continue
        body = load(leaf, f"entry {index}")["body"]
        if not in_population(body, plan):
            continue
        name = stratum_of(body, plan["stratify_by"])
        need(name in sizes, f"entry {index} is of the stratum {name!r}, which the plan does not have")
        counts[name] += 1
        rank = int.from_bytes(hashlib.sha256(key + body["id"].encode()).digest(), "big")
        heapq.heappush(chosen[name], (-rank, index))
        if len(chosen[name]) > sizes[name]:
            heapq.heappop(chosen[name])
    for one in plan["strata"]:
        need(
            counts[one["stratum"]] == one["population"],
            f"the stratum {one['stratum']!r} has {counts[one['stratum']]} entries, not {one['population']} as planned",
        )
    again = sorted(index for found in chosen.values() for _, index in found)
    listed = load(members["sample.json"], "sample.json")["items"]
    need([one["index"] for one in listed] == again, "sample.json lists other entries than the seed draws")
    text = json.dumps(again, separators=(",", ":")).encode()
    need(sha256(text) == drawn["facts"]["items_digest"], "the log was told of other entries than the seed draws")
    others = (
        f"{plan['plans_before']} other samples were planned by the same person before"
        if plan.get("plans_before")
        else "the first sample that person planned"
    )
    return [
        f"ok  sample drawn again: {len(again)} of {sum(counts.values())} entries, from positions {begin} to {end - 1}, all of which are here",
        f"    the seed was committed to in entry {planned['index']}, before the draw in entry {drawn['index']}; {others}",
        *(f"    stratum {one['stratum'] or 'all'}: {one['size']} of {one['population']}" for one in plan["strata"]),
    ]


# 10. The report: a PDF whose data is attached to it. It is for reading; what it says of entries is compared with them

STREAM = re.compile(rb"<</Length ([0-9]{1,9})((?:/[^\n]*)?)>>\nstream\n")
MOST_ROWS = 2000
"""Entries about its objects that a report lists at most."""


def attached(pdf: bytes) -> list[bytes]:
    """The files attached to the PDF, in their order.

    Only the plain form that the press writes is read: one revision of the document, each stream with its length before it.
    """
    found, place, outside = [], 0, b""
    while match := STREAM.search(pdf, place):
        outside += pdf[place : match.start()]
        place = match.end() + int(match[1])
        data = pdf[match.end() : place]
        need(pdf[place : place + 10] == b"\nendstream", "report.pdf has a stream of another length than it says")
        if b"/Type/EmbeddedFile" in match[2]:
            found.append(inflated(data) if b"/Filter/FlateDecode" in match[2] else data)
    outside += pdf[place:]
    plain = pdf.startswith(b"%PDF-") and outside.count(b"startxref") == outside.count(b"%%EOF") == 1
    need(plain and b"stream\n" not in outside.replace(b"endstream\n", b""), "report.pdf is no PDF as the press writes them")
    need(outside.count(b"/EmbeddedFiles<<") == 1 and found, "report.pdf does not carry its data")
    return found


def inflated(data: bytes) -> bytes:
    """Undo the compression, up to the size of a member."""
    unpacked = zlib.decompressobj()
    whole = unpacked.decompress(data, LARGEST_MEMBER)
    need(unpacked.eof and not unpacked.unconsumed_tail, "a file attached to report.pdf is cut off or too large")
    return whole


def check_report(
    members: Members, question: Json, log: Log, key: ed25519.Ed25519PublicKey, left_out: list[Json]
) -> list[str]:
    """The report is about what was asked, as of this log, and says of entries here what they say."""
    excused = any(one["what"] == "report.pdf" for one in left_out)
    if question.get("report") is not True:
        need("report.pdf" not in members, "report.pdf is here, and question.json asks for no report")
        return []
    need(("report.pdf" in members) != excused, "report.pdf, which question.json asks for, is neither here nor said to be left out")
    if excused:
        return []
    first, *files = attached(members["report.pdf"])
    pack = load(first, "the data of report.pdf")
    kind = question["kind"]
    about = (SUBJECTS[kind], question[kind])
    need(
        pack["format"] == "countersign-report/1" and pack["report"] == kind
        and (pack["subject"]["type"], pack["subject"]["id"]) == about,
        "report.pdf is about something else than question.json asks",
    )  # fmt: skip
    then = check_checkpoint(pack["log"]["checkpoint"].encode(), key, [])
    said = (pack["log"]["origin"], pack["log"]["size"], pack["log"]["root"])
    need(said == (then.origin, then.size, then.root.hex()), "report.pdf names another checkpoint than the one it shows")
    here = log.checkpoint
    need(then.origin == here.origin and then.size <= here.size, "report.pdf is of another or a longer log than this one")
    need(then.size < here.size or then.root == here.root, "report.pdf is of a log with another root than this one")
    need(
        [one["sha256"] for one in pack["files"]] == [sha256(data) for data in files],
        "the files attached to report.pdf are not those that its data names",
    )
    compared = compare_rows(pack, about, log, then.size)
    known = {sha256(data) for data in members.values()}
    same = sum(sha256(data) in known for data in files)
    return [
        f"ok  report.pdf is as of the first {then.size} entries; {compared} of its rows are about entries here and say what they say",
        f"    {len(files)} files are attached to it besides its data, {same} of them members of this bundle",
        "    what else it says is for reading, and nothing rests on it",
    ]


def compare_rows(pack: Json, about: About, log: Log, size: int) -> int:
    """Compare rows of the trail, and signatures, with the entries they name; no entry about the object may be missing."""
    entries = {entry["index"]: entry for stream in log.streams.values() for entry in stream}
    compared, listed = 0, set()
    for block in (block for section in pack["sections"] for block in section["blocks"]):
        if block["key"] == "trail":
            for row in block["rows"]:
                listed.add(row["index"])
                need(row["index"] < size, f"report.pdf lists entry {row['index']}, behind its own checkpoint")
                entry = entries.get(row["index"])
                if entry is not None:
                    compared += 1
                    told = (micro(row["at"]), row["reason"] or "", row["digest"] or "")
                    need(told == (entry["at"], entry["reason"], entry["object"]["digest"]),
                         f"report.pdf says something else of entry {row['index']} than the log")  # fmt: skip
        for one in block.get("signatures", []):
            entry = entries.get(one["entry"])
            if entry is not None:
                compared += 1
                facts = entry["facts"]
                need((one["record_digest"], one["outcome_key"]) == (facts["record_digest"], facts["outcome"]),
                     f"report.pdf shows another signature than entry {one['entry']}")  # fmt: skip
    missing = [one["index"] for one in log.streams[about] if one["index"] < size and one["index"] not in listed]
    need(not missing or len(listed) >= MOST_ROWS, f"report.pdf does not list entry {missing[0] if missing else ''}")
    return compared


def micro(text: str) -> int:
    """Microseconds since 1970 of a moment in the report."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


# 11. All of it


@dataclass(frozen=True)
class Options:
    """What whoever runs this trusts, and asks for."""

    key: bytes | None = None
    root: bytes | None = None
    witnesses: tuple[str, ...] = ()
    quorum: int | None = None
    tsa: bytes | None = None
    policy_text: bool = True


def ledger_key(members: Members, given: bytes | None) -> ed25519.Ed25519PublicKey:
    key = load_pem_public_key(given if given is not None else members["keys/ledger.pub.pem"])
    if not isinstance(key, ed25519.Ed25519PublicKey):
        refuse("the ledger key is not Ed25519")
    own = load_pem_public_key(members["keys/ledger.pub.pem"])
    need(own == key, "keys/ledger.pub.pem is another ledger key than yours")
    plain = own.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    need(plain == members["keys/ledger.pub.pem"], "keys/ledger.pub.pem is spelled in an unusual way")
    return key


def verify(path: str, options: Options | None = None) -> list[str]:
    """The lines of what was proved. Raises ``Broken``, or what the standard library raises for a file that is no ZIP."""
    given = options or Options()
    bundle = Bundle(path)
    members = bundle.kept()
    key = ledger_key(members, given.key)
    trust = Trust(members, given.root)
    vkeys, quorum = trust.witnesses()
    checkpoint = check_checkpoint(members["log/checkpoint.txt"], key, [*dict.fromkeys([*vkeys, *given.witnesses])])
    quorum = quorum if given.quorum is None else given.quorum
    people = People(members.get("people.json"))
    log = check_log(bundle, checkpoint, people.see)
    own = (
        "the key you gave"
        if given.key
        else "the key IN THE BUNDLE: it proves who signed only if you got that fingerprint elsewhere too"
    )
    said = [
        f"ok  {len(bundle.names)} files are those of the manifest; bundle of the kind “{bundle.kind}”",
        f"ok  checkpoint of {checkpoint.origin}, {checkpoint.size} entries, signed by ledger key {spki(key)}",
        f"    {own}",
        *(
            f"ok  cosigned by the witness {name} {day(moment * 1_000_000)}"
            for name, moment in sorted(checkpoint.witnesses.items())
        ),
    ]
    need(len(checkpoint.witnesses) >= quorum, f"log/checkpoint.txt has {len(checkpoint.witnesses)} of the {quorum} cosignatures of "
         "witnesses that are asked for (--witness-quorum 0 goes on without)")  # fmt: skip
    if not checkpoint.witnesses:
        said.append("--  no witness that is known here cosigned it")
    stamps = sorted(name for name in members if name.startswith("log/timestamps/"))
    for name in stamps:
        moment = check_timestamp(name, members[name], checkpoint.own.encode(), given.tsa)
        sure = "by the authority you gave" if given.tsa else "its authority is not checked without --tsa"
        said.append(f"ok  {name}: this checkpoint existed {moment}; {sure}")
    if not stamps:
        said.append("--  no time stamp of an authority")
    if log.streams and not log.headed:
        said.append("--  no head map: a stream here may have gone on behind the last entry shown")
    said.append(f"ok  {log.entries} entries are in that log, unchanged, at the places they have here")
    question = load(members["question.json"], "question.json")
    need(
        question["kind"] == bundle.kind and question["log_size"] == checkpoint.size,
        "question.json asks something else than this answers",
    )
    if bundle.kind in SUBJECTS:
        need((SUBJECTS[bundle.kind], question[bundle.kind]) in log.streams, f"the {bundle.kind} that question.json asks about is not here")
    if bundle.kind == "period":
        begin, end = question["begin"], question["end"]
        need(log.whole(begin, end), f"the entries {begin} to {end - 1} are not all here")
        said.append(f"ok  every entry from {begin} to {end - 1} is here: {end - begin}, none left out")
    said += [f"    {kind} {key_text}: {stream_words(log, (kind, key_text))}" for kind, key_text in sorted(log.complete)]
    story = Story(members, bundle.names, log, people, trust)
    story.policy_text = given.policy_text
    story.tell()
    if bundle.kind == "sample":
        story.lines += check_sample(bundle, members, log)
    people.check()
    said += story.lines
    if people.rows:
        said.append(
            f"ok  people.json opens {len(people.rows) - people.erased} commitments of these entries; {people.erased} are erased"
        )
    said += [f"--  left out: {one['what']}: {one['why']}" for one in story.left_out]
    said += check_report(members, question, log, key, story.left_out)
    return [*said, *(f"Not proved: {one}." for one in NOT_PROVED)]


def stream_words(log: Log, about: About) -> str:
    number = log.streams[about][-1]["n"]
    if not log.complete[about]:
        return "some of its entries only"
    others = f"; there was no other when the log had {log.heads['facts']['size']}" if about in log.headed and log.heads else ""
    return f"complete from number 1 to {number}{others}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a Countersign evidence bundle.")
    parser.add_argument("bundle")
    parser.add_argument("--key", help="ledger public key (PEM) that you got elsewhere")
    parser.add_argument("--root", help="trust root (roots.json entry) that you got elsewhere")
    parser.add_argument("--witness", action="append", default=[], help="verifier key of a witness you know (name+hash+base64)")
    parser.add_argument(
        "--witness-quorum", type=int, help="how many witnesses must have cosigned; else what the trust root asks for"
    )
    parser.add_argument("--tsa", help="certificates (PEM) of the time-stamping authority you trust")
    parser.add_argument(
        "--policy-read-by-me", action="store_true", help="do not read the policy's text: I compared the quorum myself"
    )
    given = parser.parse_args()
    try:
        options = Options(
            key=Path(given.key).read_bytes() if given.key else None,
            root=Path(given.root).read_bytes() if given.root else None,
            witnesses=tuple(given.witness),
            quorum=given.witness_quorum,
            tsa=Path(given.tsa).read_bytes() if given.tsa else None,
            policy_text=not given.policy_read_by_me,
        )
        said = verify(given.bundle, options)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        print(f"CANNOT READ: {error}", file=sys.stderr)
        return 2
    except (Broken, LookupError, TypeError, ValueError, AttributeError, RuntimeError, UnsupportedAlgorithm, struct.error) as error:
        print(f"REFUSED: {error if isinstance(error, Broken) else f'malformed: {error!r}'}", file=sys.stderr)
        return 1
    print("\n".join(said))
    print("VERIFIED")
    return 0


if __name__ == "__main__":
    sys.exit(main())
