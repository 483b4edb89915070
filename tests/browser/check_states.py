"""Check runs in each state that their page shows; the result is as wide, as long and as wordy as results get."""

from collections.abc import Callable, Mapping
from typing import Final

from governance.checks import CheckResult, Figure, Picture, Table
from governance.checks.pictures import bars, curve, grid, ranges
from governance.checks.results import Cell
from governance.engine.drawing import drawings_of
from governance.models import CheckRun
from governance.services import checks
from governance.services.checks import Outcome
from tests.browser.evidence import House, asked
from tests.factories import governance as make
from tests.governance.findings.conftest import POLICY

LONG: Final = "an_input_whose_name_is_longer_than_a_telephone_is_wide_" * 2
PICTURES: Final = (
    ranges("ci", "Rate of each group", "Two groups with intervals; the second one is below the line.",
           [{"name": "men", "value": 0.6, "low": 0.5, "high": 0.7}, {"name": LONG, "value": 0.4, "low": 0.2, "high": 0.6}],
           value="Selection rate", line=0.48),
    bars("bars", "Importance", "Three inputs; income is the strongest.",
         [{"name": one, "value": 0.3 / n, "low": 0.2 / n, "high": 0.4 / n} for n, one in enumerate(("income", "age", LONG), 1)],
         value="Loss of AUC", by="Input"),
    curve("roc", "ROC", "Two curves above the diagonal.",
          [{"x": x / 20, "y": (x / 20) ** power, "series": name}
           for name, power in (("v2", 0.3), ("v1", 0.6)) for x in range(21)],
          x="False positive rate", y="True positive rate", diagonal=True, series="Version"),
    grid("confusion", "Confusion", "Most rows are on the diagonal.",
         [{"x": x, "y": y, "value": 12_345 if x == y else 17} for x in "abcdef" for y in "abcdef"],
         x="Predicted", y="True", value="Rows"),
    Picture("undrawn", "One that is not drawn", "Nothing can be seen of it.", {"data": {"url": "http://x"}, "mark": "bar"}),
)  # fmt: skip


def _run(house: House, key: str = "performance.binary") -> CheckRun:
    return asked(house).checks.get(key=key)


def _scored(run: CheckRun) -> None:
    """The predictions that other checks wait for are there."""
    scores = run.request.checks.get(key="predict.scores")
    held = checks.claim(scores.pk, owner="test-worker")
    assert held is not None
    assert checks.finish(held, make.outcome_of(scores, 0.9))


def _held(run: CheckRun) -> checks.Claim:
    _scored(run)
    held = checks.claim(run.pk, owner="test-worker")
    assert held is not None
    return held


def result_of(run: CheckRun) -> CheckResult:
    """Everything that a result can have."""
    figures = tuple(
        Figure(
            f"rate_{n}", f"Selection rate ratio {n}", 0.9 - n / 20, 200, "higher", ci_low=0.6 - n / 20, ci_high=0.99,
            attribute="age_band", group=LONG if n == 3 else f"{n}0 to {n}9", reference="men", smallest_gap=0.12,
            note="The interval is wide, because few rows are of this group." if n == 3 else "",
        )
        for n in range(6)
    )  # fmt: skip
    auc = Figure("auc", "AUC", 0.62, 500, "higher", ci_low=0.55, ci_high=0.69)
    columns = tuple((f"c{n}", f"Column number {n}") for n in range(9))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (f"{LONG} {row}", *(row * column / 7 for column in range(8))) for row in range(220)
    )
    return CheckResult(
        run.key, 1, {"threshold": 0.5, "words": LONG}, 500, figures=(auc, *figures),
        tables=(
            Table("wide", "A wide table", columns, rows),
            Table("small", "A small one", (("a", "Input"), ("b", "Kept")), (("income", True), ("age", None))),
        ),
        pictures=PICTURES, findings=(f"“{LONG}” matters most.", "A group is below the line."),
        limits=("Twenty rows are few for an interval.",),
    )  # fmt: skip


def finished(house: House) -> CheckRun:
    """A result with pictures, tables, findings and limits, one of which is broken."""
    run = _run(house)
    held, result = _held(run), result_of(run)
    outcome = Outcome(
        CheckRun.Verdict.FAIL, "AUC is 0.620 (95 % interval 0.550 to 0.690), n = 500; asked: at least 0.750.",
        result=result.as_dict(), result_digest=result.digest, result_blob=make.blob(result.to_json().encode()).sha256,
        sandbox={"level": "full", "layers": ["namespaces", "landlock", "seccomp"], "limits": {"memory_mb": 2048}},
        provenance={"code": {"distribution": "countersign", "digest": "ab" * 32}},
        drawings={key: make.blob(svg.encode()).sha256 for key, svg in drawings_of(result).items()},
    )  # fmt: skip
    assert checks.finish(held, outcome)
    return CheckRun.objects.get(pk=run.pk)


def running(house: House) -> CheckRun:
    """Two fifths are done."""
    run = _run(house)
    checks.progress(_held(run), 40, 100)
    return run


def waiting(house: House) -> CheckRun:
    """It waits for the predictions."""
    return _run(house)


def broken(house: House) -> CheckRun:
    """The model raised, with words of its own."""
    run = _run(house)
    outcome = Outcome(CheckRun.Verdict.ERROR, f"The model raised in predict: {LONG}.", error_code="raised")
    assert checks.finish(_held(run), outcome)
    return CheckRun.objects.get(pk=run.pk)


def not_applicable(house: House) -> CheckRun:
    """A result that says why there is none."""
    run = _run(house)
    result = CheckResult(run.key, 1, {}, 0, not_applicable="The model is of text; this check reads tables.")
    outcome = Outcome(
        CheckRun.Verdict.NOT_APPLICABLE, result.not_applicable,
        result=result.as_dict(), result_digest=result.digest, result_blob=make.blob(result.to_json().encode()).sha256,
    )  # fmt: skip
    assert checks.finish(_held(run), outcome)
    return CheckRun.objects.get(pk=run.pk)


def awaited(house: House) -> CheckRun:
    """A person's finding is missing."""
    make.policy(POLICY)
    return _run(house, "conceptual.soundness")


STATES: Final[Mapping[str, Callable[[House], CheckRun]]] = {
    "finished": finished, "running": running, "waiting": waiting, "broken": broken,
    "not-applicable": not_applicable, "awaited": awaited,
}  # fmt: skip
