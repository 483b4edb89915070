"""Runs untrusted model code in a process of its own. See docs/reference/checks.md."""

from governance.sandbox.job import Layers, Limits, SandboxJob, SandboxOutcome
from governance.sandbox.runner import run

__all__ = ["Layers", "Limits", "SandboxJob", "SandboxOutcome", "run"]
