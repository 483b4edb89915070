"""The export centre and samples in a real browser: accessible and no wider than the window, in every state."""

import hashlib
import os
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import pytest

from governance.bundles import questions
from governance.models import Export, Sample
from governance.services import exports, samples
from governance.services.samples import Population
from governance.ui.export_forms import midnight
from registry.models import User
from registry.roles import Role
from tests.browser.conftest import Tabs
from tests.browser.evidence import House, asked, house, measured
from tests.browser.looks import LOOKS, overhang, violations
from tests.factories import governance as make

Page = tuple[User, str]
TODAY: Final = date.today()  # noqa: DTZ011 - a day in a form
SEED: Final = "nobody knows"


@pytest.fixture
def people(browser_page: Tabs, keys_dir: Path) -> House:
    """The house, with a version to ask for."""
    return house(keys_dir)


def _auditor(people: House) -> User:
    request = make.approve(measured(asked(people)), (people.first, people.second))
    make.integrate()
    auditor = make.person("auditor", Role.AUDITOR)
    exports.ask(question=questions.about_request(auditor, request), by=make.actor(auditor))
    return auditor


def _centre(people: House) -> Page:
    return _auditor(people), f"/exports/?kind=period&since={TODAY}&until={TODAY}"


def _empty(people: House) -> Page:
    return people.first, "/exports/"


def _ready(people: House) -> Page:
    return _auditor(people), f"/exports/{Export.objects.get().pk}/"


def _running(people: House) -> Page:
    auditor = _auditor(people)
    Export.objects.update(
        state="running", owner="w", lease_until="2099-01-01T00:00Z", sha256="", expires_at=None,
        progress_done=319_488, progress_total=1_000_000,
    )  # fmt: skip
    return auditor, f"/exports/{Export.objects.get().pk}/"


def _counted(people: House) -> Page:
    return _auditor(people), f"/samples/?title=Who+signed%3F&since={TODAY}&until={TODAY}&stratify_by=action"


def _sample(people: House) -> tuple[User, Sample]:
    auditor = _auditor(people)
    population = Population(
        midnight(TODAY - timedelta(days=1)), midnight(TODAY + timedelta(days=1)), stratify_by="action"
    )
    commitment = hashlib.sha256(SEED.encode()).hexdigest()
    sample = samples.plan(
        population=population, title="Who signed?", by=make.actor(auditor), seed_commitment=commitment, size=20
    )
    make.integrate()
    return auditor, sample


def _planned(people: House) -> Page:
    auditor, sample = _sample(people)
    return auditor, f"/samples/{sample.pk}/"


def _drawn(people: House) -> Page:
    auditor, sample = _sample(people)
    samples.draw(sample_id=sample.pk, seed=SEED, by=make.actor(auditor))
    return auditor, f"/samples/{sample.pk}/"


PAGES: Final[tuple[Callable[[House], Page], ...]] = (
    _centre, _empty, _ready, _running, _counted, _planned, _drawn,
)  # fmt: skip


@pytest.mark.parametrize("prepare", PAGES, ids=lambda one: one.__name__.strip("_"))
def test_it_is_accessible_and_no_wider_than_the_window(
    people: House, browser_page: Tabs, prepare: Callable[[House], Page]
) -> None:
    user, address = prepare(people)
    page = browser_page(user=user)
    page.goto(address)
    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        if pictures := os.environ.get("PICTURES"):
            page.screenshot(path=f"{pictures}/{prepare.__name__.strip('_')}-{scheme}-{width}.png", full_page=True)
        assert violations(page) == [], (scheme, width)
        assert overhang(page) == 0, (scheme, width)
