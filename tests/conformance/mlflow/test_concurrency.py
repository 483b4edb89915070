"""A thousand writes of the same alias, version and model at once, through real web processes.

What is acknowledged happened once and is told once: entries of the ledger, in the order in which they were written, lead
from each state to the next, without a gap, to what the tables hold in the end.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest
from django.db import transaction

from audit.models import Inbox
from registry.models import Alias, ModelTag, ModelVersion, RegisteredModel, VersionTag
from registry.roles import Role
from registry.services import catalog
from tests.conformance.mlflow.conftest import Person, person
from tests.conformance.mlflow.web import CLIENTS, Answer, Call, Web, web_processes
from tests.factories.audit import vouch

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

MANY: Final = CLIENTS * 16
SOURCE: Final = {"source": "runs:/0123456789abcdef0123456789abcdef/model", "run_id": "0123456789abcdef0123456789abcdef"}


@pytest.fixture(scope="module")
def web(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Two processes of eight threads."""
    with django_db_blocker.unblock(), web_processes(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture
def ada(transactional_db: None) -> Person:
    return person("ada", Role.CONTRIBUTOR)


@pytest.fixture
def model(ada: Person) -> RegisteredModel:
    return catalog.create_model(name="credit", by=ada.actor)


def with_versions(model: RegisteredModel, ada: Person, number: int) -> None:
    """Give the model so many versions, without asking the service a thousand times."""
    with transaction.atomic():
        rows = [ModelVersion(model=model, number=one, registered_by=ada.user) for one in range(1, number + 1)]
        vouch(*ModelVersion.objects.bulk_create(rows))
    RegisteredModel.objects.filter(pk=model.pk).update(next_version=number + 1)


def entries(*actions: str) -> list[dict[str, Any]]:
    """What the ledger was told, in the order of writing."""
    told = [json.loads(canon) for canon in Inbox.objects.order_by("pk").values_list("canon", flat=True)]
    return [entry for entry in told if entry["action"] in actions]


def refused(answers: Sequence[Answer]) -> Counter[tuple[int, str]]:
    """Which refusals came, and how often. None of them is the server's fault."""
    found = Counter((answer.status, answer.error) for answer in answers if answer.status != 200)
    assert [answer for answer in answers if answer.status >= 500] == []
    return found


def check_one_entry_each(answers: Sequence[Answer], *actions: str) -> None:
    """Every acknowledged write has exactly one entry, and no other has any."""
    told = Counter(entry["request_id"] for entry in entries(*actions))
    assert told == Counter(answer.request_id for answer in answers if answer.status == 200)


def check_chain(told: Sequence[dict[str, Any]], field: str, first: object) -> object:
    """Each change begins where the one before it ended. Returns where the last one ended."""
    state = first
    for entry in told:
        assert entry["diff"][field]["before"] == state, entry
        state = entry["diff"][field]["after"]
    return state


def test_a_thousand_registrations_get_a_thousand_numbers(web: Web, ada: Person, model: RegisteredModel) -> None:
    answers = web.send(ada.token, [Call("POST", "model-versions/create", {"name": "credit", **SOURCE})] * MANY)

    assert refused(answers) == {}
    given = [int(answer.body["model_version"]["version"]) for answer in answers]
    assert sorted(given) == list(range(1, MANY + 1))
    check_one_entry_each(answers, "version.registered")
    told = {entry["request_id"]: entry["facts"]["number"] for entry in entries("version.registered")}
    assert [told[answer.request_id] for answer in answers] == given
    stored = ModelVersion.objects.filter(model=model).order_by("number").values_list("number", "created_at")
    assert [number for number, _ in stored] == sorted(given)
    assert [moment for _, moment in stored] == sorted(moment for _, moment in stored), "in the order of their numbers"
    model.refresh_from_db()
    assert (model.next_version, model.updated_at) == (MANY + 1, max(moment for _, moment in stored))


def test_an_alias_that_everybody_moves_is_moved_by_each_in_turn(web: Web, ada: Person, model: RegisteredModel) -> None:
    with_versions(model, ada, MANY)
    name = {"name": "credit", "alias": "champion"}
    calls = [Call("POST", "registered-models/alias", {**name, "version": str(one + 1)}) for one in range(MANY)]
    calls[3::4] = [Call("DELETE", "registered-models/alias", name)] * len(calls[3::4])

    answers = web.send(ada.token, calls)

    assert refused(answers) == {}
    check_one_entry_each([answer for answer in answers if answer.call.method == "POST"], "alias.set")
    deleted = {answer.request_id for answer in answers if answer.call.method == "DELETE"}
    assert {entry["request_id"] for entry in entries("alias.deleted")} <= deleted
    last = check_chain(entries("alias.set", "alias.deleted"), "version", None)
    assert Alias.objects.values_list("version__number", flat=True).first() == last
    model.refresh_from_db()
    assert model.revision == 1 + len(entries("alias.set", "alias.deleted"))


def test_a_tag_that_everybody_writes_loses_nothing(web: Web, ada: Person, model: RegisteredModel) -> None:
    with_versions(model, ada, 1)
    calls = [
        Call("POST", f"{kind}/set-tag", {"name": "credit", "version": "1", "key": "k", "value": str(number)})
        for number in range(MANY // 2)
        for kind in ("registered-models", "model-versions")
    ]
    for place, kind in ((7, "registered-models"), (8, "model-versions")):
        some = calls[place::10]
        calls[place::10] = [Call("DELETE", f"{kind}/delete-tag", {"name": "credit", "version": "1", "key": "k"})] * len(
            some
        )

    answers = web.send(ada.token, calls)

    assert refused(answers) == {}
    written = [answer for answer in answers if answer.call.method == "POST"]
    check_one_entry_each(written, "model.tag_set", "version.tag_set")
    of_model = check_chain(entries("model.tag_set", "model.tag_deleted"), "value", None)
    of_version = check_chain(entries("version.tag_set", "version.tag_deleted"), "value", None)
    assert ModelTag.objects.values_list("value", flat=True).first() == of_model
    assert VersionTag.objects.values_list("value", flat=True).first() == of_version


def test_versions_that_push_each_other_out_of_a_stage_leave_one_there(
    web: Web, ada: Person, model: RegisteredModel
) -> None:
    with_versions(model, ada, 16)
    chance = random.Random(7)
    calls = [
        Call(
            "POST",
            "model-versions/transition-stage",
            {
                "name": "credit",
                "version": str(chance.randint(1, 16)),
                "stage": (stage := chance.choice(["Staging", "Production", "Archived", "None"])),
                "archive_existing_versions": stage in {"Staging", "Production"},
            },
        )
        for _ in range(MANY)
    ]

    answers = web.send(ada.token, calls)

    assert refused(answers) == {}
    stages = dict(ModelVersion.objects.values_list("pk", "stage"))
    assert Counter(stages.values())["Staging"] <= 1
    assert Counter(stages.values())["Production"] <= 1
    told = entries("version.stage_changed")
    for version, stage in stages.items():
        about = [entry for entry in told if entry["object"]["id"] == str(version)]
        assert check_chain(about, "stage", "None") == stage
    assert {entry["request_id"] for entry in told} <= {answer.request_id for answer in answers}


def test_models_renamed_to_and_fro_keep_every_rename_and_take_no_version_meant_for_another_name(
    web: Web, ada: Person, model: RegisteredModel
) -> None:
    other = catalog.create_model(name="debit", by=ada.actor)
    chance = random.Random(11)

    def call(number: int) -> Call:
        one, two = chance.sample(["credit", "debit", "neither"], 2)
        if number // CLIENTS % 2:
            return Call("POST", "model-versions/create", {"name": one, **SOURCE})
        return Call("POST", "registered-models/rename", {"name": one, "new_name": two})

    answers = web.send(ada.token, [call(number) for number in range(MANY)])

    assert set(refused(answers)) <= {(404, "RESOURCE_DOES_NOT_EXIST"), (400, "RESOURCE_ALREADY_EXISTS")}
    check_one_entry_each(answers, "model.renamed", "version.registered")
    assert entries("model.renamed"), "some succeed"
    asked = {answer.request_id: answer.call.body["name"] for answer in answers}
    for one, first in ((model, "credit"), (other, "debit")):
        renames = [entry for entry in entries("model.renamed") if entry["object"]["id"] == str(one.pk)]
        one.refresh_from_db()
        assert check_chain(renames, "name", first) == one.name
        assert ModelVersion.objects.filter(model=one).count() == one.next_version - 1
    for entry in entries("model.renamed"):
        assert entry["diff"]["name"]["before"] == asked[entry["request_id"]]
    for entry in entries("version.registered"):
        assert entry["facts"]["model"] == asked[entry["request_id"]]


def test_of_many_who_create_a_model_one_does(web: Web, ada: Person) -> None:
    calls = [Call("POST", "registered-models/create", {"name": f"model {number % 16}"}) for number in range(MANY)]

    answers = web.send(ada.token, sorted(calls, key=lambda call: str(call.body["name"])))

    assert refused(answers) == {(400, "RESOURCE_ALREADY_EXISTS"): MANY - 16}
    check_one_entry_each(answers, "model.created")
    assert RegisteredModel.objects.count() == 16


def test_everything_at_once_on_one_model(web: Web, ada: Person, model: RegisteredModel) -> None:
    with_versions(model, ada, 32)
    chance = random.Random(13)

    def call(number: int) -> Call:
        name: dict[str, Any] = {"name": "credit"}
        version = {**name, "version": str(chance.randint(1, 32))}
        return chance.choice(
            [
                Call("POST", "model-versions/create", {**name, **SOURCE, "tags": [{"key": "n", "value": str(number)}]}),
                Call("POST", "registered-models/alias", {**version, "alias": "champion"}),
                Call("DELETE", "registered-models/alias", {**name, "alias": "champion"}),
                Call("POST", "registered-models/set-tag", {**name, "key": "k", "value": str(number)}),
                Call("POST", "model-versions/set-tag", {**version, "key": "k", "value": str(number)}),
                Call("PATCH", "model-versions/update", {**version, "description": str(number)}),
                Call("PATCH", "registered-models/update", {**name, "description": str(number)}),
                Call(
                    "POST", "model-versions/transition-stage", {**version, "stage": chance.choice(["Staging", "None"])}
                ),
                Call("DELETE", "model-versions/delete", version),
            ]
        )

    answers = web.send(ada.token, [call(number) for number in range(MANY)])

    assert set(refused(answers)) <= {(404, "RESOURCE_DOES_NOT_EXIST")}
    of = {answer.request_id: answer for answer in answers}
    for action, path in {
        "version.registered": "model-versions/create",
        "model.tag_set": "registered-models/set-tag",
        "version.tag_set": "model-versions/set-tag",
        "version.changed": "model-versions/update",
        "model.changed": "registered-models/update",
        "version.deleted": "model-versions/delete",
    }.items():
        check_one_entry_each([answer for answer in answers if answer.call.path == path], action)
    numbers = [entry["facts"]["number"] for entry in entries("version.registered")]
    assert numbers == list(range(33, 33 + len(numbers)))
    last = check_chain(entries("alias.set", "alias.deleted"), "version", None)
    assert Alias.objects.values_list("version__number", flat=True).first() == last
    assert (
        check_chain(entries("model.tag_set"), "value", None) == ModelTag.objects.values_list("value", flat=True).get()
    )
    assert all(of[entry["request_id"]].status == 200 for entry in entries("alias.set", "version.stage_changed"))
