"""``performance.ranking``: how well the items of each query are ordered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import pictures
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.figures import Maker
from governance.checks.manifests.performance import RANKING
from governance.checks.performance.ranked_lists import Lists, judged
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns
from governance.checks.statistics import estimates
from governance.checks.statistics.counts import counted, numbers
from governance.checks.statistics.intervals import Interval

_made = Maker(RANKING)
_LARGEST = 1000.0
_BINS = 10


@dataclass(frozen=True, slots=True)
class RankingParams(Params):
    """``k``: the length of the list that is shown. ``relevant``: the label from which on an item is relevant.

    ``gain``: what a label is worth to NDCG, itself ("linear") or 2 to its power less 1 ("exponential"). Below
    ``min_queries`` there are no figures.
    """

    k: int = 10
    relevant: float = 1.0
    gain: Literal["linear", "exponential"] = "linear"
    min_queries: int = 10

    def check(self) -> None:
        if not 1 <= self.k <= 10_000 or self.relevant <= 0 or self.min_queries < 2:
            raise CheckError(
                "params.value", "“k” must be from 1 to 10000, “relevant” above 0 and “min_queries” at least 2."
            )


class RankingPerformance(Check):
    """State: counts of (query, score, label)."""

    manifest = RANKING
    params = RankingParams

    def plan(self, inputs: CheckInputs, params: RankingParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        data = columns.rows_of(inputs)
        name = inputs.roles.id
        query = columns.column(data, name, code="data.id_missing", what="id (of the query that a row belongs to)")
        if query.null_count:
            raise CheckError("data.id_null", f"The query “{name}” is missing in {query.null_count} rows.", name)
        low, high = pc.min_max(columns.number_label(inputs)).as_py().values()
        if low < 0 or (params.gain == "exponential" and high > _LARGEST):
            ends = f"from 0 to {_LARGEST:g}" if params.gain == "exponential" else "0 or above"
            raise CheckError(
                "data.label_invalid",
                f"The label “{inputs.roles.label}” must be a relevance {ends}.",
                inputs.roles.label,
            )
        _scores(inputs)
        return columns.split(inputs, shards)

    def map(self, shard: CheckInputs, params: RankingParams) -> pa.Table:
        query = columns.words(columns.rows_of(shard).column(str(shard.roles.id)))
        return counted(pa.table({"query": query, "score": _scores(shard), "label": columns.number_label(shard)}))

    def finish(self, state: pa.Table, inputs: CheckInputs, params: RankingParams) -> CheckResult:
        times = numbers(state, "count")
        _, query = np.unique(state.column("query").to_numpy(zero_copy_only=False).astype("str"), return_inverse=True)
        query, score, label = (
            np.repeat(one, times) for one in (query, numbers(state, "score"), numbers(state, "label"))
        )
        relevant = label >= params.relevant
        queries = int(query.max()) + 1
        able = np.bincount(query, weights=relevant, minlength=queries) > 0
        kept = able[query]
        n, judged_n = len(query), int(able.sum())
        figures: list[Figure] = []
        values: dict[str, np.ndarray] = {}
        if judged_n >= params.min_queries:
            gain = np.exp2(label[kept]) - 1 if params.gain == "exponential" else label[kept]
            values = judged(Lists.of(query[kept], score[kept], gain, relevant[kept]), params.k)
            intervals = _intervals(values)
            figures = [_made(key, float(one.mean()), judged_n, intervals[key]) for key, one in values.items()]
        else:
            note = f"{judged_n} queries have a relevant item; at least {params.min_queries} are needed."
            figures = [_made.none(key, judged_n, note) for key in _made.all]
        table = _spread(values)
        return CheckResult(
            RANKING.key, RANKING.version, params.as_dict(), n, tuple(figures), (table,), _pictures(values, table, params.k),
            findings=_findings(n, queries, judged_n, values, params.k),
            limits=(
                "Queries without a relevant item have no figure and are not in the means.",
                "Intervals take the queries as independent.", "Weights are not used: every query counts the same.",
            ),
            facts={"queries": queries, "queries_judged": judged_n, "relevant_share": float(relevant.mean())},
        )  # fmt: skip


def _scores(inputs: CheckInputs) -> pa.Array:
    """What the items are ordered by: ``score``, or the number predicted. Raises ``CheckError``."""
    table = inputs.predictions
    if table is None:
        raise CheckError("inputs.missing", "This check needs predictions, and none were given.")
    rows = columns.rows_of(inputs).num_rows
    if table.num_rows != rows:
        raise CheckError("data.rows_differ", f"There are {table.num_rows} predictions for {rows} rows of data.")
    for name in ("score", "prediction"):
        if name not in table.column_names:
            continue
        column = table.column(name)
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            continue
        made = column.cast(pa.float64()).combine_chunks()
        if made.null_count or not pc.all(pc.is_finite(made)).as_py():
            raise CheckError("data.scores_invalid", "Some scores are missing or not finite numbers.", name)
        return made
    raise CheckError("data.scores_missing", "The model gives no numbers that items could be ordered by.", "score")


def _intervals(values: dict[str, np.ndarray]) -> dict[str, Interval | None]:
    """Student's interval of the mean over the queries on the logit scale; Wilson's where every query has the same figure."""
    made: dict[str, Interval | None] = {}
    for key, one in values.items():
        mean, queries = min(float(one.mean()), 1.0), len(one)
        error = float(one.std(ddof=1)) / queries**0.5
        alike = one.min() == one.max()
        made[key] = None if alike else estimates.share(mean, error, queries - 1)
        made[key] = made[key] or estimates.rate_interval(mean, queries)
    return made


def _spread(values: dict[str, np.ndarray]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for number in range(_BINS if values else 0):
        low, high = number / _BINS, (number + 1) / _BINS
        here = [np.minimum((one * _BINS).astype("int64"), _BINS - 1) == number for one in values.values()]
        rows.append((low, high, *(int(one.sum()) for one in here)))
    labels = (("from", "From"), ("to", "To"), *((key, _made.label(key)) for key in _made.all))
    return Table("queries", "How many queries lie where", labels, tuple(rows))


def _pictures(values: dict[str, np.ndarray], table: Table, k: int) -> tuple[Picture, ...]:
    if not values:
        return ()
    rows: list[dict[str, Cell]] = [{"name": f"{row[0]:g} to {row[1]:g}", "value": row[2]} for row in table.rows]
    low = float((values["ndcg"] < 0.5).mean())
    alt = f"How many queries have which NDCG@{k}; {low:.1%} of them lie below one half."
    return (pictures.bars("queries", f"NDCG@{k} of the queries", alt, rows, value="Queries", by=f"NDCG@{k}"),)


def _findings(n: int, queries: int, judged_n: int, values: dict[str, np.ndarray], k: int) -> tuple[str, ...]:
    said = f"{n} items of {queries} queries, of which {judged_n} have a relevant item."
    if not values:
        return (said,)
    none = float((values["recall"] == 0).mean())
    return said, f"In {none:.1%} of these queries no relevant item is among the first {k}."
