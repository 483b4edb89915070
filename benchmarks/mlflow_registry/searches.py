"""``model-versions/search``: pages of 100 and of the client's default size, and all pages of everything."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.load import ask_timed, encode
from benchmarks.mlflow_registry.bench import API, Bench, get, in_turn
from benchmarks.mlflow_registry.filling import TEAMS, run_of
from benchmarks.processes import cpu_seconds
from benchmarks.stack import Server

CALL: Final = "model-versions/search"
PAGE: Final = 100
CLIENTS_DEFAULT: Final = 10_000
"""``SEARCH_MODEL_VERSION_MAX_RESULTS_DEFAULT`` of mlflow/store/model_registry/__init__.py, which its client asks for."""
WALK_PAGE: Final = 1_000
SAMPLED_PAGES: Final = 10
TIMES: Final = 10.0
WALK_TIMES: Final = 20.0
FLAT: Final = 1.5
POSITION: Final = 77  # of a version that stands in every size

# What is asked, in words and as a filter, and how many of the versions answer to it: one in so many, 0: one.
_FILTERS: Final = (
    ("unfiltered", "", 1),
    ("by a tag of one in ten", "tags.team = 'team-3'", TEAMS),
    ("by a tag of one", f"tags.ticket = 'T-{POSITION}'", 0),
    ("by run", f"run_id = '{run_of(POSITION)}'", 0),
)


@dataclass
class Searches:
    """Remembers ours of every size, to say at the end how flat it is."""

    last: int
    """The largest size, at which MLflow is compared."""
    p50: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, bench: Bench) -> None:
        """At the present size."""
        total = bench.filling.total
        bench.report.heading(f"Searches, {total:,} versions")
        for size in (PAGE, CLIENTS_DEFAULT):
            for words, text, one_in in _FILTERS:
                title = f"search {words}, pages of {size:,}"
                if bench.wants(title):
                    fields: dict[str, Any] = {"max_results": size} | ({"filter": text} if text else {})
                    self._one(bench, title, fields, full=not one_in or total >= size * one_in)
        if total == self.last:
            if bench.wants(_walk_title(bench)):
                _walk(bench)
            self._flatness(bench)

    def _one(self, bench: Bench, title: str, fields: dict[str, Any], *, full: bool) -> None:
        """``full``: a larger size would not give more rows, so that ours must not take longer there."""
        total = bench.filling.total
        bench.report.heading(f"  {title}, {total:,} versions")
        count = bench.amount.requests if fields["max_results"] == PAGE else 4
        ours, theirs = in_turn(
            (bench.ours, bench.single),
            get(CALL, fields, count=min(count, 40)),
            rounds=bench.amount.rounds,
            seconds=bench.amount.seconds,
        )
        target = TIMES if total == self.last else None
        bench.report.cheaper(f"{title}, {total:,} versions: p50", ours.p50, theirs.p50, "ms", target)
        bench.report.cheaper(f"{title}, {total:,} versions: CPU with all beside", ours.total, theirs.total, "ms")
        if full:
            self.p50.setdefault(title, []).append(ours.p50)

    def _flatness(self, bench: Bench) -> None:
        for title, values in self.p50.items():
            if len(values) > 1:
                bench.report.flat(f"{title}, ours, over all sizes: p50", values, "ms", FLAT)


def _walk(bench: Bench) -> None:
    """All pages of everything. MLflow's cost more the further they are: ten are taken, evenly, and the rest reckoned."""
    total = bench.filling.total
    pages = -(-total // WALK_PAGE)
    title = _walk_title(bench)
    bench.report.heading(f"  {title}; of MLflow's {min(SAMPLED_PAGES, pages)} pages, evenly spread, for all")
    before = cpu_seconds([bench.ours.pid, bench.single.pid])
    seen, ours = _all_pages(bench.ours)
    if seen < total:
        raise RuntimeError(f"our pages held {seen} versions of {total}")
    taken = sorted({pages * position // SAMPLED_PAGES for position in range(SAMPLED_PAGES)})
    theirs = sum(_timed(bench.single, _theirs_at(page * WALK_PAGE))[1] for page in taken) / len(taken) * pages
    after = cpu_seconds(before)
    cpu = {pid: after[pid] - before[pid] for pid in before}
    bench.report.cheaper(title, ours, theirs, "s", WALK_TIMES)
    theirs_cpu = cpu[bench.single.pid] / len(taken) * pages
    bench.report.cheaper(f"{title}: CPU of the server", cpu[bench.ours.pid], theirs_cpu, "s")


def _walk_title(bench: Bench) -> str:
    return f"walking all pages of {WALK_PAGE:,}, {bench.filling.total:,} versions"


def _all_pages(server: Server) -> tuple[int, float]:
    seen, spent, token = 0, 0.0, ""
    while True:
        answer, took = _timed(server, token)
        seen, spent, token = seen + len(answer["model_versions"]), spent + took, answer.get("next_page_token", "")
        if not token:
            return seen, spent


def _timed(server: Server, token: str) -> tuple[dict[str, Any], float]:
    request = encode(
        server, "GET", f"{API}/{CALL}", {"max_results": WALK_PAGE} | ({"page_token": token} if token else {})
    )
    return ask_timed(server, request)


def _theirs_at(offset: int) -> str:
    """MLflow's page token: base64 of the offset (``SearchUtils.create_page_token``)."""
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode() if offset else ""
