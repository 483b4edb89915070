"""What reports cost: CPU and memory of the pack, which a worker builds, and of the press, which sets the PDF.

The request is real: a model trained on the diabetes study, checked in the sandbox, signed by two officers. The inventory is of
a thousand models with a card each. Run: ``python -m benchmarks.reports``.
"""

import argparse
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import decision_screen, stack
from benchmarks.report import Report

if TYPE_CHECKING:
    from registry.models import User

ROUNDS: Final = 3
TARGETS: Final = {"request": (3.0, 400.0), "sr-26-2-inventory": (20.0, 2048.0)}
"""Seconds of CPU, and MiB of memory, of the whole report: pack and press."""
CARD: Final = {"intended_use": "To rank applications. " * 10, "limitations": "Few rows. " * 20}


def main() -> None:
    """Fill a database, and make each report in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="50 models and one round, to see that it runs")
    parser.add_argument("--make", nargs=3, metavar=("REPORT", "PARAMETERS", "ACCOUNT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        _make(*given.make)
        return
    models, rounds = (50, 1) if given.quick else (given.models, ROUNDS)
    report = Report()
    with stack.database():
        ref, auditor = _filled(models)
        for name, parameters, words in (
            ("request", {"request": ref}, "a typical request"),
            ("sr-26-2-inventory", {}, f"an inventory of {models:,} models"),
        ):
            report.heading(f"The report of {words}")
            runs = [_run(name, parameters, auditor) for _ in range(rounds)]
            best = min(runs, key=lambda run: run["pack_cpu"] + run["press_cpu"])
            cpu, memory = TARGETS[name]
            report.told(f"{words}: CPU of the pack", best["pack_cpu"], "s")
            report.told(f"{words}: CPU of the press", best["press_cpu"], "s")
            report.limit(f"{words}: CPU", best["pack_cpu"] + best["press_cpu"], "s", cpu)
            report.told(f"{words}: peak memory of the worker", best["worker_mib"], "MiB")
            report.limit(f"{words}: peak memory of the press", best["press_mib"], "MiB", memory)
            report.told(f"{words}: PDF", best["kib"], "KiB")
        report.table(peer="")


def _filled(models: int) -> tuple[str, str]:
    """One signed request among many models, all of it in the log; its reference, and an auditor's account."""
    from audit.actors import Actor
    from audit.sequencer import run_once
    from governance.services.policies import adopt_built_in
    from registry.services import catalog, versions

    people = decision_screen.people()
    adopt_built_in()
    request = decision_screen.signed_request(people)
    by = Actor.person(_fresh(people["author"]))
    for number in range(models):
        model = catalog.create_model(name=f"model-{number:06}", by=by, use_case=f"Purpose {number}", card=CARD)
        versions.register_version(model=model, by=by)
    run_once()
    return request, people["auditor"].get_username()


def _fresh(user: "User") -> "User":
    from registry.models import User

    return User.objects.get(pk=user.pk)


def _run(name: str, parameters: dict[str, str], account: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.reports", "--make", name, json.dumps(parameters), account]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _make(name: str, parameters: str, account: str) -> None:
    """Make one report and print what it took as JSON."""
    import django

    django.setup()
    from governance.documents import catalogue, render
    from governance.documents.job import at_moment
    from registry.models import User

    reader = User.objects.get(username=account)
    began = time.process_time()
    with at_moment():
        pack = catalogue.build(name, json.loads(parameters), reader=reader)
    built = time.process_time() - began
    with _watched() as peak:
        pdf = render(name, pack.data, at=pack.log.at, files=pack.files)
    press = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = {
        "pack_cpu": built,
        "press_cpu": press.ru_utime + press.ru_stime,
        "worker_mib": _peak("self"),
        "press_mib": peak[0],
        "kib": len(pdf) / 1024,
    }
    print(json.dumps(told))


def _peak(pid: str) -> float:
    """MiB that a process had at most since its program began; ``ru_maxrss`` would keep what its parent had at the fork."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / 1024
    return 0.0


@contextmanager
def _watched() -> Iterator[list[float]]:
    """Look at the child of this process every two milliseconds; the peak is there at the end of the block."""
    peak, over = [0.0], threading.Event()
    command = str(Path("governance") / "documents" / "press.py")

    def look() -> None:
        while not over.wait(0.002):
            for task in Path("/proc/self/task").iterdir():
                with suppress(OSError):
                    for child in (task / "children").read_text().split():
                        if command in Path(f"/proc/{child}/cmdline").read_text():
                            peak[0] = max(peak[0], _peak(child))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


if __name__ == "__main__":
    main()
