"""The pages of data sets in a real browser: accessible and narrow enough, in light and dark."""

from pathlib import Path
from typing import Literal

import pytest

from audit.keys import ensure_keys, ledger_key
from registry.models import User
from registry.roles import Role
from registry.services import datasets
from tests.browser.conftest import Tabs
from tests.browser.looks import overhang, violations
from tests.factories import pages as make
from tests.factories import registry
from tests.factories.audit import integrate
from tests.pages.registry.test_datasets import ROWS, sealed

PAGES = {
    "list": "/datasets/",
    "data set": "/datasets/credit/",
    "version": "/datasets/credit/versions/1/",
    "wide version": "/datasets/wide/versions/1/",
    "hold-out": "/datasets/exam/versions/1/",
    "failed": "/datasets/torn/versions/1/",
    "open": "/datasets/credit/versions/2/",
}


@pytest.fixture
def vera(browser_page: Tabs, keys_dir: Path) -> User:
    """A validator and contributor with data sets of every kind; the log is whole."""
    ensure_keys(keys_dir)
    vera = make.person("vera", Role.VALIDATOR, Role.CONTRIBUTOR)
    wide = b"customer,sex,age,bad,income,when,region," + b"w" * 200 + b"\n"
    wide += b"".join(
        f"C-{at},f,{20 + at % 50},{at % 2},{at * 13.7:.2f},2026-0{1 + at % 9}-11,{'north and south'[: 5 + at % 2]},x\n".encode()
        for at in range(400)
    )
    sealed(vera)
    datasets.register_dataset(name="credit", role="live", by=registry.actor(vera))
    sealed(vera, name="wide", content=wide)
    sealed(vera, name="exam", role="holdout", content=ROWS + b"C-401,feminine,20,1\n")
    sealed(vera, name="torn", content=b"a;b\n1;2\n")
    integrate(key=ledger_key())
    return vera


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_accessible_and_no_wider_than_its_window(
    name: str, scheme: Literal["light", "dark"], vera: User, browser_page: Tabs
) -> None:
    page = browser_page(user=vera, scheme=scheme)
    page.goto(PAGES[name])

    for width in (1440, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(page) == []
        assert overhang(page) == 0
