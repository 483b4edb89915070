"""The check catalogue: pure statistics over count tables. See docs/reference/checks.md."""

from governance.checks.catalogue import built_in, get, manifest, names, plugin_of, resolve, trust
from governance.checks.contract import Check, CheckInputs, FigureSpec, Manifest, Params, Probe, Roles, run_check
from governance.checks.probing import ProbeCheck
from governance.checks.results import CheckError, CheckResult, Figure, Picture, Table

__all__ = [
    "Check", "CheckError", "CheckInputs", "CheckResult", "Figure", "FigureSpec", "Manifest", "Params", "Picture", "Probe",
    "ProbeCheck", "Roles", "Table", "built_in", "get", "manifest", "names", "plugin_of", "resolve", "run_check",
    "trust",
]  # fmt: skip
