"""The parameters of ``script``: read by web processes when a policy is adopted, so nothing numerical is imported."""

# ruff: noqa: ANN401 - the policy's values
from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from governance.checks.contract import Params
from governance.checks.results import CheckError

LONGEST_SCRIPT: Final = 48 * 1024
LONGEST_ARGUMENTS: Final = 4 * 1024


@dataclass(frozen=True, slots=True)
class ScriptParams(Params):
    """``script``: Python source, as it stands in the policy. ``arguments``: what it finds in ``parameters.json``."""

    script: str
    arguments: Mapping = field(default_factory=dict)  # type: ignore[type-arg]  # isinstance looks at it
    seed: int = 0

    def check(self) -> None:
        if not self.script.strip() or len(self.script.encode()) > LONGEST_SCRIPT or "\x00" in self.script:
            raise CheckError("params.value", f"The parameter “script” must be a text of 1 to {LONGEST_SCRIPT} bytes.")
        try:
            compile(self.script, "script", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None)
            where = f" (line {line})" if line else ""
            raise CheckError("params.value", f"The script is no Python{where}: {error}.") from error
        if not _plain(self.arguments) or len(json.dumps(self.arguments)) > LONGEST_ARGUMENTS:
            raise CheckError("params.value", f"The arguments must be plain values, {LONGEST_ARGUMENTS} bytes at most.")
        if not 0 <= self.seed < 2**32:
            raise CheckError("params.value", "The parameter “seed” must be from 0 to 4294967295.")

    @property
    def digest(self) -> str:
        """SHA-256 of the script's bytes (UTF-8)."""
        return hashlib.sha256(self.script.encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """For the result: the script by its digest. Its text stands in the policy, whose digest every request has."""
        return {"script_sha256": self.digest, "arguments": dict(self.arguments), "seed": self.seed}


def _plain(value: Any, depth: int = 0) -> bool:
    if depth > 8:
        return False
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _plain(one, depth + 1) for key, one in value.items())
    if isinstance(value, list):
        return all(_plain(one, depth + 1) for one in value)
    return value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
