"""Under which key a result is used again: whatever can change it changes its key, and what cannot leaves it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone

from audit.actors import SYSTEM
from governance.checks import code
from governance.models import CheckRun, PromotionRequest
from governance.services import planning
from registry.models import DatasetVersion, ModelVersion, User
from registry.services.lineage import DatasetInput, LineageInput, record
from tests.factories import governance as make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]

POLICY = """\
policy: house
governs: {tiers: [1, 2, 3], targets: ["alias:production"]}
checks:
  - use: performance.binary
    data: {role: test}
    params: {threshold: 0.5}
    require: {auc: {ge: 0.75}}
  - use: fairness.groups
    data: {role: test}
    sensitive: [sex]
  - use: documentation.claims
    data: {role: test}
  - use: reproducibility.metrics
    data: {role: test}
  - use: data.quality
    data: {role: test}
  - use: drift.live
    data: {role: test}
  - use: security.scan
card: [intended_use]
review:
  - stage: approval
    all: [{role: approver, n: 2}]
valid_for: P180D
"""
COLUMNS: dict[str, Any] = {"label": "y", "features": ["x"], "sensitive": ["sex"]}
ALL = {
    "predict.scores", "performance.binary", "fairness.groups", "documentation.claims", "reproducibility.metrics",
    "data.quality", "drift.live", "security.scan",
}  # fmt: skip
ON_DATA = ALL - {"security.scan"}
Keys = Mapping[str, str]


def asked(
    by: User, *, policy: str = POLICY, data: bytes = b"rows", model: bytes = b"model", live: bytes = b"", train: bytes = b"",
    columns: Mapping[str, Any] = COLUMNS, train_columns: Mapping[str, Any] = COLUMNS, card: str = "Tests.",
    metrics: Mapping[str, float] | None = None,
) -> PromotionRequest:  # fmt: skip
    """A request of a new model: with equal arguments its results depend on the very same things."""
    make.policy(policy)
    held_out = make.dataset(by, data, **columns)
    if live:
        bytes_of = make.blob(live)
        DatasetVersion.objects.create(
            dataset=held_out.dataset, number=2, role="live", blob=bytes_of, digest=bytes_of.sha256, format="parquet", rows=1,
            columns=COLUMNS, created_by=by, status=DatasetVersion.Status.SEALED, sealed_at=timezone.now(),
        )  # fmt: skip
    of = make.registered_model(by, evaluation_dataset=held_out.dataset, card={"intended_use": card})
    version = make.sealed_version(of, by, {"MLmodel": model}, metrics=dict(metrics or {}))
    if train:
        learnt_from(version, make.dataset(by, train, role="train", **train_columns))
    return make.request(version, by)


def learnt_from(version: ModelVersion, data: DatasetVersion) -> None:
    known = DatasetInput(name=data.dataset.name, context="training", sha256=data.digest)
    record(version=version, inputs=LineageInput(datasets=(known,)), by=SYSTEM)


def keys(request: PromotionRequest) -> Keys:
    return dict(request.checks.values_list("key", "cache_key"))


def changed(before: Keys, after: Keys) -> set[str]:
    assert before.keys() == after.keys()
    return {key for key, value in before.items() if value != after[key]}


def test_what_is_the_same_has_the_same_key_and_every_check_its_own(scientist: User) -> None:
    first = keys(asked(scientist))
    assert not changed(first, keys(asked(scientist)))
    assert all(first.values())
    assert len(set(first.values())) == len(first) == len(ALL)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"data": b"other rows"}, ON_DATA),
        ({"model": b"other model"}, ALL),
        ({"columns": COLUMNS | {"label": "z"}}, ON_DATA),
        ({"policy": POLICY.replace("threshold: 0.5", "threshold: 0.4")}, {"performance.binary"}),
        ({"policy": POLICY.replace("sensitive: [sex]", "sensitive: [age]")}, {"fairness.groups"}),
        ({"policy": POLICY.replace("ge: 0.75", "ge: 0.85")}, set()),
        ({"policy": POLICY + "sandbox: {level: confined}\n"}, ALL),
        ({"policy": POLICY + "sandbox: {environment: compatible}\n"}, ALL),
        ({"card": "Something else."}, {"documentation.claims"}),
        ({"policy": POLICY.replace("card: [intended_use]", "card: []")}, {"documentation.claims"}),
        ({"metrics": {"auc": 0.9}}, {"reproducibility.metrics"}),
        ({"live": b"what it was given"}, {"drift.live"}),
        ({"train": b"what it learnt from"}, {"data.quality"}),
    ],
)
def test_what_a_result_depends_on_changes_its_key(scientist: User, other: dict[str, Any], expected: set[str]) -> None:
    assert changed(keys(asked(scientist)), keys(asked(scientist, **other))) == expected


@pytest.mark.parametrize(
    ("name", "first", "second", "expected"),
    [
        ("live", b"one", b"two", {"drift.live"}),
        ("train", b"one", b"two", {"data.quality"}),
        ("train_columns", COLUMNS, COLUMNS | {"label": "z"}, {"data.quality"}),
        (
            "policy",
            POLICY + "sandbox: {level: confined}\n",
            POLICY + "sandbox: {level: confined, environment: compatible}\n",
            ALL,
        ),
    ],
)
def test_of_what_stands_beside_the_bytes_and_columns_count(
    scientist: User, name: str, first: Any, second: Any, expected: set[str]
) -> None:
    train = {"train": b"rows"} if name == "train_columns" else {}
    before, after = (keys(asked(scientist, **{**train, name: one})) for one in (first, second))
    assert changed(before, after) == expected


def test_other_code_gives_other_keys(scientist: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an upgrade: the digest of the sources is another one."""
    before = keys(asked(scientist))
    upgraded = replace(code.own(), digest="0" * 64)
    monkeypatch.setattr(code, "own", lambda: upgraded)
    assert changed(before, keys(asked(scientist))) == ALL


