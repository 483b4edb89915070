"""Registering versions: numbers are dense, never used twice, and two at once both succeed."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction

from audit.actors import SYSTEM
from config.errors import Invalid, NotAllowed, NotFound
from registry.models import ModelVersion, RegisteredModel, User
from registry.selectors.catalog import version_by_number
from registry.services import catalog, versions
from tests.factories import registry as make
from tests.waiting import until_a_backend_waits_on_a_lock

pytestmark = pytest.mark.usefixtures("by_hand")


def test_a_version_is_pending_and_its_entry_says_where_its_bytes_come_from(
    model: RegisteredModel, scientist: User
) -> None:
    before = len(make.entries())

    version = make.pending_version(
        model, scientist, source="runs:/1/model", run_id="1", tags={"kind": "challenger"}, parameters={"depth": "3"},
        metrics={"auc": 0.8},
    )  # fmt: skip

    assert (version.number, version.status, version.registered_by) == (1, ModelVersion.Status.PENDING, scientist)
    [entry] = make.entries(before)
    assert entry["action"] == "version.registered"
    assert entry["facts"] == {"model": model.name, "number": 1, "source": "runs:/1/model", "run_id": "1"}


def test_the_number_of_a_deleted_version_is_not_given_again(model: RegisteredModel, scientist: User) -> None:
    first = make.pending_version(model, scientist)

    versions.delete_version(version=first, by=make.actor(scientist))

    assert make.pending_version(model, scientist).number == 2
    with pytest.raises(NotFound):
        version_by_number(model, 1)


def test_under_a_freed_name_another_model_counts_anew_and_is_told_apart(
    model: RegisteredModel, scientist: User
) -> None:
    make.pending_version(model, scientist)
    catalog.delete_model(model=model, by=make.actor(scientist))

    again = make.registered_model(scientist, model.name)
    version = make.pending_version(again, scientist)

    assert (again.pk != model.pk, version.number) == (True, 1), "as in MLflow"
    registered = [entry["object"] for entry in make.entries() if entry["action"] == "version.registered"]
    assert len({about["id"] for about in registered}) == 2, "two streams of the ledger"
    assert [about["version"] for about in registered] == [f"{model.name} v1"] * 2


def test_a_model_renamed_after_it_was_looked_up_takes_no_version_and_no_alias_under_its_old_name(
    model: RegisteredModel, pending: ModelVersion, scientist: User
) -> None:
    by = make.actor(scientist)
    catalog.rename_model(model=RegisteredModel.objects.get(pk=model.pk), new_name="another", by=by)
    before = len(make.entries())

    with pytest.raises(NotFound):
        make.pending_version(model, scientist)
    with pytest.raises(NotFound):
        catalog.set_alias(model=model, alias="champion", number=1, by=by)

    assert make.entries(before) == []
    assert make.pending_version(RegisteredModel.objects.get(pk=model.pk), scientist).number == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_registrations_at_once_the_second_waits_and_gets_the_next_number(
    model: RegisteredModel, scientist: User
) -> None:
    def register() -> int:
        try:
            return make.pending_version(model, scientist).number
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            first = make.pending_version(model, scientist).number
            second = pool.submit(register)
            until_a_backend_waits_on_a_lock()
        assert (first, second.result(timeout=10)) == (1, 2)
    assert make.actions().count("version.registered") == 2
    model.refresh_from_db()
    assert model.next_version == 3


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_all_succeed_with_numbers_of_their_own(model: RegisteredModel, scientist: User) -> None:
    def register(_: int) -> int:
        try:
            return make.pending_version(model, scientist).number
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(register, range(8)))

    assert sorted(numbers) == list(range(1, 9))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"source": "s" * 2001}, "source"),
        ({"run_id": "r" * 65}, "run_id"),
        ({"run_link": "a\x00"}, "run_link"),
        ({"description": "\ud800"}, "description"),
        ({"tags": {"": "x"}}, "tags"),
        ({"tags": {"k": "x" * 100_001}}, "tags"),
        ({"parameters": {"p": "x" * 6001}}, "parameters"),
        ({"metrics": {"m": float("nan")}}, "metrics"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_bad_input_is_refused_by_field_and_uses_no_number(
    model: RegisteredModel, scientist: User, given: dict[str, object], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        make.pending_version(model, scientist, **given)

    assert refused.value.field == field
    model.refresh_from_db()
    assert model.next_version == 1


def test_a_stranger_and_a_service_register_nothing(model: RegisteredModel, stranger: User) -> None:
    with pytest.raises(NotAllowed):
        make.pending_version(model, stranger)
    with pytest.raises(Invalid, match="person or a service account"):
        versions.register_version(model=model, by=SYSTEM)

    assert not ModelVersion.objects.exists()


def test_a_deleted_model_takes_no_version(model: RegisteredModel, scientist: User) -> None:
    catalog.delete_model(model=model, by=make.actor(scientist))

    with pytest.raises(NotFound):
        make.pending_version(model, scientist)


def test_the_database_itself_refuses_a_number_twice(pending: ModelVersion) -> None:
    with pytest.raises(IntegrityError, match="modelversion_number_once"), transaction.atomic():
        ModelVersion.objects.create(model=pending.model, number=1, registered_by=pending.registered_by)
