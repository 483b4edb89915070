"""Where a result came from, as digests: enough to run the check again and to name what has changed since. Workers only."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from django.conf import settings

from governance import advisories, checks, vendors
from governance.checks import CheckError
from governance.checks.code import SCORING, code_of
from governance.models import CheckRun
from governance.standing import filled_card, policy_of
from registry.models import DatasetVersion, ModelVersion

LIBRARIES: Final = (
    "cloudpickle", "joblib", "mlflow", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops", "threadpoolctl",
)  # fmt: skip
"""What figures can depend on."""


def provenance_of(run: CheckRun, sandbox: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every input by digest, the code, and this process's environment; {} for a check that is not in the catalogue.

    Only text and lists of text: the ledger keeps it as it is. ``sandbox`` is the record of the run in the sandbox.
    """
    try:
        return _of_scoring(run, sandbox or {}) if run.category == "scoring" else _of_check(run, sandbox or {})
    except CheckError:
        return {}


def _of_scoring(run: CheckRun, sandbox: Mapping[str, Any]) -> dict[str, Any]:
    model = ModelVersion.objects.get(pk=run.parameters["version"])
    return {
        **_common(run, SCORING, sandbox),
        "model": model.manifest_digest,
        "data": _data(run.dataset),
        "columns": _columns(run.dataset),
        "uploaded": _data(DatasetVersion.objects.filter(pk=run.parameters.get(vendors.KEY)).first()),
    }


def _of_check(run: CheckRun, sandbox: Mapping[str, Any]) -> dict[str, Any]:
    use = run.requirement["use"]
    about = checks.manifest(use)
    needs: set[str] = set(about.needs)
    request = run.request
    live = {"champion", "live_probe"} & needs
    training, live_data = (_named(run, name) for name in ("training", "live_data"))
    found = {
        **_common(run, use, sandbox),
        "model": request.manifest_digest,
        "champion": request.replaces.manifest_digest if live and request.replaces else "",
        "data": _data(run.dataset),
        "columns": _columns(run.dataset),
        "training": _data(training),
        "training_columns": _columns(training),
        "live_data": _data(live_data),
        "sensitive": digest_of(run.requirement.get("sensitive") or []),
    }
    if {"card", "papers"} & needs:
        found["card"] = digest_of([filled_card(request.model), list(policy_of(request.policy_version).card)])
    if {"metrics", "recorded"} & needs:
        found["metrics"] = digest_of(dict(request.version.metrics))
    if "advisories" in needs:
        found["advisories"] = advisories.stamp(settings.ADVISORIES_DIR)
    return found


def _common(run: CheckRun, use: str, sandbox: Mapping[str, Any]) -> dict[str, Any]:
    own = sandbox.get("environment")
    return {
        "check": use,
        "code": code_of(use).as_dict(),
        "parameters": digest_of(run.parameters),
        "predictions": sorted(
            CheckRun.objects.filter(pk__in=waited_for(run))
            .exclude(output_blob=None)
            .values_list("output_blob", flat=True)
        ),
        "environment": environment(),
        "model_environment": digest_of(own) if own else "",
    }


def waited_for(run: CheckRun) -> list[Any]:
    """The runs whose predictions this one read."""
    return [*run.also_needs, *([run.needs_id] if run.needs_id else [])]


@cache
def environment() -> dict[str, Any]:
    """Interpreter, system and libraries of this worker."""
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "libraries": found,
    }


def digest_of(value: object) -> str:
    """SHA-256 of the value as JSON: sorted keys, no white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=list)
    return hashlib.sha256(text.encode()).hexdigest()


def _named(run: CheckRun, key: str) -> DatasetVersion | None:
    pk = run.requirement.get(key)
    return DatasetVersion.objects.filter(pk=pk).first() if pk else None


def _data(dataset: DatasetVersion | None) -> str:
    return dataset.digest if dataset else ""


def _columns(dataset: DatasetVersion | None) -> str:
    return digest_of(dataset.columns) if dataset else ""
