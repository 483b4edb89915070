"""A whole promotion as governance logs it (docs/auditors/bundle.md), to test the bundle and its verifier on."""

import base64
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import transaction

from audit import actions, keys, services
from audit.actors import Actor
from audit.canonical import canonical
from audit.exports.bundle import Contents, write_bundle
from audit.guard import Guard
from audit.sequencer import run_once
from audit.subjects import Subject

OPENED = actions.register("test.opened", "{actor} opened {object}").name
SIGNED = actions.register("test.signed", "{actor} signed {object}").name
ISSUED = actions.register("test.issued", "{actor} issued {object}").name
REQUEST, PERMIT = "req-1", "permit-1"
ABOUT = Subject("governance.promotionrequest", REQUEST)


POLICY = b"""policy: credit-risk
review:
  - stage: validation
    all: [{role: validator, n: 1, independent: true}]
  - stage: approval
    all: [{role: approver, n: 2}]
"""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def person(number: int) -> Actor:
    return Actor(id=f"user:{number}", name=f"person{number}", kind="user", auth="password")


def log(action: str, subject: Subject, by: Actor, **facts: Any) -> str:
    with transaction.atomic():
        return services.append(action=action, subject=subject, by=by, facts=facts)


@dataclass
class Promotion:
    """Everything that can be wrong is an attribute; ``build`` logs it and returns the bundle."""

    requester: int = 1
    authors: list[str] = field(default_factory=lambda: ["user:1", "user:2"])
    signers: list[tuple[int, int, str]] = field(
        default_factory=lambda: [(3, 0, "validator"), (4, 1, "approver"), (5, 1, "approver")]
    )
    quorum: list[dict[str, Any]] = field(
        default_factory=lambda: [{"stage": 0, "role": "validator", "n": 1}, {"stage": 1, "role": "approver", "n": 2}]
    )
    policy: bytes = POLICY
    independent: bool = True
    outcome: str = "approve"
    record_changes: dict[str, Any] = field(default_factory=dict)
    fact_changes: dict[str, Any] = field(default_factory=dict)
    predicate_changes: dict[str, Any] = field(default_factory=dict)
    logged_changes: dict[str, Any] = field(default_factory=dict)
    opened_changes: dict[str, Any] = field(default_factory=dict)
    subjects: list[tuple[str, str]] = field(
        default_factory=lambda: [(ABOUT.type, ABOUT.id), ("governance.permit", PERMIT)]
    )
    indices: list[int] = field(default_factory=list)
    members: dict[str, bytes] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    left_out: list[dict[str, str]] = field(default_factory=list)
    packed: list[tuple[str, bytes]] = field(default_factory=list)

    def build(self, guard: Path) -> bytes:
        plot = b"<svg/>"
        result = canonical(
            {"key": "performance", "verdict": "pass", "files": [{"name": "roc", "sha256": sha256(plot)}]}
        )
        digests = {
            "manifest_digest": sha256(
                manifest := canonical({"files": [{"path": "model.pkl", "size": 3, "sha256": "ab" * 32}]})
            ),
            "policy_digest": sha256(policy := self.policy),
            "evidence_digest": sha256(
                snapshot := canonical(
                    {
                        "checks": [{"key": "performance", "result_digest": sha256(result)}],
                        "lineage_digest": sha256(b"{}"),
                    }
                )
            ),
        }
        opening = {"requested_by": f"user:{self.requester}", "authors": self.authors, **digests, **self.opened_changes}
        log(OPENED, ABOUT, person(self.requester), **opening)
        approvals: list[dict[str, Any]] = []
        decisions: dict[str, bytes] = {}
        for number, stage, role in self.signers:
            shared = {"request": REQUEST, "outcome": self.outcome, "stage": stage, "role": role, **digests}
            said = {"person": f"user:{number}", "meaning": "approval", "independent": self.independent}
            record = canonical({**shared, **said, **self.record_changes})
            decisions[f"decisions/{sha256(record)}.json"] = record
            entry_id = log(
                SIGNED, ABOUT, person(number), **{**shared, "record_digest": sha256(record), **self.fact_changes}
            )
            approvals.append(
                {"person": f"user:{number}", "stage": stage, "role": role, "outcome": self.outcome,
                 "record_digest": sha256(record), "entry_id": entry_id}
            )  # fmt: skip
        key = keys.permit_key()
        payload = self._payload(digests, approvals)
        logged = {"request": REQUEST, "payload_digest": sha256(payload), "key_id": keys.fingerprint(key.public_key())}
        log(ISSUED, Subject("governance.permit", PERMIT), person(5), **{**logged, **self.logged_changes})
        run_once(guard=Guard(guard, adopt=True))
        members = {
            f"requests/{REQUEST}.json": canonical({"id": REQUEST}),
            f"permits/{PERMIT}.dsse.json": envelope(payload, key),
            f"policies/{sha256(policy)}.yaml": policy,
            f"artifacts/{sha256(manifest)}.json": manifest,
            f"snapshots/{sha256(snapshot)}.json": snapshot,
            f"checks/{sha256(result)}.json": result,
            f"checks/files/{sha256(plot)}": plot,
            "keys/permit.pub.pem": keys.public_pem(key.public_key()),
            f"lineage/{sha256(b'{}')}.json": b"{}",
            **decisions,
            **self.members,
        }
        chosen = [(name, data) for name, data in members.items() if name.partition("/")[0] not in self.without]
        self.packed = chosen
        contents = Contents(
            "request",
            {"request": REQUEST},
            members=chosen,
            subjects=self.subjects,
            indices=self.indices,
            left_out=self.left_out,
        )
        out = io.BytesIO()
        write_bundle(out, contents)
        return out.getvalue()

    def _payload(self, digests: dict[str, str], approvals: list[dict[str, Any]]) -> bytes:
        predicate = {
            "permit": PERMIT,
            "request": REQUEST,
            "target": "alias:production",
            "not_before": 0,
            "expires_at": 1,
            "policy": {"name": "credit-risk", "digest": digests["policy_digest"]},
            "evidence_digest": digests["evidence_digest"],
            "quorum": self.quorum,
            "approvals": approvals,
            "conditions": [],
            **self.predicate_changes,
        }
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "credit/3", "digest": {"sha256": digests["manifest_digest"]}}],
            "predicateType": "https://countersign.dev/permit/v1",
            "predicate": predicate,
        }
        return json.dumps(statement, sort_keys=True).encode()


def envelope(payload: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    kind = "application/vnd.in-toto+json"
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    signature = key.sign(pae, ec.ECDSA(hashes.SHA256()))
    body = {
        "payloadType": kind,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": keys.fingerprint(key.public_key()), "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(body).encode()


def unpack(bundle: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(members: dict[str, bytes], *, honest_manifest: bool = True) -> bytes:
    """Pack again; with ``honest_manifest`` the manifest is made to agree, as a forger would."""
    if honest_manifest and "manifest.json" in members:
        manifest = json.loads(members["manifest.json"])
        manifest["members"] = {
            name: {"sha256": sha256(data), "size": len(data)}
            for name, data in members.items()
            if name != "manifest.json"
        }
        members = {**members, "manifest.json": json.dumps(manifest).encode()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()
