"""A house with people, a policy of three checks, and results that have groups and inputs, for the browser to look at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.keys import ensure_keys
from governance.checks import CheckResult, Figure
from governance.checks.results import Table
from governance.models import CheckRun, PromotionRequest
from governance.services import checks
from governance.services.checks import Outcome
from registry.models import ModelVersion, User
from registry.roles import Role
from tests.factories import governance as make

POLICY: Final = make.TWO_APPROVERS.replace(
    "card:",
    """\
  - id: fairness.sex
    use: fairness.groups
    data: {role: test}
    sensitive: [sex]
    require: {selection_rate_ratio: {ge: 0.80}}
  - use: explainability.importance
    data: {role: test}
    require: {rank_stability: {ge: 0.5}}
card:""",
)
_GROUP: Final = ("group", "n", "rate", "rate_low", "rate_high", "ratio", "is_reference")


@dataclass(frozen=True, slots=True)
class House:
    """People, and a version that may be asked for."""

    scientist: User
    first: User
    second: User
    auditor: User
    version: ModelVersion


def house(keys: Path) -> House:
    """Accounts of each role, the policy in force, and a sealed version of a model of the scientist's."""
    ensure_keys(keys)
    make.policy(POLICY)
    scientist = make.person("scientist", Role.CONTRIBUTOR, display_name="Ada Lovelace")
    model = make.registered_model(
        scientist, name="a-model-with-quite-a-long-name-of-many-words", card={"intended_use": "Tests. " * 20}
    )
    version = make.sealed_version(model, scientist, parameters={"C": "0.1"})
    return House(
        scientist,
        make.person("officer", Role.APPROVER),
        make.person("officer", Role.APPROVER),
        make.person("auditor", Role.AUDITOR),
        version,
    )


def asked(house: House) -> PromotionRequest:
    """A request whose checks wait."""
    return make.request(house.version, house.scientist)


def measured(promotion: PromotionRequest, *, ratio: float = 0.9) -> PromotionRequest:
    """Finish every job as a worker would; ``ratio`` of the selection rates below 0.8 stops the request."""
    while due := checks.due_of(promotion.pk):
        for run_id in due:
            held = checks.claim(run_id, owner="test-worker")
            assert held is not None
            finish(held, ratio=ratio)
    return PromotionRequest.objects.get(pk=promotion.pk)


def finish(held: checks.Claim, *, ratio: float = 0.9) -> None:
    """Finish one job that is held."""
    assert checks.finish(held, _outcome(CheckRun.objects.get(pk=held.run_id), ratio))


def _outcome(run: CheckRun, ratio: float) -> Outcome:
    if run.category not in {"fairness", "explainability"}:
        return make.outcome_of(run, 0.9)
    figures, table = _fairness(ratio) if run.category == "fairness" else _importance()
    result = CheckResult(run.key, 1, {}, 500, figures=figures, tables=(table,), findings=("Something was found.",))
    return Outcome(
        CheckRun.Verdict.PASS if run.category != "fairness" or ratio >= 0.8 else CheckRun.Verdict.FAIL,
        "It was measured.",
        result=result.as_dict(),
        result_digest=result.digest,
        result_blob=make.blob(result.to_json().encode()).sha256,
    )


def _fairness(ratio: float) -> tuple[tuple[Figure, ...], Table]:
    low, high = ratio - 0.15, ratio + 0.15
    figure = Figure(
        "selection_rate_ratio", "Selection rate ratio", ratio, 200, "higher", ci_low=low, ci_high=high,
        attribute="sex", group="women", reference="men", smallest_gap=0.12, note="The interval is wide.",
    )  # fmt: skip
    rows = (
        ("men", 300, 0.6, 0.54, 0.66, 1.0, True),
        ("women", 200, 0.6 * ratio, 0.6 * low, 0.6 * high, ratio, False),
    )
    return (figure,), Table("groups:sex", "Groups of sex", tuple((key, key.capitalize()) for key in _GROUP), rows)


def _importance() -> tuple[tuple[Figure, ...], Table]:
    columns = (("feature", "Input"), ("importance", "Importance"))
    rows = (("income", 0.124), ("age", 0.0099), ("an_input_with_a_long_name_of_its_own", 0.00002))
    figure = Figure("rank_stability", "Stability of the ranking", 0.8, 500, "higher")
    return (figure,), Table("importance", "Loss of AUC when shuffled", columns, rows)
