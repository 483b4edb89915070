"""The addresses of the door are those of MLflow's own application, and none of its rooms is left without a decision."""

import re

from mlflow.server import app

from registry.mlflow.proxy.addresses import ADDRESSES

ROOMS = {"experiments", "runs", "metrics", "logged-models", "traces", "datasets", "artifacts", "server-info"}
LEFT_OUT = {
    ("POST", "2.0", "runs/create-promptlab-run"): "asks language models at other servers",
}


def theirs() -> set[tuple[str, str, str]]:
    """Method, release and name of every route below MLflow's prefixes; parts that vary as ``{}``."""
    found = set()
    for rule in app.url_map.iter_rules():
        spelt = re.fullmatch(r"/(?:ajax-)?api/([23]\.0)/mlflow/(.+)", rule.rule)
        if spelt and spelt[2].split("/")[0] in ROOMS:
            name = re.sub(r"<[^>]+>", "{}", spelt[2])
            found |= {(method, spelt[1], name) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    return found


def test_every_address_is_mlflows_and_each_of_mlflows_is_decided() -> None:
    ours = {(one.method, one.release, re.sub(r"\{\w+\}", "{}", one.name)) for one in ADDRESSES}
    assert len(ours) == len(ADDRESSES)
    assert ours - theirs() == set()
    assert theirs() - ours == set(LEFT_OUT)
