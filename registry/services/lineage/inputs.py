"""What can be said about how a version came to be, as values, and what of it cannot be true."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from config.errors import Invalid
from registry.digests import check_sha256

MOST: Final = 200
_SEED: Final = re.compile(r"(^|[_.\-/ ])(seed|random_state|random_seed)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A data set that went in. ``number`` or ``sha256`` tie it to a version sealed here; ``digest`` is a weak one."""

    name: str
    context: str = ""
    number: int = 0
    sha256: str = ""
    digest: str = ""
    source: str = ""
    schema: str = ""


@dataclass(frozen=True, slots=True)
class CodeInput:
    """The code that trained: a commit of a repository, whether the work tree was dirty (``None``: not said), who wrote it.

    ``path`` is the script or notebook that was started: how the run began, not what the code is.
    """

    commit: str
    repository: str = ""
    dirty: bool | None = None
    author: str = ""
    path: str = ""
    branch: str = ""


@dataclass(frozen=True, slots=True)
class EnvironmentInput:
    """The environment: Python's version, and the SHA-256 of each file that fixes it (``requirements.txt`` …)."""

    python: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunInput:
    """The training run. ``id`` is empty when no tracking server knows of one."""

    id: str = ""
    user: str = ""
    status: str = ""
    started_ms: int = 0
    ended_ms: int = 0
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    seeds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LineageInput:
    """How a version came to be. ``base_models`` are ``models:/<name>/<number>``, or names elsewhere."""

    datasets: tuple[DatasetInput, ...] = ()
    code: CodeInput | None = None
    environment: EnvironmentInput | None = None
    run: RunInput | None = None
    base_models: tuple[str, ...] = ()


def seeds_in(parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters that are seeds, by their names (``seed``, ``random_state``, ``model__random_state`` …)."""
    return {key: value for key, value in parameters.items() if _SEED.search(key)}


def repository_of(given: str) -> str:
    """The address of a repository in one spelling: no credentials, no ``.git``, no folder (MLflow's ``#folder``)."""
    text = given.strip()
    if "://" in text:
        try:
            parts = urlsplit(text)
        except ValueError as error:
            raise Invalid(
                "The repository must be an address.", code="lineage.repository", field="code.repository"
            ) from error
        text = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
    return text.partition("#")[0].rstrip("/").removesuffix(".git")


def check(inputs: LineageInput) -> None:
    """Raise ``Invalid`` naming the input at fault."""
    if len(inputs.datasets) > MOST or len(inputs.base_models) > MOST:
        raise Invalid(f"More than {MOST} inputs.", code="lineage.many", field="datasets")
    for dataset in inputs.datasets:
        if not dataset.name.strip():
            raise Invalid("A data set needs a name.", code="lineage.dataset", field="datasets")
        if dataset.sha256:
            check_sha256(dataset.sha256, field="datasets.sha256")
    if inputs.code and not re.fullmatch(r"[0-9A-Za-z._\-/]{1,190}", inputs.code.commit):
        raise Invalid("The commit must be a commit id.", code="lineage.commit", field="code.commit")
    for path, digest in inputs.environment.files.items() if inputs.environment else ():
        check_sha256(digest, field=f"environment.files.{path}")
    if any(not base.strip() for base in inputs.base_models):
        raise Invalid("A base model needs a name.", code="lineage.base_model", field="base_models")
