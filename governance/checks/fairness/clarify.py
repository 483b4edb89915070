"""``fairness.clarify``: the bias figures of Amazon SageMaker Clarify under its names, for each group against all others.

"Facet d" is the group, "facet a" everybody else. Pre-training figures look at labels, post-training ones at decisions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.manifests.fairness import CLARIFY
from governance.checks.results import CheckError, CheckResult, Figure, Table
from governance.checks.rows import columns
from governance.checks.statistics.counts import counted, merged, numbers
from governance.checks.statistics.intervals import Interval, miettinen_nurminen, newcombe

_SPECS = {spec.key: spec for spec in CLARIFY.figures}
_NO_STRATA = "No column to condition on was named (parameter “strata”)."


@dataclass(frozen=True, slots=True)
class ClarifyParams(Params):
    """``strata``: the column that conditional disparity is conditioned on. ``min_group``: rows on either side."""

    threshold: float = 0.5
    strata: str = ""
    min_group: int = 20

    def check(self) -> None:
        if not 0 < self.threshold < 1:
            raise CheckError("params.value", "The parameter “threshold” must lie between 0 and 1.")
        if self.min_group < 1:
            raise CheckError("params.value", "“min_group” must be at least 1.")


class ClarifyBias(Check):
    """State: counts of (attribute, group, y, decision, stratum)."""

    manifest = CLARIFY
    params = ClarifyParams

    def plan(self, inputs: CheckInputs, params: ClarifyParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        data = columns.rows_of(inputs)
        if not inputs.roles.sensitive:
            raise CheckError("data.sensitive_missing", "No column has the role sensitive. Name one in the policy.")
        for name in (*inputs.roles.sensitive, *((params.strata,) if params.strata else ())):
            columns.check_groups(data, name)
        columns.check_binary_label(inputs, both=False)
        columns.check_predictions(inputs)
        return columns.split(inputs, shards)

    def map(self, shard: CheckInputs, params: ClarifyParams) -> pa.Table:
        data = columns.rows_of(shard)
        y, decision = columns.binary_label(shard), columns.decisions(shard, params.threshold)
        stratum = columns.groups(data, params.strata) if params.strata else pa.array([""] * len(y), pa.string())
        states = []
        for name in shard.roles.sensitive:
            attribute = pa.array([name] * len(y), pa.string())
            keys = {"attribute": attribute, "group": columns.groups(data, name), "y": y, "decision": decision}
            states.append(counted(pa.table({**keys, "stratum": stratum})))
        return merged(states)

    def finish(self, state: pa.Table, inputs: CheckInputs, params: ClarifyParams) -> CheckResult:
        attribute, group, stratum = (
            np.array(state.column(key).to_pylist()) for key in ("attribute", "group", "stratum")
        )
        y, decision, count = (numbers(state, key).astype("int64") for key in ("y", "decision", "count"))
        figures: list[Figure] = []
        tables: list[Table] = []
        n = 0
        for name in inputs.roles.sensitive:
            here = attribute == name
            n = int(count[here].sum())
            names = sorted(set(group[here].tolist()))
            rows = []
            for one in names:
                mine = group[here] == one
                sides = _Facets(mine, y[here], decision[here], stratum[here], count[here])
                made = _figures(sides, name, one, params)
                figures += made
                rows.append((name, one, sides.n(1), *(figure.value for figure in made)))
            labels = (("attribute", "Attribute"), ("group", "Group"), ("n", "Rows"))
            shown = tuple((key, key.upper()) for key in _SPECS)
            tables.append(
                Table(f"clarify:{name}", f"{name}, each group against all others", (*labels, *shown), tuple(rows))
            )
        return CheckResult(
            CLARIFY.key, CLARIFY.version, params.as_dict(), n, tuple(figures), tuple(tables),
            findings=tuple(_findings(figures)),
            limits=(
                "Each group is compared with everybody else, not with the best-off group as in fairness.groups.",
                "The flip test (FT) is the check fairness.flip_test: it needs every row's nearest neighbours, not counts.",
                "Only differences of rates and their ratio have intervals; the other figures are plain numbers.",
                "Rows count alike, whatever their weight, as in Clarify.",
            ),
            facts={"strata": params.strata},
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Facets:
    """The cells of one group (facet d, 1) and of all others (facet a, 0)."""

    mine: np.ndarray
    y: np.ndarray
    decision: np.ndarray
    stratum: np.ndarray
    count: np.ndarray

    def n(self, side: int, *, y: int | None = None, decision: int | None = None) -> int:
        """Rows of a side, with that label and decision."""
        chosen = self.mine == bool(side)
        for values, wanted in ((self.y, y), (self.decision, decision)):
            if wanted is not None:
                chosen = chosen & (values == wanted)
        return int(self.count[chosen].sum())

    def shares(self, side: int) -> tuple[float, float]:
        """The distribution of the label: shares of 0 and 1."""
        total = self.n(side)
        return self.n(side, y=0) / total, self.n(side, y=1) / total

    def conditional_disparity(self, outcome: np.ndarray) -> float:
        """Σ nᵢ·DDᵢ / n over strata, DD = the group's share of the rejected minus its share of the accepted."""
        total = 0.0
        for stratum in sorted(set(self.stratum.tolist())):
            here = self.stratum == stratum
            shares = []
            for value in (0, 1):
                all_of = self.count[here & (outcome == value)].sum()
                own = self.count[here & (outcome == value) & self.mine].sum()
                shares.append(own / all_of if all_of else 0.0)
            total += float(self.count[here].sum() * (shares[0] - shares[1]))
        return total / float(self.count.sum())


