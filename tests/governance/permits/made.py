"""Trust roots, logs and permits made by hand, without a database: what the verifier is tried on."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from audit import notes
from audit.merkle import Frontier, leaf_hash
from governance.permits import dsse, signed, status, trust, verifier, verify_permit
from governance.permits.statement import Approval, Check, Quorum, Scope, WaiverNote, statement

NOW = 1_800_000_000_000_000
HOUR = 3_600_000_000
ORIGIN = "countersign/0123456789abcdef"
FILES = {"MLmodel": "1" * 64, "data/model.bin": "2" * 64}
Json = dict[str, Any]


def key() -> ec.EllipticCurvePrivateKey:
    """A new P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


SCOPE = Scope(
    permit="0b1f6a5e-3a54-4f43-9a8e-6d7c7a0f9b11", request="r", model="credit", version=3, target="alias:production",
    manifest_digest="a" * 64, files=FILES, intended_use="Tests.", namespaces=["prod"], not_before=NOW - HOUR,
    expires_at=NOW + 24 * HOUR, policy={"name": "house", "digest": "b" * 64}, evidence_digest="c" * 64,
    checks=[Check("performance.binary", "pass", "d" * 64)], quorum=[Quorum(0, "approver", 2)],
    approvals=[
        Approval(f"user:{n}", 0, "approver", "approve", "approval", "e" * 64, f"entry-{n}", n) for n in (1, 2)
    ],
    waivers=[WaiverNote("w", "fairness", "Known.", NOW + 48 * HOUR)], conditions=["Look again in June."], supersedes="",
)  # fmt: skip


@dataclass
class House:
    """An installation's keys, and what it would hand out."""

    roots: list[ec.EllipticCurvePrivateKey] = field(default_factory=lambda: [key(), key()])
    signers: list[ec.EllipticCurvePrivateKey] = field(default_factory=lambda: [key(), key()])
    log: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    witnesses: list[Ed25519PrivateKey] = field(default_factory=lambda: [Ed25519PrivateKey.generate() for _ in "123"])
    quorum: int = 2

    def contents(self, **changes: Any) -> trust.Contents:
        public = [one.public_key() for one in self.signers]
        made = trust.Contents(
            keys={"root": [one.public_key() for one in self.roots], "permit": public, "status": public},
            ledger_origin=ORIGIN,
            ledger_vkey=notes.verifier_key(ORIGIN, self.log.public_key()),
            witnesses=[witness_vkey(f"witness-{n}.example", one) for n, one in enumerate(self.witnesses)],
            witness_quorum=self.quorum,
        )
        return replace(made, **changes)

    def root(self, *, days: int = 365, now: int = NOW - HOUR, **changes: Any) -> Json:
        made = trust.document(self.contents(**changes), version=1, now=now, days=days)
        return loaded(trust.sign(trust.draft(made), *self.roots))

    def checkpoint(self, size: int, root: bytes, cosigners: Sequence[int] = (0, 1, 2), origin: str = ORIGIN) -> str:
        text = str(notes.CheckpointText(origin, size, root))
        note = notes.sign(text, origin, self.log)
        for n in cosigners:
            when = NOW // 1_000_000
            signed = self.witnesses[n].sign(f"cosignature/v1\ntime {when}\n{text}".encode())
            name = f"witness-{n}.example"
            hint = hashlib.sha256(name.encode() + b"\n\x04" + raw(self.witnesses[n])).digest()[:4]
            note += f"\u2014 {name} {base64.b64encode(hint + when.to_bytes(8, 'big') + signed).decode()}\n"
        return note

    def permit(self, scope: Scope = SCOPE, keys: Sequence[ec.EllipticCurvePrivateKey] | None = None) -> Json:
        return loaded(dsse.sign(dsse.PERMIT, statement(scope), *(self.signers if keys is None else keys)))

    def status(
        self,
        states: Mapping[str, str] | None = None,
        keys: Sequence[ec.EllipticCurvePrivateKey] | None = None,
        **changes: Any,
    ) -> Json:
        told = {"origin": ORIGIN, "size": 5, "root": "0" * 64, "trust_root": 1, "issued_at": NOW - HOUR} | {
            "valid_until": NOW + HOUR,
            **changes,
        }
        payload = status.document({SCOPE.permit: "active"} if states is None else states, **told)  # type: ignore[arg-type]
        return loaded(dsse.sign(dsse.STATUS, payload, *(self.signers if keys is None else keys)))

    def file(
        self, envelope: Json | None = None, *, entry: str = "", leaves: int = 7, index: int = 4, **more: Any
    ) -> Json:
        envelope = envelope or self.permit()
        entry = entry or issued(envelope)
        hashes = [leaf_hash(f"leaf {n}".encode()) for n in range(leaves)]
        hashes[index] = leaf_hash(entry.encode())
        edge = Frontier()
        for one in hashes:
            list(edge.append(one))
        proof = _path(hashes, index)
        note = self.checkpoint(leaves, edge.root(), **more)
        head = ["c2sp.org/tlog-proof@v1", f"index {index}", *(base64.b64encode(one).decode() for one in proof)]
        return {
            "format": "countersign-permit-file/1",
            "envelope": envelope,
            "entry": entry,
            "proof": "\n".join([*head, "", note]),
            "trust": [self.root()],
            "status": self.status(),
        }


