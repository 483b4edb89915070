#!/usr/bin/env python3
# ruff: noqa: T201 - a program that prints
"""Check a Countersign permit, offline, with Python 3.11 and `cryptography`: short, so that you read it before you trust it.

    python verify_permit.py model.permit.json --trust-root root.json [--status status.json] [--artifact DIR]

Exit code 0: in force. 1: refused, and why. It believes the trust root that you give it; `countersign permit verify` also follows
the root's rotation, judges the root itself, and compares namespace, target and model (docs/auditors/permits.md).
"""

import argparse
import base64
import hashlib
import json
import re
import sys
import time
import unicodedata
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def need(holds: object, complaint: str) -> None:
    """Refuse unless it holds."""
    if not holds:
        raise ValueError(complaint)


def raw(text: str) -> bytes:
    """Base64 in either alphabet, in the one form that these bytes have."""
    plain = text.replace("-", "+").replace("_", "/")
    data = base64.b64decode(plain, validate=True)
    need(base64.b64encode(data) == plain.encode(), "base64 in another form than its one")
    return data


def fits(key: Any, signature: bytes, data: bytes) -> bool:  # noqa: ANN401
    """Whether this ECDSA P-256 or Ed25519 key signed the data."""
    need(
        isinstance(key, ed25519.Ed25519PublicKey) or isinstance(key.curve, ec.SECP256R1),
        "a key of a kind that never signs",
    )
    try:
        key.verify(signature, data, *([] if isinstance(key, ed25519.Ed25519PublicKey) else [ec.ECDSA(SHA256())]))
    except InvalidSignature:
        return False
    return True


def signed(envelope: Any, kind: str, root: Any, role: str) -> Any:  # noqa: ANN401
    """Open a DSSE envelope that as many different keys of the role signed as the trust root asks for, two at least."""
    payload = raw(envelope["payload"])
    need(envelope["payloadType"] == kind, f"the payload is {envelope['payloadType']!r}, not {kind!r}")
    data = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    keys = {root["keys"][keyid] for keyid in root["roles"][role]["keyids"]}
    signatures = [raw(one["sig"]) for one in envelope["signatures"]]
    signers = [key for key in keys for one in signatures if fits(load_pem_public_key(key.encode()), one, data)]
    least = max(2, root["roles"][role]["threshold"])
    need(
        least <= len(set(signers)) == len(signers),
        f"{kind}: {len(set(signers))} of {least} signatures of the role {role}",
    )
    return json.loads(payload)


def vkey(text: str, kind: int) -> tuple[tuple[str, bytes], ed25519.Ed25519PublicKey]:
    """Read a C2SP verifier key: name and short id, and the key. Kind 1 signs checkpoints, kind 4 cosigns them."""
    name, key = text.partition("+")[0], raw(text.split("+", 2)[2])
    need(len(key) == 33 and key[0] == kind, f"the key of {name} is of another kind")
    return (name, hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]), ed25519.Ed25519PublicKey.from_public_bytes(
        key[1:]
    )


def check_proof(file: Any, permit: Any, root: Any) -> int:  # noqa: ANN401
    """A checkpoint of the log, cosigned by a quorum of witnesses, holds the entry that issued the permit. Returns its index."""
    head = r"c2sp\.org/tlog-proof@v1\n(?:extra .*\n)?index (0|[1-9][0-9]*)\n((?:.+\n)*)\n"
    checkpoint = r"(.+\n([1-9][0-9]*)\n(.+)\n(?:.+\n)*)\n((?:.+\n)+)"
    parts = re.fullmatch(head + checkpoint, file["proof"])
    need(parts, "the proof is no C2SP tlog-proof")
    place, path, text, size, top, lines = parts.groups()  # type: ignore[union-attr]
    notes = [(line.split(" ")[1], raw(line.split(" ")[2])) for line in lines.split("\n")[:-1]]
    blobs = {(name, blob[:4]): blob[4:] for name, blob in notes}
    need(len(blobs) == len(notes), "the checkpoint has two signatures of one key")
    named, key = vkey(root["ledger"]["vkey"], 1)
    need(text.split("\n")[0] == root["ledger"]["origin"], "the checkpoint is of another log")
    need(fits(key, blobs.get(named, b""), text.encode()), "the checkpoint is not signed by the log's key")
    witnesses = {
        named[0]
        for named, key in (vkey(one, 4) for one in root["witnesses"]["vkeys"])
        if cosigned(key, blobs.get(named, b""), text)
    }
    need(len(witnesses) >= root["witnesses"]["quorum"], "too few witnesses cosigned the checkpoint")
    node, last, running = int(place), int(size) - 1, hashlib.sha256(b"\x00" + file["entry"].encode()).digest()
    need(node <= last, "the proof is of an entry outside the log")
    for sibling in map(raw, path.split("\n")[:-1]):  # RFC 9162 2.1.3.2
        need(last > 0 and len(sibling) == 32, "the proof is longer than the tree is high")
        right = node & 1 or node == last
        running = hashlib.sha256(b"\x01" + (sibling + running if right else running + sibling)).digest()
        while right and not node & 1 and node:
            node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    need(last == 0 and running == raw(top), "the proof does not lead from the entry to the checkpoint")
    body, payload = json.loads(file["entry"])["body"], raw(file["envelope"]["payload"])
    need(
        (body["action"], body["object"]["id"]) == ("permit.issued", permit["permit"]), "the entry issued something else"
    )
    need(body["facts"]["payload_digest"] == hashlib.sha256(payload).hexdigest(), "the log was told of other bytes")
    return int(place)


