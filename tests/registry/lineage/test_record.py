"""Recording lineage: by identity, once, with one ledger entry."""

import json

import pytest

from audit.actors import Actor
from audit.models import Inbox
from config.errors import Invalid
from registry.models import DatasetVersion, Edge, ModelVersion, Node, User
from registry.services.lineage import (
    CodeInput,
    DatasetInput,
    EnvironmentInput,
    LineageInput,
    RunInput,
    note_people,
    record,
    seeds_in,
)

pytestmark = pytest.mark.usefixtures("by_hand")

WHOLE = LineageInput(
    datasets=(DatasetInput(name="bureau", context="training", digest="0a1b2c3d"),),
    code=CodeInput(
        commit="c0ffee",
        repository="https://ada:secret@git.example.org/credit.git",
        dirty=True,
        author="Ada <ADA@example.org>",
    ),
    environment=EnvironmentInput(python="3.11.9", files={"requirements.txt": "cd" * 32}),
    run=RunInput(id="r1", user="ada", parameters={"model__random_state": "7", "depth": "3"}, metrics={"auc": 0.75}),
    base_models=("models:/elsewhere/4",),
)


def entries() -> list[dict[str, object]]:
    bodies = [json.loads(canon) for canon in Inbox.objects.order_by("id").values_list("canon", flat=True)]
    return [body for body in bodies if body["action"] == "lineage.recorded"]


def test_everything_known_becomes_nodes_and_edges(version: ModelVersion, by: Actor) -> None:
    subject = record(version=version, inputs=WHOLE, by=by)
    assert sorted(Node.objects.values_list("kind", "name", "version")) == sorted(
        [
            ("version", "credit", "1"),
            ("version", "elsewhere", "4"),
            ("dataset", "bureau", "0a1b2c3d"),
            ("code", "credit", "c0ffee-dirty"),
            ("environment", "Python 3.11.9", Node.objects.get(kind="environment").version),
            ("run", "r1", ""),
        ]
    )
    assert {(edge.src.kind, edge.dst.kind, edge.relation, edge.context) for edge in Edge.objects.all()} == {
        ("dataset", "run", "used", "training"),
        ("code", "run", "used", "code"),
        ("environment", "run", "used", "environment"),
        ("run", "version", "generated", ""),
        ("version", "version", "derived_from", "base model"),
    }
    assert subject.kind == Node.Kind.VERSION
    assert Node.objects.get(kind="run").facts["seeds"] == {"model__random_state": "7"}
    assert Node.objects.get(kind="dataset").digests == {"mlflow_md5_32": "0a1b2c3d"}
    assert "secret" not in Node.objects.get(kind="code").namespace


def test_who_trained_and_who_wrote_the_code_is_noted_once(version: ModelVersion, by: Actor, ada: User) -> None:
    record(version=version, inputs=WHOLE, by=by)
    version.refresh_from_db()
    assert (version.trained_by, version.code_author) == (ada, ada)
    assert (version.parameters, version.metrics) == ({"model__random_state": "7", "depth": "3"}, {"auc": 0.75})
    eve = User.objects.create_user("eve")
    record(version=version, inputs=LineageInput(run=RunInput(id="r2", user="eve", parameters={"depth": "9"})), by=by)
    version.refresh_from_db()
    assert (version.trained_by, version.parameters["depth"]) == (ada, "3")
    assert eve != version.trained_by


def test_saying_the_same_twice_writes_nothing(version: ModelVersion, by: Actor) -> None:
    record(version=version, inputs=WHOLE, by=by)
    before = (Node.objects.count(), Edge.objects.count())
    record(version=version, inputs=WHOLE, by=by)
    assert (Node.objects.count(), Edge.objects.count()) == before
    [entry] = entries()
    assert entry["object"]["id"] == str(version.pk)  # type: ignore[index]


@pytest.mark.parametrize(
    "given",
    [
        DatasetInput(name="credit-train", number=2),
        DatasetInput(name="credit-train", sha256="ab" * 32),
        DatasetInput(name="credit-train", digest="ab" * 8),
    ],
)
def test_a_data_set_sealed_here_is_linked(
    version: ModelVersion, holdout: DatasetVersion, by: Actor, given: DatasetInput
) -> None:
    record(version=version, inputs=LineageInput(datasets=(given,)), by=by)
    node = Node.objects.get(kind="dataset")
    assert (node.namespace, node.name, node.version) == ("dataset", "credit-train", "2")
    assert node.digests == {"sha256": holdout.digest}


