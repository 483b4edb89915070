"""The same random calls to a plain MLflow server and to us: the same answers, but for the documented differences.

Short and always the same in an ordinary run. ``ORACLE=long`` goes on for longer, with other calls every time.
"""

import os
from collections import Counter
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.conformance.mlflow.oracle import calls, differences
from tests.conformance.mlflow.oracle.languages import RUNS
from tests.conformance.mlflow.oracle.pair import Answer, Call, Pair, differs

LONG: Final = os.environ.get("ORACLE") == "long"
RUN: Final = settings(
    max_examples=int(os.environ.get("ORACLE_EXAMPLES", "300")) if LONG else 8,
    stateful_step_count=50 if LONG else 30,
    derandomize=not LONG,
    deadline=None,
    database=None,
    # Two servers make shrinking take minutes: only who looks for the reason does it.
    phases=[Phase.generate, *([Phase.shrink] if os.environ.get("ORACLE_SHRINK") else [])],
    suppress_health_check=list(HealthCheck),
)
Moments = dict[tuple[str, ...], tuple[int, int]]
SEEN: Counter[str] = Counter()
"""Which differences came up, for who runs it with -s."""


class Registries(RuleBasedStateMachine):
    """Both servers, told the same."""

    pair: Pair

    @initialize()
    def begin(self) -> None:
        """Empty both, with a model and a prompt to begin with."""
        self.pair.forget()
        self.moments: tuple[Moments, Moments] = ({}, {})
        self.write(Call("POST", "registered-models/create", body={"name": "credit"}))
        prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
        self.write(Call("POST", "registered-models/create", body={"name": "greeting", "tags": [prompt]}))
        for number, name in enumerate(("credit", "credit", "Credit")):
            tags = [{"key": "team", "value": str(number)}, {"key": "risk tier", "value": "credit"}]
            self.pair.both(Call("POST", "registered-models/create", body={"name": name, "tags": tags}))
            source = {"source": f"runs:/{RUNS[number % 2]}/m", "run_id": RUNS[number % 2]}
            self.write(Call("POST", "model-versions/create", body={"name": name, "tags": tags, **source}))

    @rule(call=calls.called(calls.CREATE_MODEL))
    def create_model(self, call: Call) -> None:
        self.write(call)

    @rule(call=st.one_of(calls.created_version(), calls.created_version(), calls.created_prompt_version()))
    def create_version(self, call: Call) -> None:
        self.write(call)

    @rule(call=st.sampled_from(calls.OF_MODELS).flatmap(calls.called))
    def change_model(self, call: Call) -> None:
        self.write(call)

    @rule(call=st.sampled_from(calls.OF_VERSIONS).flatmap(calls.called))
    def change_version(self, call: Call) -> None:
        self.write(call)

    @rule(call=st.sampled_from(calls.OF_VERSIONS).flatmap(calls.called))
    def change_version_again(self, call: Call) -> None:
        self.write(call)

    @rule(call=calls.called(calls.DELETE_MODEL), really=st.integers(0, 3))
    def delete_model(self, call: Call, really: int) -> None:
        if really == 0:
            self.write(call)

    @rule(call=st.sampled_from(calls.READS).flatmap(calls.called))
    def read(self, call: Call) -> None:
        self.ask(call)

    @rule(call=st.one_of(calls.searched(of_models=True), calls.searched(of_models=False)))
    def search(self, call: Call) -> None:
        self.ask(call)

    @rule(call=st.one_of(calls.searched(of_models=True), calls.searched(of_models=False)), size=st.integers(1, 3))
    def walk(self, call: Call, size: int) -> None:
        """All pages of a search, one after the other."""
        kept = [(name, value) for name, value in call.query if name not in {"max_results", "page_token"}]
        tokens = ("", "")
        for _ in range(12):
            pages = [
                Call(
                    "GET",
                    call.rest,
                    query=(*kept, ("max_results", str(size)), *((("page_token", token),) if token else ())),
                )
                for token in tokens
            ]
            theirs, ours = self.pair.theirs(pages[0]), self.pair.ours(pages[1])
            self.compare(call, theirs, ours)
            if not (theirs.ok and ours.ok):
                return
            tokens = (theirs.body.get("next_page_token", ""), ours.body.get("next_page_token", ""))
            assert bool(tokens[0]) == bool(tokens[1]), (call, tokens)
            if not tokens[0]:
                return

    def ask(self, call: Call) -> tuple[Answer, Answer]:
        theirs, ours = self.pair.both(call)
        self.compare(call, theirs, ours)
        return theirs, ours

    def compare(self, call: Call, theirs: Answer, ours: Answer) -> None:
        difference = differs(theirs, ours)
        if difference:
            name = differences.tolerated(call, theirs, ours)
            SEEN[name] += 1
            assert name, f"{call}\n{difference}"
        assert ours.status < 500, (call, ours)

    def write(self, call: Call) -> None:
        """Tell both; then both must hold the same, and the same moments must have moved on."""
        theirs, ours = self.ask(call)
        if call.rest == "model-versions/create":
            if ours.ok:
                found = ours.body["model_version"]
                self.pair.seal(found["name"], int(found["version"]))
            elif theirs.ok:
                found = theirs.body["model_version"]
                self.pair.mlflow.forget_version(found["name"], int(found["version"]))
        elif theirs.ok and not ours.ok:
            self.take_back(call)
        self.look()

    def take_back(self, call: Call) -> None:
        """Make MLflow forget what we refused, by a difference that is documented."""
        raise AssertionError(f"nobody has said how to take this back: {call}")

    def look(self) -> None:
        """Everything that both hold."""
        seen: tuple[Moments, Moments] = ({}, {})
        for call in EVERYTHING:
            answers = self.ask(call)
            for moments, answer in zip(seen, answers, strict=True):
                moments.update(_moments(answer.body))
        moved = [_moved(before, after) for before, after in zip(self.moments, seen, strict=True)]
        assert moved[0] == moved[1], f"moments that moved on at MLflow: {moved[0]}, here: {moved[1]}"
        self.moments = seen


EVERYTHING: Final = (
    Call("GET", "registered-models/search", query=(("max_results", "1000"),)),
    Call("GET", "registered-models/search", query=(("filter", "tags.`mlflow.prompt.is_prompt` = 'true'"),)),
    Call("GET", "model-versions/search"),
    Call("GET", "model-versions/search", query=(("filter", "tags.`mlflow.prompt.is_prompt` = 'true'"),)),
)


def _moments(body: Any) -> Moments:
    found: Moments = {}
    for row in body.get("registered_models", []):
        found[(row["name"],)] = (row["creation_timestamp"], row["last_updated_timestamp"])
    for row in body.get("model_versions", []):
        found[(row["name"], row["version"])] = (row["creation_timestamp"], row["last_updated_timestamp"])
    return found


def _moved(before: Moments, after: Moments) -> dict[tuple[str, ...], tuple[bool, bool]]:
    """For each thing that was there before, whether its creation or its last change is another moment now."""
    return {
        key: (after[key][0] != before[key][0], after[key][1] != before[key][1])
        for key in after
        if key in before and after[key] != before[key]
    }


@pytest.mark.slow
@pytest.mark.timeout(0 if LONG else 600)
def test_the_same_calls_have_the_same_answers(pair: Pair) -> None:
    class Machine(Registries):
        """On these two servers."""

    Machine.pair = pair
    try:
        run_state_machine_as_test(Machine, settings=RUN)
    finally:
        print(dict(SEEN))  # noqa: T201 - for who asks with -s