def issued(envelope: Json, **changes: Any) -> str:
    """The leaf that issues the permit in the envelope."""
    payload = base64.b64decode(envelope["payload"])
    told = {
        "action": "permit.issued",
        "object": {"type": "governance.permit", "id": json.loads(payload)["predicate"]["permit"]},
        "facts": {"payload_digest": hashlib.sha256(payload).hexdigest()},
        **changes,
    }
    return json.dumps({"body": told, "stream": {"n": 1, "previous": None}})


def loaded(text: str) -> Json:
    """The JSON object."""
    made: Json = json.loads(text)
    return made


def changed(made: Json, *path: Any, to: Any) -> Json:
    """A copy with the value at ``path`` replaced."""
    copy = deepcopy(made)
    place: Any = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return copy


def resigned(envelope: Json, kind: str, keys: Sequence[ec.EllipticCurvePrivateKey], *path: Any, to: Any) -> Json:
    """The envelope of the payload with the value at ``path`` replaced, signed anew."""
    payload = changed(json.loads(base64.b64decode(envelope["payload"])), *path, to=to)
    return loaded(dsse.sign(kind, dsse.canonical(payload), *keys))


def refusal(file: Json, pinned: Json, **how: Any) -> str:
    """Why the verifier refuses it, or "" if it does not. The short program must come to the same verdict."""
    try:
        verifier.verify(file, pinned, **{"now": NOW, **how})
    except signed.Refused as refused:
        said = str(refused)
    else:
        said = ""
    if set(how) <= {"now", "status"} and file.get("trust") == [pinned] and stands(pinned):
        assert bool(refusal_of_the_short(file, pinned, **how)) == bool(said), said
    return said


def stands(pinned: Json) -> bool:
    """Whether the trust root is one to be trusted, which the short program leaves to others."""
    try:
        signed.check_chain(pinned, [], NOW)
    except signed.Refused:
        return False
    return True


def refusal_of_the_short(file: Json, pinned: Json, *, now: int = NOW, status: Json | None = None) -> str:
    """Why the short program refuses it, or "" if it does not."""
    try:
        verify_permit.verify(file, pinned, status, None, now)
    except Exception as refused:  # noqa: BLE001 - as the program does
        return repr(refused)
    return ""


def raw(private: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of the public half."""
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def witness_vkey(name: str, private: Ed25519PrivateKey) -> str:
    """C2SP tlog-cosignature: type 4."""
    hint = hashlib.sha256(name.encode() + b"\n\x04" + raw(private)).digest()[:4]
    return f"{name}+{hint.hex()}+{base64.b64encode(bytes([4]) + raw(private)).decode()}"


def _path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """RFC 6962 2.1.1, by the book."""
    if len(hashes) == 1:
        return []
    half = 1 << (len(hashes) - 1).bit_length() - 1
    if index < half:
        return [*_path(hashes[:half], index), _head(hashes[half:])]
    return [*_path(hashes[half:], index - half), _head(hashes[:half])]


def _head(hashes: Sequence[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _head(hashes[:half]) + _head(hashes[half:])).digest()
