"""The catalogue: every built-in check by ``key`` and by ``key@version``. Reading it imports no numerical library."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from governance.checks.contract import Check, Manifest
from governance.checks.manifests import MANIFESTS
from governance.checks.results import CheckError

_BUILT_IN: dict[str, str] = {
    "performance.binary@1": "governance.checks.performance_binary:BinaryPerformance",
    "performance.regression@1": "governance.checks.performance_regression:RegressionPerformance",
    "fairness.groups@1": "governance.checks.fairness_groups:GroupFairness",
    "explainability.importance@1": "governance.checks.importance:Importance",
    "compare.champion@1": "governance.checks.champion:ChampionComparison",
    "data.quality@1": "governance.checks.data_quality:DataQuality",
    "security.scan@1": "governance.checks.security_scan:SecurityScan",
    "documentation.card@1": "governance.checks.documentation_card:DocumentationCard",
}


def names() -> tuple[str, ...]:
    """Every ``key@version``, sorted."""
    return tuple(sorted(_BUILT_IN))


def resolve(use: str) -> str:
    """The full name ``key@version`` for ``key`` (its newest version) or ``key@version``. Raises ``CheckError``."""
    if use in _BUILT_IN:
        return use
    versions = sorted(int(name.partition("@")[2]) for name in _BUILT_IN if name.partition("@")[0] == use)
    if "@" in use or not versions:
        known = ", ".join(sorted({name.partition("@")[0] for name in _BUILT_IN}))
        raise CheckError("check.unknown", f"There is no check “{use}”. The catalogue has: {known}.")
    return f"{use}@{versions[-1]}"


def manifest(use: str) -> Manifest:
    """What that check says about itself; needs no numerical library. Raises ``CheckError`` if unknown."""
    name = resolve(use)
    return next(one for one in MANIFESTS if one.name == name)


@cache
def get(use: str) -> Check:
    """The check of that name. Loads its module (and numpy) on first use. Raises ``CheckError`` if unknown."""
    module, _, attribute = _BUILT_IN[resolve(use)].partition(":")
    made = getattr(import_module(module), attribute)()
    if not isinstance(made, Check):
        raise TypeError(f"{module}:{attribute} is not a Check")
    return made
