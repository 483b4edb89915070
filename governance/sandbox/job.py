"""What the sandbox is asked and what it answers. Frozen values; nothing here starts a process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from governance.sandbox.levels import Level, level_of

if TYPE_CHECKING:
    import pyarrow as pa

    from governance.sandbox.environments import Environments

Mode = str
"""A key of ``governance.sandbox.modes.MODES``."""
Code = Literal[
    "ok", "raised", "memory", "cpu", "timeout", "killed", "forbidden", "output_invalid", "output_too_large",
    "cannot_load", "refused_by_scan", "input_invalid", "environment_failed", "level_unmet",
]  # fmt: skip
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use.

    ``memory_bytes``: private writable memory (RLIMIT_DATA) and what is resident of it, libraries included.
    ``stderr_bytes``: what is kept of its error output; ``noise_bytes``: what it may write there and on the channel.
    """

    wall_seconds: float = 300.0
    cpu_seconds: int = 240
    memory_bytes: int = 2 * 1024**3
    file_bytes: int = 256 * 1024**2
    scratch_bytes: int = 512 * 1024**2
    open_files: int = 256
    threads: int = 64
    stderr_bytes: int = 8 * 1024
    noise_bytes: int = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class SandboxJob:
    """Run the model in ``model_dir`` (it holds ``MLmodel``) over ``data`` (a Parquet or Arrow IPC file).

    ``mode``: a row of ``governance.sandbox.modes.MODES``, which also says whether model and data are needed.

    ``features``: columns given to the model, in order; empty means those of the model's signature.
    ``label``: the column that is never given to it. ``positive`` picks the column of ``predict_proba``, ``seed`` sets the
    random state before the model is loaded. ``options`` is plain JSON for a mode of its own
    making; ``files`` are further files it may read, each staged under its name (letters, digits, ``_-.``).
    ``environments``: where the model's own recorded environment may be built from; None: it runs in the platform's.
    ``level``: the least protection, else nothing is loaded; ``compatible``: only with the versions that the model records.
    ``warm``: fork it from this worker's template, which has the platform's libraries loaded, where that can be.
    ``scan``: the artifact gate reads the staged files first and refuses; off only to test the sandbox itself.
    """

    mode: Mode
    model_dir: Path | None = None
    data: Path | None = None
    features: tuple[str, ...] = ()
    label: str | None = None
    positive: str | int | bool | None = None
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    scan: bool = True
    warm: bool = True
    environments: Environments | None = None
    level: Level = "reduced"
    compatible: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layers:
    """Which protections were on: name → "on", or the reason why not. Reported by the child before the model."""

    on: Mapping[str, str]

    @property
    def level(self) -> Level:
        """The highest of the named levels whose layers were all on."""
        return level_of(self.on)


@dataclass(frozen=True, slots=True)
class SandboxOutcome:
    """How the run ended. ``code`` is ``ok`` or a reason; ``message`` is a sentence for people.

    With ``ok``: mode ``predict`` has ``predictions`` (validated: row count, types, finite) in input order, with
    ``prediction`` and, when the model has one, ``score`` (probability of the positive class); the
    other modes have ``report``.
    """

    code: Code
    message: str
    layers: Layers
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    predictions: pa.Table | None = None
    report: Mapping[str, Any] | None = None
    detail: str = ""
    notes: tuple[str, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    warm: bool = False

    @property
    def ok(self) -> bool:
        """The model did what it was asked and its output was valid."""
        return self.code == "ok"

    def record(self) -> dict[str, Any]:
        """What is stored about the run: plain JSON, without the output itself."""
        return {
            "code": self.code, "message": self.message, "layers": dict(self.layers.on), "level": self.layers.level,
            "milliseconds": round(self.seconds * 1000), "cpu_milliseconds": round(self.cpu_seconds * 1000),
            "peak_bytes": self.peak_bytes, "notes": list(self.notes),
            "environment": dict(self.environment), "start": "template" if self.warm else "fresh",
        }  # fmt: skip


def limits_as_dict(limits: Limits) -> dict[str, Any]:
    """Plain JSON, for the record and for the child."""
    return asdict(limits)
