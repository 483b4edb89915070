"""Reading the trees of XGBoost and LightGBM models, where these libraries are in the model's environment. Only in the child.

Layouts: XGBoost's JSON model (doc/model.schema), LightGBM's ``dump_model`` (src/io/tree.cpp, ``Tree::ToJSON``, and for what is
missing ``NumericalDecision`` in include/LightGBM/tree.h).
"""

# ruff: noqa: ANN401 - a model, and what it returns, can be anything
from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from governance.sandbox.child.sums import Additive, Nodes, NotAdditiveError

_LOG = ("poisson", "gamma", "tweedie")
_WORDS = 8


def xgboost(model: Any, side: int) -> Additive:
    """A gradient-boosted model with one output. Raises ``NotAdditiveError``."""
    if not math.isnan(float(getattr(model, "missing", math.nan))):
        raise NotAdditiveError("has its own mark for missing values")
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    best = getattr(model, "best_iteration", None) if getattr(model, "early_stopping_rounds", None) else None
    document = json.loads(bytes((booster if best is None else booster[: best + 1]).save_raw("json")))["learner"]
    link = _link(document["objective"]["name"].partition(":")[2])
    gradient = document["gradient_booster"]
    if gradient["name"] != "gbtree":
        raise NotAdditiveError(f"is boosted by {gradient['name']}")
    sign = -1.0 if link == "logit" and side == 0 else 1.0
    nodes = Nodes()
    for one in gradient["model"]["trees"]:
        if any(one.get("split_type", ())):
            raise NotAdditiveError("splits on categories of its own encoding")
        left, right = np.array(one["left_children"]), np.array(one["right_children"])
        values = np.array(one["split_conditions"], dtype="float32")
        below = np.nextafter(values, np.float32(-np.inf)).astype("float64")  # it goes left below, not at the threshold
        missing = np.array(one["default_left"], dtype=bool)
        columns = {"column": one["split_indices"], "threshold": below, "missing_left": missing, "value": sign * values}
        _ordered(nodes, left, right, {name: np.asarray(column, dtype="float64") for name, column in columns.items()})
    start = float(str(document["learner_model_param"]["base_score"]).strip("[]"))
    base = {"logit": lambda: math.log(start / (1 - start)), "log": lambda: math.log(start)}.get(link, lambda: start)()
    return Additive(link, sign * base, nodes, single=True)


def lightgbm(model: Any, side: int) -> Additive:
    """A gradient-boosted model or forest with one output. Raises ``NotAdditiveError``."""
    dumped = (model.booster_ if hasattr(model, "booster_") else model).dump_model()
    if dumped.get("pandas_categorical"):
        raise NotAdditiveError("encodes categories by itself")
    if dumped.get("num_tree_per_iteration", 1) != 1:
        raise NotAdditiveError("has other than two classes")
    name, *details = str(dumped.get("objective", "")).split()
    link = _link("logistic" if name == "binary" else name)
    steep = next((float(one.partition(":")[2]) for one in details if one.startswith("sigmoid:")), 1.0)
    sign = (-1.0 if link == "logit" and side == 0 else 1.0) * (steep if link == "logit" else 1.0)
    scale = sign / (len(dumped["tree_info"]) if dumped.get("average_output") else 1)
    nodes = Nodes()
    for one in dumped["tree_info"]:
        _grown(nodes, one["tree_structure"], scale)
    return Additive(link, 0.0, nodes)


def _link(objective: str) -> str:
    if objective.startswith("logistic"):
        return "logit"
    return "log" if objective in _LOG else "identity"


def _ordered(nodes: Nodes, left: Any, right: Any, columns: dict[str, Any]) -> None:
    """A tree whose children may stand before their parents: put in order from the root."""
    order = [0]
    for one in order:  # which grows meanwhile
        if left[one] >= 0:
            order += [int(left[one]), int(right[one])]
    place = {one: at for at, one in enumerate(order)}
    to_left, to_right = ([place[int(side[one])] if left[one] >= 0 else -1 for one in order] for side in (left, right))
    rest = {name: column[order] for name, column in columns.items()}
    missing = rest["missing_left"] > 0
    nodes.add(
        to_left, to_right, rest["column"].astype("int64"), rest["threshold"], missing_left=missing, value=rest["value"]
    )


def _grown(nodes: Nodes, root: dict[str, Any], scale: float) -> None:
    """One nested tree of LightGBM, as a list from its root."""
    waiting, left, right = [root], [], []
    cells: list[tuple[Any, ...]] = []
    for one in waiting:  # which grows meanwhile
        if "split_feature" not in one:
            children = (-1, -1)
            cells.append((0, 0.0, False, scale * float(one["leaf_value"]), None))
        else:
            children = (len(waiting), len(waiting) + 1)
            cells.append((int(one["split_feature"]), *_split(one)))
            waiting += [one["left_child"], one["right_child"]]
        left.append(children[0])
        right.append(children[1])
    column, threshold, missing, value, categories = (list(one) for one in zip(*cells, strict=True))
    nodes.add(left, right, column, threshold, missing_left=missing, value=value, categories=categories)


def _split(one: dict[str, Any]) -> tuple[float, bool, float, list[int] | None]:
    """Threshold, whether what is missing goes left, no value, and the categories that go left."""
    kind = one["missing_type"]
    if kind == "Zero":
        raise NotAdditiveError("takes zeros for missing values")
    if one["decision_type"] == "<=":
        threshold = float(one["threshold"])
        return threshold, bool(one["default_left"]) if kind == "NaN" else threshold >= 0, 0.0, None
    known = [int(word) for word in str(one["threshold"]).split("||")]
    if max(known) >= 32 * _WORDS:
        raise NotAdditiveError("has more categories than can be kept")
    words = [0] * _WORDS
    for category in known:
        words[category // 32] |= 1 << category % 32
    return 0.0, kind != "NaN" and bool(words[0] & 1), 0.0, words
