"""Ranked lists: scikit-learn's NDCG and average precision, ties as the mean over their orders, and intervals over queries."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check

ITEMS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), st.integers(0, 3)), min_size=4, max_size=60)


def inputs_of(query: Any, score: Any, label: Any) -> CheckInputs:
    scores = pa.table({"score": np.asarray(score, dtype="float64")})
    return CheckInputs(pa.table({"q": query, "y": label}), Roles("y", id="q"), scores)


def ranking(query: Any, score: Any, label: Any, **params: Any) -> CheckResult:
    return run_check(get("performance.ranking"), inputs_of(query, score, label), {"min_queries": 2, **params})


@settings(max_examples=80, deadline=None)
@given(items=ITEMS, k=st.integers(1, 8))
def test_ndcg_and_map_are_scikit_learns(items: list[tuple[int, int, int]], k: int) -> None:
    query, score, label = (np.array(one) for one in zip(*items, strict=True))
    able = [name for name in np.unique(query) if (label[query == name] > 0).any()]
    assume(len(able) >= 2)
    result = ranking(query, score, label, k=k)
    ndcg, precision = [], []
    for name in able:
        here = query == name
        gain, order = label[here], score[here]
        # scikit-learn refuses lists of one item; one irrelevant item below all changes nothing.
        gain, order = np.append(gain, 0), np.append(order, -1)
        ndcg.append(sk.ndcg_score([gain], [order], k=k))
        precision.append(sk.average_precision_score(gain >= 1, order))
    assert result.figure("ndcg").value == pytest.approx(np.mean(ndcg), rel=1e-9, abs=1e-9)
    assert result.figure("map").value == pytest.approx(np.mean(precision), rel=1e-9, abs=1e-9)
    assert result.facts["queries_judged"] == len(able)


@settings(max_examples=60, deadline=None)
@given(items=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=6), k=st.integers(1, 4))
def test_ties_are_the_mean_over_their_orders(items: list[tuple[int, int]], k: int) -> None:
    score, label = (np.array(one) for one in zip(*items, strict=True))
    assume(label.any())
    ranks, shares = [], []
    for order in permutations(range(len(items))):
        if any(score[a] < score[b] for a, b in pairwise(order)):
            continue
        ordered = label[list(order)]
        ranks.append(1 / (1 + int(np.argmax(ordered))))
        shares.append(ordered[:k].sum() / label.sum())
    twice = ranking([0] * len(items) + [1] * len(items), np.tile(score, 2), np.tile(label, 2), k=k)
    assert twice.figure("mrr").value == pytest.approx(np.mean(ranks), rel=1e-9)
    assert twice.figure("recall").value == pytest.approx(np.mean(shares), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(items=ITEMS, shards=st.integers(2, 6), data=st.data())
def test_any_partition_merges_to_the_same_bits(
    items: list[tuple[int, int, int]], shards: int, data: st.DataObject
) -> None:
    query, score, label = (np.array(one) for one in zip(*items, strict=True))
    check, inputs = get("performance.ranking"), inputs_of(query, score, label)
    params = check.params.from_mapping({"min_queries": 2})
    whole = check.merge(check.map(part, params) for part in check.plan(inputs, params))
    parts = data.draw(st.permutations(check.plan(inputs, params, shards=shards)))
    merged = check.merge([check.map(part, params) for part in parts])
    assert merged.equals(whole)
    assert check.finish(merged, inputs, params).to_json() == check.finish(whole, inputs, params).to_json()


def test_exponential_gains() -> None:
    """Two queries [3, 2] and [2, 3] in the order of the model: DCG 7 + 3/log₂3 and 3 + 7/log₂3."""
    result = ranking([0, 0, 1, 1], [2, 1, 2, 1], [3, 2, 2, 3], gain="exponential")
    log = np.log2(3)
    assert result.figure("ndcg").value == pytest.approx((1 + (3 + 7 / log) / (7 + 3 / log)) / 2)


def test_queries_without_a_relevant_item_are_counted_and_not_judged() -> None:
    result = ranking(["a", "a", "b", "b", "c", "c"], [1, 2, 1, 2, 1, 2], [0, 1, 1, 0, 0, 0])
    assert (result.facts["queries"], result.facts["queries_judged"]) == (3, 2)
    assert result.figure("mrr").value == pytest.approx((1 + 0.5) / 2)


def test_too_few_queries_give_no_number() -> None:
    result = ranking([1, 1, 2, 2], [1, 2, 1, 2], [0, 1, 1, 0], min_queries=10)
    assert result.figure("ndcg").value is None
    assert "2 queries" in result.figure("ndcg").note


def test_a_perfect_ranking_keeps_an_honest_interval() -> None:
    query = np.repeat(np.arange(30), 5)
    figure = ranking(query, np.tile([5, 4, 3, 2, 1], 30), np.tile([1, 0, 0, 0, 0], 30)).figure("mrr")
    assert figure.value == 1.0
    assert 0.85 < (figure.ci_low or 0) < 0.95


def test_many_queries_take_students_interval() -> None:
    random = np.random.default_rng(1)
    query = np.repeat(np.arange(3000), 4)
    result = ranking(query, random.random(12000), random.integers(0, 2, 12000), k=2)
    for figure in result.figures:
        assert (figure.ci_low or 0) < (figure.value or 0) < (figure.ci_high or 0)


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        (CheckInputs(pa.table({"y": [1, 0]}), Roles("y"), pa.table({"score": [0.1, 0.2]})), "data.id_missing"),
        (inputs_of([1, None], [0.1, 0.2], [1, 0]), "data.id_null"),
        (inputs_of([1, 1], [0.1, 0.2], [1, -1]), "data.label_invalid"),
        (inputs_of([1, 1], [0.1, float("nan")], [1, 0]), "data.scores_invalid"),
        (inputs_of([1, 1], [0.1], [1, 0]), "data.rows_differ"),
        (CheckInputs(pa.table({"q": [1], "y": [1]}), Roles("y", id="q"), pa.table({"prediction": ["a"]})), "data.scores_missing"),
        (CheckInputs(pa.table({"q": [1], "y": [1]}), Roles("y", id="q")), "inputs.missing"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(inputs: CheckInputs, code: str) -> None:
    with pytest.raises(CheckError) as error:
        run_check(get("performance.ranking"), inputs)
    assert error.value.code == code
