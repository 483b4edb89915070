"""Metrics somebody recorded or wrote into a card, against the same figures computed again: scikit-learn's, to the digit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check
from governance.checks.model.claims import keeps
from governance.checks.model.metric_names import NAMES, claims, figure_of, written_half_unit

RANDOM = np.random.default_rng(1)
Y = RANDOM.integers(0, 2, 500)
SCORE = np.clip(0.3 * Y + 0.7 * RANDOM.random(500), 0, 1).round(3)
SAID = (SCORE >= 0.5).astype(int)


def binary(
    recorded: Mapping[str, float] | None, card: Mapping[str, str] | None = None, weight: bool = False
) -> CheckInputs:
    data = pa.table({"y": Y, "w": np.linspace(0.1, 5, 500)})
    roles = Roles("y", weight="w" if weight else None)
    predictions = pa.table({"prediction": SAID, "score": SCORE})
    return CheckInputs(data, roles, predictions, metrics=recorded, card=card)


def reproduced(recorded: Mapping[str, float], **params: Any) -> CheckResult:
    return run_check(get("reproducibility.metrics"), binary(recorded), params)


OF_SKLEARN = {
    "roc_auc": sk.roc_auc_score(Y, SCORE), "accuracy_score": sk.accuracy_score(Y, SAID), "f1_score": sk.f1_score(Y, SAID),
    "precision": sk.precision_score(Y, SAID), "recall": sk.recall_score(Y, SAID), "log_loss": sk.log_loss(Y, SCORE),
    "brier": sk.brier_score_loss(Y, SCORE), "average_precision": sk.average_precision_score(Y, SCORE),
    "balanced_accuracy": sk.balanced_accuracy_score(Y, SAID),
}  # fmt: skip


def test_what_scikit_learn_gives_is_reproduced_exactly() -> None:
    result = reproduced(OF_SKLEARN)
    assert result.figure("unreproduced").value == 0
    assert result.figure("compared").value == len(OF_SKLEARN)
    assert all((one.value or 0) < 1e-9 for one in result.figures if one.key == "difference")
    assert result.findings == (f"All {len(OF_SKLEARN)} compared metrics were reproduced.",)
    assert len(result.pictures) == 1


def test_weights_play_no_part() -> None:
    weighted = run_check(get("reproducibility.metrics"), binary(OF_SKLEARN, weight=True))
    assert weighted.to_json() == reproduced(OF_SKLEARN).to_json()


def test_of_regressions_and_of_classes() -> None:
    y = RANDOM.normal(size=200)
    said = y + RANDOM.normal(0, 0.3, size=200)
    recorded = {
        "test_rmse": float(np.sqrt(sk.mean_squared_error(y, said))), "mse": sk.mean_squared_error(y, said),
        "eval/mae": sk.mean_absolute_error(y, said), "r2_score": sk.r2_score(y, said),
    }  # fmt: skip
    inputs = CheckInputs(pa.table({"y": y}), Roles("y"), pa.table({"prediction": said}), metrics=recorded)
    assert run_check(get("reproducibility.metrics"), inputs).figure("unreproduced").value == 0
    classes = np.array(["a", "b", "c"])
    truth, told = classes[RANDOM.integers(0, 3, 300)], classes[RANDOM.integers(0, 3, 300)]
    recorded = {"accuracy": sk.accuracy_score(truth, told), "f1_macro": sk.f1_score(truth, told, average="macro")}
    recorded["f1_weighted"] = sk.f1_score(truth, told, average="weighted")
    recorded["mcc"] = sk.matthews_corrcoef(truth, told)
    inputs = CheckInputs(pa.table({"y": truth}), Roles("y"), pa.table({"prediction": told}), metrics=recorded)
    result = run_check(get("reproducibility.metrics"), inputs)
    assert (result.figure("unreproduced").value, result.figure("compared").value) == (0, 4)


def test_what_differs_is_said_with_both_numbers() -> None:
    auc = OF_SKLEARN["roc_auc"]
    result = reproduced({"auc": auc + 0.1, "accuracy": OF_SKLEARN["accuracy_score"] + 0.003})
    assert result.figure("unreproduced").value == 2
    assert result.figure("difference", attribute="auc").value == pytest.approx(0.1)
    assert result.figure("relative_difference", attribute="auc").value == pytest.approx(0.1 / auc)
    assert "perhaps other rows" in result.findings[0]
    assert f"recorded {auc + 0.1:.6g}, computed again {auc:.6g}." in result.findings[1]
    assert reproduced({"auc": auc + 0.1}, tolerance=0.11).figure("unreproduced").value == 0
    assert reproduced({"auc": auc * 1.01}, relative=0.02).figure("unreproduced").value == 0


@pytest.mark.parametrize("off", [0.1, -0.1])
def test_too_little_is_as_wrong_as_too_much(off: float) -> None:
    result = reproduced({"auc": OF_SKLEARN["roc_auc"] + off})
    assert result.figure("unreproduced").value == 1
    assert result.figure("difference", attribute="auc").value == pytest.approx(0.1)
    assert result.figure("relative_difference", attribute="auc").value == pytest.approx(0.1 / OF_SKLEARN["roc_auc"])
    assert "perhaps other rows" not in result.findings[0]


def test_a_unit_of_the_last_digit_is_a_difference() -> None:
    auc = OF_SKLEARN["roc_auc"]
    nearest = round(auc, 2)
    next_to_it = round(nearest + (0.01 if auc > nearest else -0.01), 2)
    assert 0.005 < abs(next_to_it - auc) < 0.01
    assert reproduced({"auc": nearest}).figure("unreproduced").value == 0
    assert reproduced({"auc": next_to_it}).figure("unreproduced").value == 1


@given(st.floats(0.5, 1.0), st.integers(2, 6))
def test_rounding_is_no_difference(value: float, digits: int) -> None:
    assert abs(round(value, digits) - value) <= written_half_unit(round(value, digits)) * (1 + 1e-9) or digits < 2
    assert written_half_unit(0.83) == pytest.approx(0.005)
    assert written_half_unit(1.0) == pytest.approx(0.005)
    assert written_half_unit(1e-07) <= 0.5e-7 * 1.01
    assert written_half_unit(1234.5) == pytest.approx(0.05)


def test_metrics_of_other_rows_and_of_unknown_names_are_listed_with_the_reason() -> None:
    result = reproduced({"training_accuracy_score": 1.0, "val_auc": 0.9, "epochs": 3.0, "rmse": 0.1, "cv_0_f1": 0.2})
    assert {figure.value for figure in result.figures} == {None}
    assert "not compared" in result.findings[1]
    (left,) = result.tables
    assert {row[0]: row[2] for row in left.rows} == {
        "training_accuracy_score": "recorded on other rows, by its name", "val_auc": "recorded on other rows, by its name",
        "cv_0_f1": "recorded on other rows, by its name", "epochs": "no figure of ours by this name",
        "rmse": "this model has no such figure",
    }  # fmt: skip


def test_nothing_recorded_does_not_apply() -> None:
    assert "No metrics were recorded" in reproduced({}).not_applicable


def test_names_of_their_own() -> None:
    result = reproduced({"gini_thing": OF_SKLEARN["roc_auc"]}, names=["gini_thing=auc"])
    assert result.figure("compared").value == 1
    for bad in (["x"], ["x=nothing"], [3]):
        with pytest.raises(CheckError):
            reproduced({"auc": 1.0}, names=bad)


def test_every_name_in_the_table_means_its_figure() -> None:
    for figure, names in NAMES.items():
        for name in names:
            assert figure_of(name).figure == figure
            assert figure_of(f"test_{name}").figure == figure
            assert figure_of(f"{name.upper()}-eval").figure == figure
            assert figure_of(f"train_{name}").elsewhere


def claimed(text: str, **params: Any) -> CheckResult:
    return run_check(get("documentation.claims"), binary(None, {"performance": text}), params)


def test_a_stale_figure_in_the_card() -> None:
    auc = OF_SKLEARN["roc_auc"]
    good = claimed(
        f"On held-out rows the model has a ROC AUC of {auc:.2f} and accuracy {OF_SKLEARN['accuracy_score']:.1%}."
    )
    assert (good.figure("stale_claims").value, good.figure("compared_claims").value) == (0, 2)
    stale = claimed("AUC 0.99; F1-score = 12 %")
    assert stale.figure("stale_claims").value == 2
    assert stale.findings[0].startswith(f"performance: “AUC 0.99”, but AUC is {auc:.4g} (interval ")
    assert claimed("AUC 0.99", tolerance=1.0).figure("stale_claims").value == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("AUC 0.83", ("auc", 0.83, "is")),
        ("area: ROC-AUC: 0,83", ("auc", 0.83, "is")),
        ("accuracy of at least 90 %", ("accuracy", 0.9, "at least")),
        ("F1 ≥ 0.7", ("f1", 0.7, "at least")),
        ("log loss below 0.4", ("log_loss", 0.4, "at most")),
        ("RMSE (EUR): 1234.5", ("rmse", 1234.5, "is")),
        ("R² = 0.61", ("r2", 0.61, "is")),
        ("mean absolute error 3", ("mae", 3.0, "is")),
    ],
)
def test_statements_that_are_found(text: str, found: tuple[str, float, str]) -> None:
    (one,) = claims({"x": text})
    assert (one.figure, one.value, one.bound) == found


@pytest.mark.parametrize(
    "text",
    [
        "", "The AUC is good.", "training AUC 0.99", "AUC on the validation rows 0.9", "See section 0.83.", "AUC2000 model",
        "Recall that 2019 was odd? No: 3 items", "version 1.2.3", "AUC " + "x" * 60 + "0.8",
    ],
)  # fmt: skip
def test_statements_that_are_none(text: str) -> None:
    assert [one for one in claims({"x": text}) if one.figure != "recall"] == []


def test_bounds_are_kept_or_not() -> None:
    (least,), (most,) = list(claims({"x": "AUC above 0.8"})), list(claims({"x": "Brier score under 0.2"}))
    assert keeps(least, 0.81, 0.0)
    assert not keeps(least, 0.79, 0.0)
    assert keeps(most, 0.19, 0.0)
    assert not keeps(most, 0.21, 0.0)


def test_a_card_without_figures_does_not_apply() -> None:
    assert "states no figure" in claimed("A good model.").not_applicable
    with pytest.raises(CheckError):
        run_check(get("documentation.claims"), binary(None))


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    assert all(np.isfinite(one.value) for one in claims({"x": text}))
