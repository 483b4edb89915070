#!/usr/bin/env python3
# ruff: noqa: T201 - a program that prints
"""Check a Countersign evidence bundle, offline. Needs Python 3.11 and the package `cryptography`, nothing else.

    python verify.py bundle.zip [--key ledger.pub.pem]

Exit code 0: everything it checks holds. 1: something does not, and it says what. 2: the file cannot be read.
What each member is and what binds it: docs/auditors/bundle.md. Take this program from a place you trust.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

LARGEST_MEMBER, LARGEST_BUNDLE = 2**30, 2**31
LOG = ("README.txt", "keys/ledger.pub.pem", "log/checkpoint.txt", "log/entries.jsonl", "log/proofs.json", "verify.py")
PROMOTION = ("artifact/manifest.json", "evidence/snapshot.json", "keys/permit.pub.pem", "permit/permit.dsse.json",
             "policy/policy.yaml", "request.json")  # fmt: skip
MORE = re.compile(r"decisions/[^/]+[.]json|checks/([^/]+|files/[0-9a-f]{64})|lineage/prov[.]json")
NOT_PROVED = """Not proved: that others see the same checkpoint (compare it); that nothing happened after the last entry
shown; that a permit is still in force today; that policy.yaml asks for the stated quorum (read it); who is behind an
account."""
COUNTS = ("approve", "approve_with_conditions")


Members = dict[str, bytes]
Stream = list[dict[str, Any]]


class Broken(Exception):
    """Something does not hold."""


@dataclass(frozen=True)
class Log:
    """What the log part of the bundle says, once checked."""

    origin: str
    size: int
    entries: int
    streams: dict[tuple[str, str], Stream]
    stated: dict[tuple[str, str], dict[str, Any]]


def need(holds: object, complaint: str) -> None:
    if not holds:
        raise Broken(complaint)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON objects with a repeated key mean different things to different readers."""
    result = dict(pairs)
    need(len(result) == len(pairs), "a JSON object repeats a key")
    return result


def load(data: bytes) -> Any:  # noqa: ANN401 - JSON
    return json.loads(data.decode("utf-8"), object_pairs_hook=once)


