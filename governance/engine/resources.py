"""The input of ``resources.latency``: the sandbox's times, and what of the machine has to stand beside them. Workers only."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet

from governance.checks.model.resources import ResourcesParams
from governance.checks.rows.sampling import taken
from governance.engine.workspace import SandboxRefused, Workspace

SAMPLE_ROWS: Final = 10_000


def timed(work: Workspace) -> dict[str, Any]:
    """Have the model timed over rows spread evenly over the data. Raises ``SandboxRefused`` and ``CheckError``."""
    params = ResourcesParams.from_mapping(work.run.parameters)
    table = work.table(work.dataset())
    places = np.unique(np.linspace(0, table.num_rows - 1, min(table.num_rows, SAMPLE_ROWS)).astype("int64"))
    path = work.directory / "timed.parquet"
    pyarrow.parquet.write_table(taken(table, places), path)
    outcome = work.run_model("resources", work.version, path, roles=work.roles(), options=params.as_dict())
    if outcome.report is None:
        raise SandboxRefused(outcome)
    files = [file for file in work.model(work.version).rglob("*") if file.is_file()]
    return {
        **outcome.report,
        "size_bytes": sum(file.stat().st_size for file in files),
        "outer_peak_bytes": outcome.peak_bytes,
        "machine": machine(),
    }


def machine() -> dict[str, str | int | float]:
    """What tells this machine from another: processor, cores, memory, system, Python, and how busy it is."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text("utf-8", errors="replace").splitlines() if about.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(named, "") or platform.processor() or "unknown"
