"""What is said of a node of the lineage on the decision screen: its name, its size, its digest."""

from typing import Final

from config.figures import figure
from registry.models import Node

TESTING: Final = frozenset({"test", "testing", "eval", "evaluation", "validation"})
_ALGORITHMS: Final = {
    "sha256": "sha256",
    "git_commit": "git",
    "mlflow_md5_32": "mlflow",
    "claimed_sha256": "claimed sha256",
}


def named(node: Node) -> str:
    """Name, with the version of one of our own data sets."""
    return f"{node.name} v{node.version}" if node.namespace == "dataset" else node.name


def size_of(node: Node) -> tuple[str, ...]:
    """Rows and inputs of a data set, as far as they are known."""
    rows = node.facts.get("rows")
    columns = node.facts.get("columns") or {}
    said = [f"{figure(rows)} rows"] if isinstance(rows, int) and rows else []
    features = columns.get("features") if isinstance(columns, dict) else None
    said += [f"{len(features)} inputs"] if features else []
    return (", ".join(said),) if said else ()


def digest_of(node: Node) -> tuple[str, str]:
    """The strongest digest that is known, and what kind it is."""
    for name, algo in _ALGORITHMS.items():
        if node.digests.get(name):
            return str(node.digests[name]), algo
    return "", ""