def fingerprint(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> str:
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def read_members(path: str) -> tuple[str, Members]:
    """The members are those the manifest names, with those digests, and no others."""
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        names = [info.filename for info in infos]
        need(len(set(names)) == len(names), "a member name occurs twice")
        need(all(re.fullmatch(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*", name) and ".." not in name for name in names),
             "a member has an unsafe name")  # fmt: skip
        need(all(info.file_size <= LARGEST_MEMBER for info in infos), "a member is larger than 1 GiB")
        need(sum(info.file_size for info in infos) <= LARGEST_BUNDLE, "the members are larger than 2 GiB together")
        need(all(not info.flag_bits & 1 for info in infos), "a member is encrypted")
        members = {name: archive.read(name) for name in names}
    need("manifest.json" in members, "there is no manifest.json")
    manifest = load(members.pop("manifest.json"))
    need(manifest["format"] == "countersign-bundle/1", f"unknown format {manifest['format']!r}")
    need(manifest["kind"] in {"promotion", "log"}, f"unknown kind {manifest['kind']!r}")
    listed = manifest["members"]
    need(set(listed) == set(members), f"the manifest and the archive differ in {sorted(set(listed) ^ set(members))}")
    for name, data in members.items():
        need(listed[name] == {"sha256": sha256(data), "size": len(data)}, f"{name} was changed: its digest differs")
    promotion = manifest["kind"] == "promotion"
    wanted = LOG + (PROMOTION if promotion else ())
    for name in wanted:
        need(name in members, f"{name} is missing")
    for name in set(members) - set(wanted):
        need(promotion and MORE.fullmatch(name), f"{name} is nothing that a bundle has")
    return manifest["kind"], members


def check_checkpoint(note: bytes, key: ed25519.Ed25519PublicKey) -> tuple[str, int, bytes]:
    """A C2SP signed note by the ledger key over origin, size and root."""
    text, _, signatures = note.decode("utf-8").rpartition("\n\n")
    text += "\n"
    lines = text.split("\n")
    need(len(lines) >= 4, "the checkpoint is too short")
    origin, size, root = lines[0], lines[1], base64.b64decode(lines[2], validate=True)
    need(re.fullmatch("[1-9][0-9]{0,18}", size) and len(root) == 32, "the checkpoint is malformed")
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    identity = hashlib.sha256(origin.encode() + b"\n\x01" + raw).digest()[:4]
    need(signatures.endswith("\n"), "the checkpoint is cut off")
    for line in signatures[:-1].split("\n"):
        match = re.fullmatch("\u2014 (\\S+) ([A-Za-z0-9+/]+=*)", line)
        if match is None:
            raise Broken("the checkpoint has a malformed signature line")
        blob = base64.b64decode(match[2], validate=True)
        need(base64.b64encode(blob).decode() == match[2], "the checkpoint has a malformed signature line")
        if match[1] == origin and blob[:4] == identity:
            key.verify(blob[4:], text.encode())
            return origin, int(size), root
    raise Broken("the checkpoint is not signed by the ledger key")


def check_inclusion(leaf: bytes, index: int, size: int, proof: list[str], root: bytes) -> None:
    """RFC 9162 2.1.3.2."""
    need(0 <= index < size, f"entry {index} is outside a log of {size}")
    node, last, running = index, size - 1, hashlib.sha256(b"\x00" + leaf).digest()
    for sibling in map(bytes.fromhex, proof):
        need(last > 0 and len(sibling) == 32, f"the proof of entry {index} is malformed")
        if node & 1 or node == last:
            running = hashlib.sha256(b"\x01" + sibling + running).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            running = hashlib.sha256(b"\x01" + running + sibling).digest()
        node, last = node >> 1, last >> 1
    need(last == 0 and running == root, f"entry {index} is not in the log: its proof does not lead to the signed root")


def check_log(members: Members, key: ed25519.Ed25519PublicKey) -> Log:
    """Every entry is in the signed tree; every stream called complete has no hole up to its last entry here."""
    origin, size, root = check_checkpoint(members["log/checkpoint.txt"], key)
    proofs = load(members["log/proofs.json"])
    need(proofs["size"] == size, "the proofs are for another size than the checkpoint")
    before, count = -1, 0
    streams: dict[tuple[str, str], Stream] = {}
    lines = members["log/entries.jsonl"].split(b"\n")
    need(lines.pop() == b"", "entries.jsonl does not end in a newline")
    for line in lines:
        row = load(line)
        index, leaf = row["index"], row["leaf"].encode()
        need(type(index) is int and index > before, "the entries are not in order, or one occurs twice")
        need(str(index) in proofs["proofs"], f"entry {index} has no proof")
        check_inclusion(leaf, index, size, proofs["proofs"][str(index)], root)
        content = load(leaf)
        entry = {**content["body"], "index": index, **{name: content["stream"][name] for name in ("n", "previous")}}
        streams.setdefault((entry["object"]["type"], entry["object"]["id"]), []).append(entry)
        before, count = index, count + 1
    need(len(proofs["proofs"]) == count, "there are proofs of entries that are not here")
    stated = {(stream["type"], stream["id"]): stream for stream in proofs["streams"]}
    need(set(stated) == set(streams) and len(stated) == len(proofs["streams"]), "the streams do not match the entries")
    for about, found in streams.items():
        links = [None, *(entry["index"] for entry in found)][:-1]
        expected = list(zip(range(1, len(found) + 1), links, strict=True))
        complete = [(entry["n"], entry["previous"]) for entry in found] == expected
        claim, what = stated[about], f"{about[0]} {about[1]}"
        need(claim["n"] == found[-1]["n"], f"{what}: the last entry is number {found[-1]['n']}, not {claim['n']}")
        need(claim["complete"] is complete, f"{what}: an entry is missing or out of place")
    return Log(origin, size, count, streams, stated)


def check_permit(members: Members) -> tuple[dict[str, Any], str, str]:
    """The DSSE envelope: payload signed by the permit key, an in-toto Statement about the artifact manifest here."""
    key = load_pem_public_key(members["keys/permit.pub.pem"])
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise Broken("the permit key is not ECDSA P-256")
    envelope = load(members["permit/permit.dsse.json"])
    kind, payload = envelope["payloadType"], base64.b64decode(envelope["payload"], validate=True)
    need(kind == "application/vnd.in-toto+json", f"the permit's payload is {kind!r}")
    need(len(envelope["signatures"]) == 1, "the permit must have one signature")
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"], validate=True), pae, ec.ECDSA(hashes.SHA256()))
    statement = load(payload)
    need(statement["_type"] == "https://in-toto.io/Statement/v1", "the permit is no in-toto Statement v1")
    need(statement["predicateType"] == "https://countersign.dev/permit/v1", "the statement is no Countersign permit")
    need(len(statement["subject"]) == 1, "the permit must have one subject")
    artifact = sha256(members["artifact/manifest.json"])
    subject, predicate = statement["subject"][0], statement["predicate"]
    need(subject["digest"]["sha256"] == artifact, "the permit is for another artifact than artifact/manifest.json")
    policy, evidence = sha256(members["policy/policy.yaml"]), sha256(members["evidence/snapshot.json"])
    need(predicate["policy"]["digest"] == policy, "the permit names another policy than policy/policy.yaml")
    need(predicate["evidence_digest"] == evidence, "the permit names another evidence snapshot")
    return predicate, sha256(payload), fingerprint(key)


def first_of(log: Log, kind: str, identity: str) -> dict[str, Any]:
    found = log.streams.get((kind, identity), [])
    need(found and found[0]["n"] == 1, f"the log entry that began {kind} {identity} is not here")
    return found[0]


def check_people(members: Members, log: Log, predicate: dict[str, Any]) -> set[str]:
    """Each approval is a signed record, logged by that person, about these bytes, this policy and this evidence."""
    request = predicate["request"]
    told = load(members["request.json"])
    need(told["id"] == request, "request.json is another request than the permit's")
    for name in ("model", "version", "target", "intended_use", "permit"):
        need(
            name not in told or told[name] == predicate.get(name),
            f"request.json tells of another {name} than the permit",
        )
    opened = first_of(log, "governance.promotionrequest", request)
    need(log.stated["governance.promotionrequest", request]["complete"], "the story of the request is not complete")
    digests = {
        "manifest_digest": sha256(members["artifact/manifest.json"]),
        "policy_digest": predicate["policy"]["digest"],
        "evidence_digest": predicate["evidence_digest"],
        "request": request,
    }
    for name in ("manifest_digest", "policy_digest"):
        need(opened["facts"][name] == digests[name], f"the request was opened with another {name}")
    excluded = {opened["facts"]["requested_by"], opened["actor"]["id"], *opened["facts"]["authors"]}
    logged = {entry["id"]: entry for stream in log.streams.values() for entry in stream}
    records = {sha256(data): (name, load(data)) for name, data in members.items() if name.startswith("decisions/")}
    signers: set[str] = set()
    filled: dict[tuple[int, str], int] = {}
    for approval in predicate["approvals"]:
        person = approval["person"]
        need(approval["record_digest"] in records, f"the signed record of {person} is not among decisions/")
        name, record = records[approval["record_digest"]]
        need(approval["entry_id"] in logged, f"the log entry of the signature of {person} is not here")
        entry = logged[approval["entry_id"]]
        facts = entry["facts"]
        need(entry["actor"]["id"] == person == record["person"], f"{name}: signed by another person than the log says")
        need(facts["record_digest"] == approval["record_digest"], f"{name}: the log has another digest of this record")
        for field, value in digests.items():
            need(record[field] == facts[field] == value, f"{name}: signed for another {field}")
        for field in ("outcome", "stage", "role"):
            same = record[field] == facts[field] == approval[field]
            need(same, f"{name}: {field} differs between record, log and permit")
        need(record["outcome"] in COUNTS, f"{name}: {record['outcome']} is no approval")
        need(person not in excluded, f"{person} signed, but is the requester or an author")
        need(person not in signers, f"{person} signed twice")
        signers.add(person)
        slot = (approval["stage"], approval["role"])
        filled[slot] = filled.get(slot, 0) + 1
    need(predicate["quorum"] and signers, "the permit names no quorum or no approvals")
    for slot in predicate["quorum"]:
        have = filled.get((slot["stage"], slot["role"]), 0)
        need(
            slot["n"] > 0 and have >= slot["n"],
            f"stage {slot['stage']} needs {slot['n']} {slot['role']}, {have} signed",
        )
    known = {entry["facts"].get("record_digest") for entry in logged.values()}
    for digest, (name, _) in records.items():
        need(digest in known, f"{name} is in no log entry here")
    return signers


def check_waivers(log: Log, predicate: dict[str, Any]) -> None:
    """Each waiver the permit rests on was signed by somebody and granted, as logged."""
    for waiver in predicate.get("waivers", []):
        actions = {entry["action"] for entry in log.streams.get(("governance.waiver", waiver["id"]), [])}
        need({"waiver.signed", "waiver.granted"} <= actions, f"the log does not grant the waiver {waiver['id']}")


def check_evidence(members: Members) -> int:
    """The snapshot that people signed for names each check result here, and the lineage; and each it names is here."""
    lineage = members.get("lineage/prov.json")
    signed_for = load(members["evidence/snapshot.json"]).get("lineage_digest", "")
    need(signed_for == ("" if lineage is None else sha256(lineage)), "lineage/prov.json is not what the signers saw")
    results = {sha256(data): name for name, data in members.items() if re.fullmatch("checks/[^/]+", name)}
    named = {check["result_digest"] for check in load(members["evidence/snapshot.json"])["checks"]}
    differing = sorted(results.get(digest, digest) for digest in named ^ set(results))
    need(not differing, f"check results and snapshot differ: {differing}")
    files = {name for name in members if name.startswith("checks/files/")}
    for name in files:
        need(sha256(members[name]) == name.rpartition("/")[2], f"{name} has other content than its name says")
    listed = [file for name in results.values() for file in load(members[name]).get("files", [])]
    used = {f"checks/files/{file['sha256']}" for file in listed}
    need(used == files, f"evidence files differ from those the results name: {sorted(used ^ files)}")
    return len(results)


def verify(path: str, key_path: str | None) -> None:
    kind, members = read_members(path)
    key = load_pem_public_key(Path(key_path).read_bytes() if key_path else members["keys/ledger.pub.pem"])
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise Broken("the ledger key is not Ed25519")
    need(load_pem_public_key(members["keys/ledger.pub.pem"]) == key, "the bundle carries another ledger key than yours")
    log = check_log(members, key)
    print(f"ok  {len(members)} files are those of the manifest")
    print(f"ok  checkpoint of {log.origin}, {log.size} entries, signed by ledger key {fingerprint(key)}")
    embedded = "the key IN THE BUNDLE: it proves who signed only if you got that fingerprint elsewhere too"
    print(f"    {'the key you gave' if key_path else embedded}")
    print(f"ok  {log.entries} entries are in that log, unchanged")
    for (what, identity), stream in sorted(log.stated.items()):
        extent = f"complete from number 1 to {stream['n']}" if stream["complete"] else "some of its entries only"
        print(f"    {what} {identity}: {extent}")
    if kind == "promotion":
        predicate, payload, key_id = check_permit(members)
        issued = first_of(log, "governance.permit", predicate["permit"])["facts"]
        wanted = {"payload_digest": payload, "key_id": key_id, "request": predicate["request"]}
        for name, value in wanted.items():
            need(issued[name] == value, f"the permit that was logged has another {name}")
        print(f"ok  permit {predicate['permit']} for {predicate['target']}, signed by key {key_id}, is the one logged")
        for entry in log.streams["governance.permit", predicate["permit"]][1:]:
            print(f"!!  since then: {entry['action']} ({entry['actor']['id']}). This permit may no longer be in force")
        print(f"ok  it covers exactly the files of artifact/manifest.json, {sha256(members['artifact/manifest.json'])}")
        signers = ", ".join(sorted(check_people(members, log, predicate)))
        print(f"ok  signed by {signers}: distinct, none the requester or an author as logged, quorum complete")
        print("ok  each signature is for these bytes, this policy text and this evidence, and is in the log")
        check_waivers(log, predicate)
        print(f"ok  {check_evidence(members)} check results are those the signers saw")
    print(NOT_PROVED)


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a Countersign evidence bundle.")
    parser.add_argument("bundle")
    parser.add_argument("--key", help="ledger public key (PEM) that you got elsewhere")
    arguments = parser.parse_args()
    try:
        verify(arguments.bundle, arguments.key)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        print(f"CANNOT READ: {error}", file=sys.stderr)
        return 2
    except InvalidSignature:
        print("REFUSED: a signature is wrong", file=sys.stderr)
        return 1
    except (Broken, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        print(f"REFUSED: {error if isinstance(error, Broken) else f'malformed: {error!r}'}", file=sys.stderr)
        return 1
    print("VERIFIED")
    return 0


if __name__ == "__main__":
    sys.exit(main())
