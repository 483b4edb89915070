"""Rows as of a moment: what transactions had committed, whatever happened to the rows since."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import Count

from config import as_of, statements
from registry.models import Alias, ModelVersion, RegisteredModel, User, VersionTag
from registry.services import catalog
from tests.factories import pages as make
from tests.factories.audit import vouch
from tests.time_travel.moments import here


def _describe(model: RegisteredModel, words: str, by: User) -> None:
    catalog.update_model(model=RegisteredModel.objects.get(pk=model.pk), description=words, by=make.actor(by))


def _described(model: RegisteredModel, moment: as_of.Moment) -> str:
    with as_of.travelling(moment):
        return RegisteredModel.objects.get(pk=model.pk).description


def test_each_moment_shows_what_was_said_then(model: RegisteredModel, scientist: User) -> None:
    said = []
    for words in ("first", "second", "third"):
        _describe(model, words, scientist)
        said.append((words, here()))

    assert [(_described(model, moment)) for _, moment in said] == ["first", "second", "third"]
    assert RegisteredModel.objects.get(pk=model.pk).description == "third"


def test_what_came_later_was_not_there_and_what_went_since_was(version: ModelVersion, scientist: User) -> None:
    before = here()
    catalog.set_alias(model=version.model, alias="champion", number=version.number, by=make.actor(scientist))
    named = here()
    catalog.delete_alias(model=version.model, alias="champion", by=make.actor(scientist))
    after = here()

    found = []
    for moment in (before, named, after):
        with as_of.travelling(moment):
            found.append([str(alias) for alias in Alias.objects.select_related("model")])
    assert found == [[], ["credit-default@champion"], []]


def test_a_row_deleted_and_made_again_is_there_twice_with_a_gap(version: ModelVersion) -> None:
    def tag(value: str) -> None:
        with transaction.atomic():
            VersionTag.objects.create(pk=4711, version=version, key="k", value=value)
            vouch(version)

    tag("one")
    first = here()
    with transaction.atomic():
        VersionTag.objects.filter(pk=4711).delete()
        vouch(version)
    gap = here()
    tag("two")
    again = here()

    found = []
    for moment in (first, gap, again):
        with as_of.travelling(moment):
            found.append(list(VersionTag.objects.filter(pk=4711).values_list("value", flat=True)))
    assert found == [["one"], [], ["two"]]


def test_a_transaction_that_was_rolled_back_was_never_there(model: RegisteredModel, scientist: User) -> None:
    with transaction.atomic():
        _describe(model, "never", scientist)
        transaction.set_rollback(True)
    with transaction.atomic():
        with transaction.atomic():
            _describe(model, "never in a savepoint", scientist)
            transaction.set_rollback(True)
        _describe(model, "said", scientist)
    moment = here()
    _describe(model, "later", scientist)

    assert _described(model, moment) == "said"
    with connection.cursor() as cursor:
        cursor.execute("SELECT description FROM history.registry_registeredmodel WHERE id = %s", [model.pk])
        assert not any("never" in words for (words,) in cursor.fetchall())


def test_what_one_transaction_says_twice_is_kept_once(model: RegisteredModel, scientist: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM history.registry_registeredmodel WHERE id = %s", [model.pk])
        (before,) = cursor.fetchone()
        with transaction.atomic():
            for words in "abc":
                _describe(model, words, scientist)
        cursor.execute("SELECT count(*) FROM history.registry_registeredmodel WHERE id = %s", [model.pk])
        assert cursor.fetchone() == (before + 1,)


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_open_across_a_checkpoint_belongs_to_the_next(
    model: RegisteredModel, scientist: User, isolation: str
) -> None:
    """It began first, wrote first, and committed last: by its number it would be earlier, by its commit it is later."""
    wrote, go_on = Event(), Event()

    def slow() -> None:
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
                RegisteredModel.objects.filter(pk=model.pk).update(description="slow")
                vouch(RegisteredModel.objects.get(pk=model.pk))
                wrote.set()
                assert go_on.wait(20)
        finally:
            connection.close()

    other = make.model(scientist, "other")
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(slow)
        assert wrote.wait(20)
        _describe(other, "quick", scientist)
        between = here()
        go_on.set()
        late.result()
    after = here()
    _describe(model, "much later", scientist)

    assert _described(other, between) == "quick"
    assert _described(model, between) == ""
    assert _described(model, after) == "slow"


def test_one_connection_goes_to_and_fro_with_prepared_statements(model: RegisteredModel, scientist: User) -> None:
    """A statement prepared on the server means the tables of the moment in which it is executed."""
    statement = "SELECT description FROM registry_registeredmodel WHERE id = %s"
    first = here()
    _describe(model, "now", scientist)
    second = here()

    for _ in range(10):
        for moment, words in ((first, ""), (second, "now")):
            assert statements.one(statement, [model.pk]) == ("now",)
            with as_of.travelling(moment):
                assert statements.one(statement, [model.pk]) == (words,)
                with as_of.today():
                    assert statements.one(statement, [model.pk]) == ("now",)
                assert statements.one(statement, [model.pk]) == (words,)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT description FROM regis%'"
        )
        assert cursor.fetchone() == (1,)


def test_nothing_can_be_written_in_the_past_and_everything_after_it(model: RegisteredModel, scientist: User) -> None:
    moment = here()

    with pytest.raises(DatabaseError, match="cannot update view"), as_of.travelling(moment):
        RegisteredModel.objects.filter(pk=model.pk).update(description="no")
    with pytest.raises(DatabaseError, match="read-only"), as_of.travelling(moment):
        User.objects.update(display_name="no")
    with transaction.atomic(), as_of.travelling(moment):
        pass
    _describe(model, "yes", scientist)

    assert RegisteredModel.objects.get(pk=model.pk).description == "yes"


def test_counting_groups_works_without_a_key(version: ModelVersion) -> None:
    moment = here()

    with as_of.travelling(moment):
        found = list(RegisteredModel.objects.annotate(n=Count("versions")).values_list("name", "n", "card"))
        assert RegisteredModel.objects.annotate(n=Count("versions")).get().name == "credit-default"

    assert found == [("credit-default", 1, {"intended_use": "Rank applications."})]


def test_without_the_views_the_past_is_not_shown(model: RegisteredModel) -> None:
    """Else the search path would lead to the tables of today."""
    moment = here()

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("DROP VIEW asof.registry_alias CASCADE")
        with pytest.raises(as_of.NotKept), as_of.travelling(moment):
            pass
        transaction.set_rollback(True)


def test_what_changes_too_often_is_shown_empty_and_keeps_no_history(version: ModelVersion) -> None:
    before = here()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM history.registry_modelversion")
        (kept,) = cursor.fetchone()
        ModelVersion.objects.filter(pk=version.pk).update(ingest_attempts=7)
        cursor.execute("SELECT count(*) FROM history.registry_modelversion")
        assert cursor.fetchone() == (kept,)

    with as_of.travelling(before):
        assert ModelVersion.objects.get(pk=version.pk).ingest_attempts == 0
