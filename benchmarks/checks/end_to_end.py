"""A request with the full catalogue of checks, from asking to "ready for review": wall clock, CPU, peak memory.

A gradient-boosted classifier on 1,000,000 rows × 30 columns (as many rows of training data, and a live version to compare
with), scored in the sandbox and checked by real Celery workers, told of their jobs by the sequencer. With one worker
process and with two, in turns. The workers have answered such a request before, so that libraries and the sandbox's template
are loaded as in workers that have run for a day; what is measured begins without any copy of the rows and without a
result to use again.

Run: ``python -m benchmarks.checks.end_to_end``; ``--quick`` takes 60,000 rows.
"""

# ruff: noqa: RUF001, RUF002, ANN401 - a multiplication sign is one; libraries are loaded after the environment is set
import argparse
import hashlib
import io
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from benchmarks import stack
from benchmarks.processes import cpu_seconds
from benchmarks.report import Report
from config.waiting import until

if TYPE_CHECKING:
    from governance.models import PromotionRequest
    from registry.models import DatasetVersion, ModelVersion, User

ROWS: Final = 1_000_000
NUMBERS: Final = 26
INPUTS: Final = [*(f"x{number:02}" for number in range(NUMBERS)), "region"]
COLUMNS: Final = {"label": "defaulted", "positive": 1, "features": INPUTS, "sensitive": ["sex", "age_band"]}
NOT_FOR_IT: Final = frozenset(
    {"manual", "script", "performance.multiclass", "performance.regression", "performance.ranking"}
    | {"fairness.classes", "fairness.regression"}
)
"""Checks of other tasks, and what a policy must write itself."""
PATIENCE: Final = 3600.0
FASTER: Final = 1.7


@dataclass
class Round:
    """What one request cost."""

    wall: float = 0.0
    cpu: float = 0.0
    peak_mib: float = 0.0
    checks: dict[str, tuple[str, float]] = field(default_factory=dict)


