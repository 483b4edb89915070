"""Changing a model's card: by whom, with what refusals, and what two people at once see."""

import pytest

from audit.models import Entry
from registry.models import RegisteredModel, User
from registry.roles import Role
from registry.services import catalog
from tests.factories import pages as make
from tests.factories.audit import integrate
from tests.pages.registry.conftest import Visit

MODEL = "/models/credit-default/"


def card(model: RegisteredModel, **changes: str) -> dict[str, str]:
    """What the form would send, with these changes."""
    return {
        "use_case": model.use_case,
        "tier": str(model.tier),
        "intended_use": "Rank applications.",
        "limitations": "",
        "affected_groups": "",
        "monitoring_plan": "",
        "revision": str(model.revision),
        **changes,
    }


def test_a_contributor_saves_the_card_and_the_ledger_knows(model: RegisteredModel, visit: Visit) -> None:
    answer = visit(model.owner).post(MODEL, card(model, limitations="Short histories."))

    assert answer.status_code == 303
    model.refresh_from_db()
    assert model.card == {"intended_use": "Rank applications.", "limitations": "Short histories."}
    integrate()
    assert Entry.objects.filter(action="model.changed", actor_id=f"user:{model.owner_id}").count() == 1


def test_a_field_that_is_emptied_is_gone_and_fields_of_others_stay(model: RegisteredModel, visit: Visit) -> None:
    catalog.update_model(model=model, card={"intended_use": "x", "owner_note": "from REST"}, by=make.actor(model.owner))
    model.refresh_from_db()

    visit(model.owner).post(MODEL, card(model, intended_use=""))

    model.refresh_from_db()
    assert model.card == {"owner_note": "from REST"}


def test_an_auditor_reads_the_card_and_why_it_cannot_be_changed(
    model: RegisteredModel, auditor: User, visit: Visit
) -> None:
    browser = visit(auditor)
    page = browser.get(MODEL).content.decode()
    assert "card-form" not in page
    assert "that needs the role contributor, validator or administrator on it" in page

    answer = browser.post(MODEL, card(model, limitations="None."))

    assert answer.status_code == 403
    assert "that needs the role contributor, validator or administrator on it" in answer.content.decode()
    model.refresh_from_db()
    assert "limitations" not in model.card


def test_a_stranger_cannot_even_try(model: RegisteredModel, stranger: User, visit: Visit) -> None:
    assert visit(stranger).post(MODEL, card(model)).status_code == 404


def test_a_team_may_change_the_one_model_it_contributes_to(model: RegisteredModel, visit: Visit) -> None:
    other = make.model(model.owner, "fraud-cnp")
    guest = make.person("guest", Role.CONTRIBUTOR, on=model)

    assert visit(guest).post(MODEL, card(model, limitations="x")).status_code == 303
    assert visit(guest).post(f"/models/{other.name}/", card(other)).status_code == 404


def test_what_was_typed_stays_and_the_error_stands_beside_its_field(model: RegisteredModel, visit: Visit) -> None:
    answer = visit(model.owner).post(MODEL, card(model, use_case="u" * 401, limitations="Keep these words"))
    page = answer.content.decode()

    assert answer.status_code == 422
    assert "Keep these words" in page
    assert 'aria-invalid="true"' in page
    assert "at most 400 characters" in page


def test_a_contributor_may_not_put_a_model_into_a_laxer_tier(model: RegisteredModel, visit: Visit) -> None:
    answer = visit(model.owner).post(MODEL, card(model, tier="3"))

    assert answer.status_code == 403
    assert "less strict tier" in answer.content.decode()
    model.refresh_from_db()
    assert model.tier == 1


@pytest.mark.parametrize(
    ("field", "value"), [("tier", "9"), ("tier", "x"), ("revision", ""), ("revision", "x"), ("use_case", "a\x00b")]
)
def test_a_value_that_makes_no_sense_is_refused(field: str, value: str, model: RegisteredModel, visit: Visit) -> None:
    answer = visit(model.owner).post(MODEL, card(model, **{field: value}))

    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode() or 'aria-invalid="true"' in answer.content.decode()


def test_the_second_of_two_people_sees_what_the_first_wrote_and_decides(model: RegisteredModel, visit: Visit) -> None:
    browser, read = visit(model.owner), card(model, limitations="Mine")
    catalog.update_model(model=model, card={"limitations": "Theirs"}, by=make.actor(model.owner))

    answer = browser.post(MODEL, read)
    page = answer.content.decode()

    assert answer.status_code == 412
    assert "Somebody changed this model after you read it." in page
    assert "Now it says: Theirs" in page
    assert "Mine" in page
    model.refresh_from_db()
    assert model.card == {"limitations": "Theirs"}
    assert f'name="revision" value="{model.revision}"' in page
    assert browser.post(MODEL, {**read, "revision": str(model.revision)}).status_code == 303
