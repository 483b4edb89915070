"""People, sealed versions, data sets, policies and requests, as the database would have them after the registry's work."""

import hashlib
import io
import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.utils import timezone

from audit import followers, keys, sequencer
from audit.actors import SYSTEM, Actor
from audit.guard import Guard
from audit.models import Entry, Inbox
from governance.checks import CheckResult, Figure
from governance.followers import Permits
from governance.models import CheckRun, Decision, PolicyVersion, PromotionRequest, TrustRoot
from governance.selectors.permits import status_list
from governance.services import checks, policies, promotions, reviews, trust
from governance.services.checks import Outcome
from governance.services.permits import issuing, lists
from registry.digests import SealedFile, manifest_digest, manifest_document
from registry.models import Blob, Dataset, DatasetVersion, Manifest, ManifestFile, ModelVersion, RegisteredModel, User
from registry.roles import PERMISSIONS, Role
from registry.storage import blobs
from tests.factories.audit import settled, vouch

PASSWORD = "correct horse battery staple"
_numbers = itertools.count(1)

TWO_APPROVERS = """\
policy: house
title: House policy of the tests
governs: {tiers: [1, 2, 3], targets: ["alias:production", "stage:Production"]}
checks:
  - use: performance.binary
    data: {role: test}
    require: {auc: {ge: 0.75}}
card: [intended_use]
review:
  - stage: approval
    all: [{role: approver, n: 2}]
valid_for: P180D
waivers: {by: {role: approver, n: 2}, max: P90D}
"""

VALIDATOR_THEN_APPROVER = TWO_APPROVERS.replace(
    """    all: [{role: approver, n: 2}]
valid""",
    """    all: [{role: validator, n: 1, independent: true}]
  - stage: sign-off
    all: [{role: approver, n: 1}]
valid""",
)


@transaction.atomic
def person(name: str = "", *roles: Role, **fields: Any) -> User:
    """An account with PASSWORD whose team holds ``roles`` on every model."""
    number = next(_numbers)
    user = User.objects.create_user(f"{name or 'person'}-{number}", password=PASSWORD, **fields)
    vouch(user)
    if roles:
        team = Group.objects.create(name=f"{name}-team-{number}")
        wanted = {codename for role in roles for codename in PERMISSIONS[role]}
        team.permissions.set(Permission.objects.filter(content_type__app_label="registry", codename__in=wanted))
        user.groups.add(team)
        vouch(team)
    return user


def actor(user: User) -> Actor:
    """The person, signed in with a session."""
    return Actor.person(User.objects.get(pk=user.pk), auth="session")


def blob(content: bytes) -> Blob:
    """The content in the store, and its row."""
    sha256, size = blobs().put(io.BytesIO(content))
    return Blob.objects.get_or_create(sha256=sha256, defaults={"size": size})[0]


@transaction.atomic
def registered_model(owner: User, *, card: Mapping[str, str] | None = None, **fields: Any) -> RegisteredModel:
    """A model of tier 1 with a filled card and an evaluation data set."""
    fields.setdefault("name", f"model-{next(_numbers)}")
    fields.setdefault("evaluation_dataset", dataset(owner).dataset)
    model = RegisteredModel.objects.create(
        owner=owner, card={"intended_use": "Tests."} if card is None else card, **fields
    )
    vouch(model)
    return model


@transaction.atomic
def sealed_version(
    model: RegisteredModel, by: User, files: Mapping[str, bytes] | None = None, **fields: Any
) -> ModelVersion:
    """A sealed version of exactly these files (one of its own content, if none are given)."""
    number = next(_numbers)
    contents = files or {"MLmodel": f"# number {number}\n".encode()}
    rows = {path: blob(content) for path, content in contents.items()}
    document = manifest_document([SealedFile(path, row.size, row.sha256) for path, row in rows.items()])
    manifest, made = Manifest.objects.get_or_create(
        digest=manifest_digest(document),
        defaults={
            "document": document,
            "file_count": len(rows),
            "total_size": sum(row.size for row in rows.values()),
        },
    )
    if made:
        ManifestFile.objects.bulk_create(
            ManifestFile(manifest=manifest, path=path, blob=row) for path, row in rows.items()
        )
        vouch(manifest)
    model.refresh_from_db()
    version = ModelVersion.objects.create(
        model=model,
        number=model.next_version,
        status=ModelVersion.Status.READY,
        sealed_at=timezone.now(),
        manifest=manifest,
        manifest_digest=manifest.digest,
        registered_by=by,
        **fields,
    )
    RegisteredModel.objects.filter(pk=model.pk).update(next_version=model.next_version + 1)
    vouch(version)
    return version


@transaction.atomic
def dataset(
    owner: User,
    content: bytes | None = None,
    *,
    role: str = "test",
    kind: str = "parquet",
    rows: int = 1,
    **columns: Any,
) -> DatasetVersion:
    """A sealed data set version of these bytes, with the roles of its columns."""
    number = next(_numbers)
    stored = blob(content or f"data {number}".encode())
    version = DatasetVersion.objects.create(
        dataset=Dataset.objects.create(name=f"data-{number}", owner=owner),
        number=1,
        role=role,
        blob=stored,
        digest=stored.sha256,
        format=kind,
        rows=rows,
        columns=columns or {"label": "y", "features": ["x"], "sensitive": ["sex"]},
        created_by=owner,
        status=DatasetVersion.Status.SEALED,
        sealed_at=timezone.now(),
    )
    vouch(version.dataset, version)
    return version


