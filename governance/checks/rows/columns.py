"""Reading the columns that checks need, with one clear error for each thing that can be wrong."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks.contract import CheckInputs
from governance.checks.results import CheckError
from governance.checks.statistics import streamed

UNKNOWN = "(unknown)"
MAX_GROUPS = 50
_LOOK = 100_000


def rows_of(inputs: CheckInputs) -> pa.Table:
    """The data, not empty. Raises ``CheckError``."""
    if inputs.data is None:
        raise CheckError("inputs.missing", "This check needs a data set, and none was given.")
    if inputs.data.num_rows == 0:
        raise CheckError("data.empty", "The data set has no rows.")
    return inputs.data


def split(inputs: CheckInputs, shards: int) -> tuple[CheckInputs, ...]:
    """Cut data and predictions at the same rows into at most ``shards`` parts."""
    data = rows_of(inputs)
    edges = np.linspace(0, data.num_rows, max(1, min(shards, data.num_rows)) + 1).astype(int).tolist()
    parts = []
    for start, stop in pairwise(edges):
        cut = {
            name: table.slice(start, stop - start)
            for name in ("data", "predictions", "champion")
            if (table := getattr(inputs, name)) is not None
        }
        parts.append(replace(inputs, **cut))
    return tuple(parts)


def column(data: pa.Table, name: str | None, *, code: str, what: str) -> pa.ChunkedArray:
    """A column by name. Raises ``CheckError`` naming it."""
    if name is None:
        raise CheckError(code, f"No column has the role {what}. Say which column it is.")
    if name not in data.column_names:
        raise CheckError(code, f"The data set has no column “{name}”, which the policy names as {what}.", name)
    return data.column(name)


def check_binary_label(inputs: CheckInputs, *, both: bool = True) -> None:
    """Whether the label is whole and binary; ``both``: and has both classes. Raises ``CheckError``."""
    name = inputs.roles.label
    label = column(rows_of(inputs), name, code="data.label_missing", what="label")
    if _plainly_binary(label, inputs.roles.positive, both=both):
        return
    check_whole(label, name)
    if streamed.distinct(label, 2) > 2:
        some = ", ".join(map(str, pc.unique(label.slice(0, _LOOK)).to_pylist()[:4]))
        raise CheckError("data.label_not_binary", f"The label “{name}” has more than two values ({some}, …).", name)
    values = pc.unique(label).to_pylist()
    if inputs.roles.positive is None and not all(value in (0, 1) for value in values):
        listed = ", ".join(map(str, values))
        sentence = f"The label “{name}” has the values {listed}, not 0 and 1. Say which of them is the positive class."
        raise CheckError("data.label_not_binary", sentence, name)
    found = pc.unique(binary_label(inputs)).to_pylist()
    if both and len(found) == 1:
        raise CheckError("data.label_one_class", f"Every row has the same label “{name}” = {values[0]}.", name)


def _plainly_binary(label: pa.ChunkedArray, positive: str | int | None, *, both: bool) -> bool:
    """Whether these are whole numbers 0 and 1 (both of them, if asked), by one quick pass; False says nothing."""
    if positive is not None or label.null_count or not pa.types.is_integer(label.type):
        return False
    ends = pc.min_max(label).as_py()
    return ends == {"min": 0, "max": 1} or (not both and ends["min"] in (0, 1) and ends["max"] in (0, 1))


def binary_label(inputs: CheckInputs) -> pa.Array:
    """The label as 0 and 1 (int8); for shards of checked inputs."""
    label = rows_of(inputs).column(str(inputs.roles.label))
    return is_positive(label, inputs.roles.positive)


def is_positive(values: pa.ChunkedArray, positive: str | int | None) -> pa.Array:
    """1 where a value is the positive class (1 or true when ``positive`` is None), else 0."""
    wanted = 1 if positive is None else positive
    distinct = [value for value in pc.unique(values).to_pylist() if value == wanted or str(value) == str(wanted)]
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    hits = pc.is_in(values, value_set=pa.array(distinct, type=values.type))
    return _one(hits).cast(pa.int8())


def number_label(inputs: CheckInputs) -> pa.Array:
    """The label as float64. Raises ``CheckError``."""
    name = inputs.roles.label
    label = column(rows_of(inputs), name, code="data.label_missing", what="label")
    check_whole(label, name)
    if not (pa.types.is_integer(label.type) or pa.types.is_floating(label.type)):
        raise CheckError("data.label_not_number", f"The label “{name}” holds no numbers.", name)
    return _one(label).cast(pa.float64())


def check_whole(label: pa.ChunkedArray, name: str | None) -> None:
    """Whether every row has a label. Raises ``CheckError``."""
    bad = pc.is_null(label, nan_is_null=pa.types.is_floating(label.type))
    empty = pc.sum(bad).as_py()
    if empty:
        raise CheckError("data.label_null", f"The label “{name}” is missing (empty or NaN) in {empty} rows.", name)
    if pa.types.is_floating(label.type) and not pc.all(pc.is_finite(label)).as_py():
        raise CheckError("data.label_null", f"The label “{name}” holds infinite numbers.", name)


def check_predictions(inputs: CheckInputs, which: str = "predictions", *, scores: bool = False) -> None:
    """Whether predictions are there, of the data's length and usable. Raises ``CheckError``."""
    table = getattr(inputs, which)
    if table is None:
        raise CheckError("inputs.missing", f"This check needs {which}, and none were given.")
    if table.num_rows != rows_of(inputs).num_rows:
        sentence = f"There are {table.num_rows} {which} for {rows_of(inputs).num_rows} rows of data."
        raise CheckError("data.rows_differ", sentence)
    if scores and "score" not in table.column_names:
        raise CheckError("data.scores_missing", "The model gives no probabilities, which this check needs.", "score")
    if "score" in table.column_names:
        score = table.column("score")
        bad = score.null_count or score.type != pa.float64()
        if bad or not all(_are_shares(chunk.to_numpy(zero_copy_only=False)) for chunk in score.chunks):
            raise CheckError("data.scores_invalid", "The scores must be probabilities: numbers from 0 to 1.", "score")
    elif "prediction" not in table.column_names:
        raise CheckError("data.predictions_invalid", "The predictions have neither “score” nor “prediction”.")
    elif table.column("prediction").null_count:
        raise CheckError("data.predictions_invalid", "Some predictions are missing.", "prediction")


