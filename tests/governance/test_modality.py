"""Which checks do not apply to models of text and pictures, and that the engine, not the check, says so."""

import json
from typing import Any

import pytest

from governance import tasks
from governance.checks import manifest
from governance.modality import modality_of, why_not_applicable
from governance.models import PromotionRequest
from governance.services import checks
from registry.models import User
from tests.factories import governance as make

COLUMNS = [{"type": "double", "name": "age"}, {"type": "string", "name": "region"}]


@pytest.mark.parametrize(
    ("flavours", "inputs", "kind"),
    [
        (["sklearn", "python_function"], COLUMNS, "tabular"),
        (["sklearn"], json.dumps(COLUMNS), "tabular"),
        (["sklearn"], None, "tabular"),
        (["sklearn"], "not json", "tabular"),
        (["python_function", "transformers"], None, "text"),
        (["openai"], COLUMNS, "text"),
        (["sklearn"], [{"type": "string", "name": "review"}], "text"),
        (["python_function"], [{"type": "array", "name": "messages"}, {"type": "double", "name": "t"}], "text"),
        (["pytorch"], [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 28, 28, 1]}}], "image"),
        (["pytorch"], [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 30]}}], "tabular"),
    ],
)
def test_the_kind_follows_from_flavours_and_signature(flavours: list[str], inputs: Any, kind: str) -> None:
    assert modality_of(flavours, {} if inputs is None else {"inputs": inputs}) == kind


def test_a_check_of_tables_says_why_it_does_not_apply_and_one_of_files_applies() -> None:
    reason = why_not_applicable(manifest("drift.columns"), ["transformers"], {})
    assert reason == "The model takes text, and this check judges models of tables only."
    assert why_not_applicable(manifest("drift.columns"), ["sklearn"], {}) == ""
    assert why_not_applicable(manifest("security.scan"), ["transformers"], {}) == ""


POLICY = """\
policy: house
governs: {tiers: [1, 2, 3], targets: ["alias:production"]}
checks:
  - use: documentation.card
  - use: fairness.groups
    data: {role: test}
    sensitive: [sex]
    require: {equal_opportunity_difference: {le: 0.30}}
review:
  - stage: approval
    all: [{role: approver, n: 1}]
"""


@pytest.mark.django_db
@pytest.mark.slow
def test_a_model_of_text_needs_no_table_and_no_predictions_for_what_does_not_apply(
    scientist: User, settings: Any, tmp_path: Any
) -> None:
    settings.DATA_DIR = tmp_path
    make.policy(POLICY)
    model = make.registered_model(scientist, evaluation_dataset=None)
    version = make.sealed_version(model, scientist, flavours=["transformers"])
    request = make.request(version, scientist)
    assert set(request.checks.values_list("key", flat=True)) == {"documentation.card", "fairness.groups"}
    for run_id in checks.due_of(request.pk):
        tasks.run_check(str(run_id))
    run = request.checks.get(key="fairness.groups")
    assert (run.verdict, run.summary) == (
        "not_applicable", "The model takes text, and this check judges models of tables only."
    )  # fmt: skip
    assert PromotionRequest.objects.get(pk=request.pk).state in {"ready", "checks_failed"}
