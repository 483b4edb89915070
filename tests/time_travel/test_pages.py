"""Pages as of a moment: what they show, that they stay there, and that nothing can be done on them."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.actors import SYSTEM
from audit.models import Moment
from config import past_pages
from registry.models import ModelVersion, RegisteredModel, User
from registry.roles import Role
from registry.services import access, catalog
from registry.time_travel import travels
from tests.factories import pages as make
from tests.factories.audit import by_hand
from tests.time_travel.moments import Visit, here


def test_a_page_shows_the_day_says_which_checkpoint_and_its_links_stay_there(
    version: ModelVersion, auditor: User, scientist: User, visit: Visit
) -> None:
    then = here()
    catalog.update_model(model=version.model, use_case="Something else.", by=make.actor(scientist))
    here()

    page = visit(auditor).get("/models/", {"as_of": then.name})

    body = page.content.decode()
    assert "Default of card accounts." in body
    assert "Something else." not in body
    assert f"As-Of-Entry: {then.size}" in str(page.headers) or page["As-Of-Entry"] == str(then.size)
    assert page["As-Of-Root"] == then.root.hex()
    assert "As it was on" in body
    assert 'href="/models/credit-default/?as_of=entry:' in body
    assert "Something else." in visit(auditor).get("/models/").content.decode()


def test_no_link_leads_back_to_today_unseen(version: ModelVersion, auditor: User, visit: Visit) -> None:
    then, browser = here(), visit(auditor)

    for path in (
        "/",
        "/models/",
        "/models/credit-default/",
        "/models/credit-default/versions/1/",
        "/lineage/",
        "/policies/",
    ):
        page = browser.get(path, {"as_of": then.name})
        assert page.status_code == 200, path
        body = page.content.decode()
        for tag in re.findall(r"<a\s[^>]*>", body):
            to = re.search(r'href="([^"]*)"', tag)
            if to and to[1].startswith("/") and travels(to[1].partition("?")[0]) and "data-leaves" not in tag:
                assert "as_of=" in to[1], (path, tag)


def test_every_form_that_writes_is_switched_off_and_refused(
    version: ModelVersion, scientist: User, visit: Visit
) -> None:
    then, browser = here(), visit(scientist)

    body = browser.get("/models/credit-default/", {"as_of": then.name}).content.decode()
    posts = re.findall(r'<form[^>]*method="post".*?</form>', body, re.DOTALL)
    assert posts
    for form in posts:
        if "/sign-out/" in form:
            assert "disabled" not in form
            continue
        assert all("disabled" in tag for tag in re.findall(r"<(?:button|input|select|textarea)[^>]*>", form))

    refused = browser.post(f"/models/credit-default/?as_of={then.name}", {"use_case": "Past."})
    assert refused.status_code == 400
    assert "The past can be read, not changed." in refused.content.decode()
    assert RegisteredModel.objects.get().use_case == "Default of card accounts."


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("tomorrow", "is no moment"),
        ("2026-02-30", "no day of the calendar"),
        ("2999-01-01", "has not begun yet"),
        ("2999-01-01T00:00:00Z", "still to come"),
        ("2026-01-01T00:00:00", "does not say in which time zone"),
        ("1999-01-01", "the history begins at"),
        ("entry:0", "the history begins at"),
        ("entry:999999", "is still to come"),
        ("entry:-1", "is no moment"),
        ("0001-01-01T00:00:00+23:59", "is no moment"),
        ("9999-12-31", "has not begun yet"),
        ("2026-01-01\x00", "is no moment"),
    ],
)
def test_what_is_no_moment_is_said_beside_the_field(
    asked: str, said: str, model: RegisteredModel, auditor: User, visit: Visit
) -> None:
    here()

    page = visit(auditor).get("/models/", {"as_of": asked, "tier": "1"})

    assert page.status_code == 400
    body = page.content.decode()
    assert said in body
    assert 'id="as-of-error"' in body
    assert '<input type="hidden" name="tier" value="1">' in body


def test_today_and_an_unencoded_plus_are_understood(model: RegisteredModel, auditor: User, visit: Visit) -> None:
    then, browser = here(), visit(auditor)
    now = datetime.now(UTC)

    today = browser.get("/models/", {"as_of": f"{now:%Y-%m-%d}"})
    assert today["As-Of-Entry"] == str(then.size)
    # The day goes on: the links ask for the very checkpoint.
    assert f"?as_of={then.name}" in today.content.decode()
    zoned = (now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%f") + "+01:00"
    assert browser.get(f"/models/?as_of={zoned}")["As-Of-Entry"] == str(then.size)


def test_a_day_means_its_last_checkpoint_and_keeps_meaning_it(
    model: RegisteredModel, auditor: User, scientist: User, visit: Visit
) -> None:
    first = here()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_moment DISABLE TRIGGER USER")
        cursor.execute("UPDATE audit_moment SET at = '2026-03-14T23:59:59.9Z'")
        cursor.execute("ALTER TABLE audit_moment ENABLE TRIGGER USER")
    catalog.update_model(model=model, use_case="Later.", by=make.actor(scientist))
    here()

    page = visit(auditor).get("/models/", {"as_of": "2026-03-14"})

    assert page["As-Of-Entry"] == str(first.size)
    assert "?as_of=2026-03-14" in page.content.decode()
    assert visit(auditor).get("/models/", {"as_of": "2026-03-13"}).status_code == 400


def test_what_a_reader_may_see_is_decided_today(version: ModelVersion, scientist: User, visit: Visit) -> None:
    """Who held a role then and has lost it sees nothing of then; who holds it since sees what was."""
    guest = make.person("guest", Role.VALIDATOR, on=version.model)
    then = here()
    late = make.person("late", Role.VALIDATOR, on=version.model)
    access.remove_member(team=guest.groups.get(), user=guest, by=SYSTEM)
    here()

    at = {"as_of": then.name}
    assert visit(guest).get("/models/credit-default/", at).status_code == 404
    assert visit(late).get("/models/credit-default/", at).status_code == 200
    assert "credit-default" in visit(late).get("/models/", at).content.decode()
    assert "credit-default" not in visit(guest).get("/models/", at).content.decode()


def test_who_owns_it_today_sees_it_and_who_did_does_not(model: RegisteredModel, scientist: User, visit: Visit) -> None:
    heir = make.person("heir")
    former = make.person("former")
    with by_hand():
        RegisteredModel.objects.filter(pk=model.pk).update(owner=former)
    make.model(scientist, "another")
    then = here()
    with by_hand():
        RegisteredModel.objects.filter(pk=model.pk).update(owner=heir)

    assert visit(heir).get("/models/credit-default/", {"as_of": then.name}).status_code == 200
    assert visit(former).get("/models/credit-default/", {"as_of": then.name}).status_code == 404


def test_visitors_sign_in_first_and_come_back_to_the_moment(model: RegisteredModel, client: Client) -> None:
    answer = client.get("/models/?as_of=nonsense")

    assert answer.status_code == 302
    assert "as_of%3Dnonsense" in answer["Location"]


def test_what_speaks_of_today_says_so(auditor: User, visit: Visit, model: RegisteredModel) -> None:
    then = here()

    for path in ("/account/", "/audit/", "/first-run/"):
        page = visit(auditor).get(path, {"as_of": then.name})
        assert page.status_code == 400
        assert "speaks of the present only" in page.content.decode()


def test_a_page_of_the_past_asks_hardly_more_than_one_of_today(
    version: ModelVersion, auditor: User, visit: Visit
) -> None:
    then, browser = here(), visit(auditor)
    counts = {}
    for path in ("/models/", "/models/credit-default/", "/models/credit-default/versions/1/lineage/"):
        browser.get(path)
        with CaptureQueriesContext(connection) as today:
            browser.get(path)
        with CaptureQueriesContext(connection) as past:
            browser.get(path, {"as_of": then.name})
        counts[path] = (len(today), len(past))
    assert all(past <= today + 5 for today, past in counts.values()), counts


def test_the_page_offers_its_past(auditor: User, visit: Visit, model: RegisteredModel) -> None:
    assert 'type="date" name="as_of"' in visit(auditor).get("/models/").content.decode()
    assert 'name="as_of"' not in visit(auditor).get("/account/").content.decode()


def test_only_addresses_of_ours_are_rewritten() -> None:
    page = (
        '<a href="/models/?q=a&amp;b=1#x">m</a><a href="https://example.org/">e</a><a href="#main">s</a><a href="//x/">x</a>'
        '<a href="?after=2">n</a><a href="/account/">a</a><a data-leaves href="/models/">t</a><link href="/models/">'
        '<p title="<a href=&quot;/models/&quot;>">text href="/models/"</p>'
        '<form method="get" action="/models/"></form><form method="post" action="/models/"><button>go</button></form>'
        '<button hx-post="/x/">x</button><button>y</button>'
    )

    found = past_pages.rewritten(page, "2026-03-14", travels)

    assert '<a href="/models/?q=a&amp;b=1&amp;as_of=2026-03-14#x">' in found
    assert '<a href="https://example.org/"><' not in found
    assert '<a href="https://example.org/">e</a><a href="#main">s</a><a href="//x/">x</a>' in found
    assert '<a href="?after=2&amp;as_of=2026-03-14">' in found
    assert '<a href="/account/">a</a><a data-leaves href="/models/">t</a><link href="/models/">' in found
    assert 'text href="/models/"</p>' in found
    assert '<input type="hidden" name="as_of" value="2026-03-14"></form>' in found
    assert '<form method="post" action="/models/?as_of=2026-03-14"><button disabled>' in found
    assert '<button hx-post="/x/?as_of=2026-03-14" disabled>x</button><button>y</button>' in found


def test_moments_of_the_log_are_written_once(model: RegisteredModel) -> None:
    here()

    with pytest.raises(Exception, match="append-only"):
        Moment.objects.update(snapshot="1:1:")
