"""Walking the graph, and telling it as PROV-JSON."""

import json
from itertools import pairwise

import pytest
from pytest_django import DjangoAssertNumQueries

from audit.actors import Actor
from registry.formats import prov
from registry.models import Edge, ModelVersion, Node, User
from registry.selectors.lineage import around, downstream, node_of, upstream
from registry.services.lineage import record
from tests.registry.lineage.test_record import WHOLE

pytestmark = pytest.mark.usefixtures("by_hand")


def chain(length: int) -> list[Node]:
    nodes = Node.objects.bulk_create([Node(kind="dataset", namespace="test", name=f"n{n}") for n in range(length)])
    Edge.objects.bulk_create([Edge(src=a, dst=b, relation="derived_from") for a, b in pairwise(nodes)])
    return nodes


def test_upstream_and_downstream_of_a_version(version: ModelVersion, by: Actor) -> None:
    record(version=version, inputs=WHOLE, by=by)
    node = node_of(version)
    assert node is not None
    above = upstream(node)
    assert [(found.kind, found.depth) for found in above.nodes] == [
        ("code", -2),
        ("dataset", -2),
        ("environment", -2),
        ("run", -1),
        ("version", -1),
        ("version", 0),
    ]
    assert len(above.edges) == 5
    data = Node.objects.get(kind="dataset")
    assert [found.kind for found in downstream(data).nodes] == ["dataset", "run", "version"]
    assert not around(node).truncated


@pytest.mark.usefixtures("db")
def test_depth_and_cap_cut_and_say_so() -> None:
    nodes = chain(10)
    whole = upstream(nodes[-1], depth=20, cap=50)
    assert (len(whole.nodes), whole.truncated) == (10, False)
    near = upstream(nodes[-1], depth=3, cap=50)
    assert ([node.name for node in near.nodes], near.truncated) == (["n6", "n7", "n8", "n9"], True)
    few = upstream(nodes[-1], depth=20, cap=4)
    assert ({node.name for node in few.nodes}, few.truncated) == ({"n6", "n7", "n8", "n9"}, True)


@pytest.mark.usefixtures("db")
def test_a_circle_ends() -> None:
    nodes = chain(3)
    Edge.objects.create(src=nodes[-1], dst=nodes[0], relation="derived_from")
    assert len(upstream(nodes[0]).nodes) == 3
    assert len(around(nodes[0]).nodes) == 3


@pytest.mark.usefixtures("db")
def test_a_retracted_edge_is_not_walked() -> None:
    nodes = chain(3)
    Edge.objects.create(src=nodes[0], dst=nodes[1], relation="retracts")
    assert [node.name for node in upstream(nodes[2]).nodes] == ["n1", "n2"]


@pytest.mark.usefixtures("db")
def test_a_walk_takes_few_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    nodes = chain(30)
    with django_assert_num_queries(6):
        around(nodes[15])


def test_prov_says_who_used_what_for_what(version: ModelVersion, by: Actor) -> None:
    record(version=version, inputs=WHOLE, by=by)
    node = node_of(version)
    assert node is not None
    document = prov.document(upstream(node))
    assert set(document) == {
        "prefix", "entity", "activity", "agent", "used", "wasGeneratedBy", "wasDerivedFrom", "wasAttributedTo",
        "wasAssociatedWith",
    }  # fmt: skip
    run = f"cs:run-{Node.objects.get(kind='run').pk}"
    data = f"cs:dataset-{Node.objects.get(kind='dataset').pk}"
    made = f"cs:version-{node.pk}"
    assert {"prov:activity": run, "prov:entity": data, "prov:role": "training"} in document["used"].values()
    assert {"prov:entity": made, "prov:activity": run} in document["wasGeneratedBy"].values()
    assert {"prov:entity": made, "prov:agent": f"cs:person-user_3a{User.objects.get(username='ada').pk}"} in document[
        "wasAttributedTo"
    ].values()
    assert document["entity"][data]["cs:mlflow_md5_32"] == "0a1b2c3d"
    assert document["activity"][run]["cs:metrics-auc"] == {"$": "0.75", "type": "xsd:double"}


def test_prov_is_the_same_every_time(version: ModelVersion, by: Actor) -> None:
    record(version=version, inputs=WHOLE, by=by)
    node = node_of(version)
    assert node is not None
    one, two = (json.dumps(prov.document(around(node))) for _ in range(2))
    assert one == two
