"""Models: created, changed, renamed, tagged, deleted; each with its entry, each refusal with nothing moved."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction

from config.errors import Conflict, Invalid, NotAllowed, NotFound, Refusal, StaleEdit
from registry.models import ModelTag, RegisteredModel, User
from registry.roles import Role
from registry.selectors import catalog as seen
from registry.services import catalog
from tests.factories import registry as make
from tests.waiting import until_a_backend_waits_on_a_lock

pytestmark = pytest.mark.usefixtures("by_hand")


def test_a_contributor_creates_a_model_and_owns_it(scientist: User) -> None:
    before = len(make.entries())

    model = make.registered_model(scientist, "churn", tags={"team": "retail"}, card={"intended_use": "Letters."})

    assert (model.owner, model.tier, model.revision, model.next_version) == (scientist, 1, 1, 1)
    [entry] = make.entries(before)
    assert entry["action"] == "model.created"
    assert entry["actor"]["id"] == f"user:{scientist.pk}"
    assert entry["object"]["id"] == str(model.pk)
    assert entry["diff"] == {"tags": [{"key": "team", "value": "retail"}], "description": ""}


@pytest.mark.parametrize("role", [None, Role.VALIDATOR, Role.APPROVER, Role.AUDITOR, Role.ADMINISTRATOR])
def test_nobody_else_creates_a_model(db: None, role: Role | None) -> None:
    user = make.person(*[role] if role else [])

    with pytest.raises(NotAllowed, match="role contributor"):
        make.registered_model(user)

    assert not RegisteredModel.objects.exists()


def test_a_superuser_is_no_contributor(db: None) -> None:
    with pytest.raises(NotAllowed):
        make.registered_model(make.person(is_superuser=True))


def test_a_name_is_taken_until_its_model_is_deleted(model: RegisteredModel, scientist: User) -> None:
    with pytest.raises(Conflict) as refused:
        make.registered_model(scientist, model.name)
    assert (refused.value.code, refused.value.field) == ("model.exists", "name")

    catalog.delete_model(model=model, by=make.actor(scientist))

    assert make.registered_model(scientist, model.name).pk != model.pk


@pytest.mark.django_db(transaction=True)
def test_of_two_who_create_the_same_name_at_once_one_waits_and_is_refused(scientist: User) -> None:
    def outcome() -> str:
        try:
            make.registered_model(scientist, "churn")
        except Refusal as refusal:
            return refusal.code
        else:
            return "created"
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            make.registered_model(scientist, "churn")
            second = pool.submit(outcome)
            until_a_backend_waits_on_a_lock()
        assert second.result(timeout=10) == "model.exists"
    assert RegisteredModel.objects.filter(name="churn").count() == 1
    assert make.actions().count("model.created") == 1


def test_a_change_is_logged_by_field_and_the_revision_grows(model: RegisteredModel, scientist: User) -> None:
    before = len(make.entries())

    changed = catalog.update_model(
        model=model, by=make.actor(scientist), description="Who will not pay.", tier=model.tier, revision=1
    )

    assert (changed.description, changed.revision) == ("Who will not pay.", 2)
    [entry] = make.entries(before)
    assert (entry["action"], entry["diff"]) == (
        "model.changed",
        {"description": {"before": "", "after": "Who will not pay."}},
    )


def test_a_change_of_nothing_leaves_no_trace(model: RegisteredModel, scientist: User) -> None:
    before = make.entries()

    assert catalog.update_model(model=model, by=make.actor(scientist), description="").revision == 1
    assert make.entries() == before


def test_a_stale_edit_is_refused(model: RegisteredModel, scientist: User) -> None:
    catalog.update_model(model=model, by=make.actor(scientist), description="first")

    with pytest.raises(StaleEdit) as refused:
        catalog.update_model(model=model, by=make.actor(scientist), description="second", revision=1)

    assert refused.value.extra == {"revision": 2}
    model.refresh_from_db()
    assert model.description == "first"


def test_a_long_text_is_logged_by_its_digest(model: RegisteredModel, scientist: User) -> None:
    text = "\x01" * 100_000  # six bytes each in JSON: two of them would be larger than an entry may be

    catalog.set_model_tag(model=model, key="notes", value="short", by=make.actor(scientist))
    catalog.set_model_tag(model=model, key="notes", value=text, by=make.actor(scientist))
    catalog.update_model(
        model=model, by=make.actor(scientist), card={f"k{number}": "x" * 20_000 for number in range(20)}
    )

    assert make.entries()[-2]["diff"]["value"] == {
        "before": "short",
        "after": {"sha256": make.sha256(text.encode()), "bytes": 100_000},
    }
    assert set(make.entries()[-1]["diff"]["card"]["after"]) == {"sha256", "bytes"}


def test_a_laxer_tier_is_for_validators_and_administrators(model: RegisteredModel, scientist: User) -> None:
    with pytest.raises(NotAllowed) as refused:
        catalog.update_model(model=model, by=make.actor(scientist), tier=3)
    with pytest.raises(NotAllowed):
        make.registered_model(scientist, tier=2)
    assert (refused.value.code, refused.value.field) == ("model.tier_not_yours", "tier")

    validator = make.actor(make.person(Role.VALIDATOR))
    assert catalog.update_model(model=model, by=validator, tier=3).tier == 3
    assert catalog.update_model(model=model, by=make.actor(scientist), tier=1).tier == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tier": 4}, "tier"),
        ({"description": "x" * 50_001}, "description"),
        ({"use_case": "x" * 401}, "use_case"),
        ({"card": {"A": ""}}, "card"),
        ({"description": "a\x00"}, "description"),
    ],
    ids=str,
)
def test_bad_input_is_refused_by_field(
    model: RegisteredModel, scientist: User, change: dict[str, object], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        catalog.update_model(model=model, by=make.actor(scientist), **change)  # type: ignore[arg-type]

    assert refused.value.field == field


def test_a_rename_keeps_the_model_and_says_what_it_was_called(model: RegisteredModel, scientist: User) -> None:
    other = make.registered_model(scientist)
    with pytest.raises(Conflict):
        catalog.rename_model(model=model, new_name=other.name, by=make.actor(scientist))
    with pytest.raises(Invalid) as refused:
        catalog.rename_model(model=model, new_name="a/b", by=make.actor(scientist))
    assert refused.value.field == "new_name"

    assert catalog.rename_model(model=model, new_name="credit-risk", by=make.actor(scientist)).pk == model.pk
    assert make.entries()[-1]["diff"] == {"name": {"before": "credit-default", "after": "credit-risk"}}


def test_tags_are_set_replaced_and_deleted(model: RegisteredModel, scientist: User) -> None:
    by = make.actor(scientist)
    before = len(make.entries())

    catalog.set_model_tag(model=model, key="area", value="retail", by=by)
    catalog.set_model_tag(model=model, key="area", value="cards", by=by)
    catalog.delete_model_tag(model=model, key="area", by=by)
    catalog.delete_model_tag(model=model, key="area", by=by)

    assert not ModelTag.objects.exists()
    assert make.actions(before) == ["model.tag_set", "model.tag_set", "model.tag_deleted"]
    assert make.entries(before)[1]["diff"] == {"key": "area", "value": {"before": "retail", "after": "cards"}}


def test_a_deleted_model_takes_its_aliases_and_versions_along_and_its_rows_stay(
    model: RegisteredModel, scientist: User
) -> None:
    make.sealed_version(model, scientist)
    catalog.set_alias(model=model, alias="champion", number=1, by=make.actor(scientist))
    before = len(make.entries())

    catalog.delete_model(model=model, by=make.actor(scientist))

    assert make.actions(before) == ["alias.deleted", "version.deleted", "model.deleted"]
    assert RegisteredModel.objects.filter(pk=model.pk).exists()
    with pytest.raises(NotFound):
        seen.model_by_name(model.name, scientist)
    with pytest.raises(NotFound):
        catalog.set_model_tag(model=model, key="a", value="b", by=make.actor(scientist))


def test_a_stranger_finds_nothing_and_changes_nothing(model: RegisteredModel, stranger: User) -> None:
    by, before = make.actor(stranger), make.entries()

    for attempt in (
        lambda: catalog.update_model(model=model, by=by, description="x"),
        lambda: catalog.rename_model(model=model, new_name="x", by=by),
        lambda: catalog.delete_model(model=model, by=by),
        lambda: catalog.set_model_tag(model=model, key="a", value="b", by=by),
        lambda: catalog.delete_model_tag(model=model, key="a", by=by),
    ):
        with pytest.raises(NotAllowed):
            attempt()
    with pytest.raises(NotFound):
        seen.model_by_name(model.name, stranger)

    assert make.entries() == before


def test_a_role_on_one_model_reaches_that_one_only(model: RegisteredModel, scientist: User) -> None:
    guest = make.person(Role.CONTRIBUTOR, model=model)
    other = make.registered_model(scientist)

    catalog.update_model(model=model, by=make.actor(guest), description="By a guest.")
    assert seen.model_by_name(model.name, guest) == model
    with pytest.raises(NotAllowed):
        catalog.update_model(model=other, by=make.actor(guest), description="x")
    with pytest.raises(NotFound):
        seen.model_by_name(other.name, guest)
    with pytest.raises(NotAllowed):
        make.registered_model(guest)


def test_the_owner_sees_a_model_and_has_no_say_by_owning_it(model: RegisteredModel, scientist: User) -> None:
    scientist.groups.clear()
    former = User.objects.get(pk=scientist.pk)

    assert seen.model_by_name(model.name, former) == model
    assert not seen.can(former, "registry.contribute_registeredmodel", model)
    assert not seen.can(former, "registry.approve_registeredmodel", model)
    with pytest.raises(NotAllowed):
        catalog.update_model(model=model, by=make.actor(former), description="x")


@pytest.mark.parametrize("name", ["nothing", "a\x00b", "x" * 10_000])
def test_a_name_nothing_has_is_not_found(scientist: User, name: str) -> None:
    with pytest.raises(NotFound):
        seen.model_by_name(name, scientist)


def test_whether_a_person_may_is_one_query_for_all_models_and_one_for_each_model(
    model: RegisteredModel, django_assert_num_queries: object
) -> None:
    user = User.objects.get(pk=make.person(Role.AUDITOR, model=model).pk)

    with django_assert_num_queries(2):  # type: ignore[operator]
        assert seen.can(user, "audit_registeredmodel", model)
        assert seen.can(user, "registry.view_registeredmodel", model)
        assert not seen.can(user, "registry.approve_registeredmodel", model)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"name": ""}, "registeredmodel_name_not_empty"),
        ({"tier": 9}, "registeredmodel_known_tier"),
    ],
)
def test_the_database_itself_refuses(model: RegisteredModel, change: dict[str, object], constraint: str) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        RegisteredModel.objects.filter(pk=model.pk).update(**change)