def policy(document: str = TWO_APPROVERS) -> PolicyVersion:
    """The policy, in force."""
    return policies.adopt(document=document, by=SYSTEM)


def request(version: ModelVersion, by: User, target: str = "alias:production") -> PromotionRequest:
    """A request under the policy in force; its checks wait."""
    return promotions.request_promotion(version=version, target=target, intended_use="Tests.", by=actor(by))


def finish_all(promotion: PromotionRequest, *, auc: float | None = 0.9) -> PromotionRequest:
    """Run every waiting job as a worker would, with these figures instead of a model; ``auc`` None: the scores end in error."""
    while due := checks.due_of(promotion.pk):
        for run_id in due:
            held = checks.claim(run_id, owner="test-worker")
            assert held is not None
            assert checks.finish(held, outcome_of(CheckRun.objects.get(pk=run_id), auc))
    return PromotionRequest.objects.get(pk=promotion.pk)


def outcome_of(run: CheckRun, auc: float | None) -> Outcome:
    """What a worker would write for this run."""
    if auc is None:
        return Outcome(CheckRun.Verdict.ERROR, "The model raised in predict: no.", error_code="raised")
    figures = () if run.category == "scoring" else (
        Figure("auc", "AUC", auc, 500, "higher", ci_low=auc - 0.02, ci_high=auc + 0.02),
    )  # fmt: skip
    result = CheckResult(check=run.key, version=1, params={"run": str(run.pk)}, n=500, figures=figures)
    stored = blob(result.to_json().encode())
    output = blob(b"predictions") if run.category == "scoring" else None
    return Outcome(
        CheckRun.Verdict.PASS if auc >= 0.75 else CheckRun.Verdict.FAIL,
        f"AUC is {auc}.",
        result=result.as_dict(),
        result_digest=result.digest,
        result_blob=stored.sha256,
        output_blob=output.sha256 if output else "",
    )


def sign(
    promotion: PromotionRequest,
    by: User,
    outcome: str = Decision.Outcome.APPROVE,
    *,
    comment: str = "",
    conditions: str = "",
    password: str = PASSWORD,
    evidence_digest: str | None = None,
) -> Decision:
    """Sign through the service, with a fresh challenge."""
    seen = PromotionRequest.objects.get(pk=promotion.pk)
    challenge = reviews.new_challenge(request=seen, by=actor(by))
    return reviews.sign(
        request_id=seen.pk,
        outcome=outcome,
        meaning=Decision.Meaning.APPROVAL,
        comment=comment,
        conditions=conditions,
        password=password,
        challenge_id=challenge.pk,
        evidence_digest=seen.evidence_digest if evidence_digest is None else evidence_digest,
        by=actor(by),
    )


def approve(promotion: PromotionRequest, signers: Iterable[User]) -> PromotionRequest:
    """Have everybody of ``signers`` sign, and both signers of permits do their part."""
    for signer in signers:
        sign(promotion, signer)
    issue()
    return PromotionRequest.objects.get(pk=promotion.pk)


def integrate() -> int:
    """Give every committed change its place in the log, as the sequencer does; return how many there were."""
    guard = Path(settings.KEYS_DIR) / "guard.json"
    guard.unlink(missing_ok=True)  # that of a database that was rolled back since
    keys.ensure_keys(Path(settings.KEYS_DIR))
    settled()
    return sequencer.run_once(guard=Guard(guard, adopt=True))


def log() -> list[dict[str, Any]]:
    """Every change so far, in order, whether it has its place yet or not."""
    canons = [*Entry.objects.order_by("index").values_list("canon", flat=True)]
    canons += Inbox.objects.order_by("pk").values_list("canon", flat=True)
    return [json.loads(canon) for canon in canons]


def trust_root() -> TrustRoot:
    """The trust root of this test's keys, made if there is none."""
    return TrustRoot.objects.get(version=trust.set_up(trust_places()).version)


def trust_places() -> trust.Places:
    """Where this test's private keys are."""
    place = Path(settings.KEYS_DIR)
    return trust.Places(place / "permit-issuer.pem", place / "permit-countersigner.pem", place / "offline")


def prepare() -> None:
    """What the sequencer's process does for permits: integrate, follow, sign as the issuer."""
    keys.ensure_keys(Path(settings.KEYS_DIR))
    trust_root()
    integrate()
    followers.run_all([Permits()])


def issue() -> None:
    """Everything between the last signature and the permit in the log."""
    prepare()
    issuing.countersign_waiting()
    integrate()


def publish() -> str:
    """A status list of now, signed by both; return it."""
    prepare()
    lists.want()
    lists.prepare_due()
    assert lists.countersign_newest()
    return status_list()


def digest(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()