def main() -> None:
    """Fill, ask with one worker and with two, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--quick", action="store_true", help="60,000 rows, to see that it runs")
    parser.add_argument(
        "--rounds", type=int, default=3, help="how often with one worker process and with two, in turns"
    )
    parser.add_argument("--check", action="append", help="only this check; may be given several times")
    parser.add_argument("--slowest", type=int, default=10, help="how many of the slowest checks to list")
    given = parser.parse_args()
    rows = 60_000 if given.quick else given.rows
    report = Report()
    with stack.database() as machine, stack.sequencer(machine):
        author, version = _filled(rows, given.check)
        rounds: dict[int, list[Round]] = {1: [], 2: []}
        for turn in range(1 if given.quick else given.rounds):
            for workers in (1, 2) if turn % 2 == 0 else (2, 1):
                report.heading(f"The full catalogue on {rows:,} rows × 30 columns, {workers} worker process(es)")
                done = _asked(machine, author, version, workers)
                rounds[workers].append(done)
                print(f"    {done.wall:.1f} s, {done.cpu:.1f} s CPU")
                for key, (verdict, seconds) in sorted(done.checks.items(), key=lambda one: -one[1][1])[: given.slowest]:
                    print(f"    {seconds:8.2f} s  {key}  ({verdict})")
                for key, (verdict, _) in done.checks.items():
                    if verdict == "error":
                        print(f"    ended with an error: {key}")
        for workers, made in rounds.items():
            jobs, often = len(made[0].checks), f"median of {len(made)}"
            report.told(f"{workers} worker(s): {jobs} jobs, wall clock, {often}", median(one.wall for one in made), "s")
            report.told(
                f"{workers} worker(s): CPU of worker and sandbox, {often}", median(one.cpu for one in made), "s"
            )
            report.told(
                f"{workers} worker(s): most memory of all its processes", max(one.peak_mib for one in made), "MiB"
            )
        walls = [median(one.wall for one in made) for made in rounds.values()]
        report.at_least("two workers against one", walls[0] / walls[1], "×", 1.0 if given.quick else FASTER)
        report.table(peer="")


def _filled(rows: int, only: list[str] | None) -> tuple["User", "ModelVersion"]:
    """People, sealed data, a live version and a newer one with its training data, and a policy with every check."""
    from audit.actors import SYSTEM, Actor
    from governance.services.policies import adopt
    from registry.models import Dataset
    from registry.roles import Role
    from registry.services import access, catalog, lineage
    from registry.services.lineage import DatasetInput, LineageInput

    author = access.create_user(username="author", password=secrets.token_urlsafe(24), by=SYSTEM)
    team = access.create_team(name="authors", by=SYSTEM)
    access.add_member(team=team, user=author, by=SYSTEM)
    access.grant_role(team=team, role=Role.CONTRIBUTOR, by=SYSTEM)
    by = Actor.person(author)
    _dataset("applications-holdout", "test", rows, 1, by)
    training = _dataset("applications-training", "train", rows, 2, by)
    model = catalog.create_model(name="default-risk", by=by, card={"intended_use": "To rank applications."})
    catalog.update_model(model=model, by=by, evaluation_dataset=Dataset.objects.get(name="applications-holdout"))
    versions = [_version(model, by, iterations) for iterations in (40, 60)]
    for version in versions:
        given = DatasetInput("applications-training", context="training", sha256=training.digest)
        lineage.record(version=version, inputs=LineageInput(datasets=(given,)), by=by)
    catalog.set_alias(model=model, alias="production", number=versions[0].number, by=by)
    adopt(document=_policy(only), by=SYSTEM)
    return author, versions[1]


def _policy(only: list[str] | None) -> str:
    from governance import checks

    keys = sorted({checks.manifest(name).key for name in checks.names()} - NOT_FOR_IT)
    lines = ["policy: everything", 'governs: {tiers: [1, 2, 3], targets: ["alias:production"]}', "checks:"]
    for key in keys:
        if only and key not in only:
            continue
        lines.append(f"  - use: {key}")
        if set(checks.manifest(key).needs) - {"scan", "card", "papers", "requirements", "advisories"}:
            lines.append("    data: {role: test}")
    lines += ["review:", "  - stage: approval", "    all: [{role: approver, n: 1}]"]
    return "\n".join(lines) + "\n"


def _table(rows: int, seed: int) -> Any:
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(seed)
    numbers = {name: random.normal(size=rows).round(4) for name in INPUTS[:NUMBERS]}
    region = random.integers(0, 12, rows)
    odds = numbers["x00"] + 0.6 * numbers["x01"] * numbers["x02"] - 0.4 * numbers["x03"] + 0.1 * region - 1.2
    label = (random.random(rows) < 1 / (1 + np.exp(-odds))).astype("int8")
    sex = pa.array(np.array(["female", "male"])[random.integers(0, 2, rows)])
    age = pa.array(np.array(["18-29", "30-44", "45-59", "60+"])[random.integers(0, 4, rows)])
    return pa.table({**numbers, "region": region, "sex": sex, "age_band": age, "defaulted": label})


def _dataset(name: str, role: str, rows: int, seed: int, by: Any) -> "DatasetVersion":
    import pyarrow.parquet

    from registry.services import artifacts, datasets, sealing

    sink = io.BytesIO()
    pyarrow.parquet.write_table(_table(rows, seed), sink, row_group_size=2**16)
    content = sink.getvalue()
    version = datasets.register_dataset(name=name, role=role, columns=COLUMNS, by=by)
    upload = artifacts.open_upload(
        version, path=f"{name}.parquet", declared_sha256=hashlib.sha256(content).hexdigest(),
        declared_size=len(content), by=by,
    )  # fmt: skip
    upload = artifacts.append_chunk(upload=upload, offset=0, stream=io.BytesIO(content), by=by)
    artifacts.complete_upload(upload=upload, by=by)
    datasets.finish_dataset(dataset_version=version, by=by)
    sealing.seal_dataset(dataset_version=version, by=by)
    version.refresh_from_db()
    return version


def _version(model: Any, by: Any, iterations: int) -> "ModelVersion":
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.ensemble import GradientBoostingClassifier

    from registry.digests import SealedFile
    from registry.services import versions
    from registry.storage import blobs

    frame = _table(20_000, 3).to_pandas()
    trained = GradientBoostingClassifier(n_estimators=iterations, random_state=0).fit(frame[INPUTS], frame["defaulted"])
    signature = infer_signature(frame[INPUTS], trained.predict(frame[INPUTS]))
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "model"
        mlflow.sklearn.save_model(trained, str(directory), signature=signature, serialization_format="cloudpickle")
        files = []
        for path in sorted(one for one in directory.rglob("*") if one.is_file()):
            with path.open("rb") as stream:
                sha256, size = blobs().put(stream)
            files.append(SealedFile(path=path.relative_to(directory).as_posix(), size=size, sha256=sha256))
    version = versions.register_version(model=model, by=by, metrics={"auc": 0.75})
    return versions.seal_version(version_id=version.pk, files=files, by=by, flavours=["sklearn"])


def _asked(machine: stack.Machine, author: "User", version: "ModelVersion", workers: int) -> Round:
    """One request with so many worker processes; it is withdrawn at the end, and what it left for others is removed."""
    from audit.actors import Actor
    from governance.services import promotions

    with _worker(machine, workers) as pid:
        _request(author, version)
        _forget()
        watch = _Watch(pid)
        began = time.monotonic()
        request = _request(author, version, withdrawn=False)
        done = Round(time.monotonic() - began)
        done.cpu, done.peak_mib = watch.stop()
    for run in request.checks.order_by("position"):
        took = (run.finished_at - run.started_at).total_seconds() if run.finished_at and run.started_at else 0.0
        done.checks[run.key] = (run.verdict, took)
    request.refresh_from_db()
    promotions.withdraw(request=request, by=Actor.person(author))
    _forget()
    return done


def _request(author: "User", version: "ModelVersion", *, withdrawn: bool = True) -> "PromotionRequest":
    """Ask, and wait until every check has ended."""
    from audit.actors import Actor
    from governance.services import promotions

    by = Actor.person(author)
    request = promotions.request_promotion(
        version=version, target="alias:production", intended_use="A benchmark.", by=by
    )
    if not until(lambda: _is_over(request), seconds=PATIENCE, every=0.2):
        raise SystemExit("It has not ended in an hour.")
    if withdrawn:
        promotions.withdraw(request=request, by=by)
    return request


def _is_over(request: "PromotionRequest") -> bool:
    request.refresh_from_db()
    return request.state not in {"draft", "checking"}


def _forget() -> None:
    """No result to use again, no copy of the rows. Written by hand, as the owner: this is no installation."""
    from django.conf import settings
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE governance_checkrun DISABLE TRIGGER USER")
        cursor.execute("UPDATE governance_checkrun SET cache_key = ''")
        cursor.execute("ALTER TABLE governance_checkrun ENABLE TRIGGER USER")
    shutil.rmtree(Path(settings.DATA_DIR) / "scratch" / "rows", ignore_errors=True)


@contextmanager
def _worker(machine: stack.Machine, processes: int) -> Iterator[int]:
    """A Celery worker with so many processes, with its libraries loaded; the pid of its head."""
    from governance.models import WorkerHeartbeat

    command = [
        *(sys.executable, "-m", "celery", "--app", "config.celery", "worker", "--pool", "prefork", "--beat"),
        *("--concurrency", str(processes), "--queues", "checks,default", "--hostname", f"bench{processes}@%h"),
        *("--schedule", str(machine.directory / f"beat-{processes}")),
    ]
    env = {**os.environ, "DATABASE_ROLE": "app", "CHECK_TIME_LIMIT": str(int(PATIENCE)), "OMP_NUM_THREADS": "1"}
    with stack.process(machine, f"worker-{processes}", command, env) as started:
        if not until(WorkerHeartbeat.objects.exists, seconds=120):
            raise SystemExit("The worker does not begin.")
        yield started.pid
    WorkerHeartbeat.objects.all().delete()


class _Watch:
    """CPU of a tree of processes, and the most memory that they held together: private pages, and their share of others."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._peak = 0.0
        self._before = cpu_seconds([pid])[pid]
        self._cpu = self._before
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> tuple[float, float]:
        """CPU seconds and MiB."""
        self._over.set()
        self._thread.join()
        return cpu_seconds([self._pid])[self._pid] - self._before, self._peak

    def _look(self) -> None:
        while not self._over.wait(1.0):
            self._peak = max(self._peak, sum(_private_mib(pid) for pid in _tree(self._pid)))


def _tree(head: int) -> list[int]:
    found, waiting = [], [head]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                waiting += [int(one) for one in task.read_text().split()]
            except OSError:
                continue
    return found


def _private_mib(pid: int) -> float:
    """Anonymous memory: what cannot be given back, unlike pages of mapped files."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


if __name__ == "__main__":
    main()
