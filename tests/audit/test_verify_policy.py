"""How the verifier reads a policy: the same as YAML does, or not at all."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from audit.exports import verify as program
from audit.exports.verify import Broken, Slot
from governance.policy import parse
from governance.policy.parser import built_in
from tests.factories.governance import TWO_APPROVERS, VALIDATOR_THEN_APPROVER

WORDS = st.sampled_from(
    ["approver", "validator", "sign-off", "four eyes", "yes", "no", "on", "null", "007", "12", "it's", "a: b", "#x"]
)
RULES = st.fixed_dictionaries({"role": WORDS, "n": st.integers(1, 12)}, optional={"independent": st.booleans()})
STAGES = st.lists(
    st.fixed_dictionaries({"stage": WORDS, "all": st.lists(RULES, min_size=1, max_size=3)}), min_size=1, max_size=3
)


def read(text: str) -> list[list[Slot]]:
    return program.review_of(text.encode())


def meant(stages: Any) -> list[list[Slot]]:
    return [[Slot(one["role"], one["n"], one.get("independent", False)) for one in stage["all"]] for stage in stages]


@given(STAGES, st.sampled_from([True, False, None]), st.integers(2, 6), st.sampled_from([None, "'", '"']))
def test_it_reads_what_yaml_reads_or_refuses(stages: Any, flow: bool | None, indent: int, quote: str | None) -> None:
    document = {"policy": "house", "title": "Ours: don't", "review": stages, "waivers": {"by": stages[0]["all"][0]}}
    text = yaml.safe_dump(document, default_flow_style=flow, indent=indent, sort_keys=False, default_style=quote)
    try:
        found = read(text)
    except Broken:
        return
    assert found == meant(yaml.safe_load(text)["review"])


@given(st.text(alphabet=" \n-:[]{}',\"#&*!|>?abrolenvwst0123", max_size=120))
def test_whatever_it_is_given_it_reads_what_yaml_reads_or_refuses(tail: str) -> None:
    text = f"policy: x\nreview:{tail}\n"
    try:
        found = read(text)
    except Broken:
        return
    assert found == meant(yaml.safe_load(text)["review"])


@pytest.mark.parametrize("text", [TWO_APPROVERS, VALIDATOR_THEN_APPROVER, built_in().decode()])
def test_it_reads_the_policies_that_are_used(text: str) -> None:
    policy = parse(text.encode())
    wanted = [[Slot(one.role, one.n, one.independent) for one in stage.all] for stage in policy.review]
    assert read(text) == wanted
    rule = program.waived_by(text.encode())
    assert rule is not None
    assert policy.waivers is not None
    assert (rule.role, rule.n) == (policy.waivers.by.role, policy.waivers.by.n)


@pytest.mark.parametrize(
    "text",
    [
        "policy: x\n",
        "review:\n",
        "review: []\n",
        "review: strict\n",
        '"review":\n  - stage: a\n    all: [{role: approver, n: 1}]\n',
        "review: &a\n  - stage: a\n    all: [{role: approver, n: 1}]\n",
        "review:\n  - stage: a\n    all: [{role: approver, n: 1}]\nreview:\n  - stage: a\n    all: [{role: approver, n: 9}]\n",
        'title: "a\nreview:\n  - stage: a\n    all: [{role: approver, n: 1}]\n"\n',
        "title: 'a\nreview:\n  - stage: a\n    all: [{role: approver, n: 1}]\n'\n",
        "review:\n  - stage: a\n    all: [{role: approver, n: 1}]\n---\nreview: []\n",
        "review:\n  - stage: a\n    all: [{role: approver, n: 0}]\n",
        "review:\n  - stage: a\n    all: [{role: approver, n: 01}]\n",
        "review:\n  - stage: a\n    all: [{role: approver, n: 0x2}]\n",
        "review:\n  - stage: a\n    all: [{role: approver, n: 2, n: 1}]\n",
        "review:\n  - stage: a\n    all: [{role: approver, n: 1, unless: friday}]\n",
        "review:\n  - stage: a\n    all: []\n",
        "review:\n  - stage: a\n    any: [{role: approver, n: 1}]\n",
        "review: |\n  - stage: a\n",
        "review:\n\t- stage: a\n",
        "review:\n  - stage: !!str a\n    all: [{role: approver, n: 1}]\n",
        "review:\n  - stage: a\n    all: [{role: approver, n: 1}\n",
        "{review: [{stage: a, all: [{role: approver, n: 1}]}]}\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(Broken):
        read(text)
