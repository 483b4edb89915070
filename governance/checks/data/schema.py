"""``data.schema``: the columns of the test data against the model's own signature (MLmodel)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from governance.checks.contract import CheckInputs, Params
from governance.checks.manifests.data import SCHEMA
from governance.checks.results import CheckResult, Figure, Table
from governance.checks.rowless import WholeCheck
from governance.checks.rows import columns

_SPECS = {spec.key: spec for spec in SCHEMA.figures}
_NEEDS_EVERY_ROW: Final = frozenset({"integer", "long"})
"""numpy's whole numbers have no missing value, so that MLflow refuses one (its docs: Signature, integers)."""


class Schema(WholeCheck):
    """Reads the types and the numbers of empty cells; never a value."""

    manifest = SCHEMA
    params = Params

    def validate(self, inputs: CheckInputs) -> None:
        columns.rows_of(inputs)

    def finish(self, state: pa.Table, inputs: CheckInputs, params: Params) -> CheckResult:
        data = columns.rows_of(inputs)
        named = [one for one in inputs.signature or () if one.get("name")]
        if not named:
            reason = "The model has no signature with named inputs: log it with one (mlflow.models.infer_signature)."
            return CheckResult(SCHEMA.key, SCHEMA.version, params.as_dict(), 0, not_applicable=reason)
        rows = [_compared(one, data) for one in named]
        roles = inputs.roles
        parts = (roles.label, *roles.sensitive, roles.weight, roles.prediction, roles.id, roles.time)
        known = {str(one["name"]) for one in named} | {part for part in parts if part}
        extra = [name for name in data.column_names if name not in known]
        count = {kind: sum(row[4] == kind for row in rows) for kind in ("missing", "type", "empty")}
        figures = (
            _figure("missing_inputs", count["missing"], data), _figure("wrong_types", count["type"], data),
            _figure("empty_inputs", count["empty"], data), _figure("extra_columns", len(extra), data),
        )  # fmt: skip
        heads = (("input", "Input"), ("wanted", "The model takes"), ("found", "The data has"), ("said", "Says"))
        return CheckResult(
            SCHEMA.key, SCHEMA.version, params.as_dict(), data.num_rows, figures,
            tables=(Table("inputs", "Inputs of the model", heads, tuple(row[:4] for row in rows)),),
            findings=tuple(_findings(rows, extra)),
            limits=("Names and types only: a column can have the right type and hold something else.",),
            facts={"inputs": len(named), "columns": len(data.column_names)},
        )  # fmt: skip


def _compared(one: Mapping[str, Any], data: pa.Table) -> tuple[str, str, str, str, str]:
    """Name, wanted, found, what is said, and its kind: “missing”, “type”, “empty” or ""."""
    name, wanted = str(one["name"]), str(one.get("type", ""))
    required = one.get("required", True) is not False and not one.get("optional", False)
    if name not in data.column_names:
        return (
            name,
            wanted,
            "",
            "is not in the data" if required else "is not in the data, and need not be",
            "missing" if required else "",
        )
    column = data.column(name)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not fits(wanted, kind):
        return name, wanted, str(kind), "has another type", "type"
    if column.null_count and required and wanted in _NEEDS_EVERY_ROW:
        return name, wanted, str(kind), f"is empty in {column.null_count} rows, which its type cannot be", "empty"
    return name, wanted, str(kind), "", ""


def fits(wanted: str, kind: pa.DataType) -> bool:
    """Whether values of that Arrow type can be given without loss to an input of MLflow's type.

    As mlflow.models.utils._enforce_mlflow_datatype (3.17): numbers may widen, whole ones to a double from at most 32 bits;
    nothing narrows and nothing is parsed. Types that are not MLflow's plain ones are not judged.
    """
    if pa.types.is_null(kind):
        return True
    bits = kind.bit_width if pa.types.is_integer(kind) or pa.types.is_floating(kind) else 0
    whole, unsigned = pa.types.is_integer(kind), pa.types.is_unsigned_integer(kind)
    judged: Mapping[str, bool] = {
        "boolean": pa.types.is_boolean(kind),
        "integer": whole and bits <= (16 if unsigned else 32),
        "long": whole and bits <= (32 if unsigned else 64),
        "float": pa.types.is_floating(kind) and bits <= 32,
        "double": pa.types.is_floating(kind) or pa.types.is_decimal(kind) or (whole and bits <= 32),
        "string": pa.types.is_string(kind) or pa.types.is_large_string(kind),
        "binary": pa.types.is_binary(kind) or pa.types.is_large_binary(kind),
        "datetime": pa.types.is_temporal(kind),
    }
    return judged.get(wanted, True)


def _figure(key: str, count: int, data: pa.Table) -> Figure:
    spec, number = _SPECS[key], float(count)
    return Figure(key, spec.label, number, data.num_rows, spec.better, ci_low=number, ci_high=number)


def _findings(rows: Sequence[tuple[str, str, str, str, str]], extra: Sequence[str]) -> Iterator[str]:
    for name, wanted, found, said, kind in rows:
        if kind == "type":
            yield f"“{name}” {said}: the model takes {wanted}, the data has {found}."
        elif kind:
            yield f"“{name}” {said}."
    if extra:
        shown = ", ".join(extra[:20])
        yield f"The data has {len(extra)} columns that the model does not take: {shown}{' …' if len(extra) > 20 else ''}."
    if not extra and not any(row[4] for row in rows):
        yield "The data has every input of the model, in its type, and nothing else."