def cosigned(key: Any, blob: bytes, text: str) -> bool:  # noqa: ANN401
    """Whether this is a witness' cosignature (C2SP tlog-cosignature)."""
    return fits(key, blob[8:], b"cosignature/v1\ntime %d\n%s" % (int.from_bytes(blob[:8], "big"), text.encode()))


def check_statement(permit: Any, index: int, now: int) -> None:  # noqa: ANN401
    """The permit is of now, and as many people as its quorum asks for signed before it."""
    need(permit["not_before"] <= now < permit["expires_at"], "the permit has not begun, or has ended")
    people = permit["approvals"]
    need(
        len({one["person"] for one in people}) == len(people) > 0, "the permit names no approvals, or one person twice"
    )
    need(permit["quorum"], "the permit names no quorum")
    for asked in permit["quorum"]:
        filled = [one for one in people if (one["stage"], one["role"]) == (asked["stage"], asked["role"])]
        need(len(filled) >= asked["n"] > 0, f"the permit lacks approvals of the role {asked['role']}")
    need(all(0 <= one["leaf_index"] < index for one in people), "an approval is later in the log than the permit")


def check_status(envelope: Any, root: Any, permit: str, now: int) -> None:  # noqa: ANN401
    """A status list of this log that is neither stale nor of the future calls the permit active."""
    listed = signed(envelope, "application/vnd.countersign.permit-status+json", root, "status")
    need(listed["checkpoint"]["origin"] == root["ledger"]["origin"], "the status list is of another log")
    need(listed["trust_root"] <= root["version"], "the status list was made under a newer trust root: get that")
    need(
        listed["issued_at"] <= now < listed["valid_until"],
        "the status list is stale, or of the future: get a newer one",
    )
    state = listed["permits"].get(permit, "not in the status list")
    need(state == "active", f"the permit is {state}")


def manifest(directory: Path) -> str:
    """SHA-256 of the canonical manifest of the files: path, size, SHA-256 of each; no symbolic link, nothing left out."""
    files = []
    for path in directory.rglob("*"):
        name = path.relative_to(directory).as_posix()
        need(
            not path.is_symlink() and unicodedata.is_normalized("NFC", name), f"{name!a} cannot be in a sealed artifact"
        )
        if not path.is_dir():
            need(path.is_file(), f"{name} is no regular file")
            with path.open("rb") as stream:
                files.append(
                    {
                        "path": name,
                        "sha256": hashlib.file_digest(stream, "sha256").hexdigest(),
                        "size": path.stat().st_size,
                    }
                )
    files.sort(key=lambda one: str(one["path"]))
    return hashlib.sha256(
        json.dumps({"files": files}, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).hexdigest()


def verify(file: Any, pinned: Any, status: Any, artifact: Path | None, now: int) -> Any:  # noqa: ANN401
    """Return the permit if it is in force. Raises ``ValueError``, and whatever Python raises for a malformed file."""
    need(file["format"] == "countersign-permit-file/1", "this is no permit file")
    root = json.loads(raw(pinned["payload"]))
    need(
        root["_type"] == "https://countersign.dev/trust-root/v1" and now < root["expires_at"],
        "the trust root has ended: get a newer one",
    )
    statement = signed(file["envelope"], "application/vnd.in-toto+json", root, "permit")
    need(
        statement["predicateType"] == "https://countersign.dev/permit/v2", "the statement is no permit of this version"
    )
    permit, digest = statement["predicate"], statement["subject"][0]["digest"]["sha256"]
    check_statement(permit, check_proof(file, permit, root), now)
    check_status(file["status"] if status is None else status, root, permit["permit"], now)
    need(
        artifact is None or manifest(artifact) == digest,
        f"the files in {artifact} are not those that the permit is for",
    )
    return permit


def main() -> int:
    """Read the files, print the verdict."""
    parser = argparse.ArgumentParser(description="Check a Countersign permit, offline.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--trust-root", type=Path, required=True, help="the trust root that you trust")
    parser.add_argument("--status", type=Path, help="a status list newer than the one in the file")
    parser.add_argument("--artifact", type=Path, help="the directory whose files are to be those permitted")
    given = parser.parse_args()
    try:
        file, pinned, status = (
            json.loads(path.read_bytes()) if path else None for path in (given.file, given.trust_root, given.status)
        )
        permit = verify(file, pinned, status, given.artifact, time.time_ns() // 1000)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong, the permit is refused
        print(f"REFUSED: {error if isinstance(error, ValueError) else f'missing or malformed: {error!r}'}")
        return 1
    end = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(permit["expires_at"] // 1_000_000))
    places = ", ".join(permit["namespaces"]) or "no namespace"
    what = f"{permit['model']} version {permit['version']} may be {permit['target']} in {places}"
    print(f"IN FORCE: {what} until {end}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
