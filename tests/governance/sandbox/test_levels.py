"""Named levels: compared by their layers, demanded before anything of the model is loaded, and said in words."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from governance.policy import document, schema
from governance.sandbox import Layers, SandboxJob, run
from governance.sandbox.levels import LEVELS, Level, level_of, missing, reaches, why_refused
from tests.governance.sandbox.conftest import MakeModel

ALL = sorted(LEVELS["full"])


@given(st.dictionaries(st.sampled_from(ALL), st.sampled_from(["on", "not allowed here"])))
def test_a_level_is_reached_exactly_when_nothing_is_missing(layers: dict[str, str]) -> None:
    reached = level_of(layers)
    for level in LEVELS:
        assert reaches(reached, level) == (not missing(layers, level))


def test_confined_is_what_an_ordinary_user_gets() -> None:
    layers = dict.fromkeys(ALL, "on") | {"user": "the worker's own user", "namespaces": "not allowed here"}
    assert Layers(layers).level == "confined"
    assert Layers(layers | {"landlock": "the kernel has no Landlock"}).level == "reduced"
    assert Layers(dict.fromkeys(ALL, "on")).level == "full"


def test_the_words_name_each_layer_and_its_reason() -> None:
    layers = dict.fromkeys(ALL, "on") | {"user": "the worker's own user"}
    assert why_refused(layers, "full") == (
        "The policy demands the sandbox level “full”, and this worker reaches “confined”: user (the worker's own user). "
        "Nothing of the model was run. Have it run by a worker where these are on, or adopt a policy that demands less."
    )


def test_a_policy_knows_the_same_levels() -> None:
    known = list(LEVELS)
    assert list(get_args(document.SandboxLevel)) == known
    assert list(get_args(Level)) == known
    assert schema()["properties"]["sandbox"]["properties"]["level"]["enum"] == known


@pytest.mark.parametrize("warm", [True, False])
def test_a_model_is_not_even_loaded_below_the_demanded_level(
    make_model: MakeModel, people: Path, monkeypatch: pytest.MonkeyPatch, warm: bool
) -> None:
    # The worker's own user for the model: one layer less, as where the worker is an ordinary user.
    monkeypatch.setattr("governance.sandbox.staging.own_users", lambda: False)
    model = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    folder = make_model(model)
    low = SandboxJob("predict", folder, people, features=("age",), warm=warm, level="confined")
    assert run(low).record()["level"] in {"confined", "full"}
    outcome = run(SandboxJob("predict", folder, people, features=("age",), warm=warm, level="full"))
    assert outcome.code == "level_unmet"
    assert outcome.message.startswith("The policy demands the sandbox level “full”, and this worker reaches “confined”")
    assert outcome.predictions is None


def test_demanded_libraries_that_are_not_here_end_the_run_before_it_begins(make_model: MakeModel, people: Path) -> None:
    folder = make_model(LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]))
    (folder / "requirements.txt").write_text("scikit-learn==0.1\n")
    outcome = run(SandboxJob("predict", folder, people, features=("age",), compatible=True))
    assert outcome.code == "environment_failed"
    assert outcome.message.startswith(
        "The policy demands the libraries that the model records. Here is only the platform's"
    )
    assert "scikit-learn ==0.1 recorded" in outcome.message
    (folder / "requirements.txt").write_text("scikit-learn>=0.1\n")
    assert run(SandboxJob("predict", folder, people, features=("age",), compatible=True)).ok