Value = tuple[float | None, Interval | None]


def _rates(hits: tuple[int, int], of: tuple[int, int], *, first: int) -> Value:
    """Rate of side ``first`` minus the other's, with Newcombe's interval; ``hits`` and ``of`` are (a, d)."""
    if not all(of):
        return None, None
    a, b = first, 1 - first
    value = hits[a] / of[a] - hits[b] / of[b]
    return value, newcombe(hits[a], of[a], hits[b], of[b])


def _pair(f: _Facets, **cell: int) -> tuple[int, int]:
    return f.n(0, **cell), f.n(1, **cell)


def _plain(value: float | None) -> Value:
    return value, None


def _quotient(top: int, bottom: int) -> float | None:
    return top / bottom if bottom else None


def _minus(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


def _divergence(p: tuple[float, float], q: tuple[float, float]) -> float | None:
    """Kullback-Leibler, nats; None where q lacks a label that p has."""
    if any(a > 0 and b == 0 for a, b in zip(p, q, strict=True)):
        return None
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def _jensen_shannon(f: _Facets) -> float | None:
    p, q = f.shares(0), f.shares(1)
    middle = ((p[0] + q[0]) / 2, (p[1] + q[1]) / 2)
    parts = [_divergence(one, middle) for one in (p, q)]
    return None if None in parts else sum(part for part in parts if part is not None) / 2


def _impact(f: _Facets) -> Value:
    (a, d), (n, m) = _pair(f, decision=1), _pair(f)
    return (None, None) if a == 0 else ((d / m) / (a / n), miettinen_nurminen(d, m, a, n))


def _entropy(f: _Facets) -> float | None:
    """Generalised entropy of order 2 of the benefits ŷ - y + 1 (Speicher et al. 2018)."""
    benefit = f.decision - f.y + 1
    n = float(f.count.sum())
    mean = float((benefit * f.count).sum()) / n
    return float((f.count * (benefit - mean) ** 2).sum()) / (2 * n * mean**2) if mean else None


def _errors(f: _Facets, side: int) -> float | None:
    return _quotient(f.n(side, y=1, decision=0), f.n(side, y=0, decision=1))


_MEASURES: Final[dict[str, Callable[[_Facets], Value]]] = {
    "ci": lambda f: _plain((f.n(0) - f.n(1)) / (f.n(0) + f.n(1))),
    "dpl": lambda f: _rates(_pair(f, y=1), _pair(f), first=0),
    "kl": lambda f: _plain(_divergence(f.shares(0), f.shares(1))),
    "js": lambda f: _plain(_jensen_shannon(f)),
    "lp": lambda f: _plain(math.hypot(*(a - b for a, b in zip(f.shares(0), f.shares(1), strict=True)))),
    "tvd": lambda f: _plain(abs(f.shares(0)[1] - f.shares(1)[1])),
    "ks": lambda f: _plain(abs(f.shares(0)[1] - f.shares(1)[1])),
    "cddl": lambda f: _plain(f.conditional_disparity(f.y)),
    "dppl": lambda f: _rates(_pair(f, decision=1), _pair(f), first=0),
    "di": _impact,
    "dca": lambda f: _plain(_minus(*(_quotient(f.n(s, y=1), f.n(s, decision=1)) for s in (0, 1)))),
    "dcr": lambda f: _plain(_minus(*(_quotient(f.n(s, y=0), f.n(s, decision=0)) for s in (1, 0)))),
    "sd": lambda f: _rates(_pair(f, y=0, decision=0), _pair(f, y=0), first=1),
    "rd": lambda f: _rates(_pair(f, y=1, decision=1), _pair(f, y=1), first=0),
    "dar": lambda f: _rates(_pair(f, y=1, decision=1), _pair(f, decision=1), first=0),
    "drr": lambda f: _rates(_pair(f, y=0, decision=0), _pair(f, decision=0), first=1),
    "ad": lambda f: _rates(_agreed(f), _pair(f), first=0),
    "cddpl": lambda f: _plain(f.conditional_disparity(f.decision)),
    "te": lambda f: _plain(_minus(_errors(f, 1), _errors(f, 0))),
    "ge": lambda f: _plain(_entropy(f)),
}
"""Signs as Clarify has them: most are a minus d; DCR, SD, DRR and TE are d minus a."""


def _agreed(f: _Facets) -> tuple[int, int]:
    made = [f.n(side, y=0, decision=0) + f.n(side, y=1, decision=1) for side in (0, 1)]
    return made[0], made[1]


def _figures(f: _Facets, attribute: str, group: str, params: ClarifyParams) -> list[Figure]:
    sizes = f.n(0), f.n(1)
    made = []
    for key, spec in _SPECS.items():
        value, interval, note = None, None, ""
        if min(sizes) < params.min_group:
            note = f"“{group}” has {sizes[1]} rows, all others {sizes[0]}; each side needs at least {params.min_group}."
        elif key in {"cddl", "cddpl"} and not params.strata:
            note = _NO_STRATA
        else:
            value, interval = _MEASURES[key](f)
            note = "" if value is not None else "One side has none of the rows that this figure divides by."
        low, high = interval or (None, None)
        made.append(
            Figure(
                key,
                spec.label,
                value,
                sizes[1],
                spec.better,
                ci_low=low,
                ci_high=high,
                attribute=attribute,
                group=group,
                reference="all others",
                scale="log" if key == "di" else "identity",
                note=note,
            )
        )
    return made


def _findings(figures: list[Figure]) -> list[str]:
    gaps = [figure for figure in figures if figure.key == "dppl" and figure.value is not None]
    if not gaps:
        return ["No group is large enough to be compared."]
    worst = max(gaps, key=lambda figure: (figure.value or 0.0, figure.group or ""))
    gap = worst.value or 0.0
    word = "less" if gap >= 0 else "more"
    return [f"{worst.attribute}: “{worst.group}” is selected {abs(gap):.1%} {word} often than all others (DPPL)."]
