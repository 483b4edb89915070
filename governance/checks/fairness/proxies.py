"""``fairness.proxies``: whether the model's inputs give away a protected attribute that it may not use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from governance.checks import pictures as drawing
from governance.checks.contract import CheckInputs, Params
from governance.checks.manifests.fairness import PROXIES
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rowless import WholeCheck
from governance.checks.rows import columns
from governance.checks.rows.sampling import features_of, is_number, numbers_of, said, sample
from governance.checks.statistics import distances
from governance.checks.statistics.delong import Auc
from governance.checks.statistics.separable import HALVES, LEAST, told_apart

_SPECS = {spec.key: spec for spec in PROXIES.figures}


@dataclass(frozen=True, slots=True)
class ProxiesParams(Params):
    """Up to ``rows`` of the data are used, drawn with ``seed``; numbers are cut into ``bins`` to measure their association."""

    rows: int = 20_000
    bins: int = 10
    seed: int = 0

    def check(self) -> None:
        if not 100 <= self.rows <= 1_000_000 or not 2 <= self.bins <= 50 or self.seed < 0:
            raise CheckError("params.value", "“rows” is 100 to 1000000, “bins” 2 to 50, “seed” not negative.")


class Proxies(WholeCheck):
    """Each group of each sensitive column against all others, told apart by the inputs together and one by one."""

    manifest = PROXIES
    params = ProxiesParams

    def validate(self, inputs: CheckInputs) -> None:
        data = columns.rows_of(inputs)
        features_of(inputs)
        if not inputs.roles.sensitive:
            raise CheckError("data.sensitive_missing", "No column has the role sensitive. Name one in the policy.")
        for name in inputs.roles.sensitive:
            columns.check_groups(data, name)

    def finish(self, state: pa.Table, inputs: CheckInputs, params: ProxiesParams) -> CheckResult:
        whole = columns.rows_of(inputs).num_rows
        wanted = dict.fromkeys((*features_of(inputs), *inputs.roles.sensitive))
        data = sample(columns.rows_of(inputs).select(list(wanted)), params.rows, params.seed)
        names = [name for name in features_of(inputs) if name not in inputs.roles.sensitive]
        n = data.num_rows
        figures: list[Figure] = []
        rows: list[tuple[Cell, ...]] = []
        for attribute in inputs.roles.sensitive:
            group = np.array(columns.groups(data, attribute).to_pylist())
            known = [one for one in sorted(set(group.tolist())) if one != columns.UNKNOWN]
            figures += _joint(data.select(names), attribute, known, group, params.seed) or [_none(attribute, n)]
            rows += [
                (attribute, name, strength)
                for name in names
                if (strength := _association(data, name, group, params.bins)) is not None
            ]
        rows.sort(key=lambda row: (-float(row[2] or 0.0), str(row[0]), str(row[1])))
        spec = _SPECS["strongest_association"]
        strongest = rows[0] if rows else None
        value = None if strongest is None else float(strongest[2] or 0.0)
        figures.append(
            Figure(
                spec.key, spec.label, value, n, spec.better, group=str(strongest[1]) if strongest else None,
                reference=str(strongest[0]) if strongest else None, note="" if strongest else "No input can be associated.",
            )
        )  # fmt: skip
        columns_of = (("attribute", "Attribute"), ("feature", "Input"), ("strength", "Cramér's V"))
        return CheckResult(
            PROXIES.key, PROXIES.version, params.as_dict(), n, tuple(figures),
            tables=(Table("proxies", "Inputs and the attributes they go with", columns_of, tuple(rows[:50])),),
            pictures=_pictures(figures),
            findings=tuple(_findings(figures, rows)),
            limits=(
                "That inputs give an attribute away does not say that the model uses them so: read it with the fairness figures.",
                HALVES, *said(n, whole, params.seed),
                *(("Rows count alike: their weights are not used.",) if inputs.roles.weight else ()),
            ),
            facts={"inputs": len(names)},
        )  # fmt: skip


def _joint(inputs: pa.Table, attribute: str, known: list[str], group: np.ndarray, seed: int) -> list[Figure]:
    """How well each group is told from all other rows; of two groups that are all rows, once for both."""
    found: dict[str, Auc | None] = {}
    both = len(known) == 2 and not (group == columns.UNKNOWN).any()
    for one in known[:1] if both else known:
        kind = (group == one).astype("int64")
        found[one] = told_apart(inputs, kind, seed=seed) if inputs.num_columns else None
    if both:
        found[known[1]] = found[known[0]]
    return [_of_group(attribute, one, found[one], group) for one in known]


def _of_group(attribute: str, one: str, found: Auc | None, group: np.ndarray) -> Figure:
    spec = _SPECS["predictability"]
    mine = int((group == one).sum())
    note = (
        ""
        if found
        else f"“{one}” has {mine} rows and all others {len(group) - mine}; {LEAST} of each and an input are needed."
    )
    low, high = (found.interval() if found else None) or (None, None)
    return Figure(
        spec.key, spec.label, found.value if found else None, mine, spec.better, ci_low=low, ci_high=high, scale="logit",
        attribute=attribute, group=one, reference="all others", note=note,
    )  # fmt: skip


def _none(attribute: str, n: int) -> Figure:
    spec = _SPECS["predictability"]
    return Figure(spec.key, spec.label, None, n, spec.better, attribute=attribute, note="Every value is missing.")


def _association(data: pa.Table, name: str, group: np.ndarray, bins: int) -> float | None:
    """Cramér's V, bias-corrected (Bergsma, J. Korean Stat. Soc. 42, 2013), of a binned input and the attribute."""
    if is_number(data.schema.field(name).type):
        values = numbers_of(data, name)
        finite = values[np.isfinite(values)]
        edges = np.unique(np.quantile(finite, np.linspace(0, 1, bins + 1)[1:-1])) if len(finite) else np.zeros(0)
        place = np.where(np.isfinite(values), np.searchsorted(edges, values, side="left"), len(edges) + 1)
    else:
        _, place = np.unique(np.array(columns.groups(data, name).to_pylist()), return_inverse=True)
        if place.max(initial=0) >= 200:
            return None
    _, side = np.unique(group, return_inverse=True)
    cells = np.zeros((int(side.max()) + 1, int(place.max()) + 1), dtype="int64")
    np.add.at(cells, (side, place), 1)
    return distances.cramers_v(cells)


