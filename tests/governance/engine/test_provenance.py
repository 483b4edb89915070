"""What a result says it was computed from: whatever it depends on stands there by its digest, and a change is named."""

from typing import Any

import pytest

from governance.engine.provenance import digest_of, provenance_of
from governance.models import PromotionRequest
from registry.models import User
from tests.factories import governance as make
from tests.governance.engine.test_cache_keys import COLUMNS, POLICY, asked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]
ALIKE: dict[str, Any] = {
    "data": b"rows",
    "model": b"model",
    "train": b"learnt",
    "live": b"seen",
    "metrics": {"auc": 0.9},
}


def provenance(request: PromotionRequest, key: str) -> dict[str, Any]:
    return provenance_of(request.checks.get(key=key))


@pytest.mark.parametrize(
    ("key", "other", "fields"),
    [
        ("performance.binary", {"data": b"other"}, {"data"}),
        ("performance.binary", {"model": b"other"}, {"model"}),
        ("performance.binary", {"columns": COLUMNS | {"label": "z"}}, {"columns"}),
        ("performance.binary", {"policy": POLICY.replace("threshold: 0.5", "threshold: 0.4")}, {"parameters"}),
        ("fairness.groups", {"policy": POLICY.replace("sensitive: [sex]", "sensitive: [age]")}, {"sensitive"}),
        ("data.quality", {"train": b"other"}, {"training"}),
        ("data.quality", {"train_columns": COLUMNS | {"label": "z"}}, {"training_columns"}),
        ("drift.live", {"live": b"other"}, {"live_data"}),
        ("documentation.claims", {"card": "Other."}, {"card"}),
        ("documentation.claims", {"policy": POLICY.replace("card: [intended_use]", "card: []")}, {"card"}),
        ("reproducibility.metrics", {"metrics": {"auc": 0.8}}, {"metrics"}),
        ("predict.scores", {"data": b"other"}, {"data"}),
        ("predict.scores", {"model": b"other"}, {"model"}),
        ("predict.scores", {"columns": COLUMNS | {"label": "z"}}, {"columns"}),
    ],
)
def test_what_a_result_depends_on_stands_in_its_provenance(
    scientist: User, key: str, other: dict[str, Any], fields: set[str]
) -> None:
    first, second = (provenance(asked(scientist, **{**ALIKE, **more}), key) for more in ({}, other))
    different = {name for name in first | second if first.get(name) != second.get(name)}
    # A version has an id of its own, by which its predictions are asked for.
    assert different - ({"parameters"} if key == "predict.scores" else set()) == fields


def test_bytes_are_named_by_their_own_digests(scientist: User) -> None:
    request = asked(scientist, **ALIKE)
    found = provenance(request, "data.quality") | {"live_data": provenance(request, "drift.live")["live_data"]}
    expected = {"data": "rows", "training": "learnt", "live_data": "seen"}
    assert {name: found[name] for name in expected} == {name: make.digest(text) for name, text in expected.items()}
    assert found["model"] == request.manifest_digest
    assert found["columns"] == found["training_columns"] == digest_of(COLUMNS)
    assert found["check"] == "data.quality@1"
