"""Reading a fitted model as a sum: trees with their thresholds, or weights of a linear model. Only in the child.

The sum is what the explanation is computed from, outside, by trusted code; what is read here is believed only as far as the
model's own answers agree with it. Models that are no such sum raise ``NotAdditiveError`` with the reason.
Layouts: scikit-learn's ``Tree`` (sklearn/tree/_tree.pyx) and ``TreePredictor`` (ensemble/_hist_gradient_boosting/predictor.py).
"""

# ruff: noqa: ANN401 - a model, and what it returns, can be anything
from __future__ import annotations

from typing import Any

import numpy as np

from governance.sandbox.child import boosters
from governance.sandbox.child.sums import Additive, Nodes, NotAdditiveError

_TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")
_FORESTS = ("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor")
_BOOSTED = ("GradientBoostingClassifier", "GradientBoostingRegressor")
_HISTOGRAM = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
_LINEAR = ("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV")
_LOGISTIC = ("LogisticRegression", "LogisticRegressionCV")


def read(model: Any, positive: Any) -> Additive:
    """The last step of a pipeline as a sum. Raises ``NotAdditiveError``."""
    library, name = type(model).__module__.partition(".")[0], type(model).__name__
    if library in ("xgboost", "lightgbm"):
        return _booster(model, f"{library}.{name}", positive)
    name = name if library == "sklearn" else ""
    readers = {**dict.fromkeys(_TREES, _tree), **dict.fromkeys(_FORESTS, _forest), **dict.fromkeys(_BOOSTED, _boosted),
               **dict.fromkeys(_HISTOGRAM, _histogram), **dict.fromkeys(_LINEAR, _linear),
               **dict.fromkeys(_LOGISTIC, _logistic)}  # fmt: skip
    if name not in readers:
        raise NotAdditiveError(f"is a {type(model).__name__}, which is not read as trees or weights")
    return readers[name](model, _side(model, positive))


def _booster(model: Any, name: str, positive: Any) -> Additive:
    """Of the other libraries. Raises ``NotAdditiveError``."""
    readers = {
        "xgboost.Booster": boosters.xgboost, "lightgbm.Booster": boosters.lightgbm,
        "xgboost.XGBClassifier": boosters.xgboost, "xgboost.XGBRegressor": boosters.xgboost,
        "lightgbm.LGBMClassifier": boosters.lightgbm, "lightgbm.LGBMRegressor": boosters.lightgbm,
    }  # fmt: skip
    if name not in readers:
        raise NotAdditiveError(f"is a {type(model).__name__}, which is not read as trees or weights")
    return readers[name](model, 1 if name.endswith(".Booster") else _side(model, positive))


def _side(model: Any, positive: Any) -> int:
    """The column of the positive class; 0 for regression. The rule is that of ``scoring.scores``."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        return 0
    if len(np.shape(classes)) != 1 or len(classes) != 2:
        raise NotAdditiveError("has other than two classes")
    return 1 if positive is None else [str(one) for one in classes].index(str(positive))


def _tree(model: Any, side: int) -> Additive:
    nodes = Nodes()
    _add(nodes, model, side, 1.0)
    return Additive("identity", 0.0, nodes, single=True)


def _forest(model: Any, side: int) -> Additive:
    nodes = Nodes()
    for one in model.estimators_:
        _add(nodes, one, side, 1.0 / len(model.estimators_))
    return Additive("identity", 0.0, nodes, single=True)


def _add(nodes: Nodes, model: Any, side: int, scale: float) -> None:
    tree = model.tree_
    if tree.value.shape[1] != 1:
        raise NotAdditiveError("has several outputs")
    missing = getattr(tree, "missing_go_to_left", np.zeros(tree.node_count, dtype=bool))
    value = tree.value[:, 0, side] * scale
    nodes.add(tree.children_left, tree.children_right, tree.feature, tree.threshold, missing_left=missing, value=value)


def _boosted(model: Any, side: int) -> Additive:
    if model.estimators_.shape[1] != 1:
        raise NotAdditiveError("has other than two classes")
    classifier = hasattr(model, "classes_")
    base = 0.0
    if model.init_ != "zero":
        if type(model.init_).__name__ not in ("DummyClassifier", "DummyRegressor"):
            raise NotAdditiveError("starts from another model")
        base = float(model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype="float32"))[0, 0])
    sign = -1.0 if classifier and side == 0 else 1.0
    if model.loss == "exponential":  # its probability is the logistic function of twice the sum
        sign *= 2.0
    nodes = Nodes()
    for one in model.estimators_[:, 0]:
        _add(nodes, one, 0, sign * model.learning_rate)
    return Additive("logit" if classifier else "identity", sign * base, nodes, single=True)


def _histogram(model: Any, side: int) -> Additive:
    if model.n_trees_per_iteration_ != 1:
        raise NotAdditiveError("has other than two classes")
    links = {"IdentityLink": "identity", "LogLink": "log", "LogitLink": "logit"}
    link = links.get(type(model._loss.link).__name__)
    if link is None:
        raise NotAdditiveError("has an unusual link between its sum and its output")
    sign = -1.0 if link == "logit" and side == 0 else 1.0
    nodes = Nodes()
    for (predictor,) in model._predictors:
        one = predictor.nodes
        inner = one["is_leaf"] == 0
        categories = [
            predictor.raw_left_cat_bitsets[at].tolist() if is_set and is_inner else None
            for at, is_set, is_inner in zip(one["bitset_idx"], one["is_categorical"], inner, strict=True)
        ]
        left, right = (np.where(inner, one[name].astype("int64"), -1) for name in ("left", "right"))
        missing = one["missing_go_to_left"] == 1
        nodes.add(
            left, right, one["feature_idx"], one["num_threshold"],
            missing_left=missing, value=sign * one["value"], categories=categories,
        )  # fmt: skip
    base = float(np.ravel(model._baseline_prediction)[0])
    return Additive(link, sign * base, nodes)


def _linear(model: Any, side: int) -> Additive:
    weights = np.asarray(model.coef_, dtype="float64")
    if weights.ndim == 2 and len(weights) != 1:
        raise NotAdditiveError("has several outputs")
    return Additive("identity", float(np.ravel(model.intercept_)[0]), Nodes(), weights.ravel())


def _logistic(model: Any, side: int) -> Additive:
    made = _linear(model, side)
    sign = 1.0 if side == 1 else -1.0
    return Additive("logit", sign * made.base, made.nodes, sign * made.weights)