def _pictures(figures: list[Figure]) -> tuple[Picture, ...]:
    """How well each group is told apart."""
    shown = [figure for figure in figures if figure.key == "predictability" and figure.value is not None]
    if not 0 < len(shown) <= drawing.MOST_MARKS:
        return ()
    worst = max(shown, key=lambda figure: (figure.value or 0.0, figure.group or ""))
    most = f"{worst.value:.3f} ({worst.attribute}: {worst.group})"
    alt = (
        f"How well the inputs tell each group from all others (AUC, 95 % intervals; 0.5 is not at all): at most {most}."
    )
    rows: list[dict[str, Cell]] = [
        {"name": f"{one.attribute}: {one.group}", "value": one.value, "low": one.ci_low, "high": one.ci_high}
        for one in shown
    ]
    title = "How well inputs give groups away"
    return (drawing.ranges("predictability", title, alt, rows, value="AUC", by="Group", line=0.5),)


def _findings(figures: list[Figure], rows: list[tuple[Cell, ...]]) -> list[str]:
    measured = [figure for figure in figures if figure.key == "predictability" and figure.value is not None]
    if not measured:
        return ["No group is large enough to be told apart."]
    worst = max(measured, key=lambda figure: (figure.value or 0.0, figure.group or ""))
    made = [
        f"The inputs together tell {worst.attribute} = {worst.group} from all others with an AUC of {worst.value:.3f}."
    ]
    if rows:
        made.append(f"“{rows[0][1]}” goes with {rows[0][0]} most (Cramér's V {float(rows[0][2] or 0.0):.2f}).")
    return made