def test_a_weak_digest_or_another_sha256_does_not_link(
    version: ModelVersion, holdout: DatasetVersion, by: Actor
) -> None:
    weak = DatasetInput(name=holdout.dataset.name, digest="abababab")
    other = DatasetInput(name=holdout.dataset.name, sha256="ef" * 32)
    record(version=version, inputs=LineageInput(datasets=(weak, other)), by=by)
    assert set(Node.objects.filter(kind="dataset").values_list("namespace", flat=True)) == {"client"}
    assert not any("sha256" in node.digests for node in Node.objects.filter(kind="dataset"))


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        (LineageInput(datasets=(DatasetInput(name=" "),)), "datasets"),
        (LineageInput(datasets=(DatasetInput(name="x", sha256="nope"),)), "datasets.sha256"),
        (LineageInput(datasets=(DatasetInput(name="none", number=1),)), "datasets"),
        (LineageInput(code=CodeInput(commit="")), "code.commit"),
        (LineageInput(environment=EnvironmentInput(files={"a": "b"})), "environment.files.a"),
        (LineageInput(base_models=("models:/credit/1",)), "base_models"),
        (LineageInput(base_models=("",)), "base_models"),
    ],
)
def test_bad_input_is_refused_by_name_and_nothing_is_written(
    version: ModelVersion, by: Actor, inputs: LineageInput, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        record(version=version, inputs=inputs, by=by)
    assert refused.value.field == field
    assert not Node.objects.exists()
    assert entries() == []


def test_seeds_are_found_by_their_names() -> None:
    given = {
        "seed": "1",
        "random_state": "2",
        "clf__random_state": "3",
        "split.seed": "4",
        "seeds_used": "5",
        "depth": "6",
    }
    assert set(seeds_in(given)) == {"seed", "random_state", "clf__random_state", "split.seed"}


@pytest.mark.parametrize(
    ("given", "namespace", "name"),
    [
        ("https://ada:secret@git.example.org/credit.git", "https://git.example.org/credit", "credit"),
        ("https://git.example.org/credit/", "https://git.example.org/credit", "credit"),
        ("https://git.example.org/credit#training", "https://git.example.org/credit", "credit"),
        ("git@git.example.org:risk/credit.git", "git@git.example.org:risk/credit", "credit"),
        ("git@git.example.org:credit.git", "git@git.example.org:credit", "credit"),
        ("file:///data/ada/credit", "file:///data/ada/credit", "credit"),
        ("", "", "unnamed repository"),
    ],
)
def test_code_is_a_commit_of_a_repository_and_the_script_belongs_to_the_run(
    version: ModelVersion, by: Actor, given: str, namespace: str, name: str
) -> None:
    code = CodeInput(commit="c0ffee", repository=given, path="/data/ada/manage.py", branch="main")
    record(version=version, inputs=LineageInput(code=code, run=RunInput(id="r1")), by=by)
    node = Node.objects.get(kind="code")
    assert (node.namespace, node.name, node.version) == (namespace, name, "c0ffee")
    assert node.facts == {"branch": "main"}
    assert Node.objects.get(kind="run").facts == {"entry_point": "/data/ada/manage.py"}


def test_two_scripts_of_one_commit_are_one_code(version: ModelVersion, by: Actor) -> None:
    for number, script in enumerate(("train.py", "tune.py")):
        code = CodeInput(commit="c0ffee", repository="https://git.example.org/credit", path=script)
        record(version=version, inputs=LineageInput(code=code, run=RunInput(id=f"r{number}")), by=by)
    assert Node.objects.filter(kind="code").count() == 1
    assert {node.facts["entry_point"] for node in Node.objects.filter(kind="run")} == {"train.py", "tune.py"}


def test_a_repository_that_is_no_address_is_refused(version: ModelVersion, by: Actor) -> None:
    code = CodeInput(commit="c0ffee", repository="https://[broken/credit")
    with pytest.raises(Invalid, match="must be an address"):
        record(version=version, inputs=LineageInput(code=code), by=by)
    assert not Node.objects.filter(kind="code").exists()


def test_who_trained_is_known_before_the_rest(version: ModelVersion, by: Actor, ada: User) -> None:
    note_people(version=version, inputs=WHOLE, by=by)
    version.refresh_from_db()
    assert (version.trained_by, version.code_author) == (ada, ada)
    assert (version.parameters, Node.objects.count()) == ({}, 0)
    [entry] = entries()
    assert entry["diff"] == {
        name: {"before": None, "after": f"user:{ada.pk}"} for name in ("trained_by", "code_author")
    }
    note_people(version=version, inputs=WHOLE, by=by)
    assert len(entries()) == 1