def _are_shares(values: np.ndarray) -> bool:
    """Whether all lie from 0 to 1; a NaN is the smallest and largest of any numbers, so that it does not."""
    return not len(values) or bool(values.min() >= 0 and values.max() <= 1)


def scores(inputs: CheckInputs, which: str = "predictions") -> pa.Array | None:
    """The probabilities, or None when the model gives none."""
    table = getattr(inputs, which)
    return _one(table.column("score")) if "score" in table.column_names else None


def decisions(inputs: CheckInputs, threshold: float, which: str = "predictions") -> pa.Array:
    """The decisions as 0 and 1: score at or above the threshold, or the model's own label if it gives no scores."""
    found = scores(inputs, which)
    if found is not None:
        return pc.greater_equal(found, threshold).cast(pa.int8())
    return is_positive(getattr(inputs, which).column("prediction"), inputs.roles.positive)


def check_groups(data: pa.Table, name: str) -> None:
    """Whether a sensitive column is there and has few enough values. Raises ``CheckError``."""
    found = column(data, name, code="data.sensitive_missing", what="sensitive")
    if pa.types.is_dictionary(found.type) and all(len(one.dictionary) <= MAX_GROUPS for one in found.chunks[:1]):
        found = found.unify_dictionaries()
        if all(len(one.dictionary) <= MAX_GROUPS for one in found.chunks[:1]):
            return
    if streamed.distinct(found, MAX_GROUPS) > MAX_GROUPS:
        sentence = f"The sensitive column “{name}” has more than {MAX_GROUPS} values. Put them into bands first."
        raise CheckError("data.sensitive_many", sentence, name)


def groups(data: pa.Table, name: str) -> pa.Array:
    """The groups as text; what is missing is its own group, and shown."""
    values = _one(data.column(name))
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    return pc.fill_null(values.cast(pa.string()), UNKNOWN)


def words(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Classes as text, so that 1 and 1.0 are one class whatever type the model gives."""
    made = _one(values)
    if pa.types.is_dictionary(made.type):
        made = made.dictionary_decode()
    whole = pa.types.is_floating(made.type) and len(made) and pc.all(pc.equal(pc.floor(made), made)).as_py()
    if whole and pc.max(pc.abs(made)).as_py() < 2**53:
        made = made.cast(pa.int64())
    return made.cast(pa.string())


def declared_groups(data: pa.Table, name: str) -> list[str]:
    """Groups that the column's type declares, also those without a row."""
    kind = data.schema.field(name).type
    if not pa.types.is_dictionary(kind):
        return []
    values = data.column(name).unify_dictionaries()
    return [str(value) for chunk in values.chunks[:1] for value in chunk.dictionary.to_pylist()]


def _one(values: pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