def test_another_live_version_is_another_comparison(scientist: User, approvers: list[User]) -> None:
    found = []
    for live in (b"live", b"another live"):
        first = asked(scientist, policy=make.TWO_APPROVERS + f"# {live!r}\n", model=live)
        make.approve(make.finish_all(first), approvers)
        with_live = "  - use: compare.champion\n    data: {role: test}\ncard:"
        make.policy(make.TWO_APPROVERS.replace("card:", with_live) + f"# {live!r}\n")
        version = make.sealed_version(first.model, scientist, {"MLmodel": b"model"})
        found.append(keys(make.request(version, scientist)))
    assert changed(*found) == {"compare.champion", "predict.champion"}


@pytest.mark.parametrize("use", ["resources.latency", "documentation.card"])
def test_what_is_true_of_a_moment_is_found_out_anew(scientist: User, use: str) -> None:
    policy = POLICY.replace("security.scan", use)
    first = make.finish_all(asked(scientist, policy=policy))
    again = asked(scientist, policy=policy).checks.get(key=use)
    assert (again.cache_key, again.reused_from) == ("", None)
    assert first.checks.get(key=use).result_digest


def test_a_policy_that_takes_uploaded_predictions_is_another_question(scientist: User) -> None:
    taken = POLICY.replace("    require: {auc", "    predictions: uploaded\n    require: {auc")
    assert changed(keys(asked(scientist)), keys(asked(scientist, policy=taken))) == {"performance.binary"}


def test_a_result_that_is_known_is_judged_by_the_new_limits(scientist: User) -> None:
    make.finish_all(asked(scientist), auc=0.8)
    run = asked(scientist, policy=POLICY.replace("ge: 0.75", "ge: 0.95")).checks.get(key="performance.binary")
    assert run.reused_from is not None
    assert (run.verdict, run.reused_from.verdict) == (CheckRun.Verdict.FAIL, CheckRun.Verdict.PASS)
    assert "0.95" in run.summary


def test_an_error_is_never_used_again(scientist: User) -> None:
    make.finish_all(asked(scientist), auc=None)
    assert not asked(scientist).checks.exclude(reused_from=None).exists()


def test_training_data_is_that_of_the_lineage_and_of_no_other_role(scientist: User) -> None:
    version = asked(scientist, train=b"what it learnt from").version
    found = planning.training_of(version)
    assert found is not None
    of_another_role = asked(scientist).version
    learnt_from(of_another_role, make.dataset(scientist, b"looked at", role="other", **COLUMNS))
    assert planning.training_of(of_another_role) is None
