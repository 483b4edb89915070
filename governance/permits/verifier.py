# ruff: noqa: T201 - a program that prints
"""``countersign permit verify``: check a permit, offline, and say what each part of it proves or why it is refused.

Exit code 0: the permit is in force. 1: it is not, or something about it is wrong, and it says what. 2: a file cannot be read.
``verify_permit`` asks the same in one short file for people who take it along; every test of this asks both.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import time
import unicodedata
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from governance.permits.signed import (
    PERMIT,
    ROLES,
    STATUS,
    Json,
    Refused,
    at,
    check_chain,
    check_threshold,
    decode,
    fingerprint,
    holds,
    load,
    need,
    opened,
    role,
)


def check_status(envelope: object, root: Json, permit: str, now: int) -> str:
    """What the status list says of the permit. A list that is stale, of the future or of another log says nothing."""
    need(
        envelope is not None,
        "there is no status list, so nobody can tell whether the permit was revoked: give --status",
    )
    listed = load(check_threshold(envelope, STATUS, *role(root, "status"), "the status list"), "the status list")
    need(listed.get("_type") == "https://countersign.dev/permit-status/v1", "this is no status list")
    need(
        listed["checkpoint"]["origin"] == root["ledger"]["origin"],
        "the status list is of another log than the trust root's",
    )
    need(
        listed["trust_root"] <= root["version"],
        f"the status list was made under version {listed['trust_root']} of the trust root: get that (--chain)",
    )
    need(
        listed["issued_at"] <= now,
        f"the status list is of the future ({at(listed['issued_at'])}): look at this machine's clock",
    )
    need(
        now < listed["valid_until"],
        f"the status list is stale: it was good until {at(listed['valid_until'])}; get a newer one",
    )
    state = listed["permits"].get(permit)
    need(state, "the status list does not name this permit")
    need(state == "active", f"the permit is {state}, as of {at(listed['issued_at'])}")
    size, until = listed["checkpoint"]["size"], at(listed["valid_until"])
    return f"the status list of {at(listed['issued_at'])} calls it active (log of {size} entries; good until {until})"


def vkey(text: str, algorithm: int) -> tuple[str, bytes, ed25519.Ed25519PublicKey]:
    """A C2SP verifier key, ``name+hash+base64``: 1 is Ed25519, 4 an Ed25519 cosignature."""
    name, _, rest = str(text).partition("+")
    raw = decode(rest.partition("+")[2], "a key of the log or of a witness")
    need(len(raw) == 33 and raw[0] == algorithm, f"the key of {name} is of another kind than expected")
    return (
        name,
        hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4],
        ed25519.Ed25519PublicKey.from_public_bytes(raw[1:]),
    )


def check_checkpoint(note: str, root: Json) -> tuple[int, bytes, int]:
    """A C2SP checkpoint signed by the log and by a quorum of witnesses: its size, its root, and how many cosigned."""
    text, gap, lines = note.rpartition("\n\n")
    text += "\n"
    split = text.split("\n")
    need(
        gap and note.endswith("\n") and len(split) >= 4 and re.fullmatch("[1-9][0-9]{0,18}", split[1]),
        "the checkpoint is malformed",
    )
    need(
        split[0] == root["ledger"]["origin"],
        f"the checkpoint is of the log {split[0]}, not of {root['ledger']['origin']}",
    )
    blobs: dict[tuple[str, bytes], bytes] = {}
    for line in lines[:-1].split("\n"):
        match = re.fullmatch("\u2014 (\\S+) ([A-Za-z0-9+/]+=*)", line)
        need(match, "the checkpoint has a malformed signature line")
        blob = decode(match[2], "a signature of the checkpoint") if match else b""
        need(match and (match[1], blob[:4]) not in blobs, "the checkpoint has two signatures of one key")
        blobs[match[1] if match else "", blob[:4]] = blob[4:]
    name, keyid, key = vkey(root["ledger"]["vkey"], 1)
    need((name, keyid) in blobs, "the checkpoint is not signed by the log's key")
    need(holds(key, blobs[name, keyid], text.encode()), "the signature of the log does not fit the checkpoint")
    seen = set()
    for name, keyid, key in (vkey(one, 4) for one in root["witnesses"]["vkeys"]):
        blob = blobs.get((name, keyid), b"")
        when = int.from_bytes(blob[:8], "big")
        if len(blob) == 72 and holds(key, blob[8:], f"cosignature/v1\ntime {when}\n{text}".encode()):
            seen.add(fingerprint(key))
    quorum = root["witnesses"]["quorum"]
    need(
        len(seen) >= quorum,
        f"the checkpoint has {len(seen)} of the {quorum} cosignatures of witnesses that the trust root asks for",
    )
    digest = decode(split[2], "the root of the checkpoint")
    need(len(digest) == 32, "the checkpoint is malformed")
    return int(split[1]), digest, len(seen)


def check_proof(entry: str, proof: str, payload: bytes, permit: str, root: Json) -> tuple[int, str]:
    """The entry that issued this permit is in the log: C2SP tlog-proof, RFC 9162 2.1.3.2. Returns its index."""
    head, gap, note = proof.partition("\n\n")
    lines = [line for line in head.split("\n") if not line.startswith("extra ")]
    need(
        gap and lines[0] == "c2sp.org/tlog-proof@v1" and re.fullmatch("index (0|[1-9][0-9]{0,18})", lines[1]),
        "the proof is no C2SP tlog-proof",
    )
    size, expected, cosigned = check_checkpoint(note, root)
    index = int(lines[1][6:])
    node, last, running = index, size - 1, hashlib.sha256(b"\x00" + entry.encode()).digest()
    need(index < size, "the proof is of an entry outside the log")
    for sibling in (decode(line, "the proof") for line in lines[2:]):
        need(last > 0 and len(sibling) == 32, "the proof is longer than the tree is high, or malformed")
        if node & 1 or node == last:
            running = hashlib.sha256(b"\x01" + sibling + running).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            running = hashlib.sha256(b"\x01" + running + sibling).digest()
        node, last = node >> 1, last >> 1
    need(last == 0 and running == expected, "the entry is not in the log: its proof does not lead to the signed root")
    body = load(entry, "the entry").get("body", {})
    need(
        body.get("action") == "permit.issued" and body["object"]["id"] == permit,
        "the entry in the log is not that which issued this permit",
    )
    need(
        body["facts"]["payload_digest"] == hashlib.sha256(payload).hexdigest(),
        "the log was told of another permit than this one",
    )
    return index, f"entry {index} of a log of {size} issued it; {cosigned} witnesses cosigned"


def manifest(directory: Path) -> str:
    """The digest of the canonical manifest of a directory: path, size and SHA-256 of each file, nothing left out."""
    files = []
    for folder, folders, names in os.walk(directory):
        for name in [*folders, *names]:
            path = Path(folder, name)
            shown = path.relative_to(directory).as_posix()
            need(not path.is_symlink(), f"{shown} is a symbolic link, which no sealed artifact has")
            need(unicodedata.is_normalized("NFC", shown), f"the name of {shown!a} is not in Unicode normal form C")
            if name in names:
                need(path.is_file(), f"{shown} is no regular file")
                with path.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                files.append({"path": shown, "sha256": digest, "size": path.stat().st_size})
    need(files, f"{directory} holds no files")
    files.sort(key=lambda one: str(one["path"]))
    text = json.dumps({"files": files}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def check_statement(made: Json, index: int, now: int) -> Json:
    """The permit speaks of now, of bytes, and rests on as many people as its quorum asks for, who all signed before it."""
    permit, subjects = made["predicate"], made["subject"]
    need(subjects and re.fullmatch("[0-9a-f]{64}", subjects[0]["digest"]["sha256"]), "the permit names no artifact")
    need(permit["not_before"] <= now, f"the permit begins {at(permit['not_before'])}")
    need(now < permit["expires_at"], f"the permit ended {at(permit['expires_at'])}")
    people = [one["person"] for one in permit["approvals"]]
    need(people and len(set(people)) == len(people), "the permit names no approvals, or one person twice")
    for slot in permit["quorum"]:
        signed = [one for one in permit["approvals"] if (one["stage"], one["role"]) == (slot["stage"], slot["role"])]
        need(len(signed) >= slot["n"] > 0, f"the permit lacks approvals: {len(signed)} of {slot['n']} {slot['role']}")
    need(permit["quorum"], "the permit names no quorum")
    if made["predicateType"].endswith("/v2"):
        need(
            all(0 <= one["leaf_index"] < index for one in permit["approvals"]),
            "an approval is later in the log than the permit that rests on it",
        )
    return dict(permit)


def verify(
    file: Json,
    pinned: object,
    *,
    chain: list[Any] | None = None,
    status: object = None,
    artifact: Path | None = None,
    namespace: str = "",
    target: str = "",
    model: str = "",
    now: int | None = None,
) -> tuple[Json, list[str]]:
    """Return the permit and what was proved, line by line. Raises ``Refused``."""
    now = time.time_ns() // 1000 if now is None else now
    try:
        need(file.get("format") == "countersign-permit-file/1", "this is no permit file (.permit.json)")
        need(isinstance(file.get("trust", []), list), "the trust root in the file is no list of versions")
        root = check_chain(pinned, [*file.get("trust", []), *(chain or [])], now)
        payload, _, _ = opened(file["envelope"], PERMIT, "the permit")
        made = load(payload, "the permit")
        kind = str(made.get("predicateType"))
        need(
            made.get("_type") == "https://in-toto.io/Statement/v1" and kind in ROLES,
            f"{kind!r} is no permit of a kind known here",
        )
        keys, threshold = role(root, ROLES[kind])
        check_threshold(file["envelope"], PERMIT, keys, threshold, "the permit")
        index, logged = check_proof(file["entry"], file["proof"], payload, made["predicate"]["permit"], root)
        permit = check_statement(made, index, now)
        listed = check_status(file.get("status") if status is None else status, root, permit["permit"], now)
        for asked, name in ((target, "target"), (model, "model")):
            need(not asked or asked == permit[name], f"the permit is for the {name} {permit[name]}, not for {asked}")
        allowed = permit.get("namespaces", [])
        need(
            not namespace or {"*", namespace} & set(allowed),
            f"the permit does not reach the namespace {namespace}, only {', '.join(allowed) or 'none'}",
        )
        digest = made["subject"][0]["digest"]["sha256"]
        need(
            artifact is None or manifest(artifact) == digest,
            f"the files in {artifact} are not those that the permit is for",
        )
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, ValueError) as error:
        raise Refused(f"a part of the permit is missing or malformed: {type(error).__name__} {error}") from None
    proved = [
        f"trust root version {root['version']}, good until {at(root['expires_at'])}",
        f"signed with {threshold} of {len(keys)} keys",
        logged,
        listed,
    ]
    return {**permit, "manifest_digest": digest}, [*proved, *(["the files are those it is for"] if artifact else [])]


def main(arguments: list[str] | None = None) -> int:
    """``countersign permit verify``."""
    parser = argparse.ArgumentParser(
        prog="countersign permit verify", description="Check a Countersign permit, offline."
    )
    parser.add_argument("file", type=Path, help="the permit's file, .permit.json")
    parser.add_argument("--trust-root", type=Path, required=True, help="the trust root you trust")
    parser.add_argument("--chain", type=Path, help="newer versions of it: a JSON list (roots.json)")
    parser.add_argument("--status", type=Path, help="a status list newer than the one in the file")
    parser.add_argument("--artifact", type=Path, help="the directory whose files are to be those permitted")
    for name in ("namespace", "target", "model"):
        parser.add_argument(f"--{name}", default="", help=f"refuse unless the permit is for this {name}")
    given = parser.parse_args(arguments)
    try:
        file, pinned = (
            load(given.file.read_bytes(), "the permit's file"),
            load(given.trust_root.read_bytes(), "the trust root"),
        )
        chain = json.loads(given.chain.read_bytes()) if given.chain else []
        status = load(given.status.read_bytes(), "the status list") if given.status else None
        permit, proved = verify(
            file,
            pinned,
            chain=chain,
            status=status,
            artifact=given.artifact,
            namespace=given.namespace,
            target=given.target,
            model=given.model,
        )
    except (OSError, ValueError) as error:
        print(f"CANNOT READ: {error}", file=sys.stderr)
        return 2
    except Refused as refused:
        print(f"REFUSED: {refused}")
        return 1
    print("\n".join(f"ok: {one}" for one in proved))
    print(
        f"IN FORCE: {permit['model']} version {permit['version']} may be {permit['target']} until {at(permit['expires_at'])}"
    )
    print(
        "Not proved: that nothing changed after the status list; who is behind an account; that the policy is a good one."
    )
    return 0
