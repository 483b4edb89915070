"""The catalogue of checks as pages: every built-in check with its formula, parameters, figures and limits."""

import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils.html import escape

from governance import checks
from governance.checks.contract import Modality, Need, Task
from governance.checks.parameters import FILE, parameters_of
from governance.models import PolicyVersion
from governance.ui.views.catalogue import KINDS, NEEDS, TASKS
from registry.models import User
from tests.pages.governance.conftest import Browser

pytestmark = pytest.mark.django_db


def test_the_catalogue_lists_every_check_with_the_policies_that_ask_for_it(
    house: PolicyVersion, stranger: User, as_person: Browser
) -> None:
    page = as_person(stranger).get("/checks/").content.decode()
    for name in checks.names():
        about = checks.manifest(name)
        assert f'href="/checks/{about.key}/">{escape(about.title)}</a>' in page
    assert f'href="/policies/{house.policy.name}/"' in page


@pytest.mark.parametrize("name", checks.built_in())
def test_the_page_of_a_check_has_all_that_a_policy_needs_to_know(name: str, stranger: User, as_person: Browser) -> None:
    about, parameters = checks.manifest(name), parameters_of(name)
    answer = as_person(stranger).get(f"/checks/{about.key}/")
    page = answer.content.decode()
    assert answer.status_code == HTTPStatus.OK
    assert escape(about.definition) in page
    for figure in about.figures:
        assert escape(figure.label) in page
        assert f"<code>{figure.key}</code>" in page
    assert parameters is not None
    for one in parameters.fields:
        assert f'<th scope="row"><code>{one.name}</code></th>' in page
        assert "must be given" in page if one.required else f"<code>{escape(one.default)}</code>" in page
    for need in about.needs:
        assert escape(NEEDS[need]) in page
    assert f"- use: {about.key}" in page


def test_the_limits_in_force_stand_beside_the_figures(house: PolicyVersion, stranger: User, as_person: Browser) -> None:
    page = as_person(stranger).get("/checks/performance.binary/").content.decode()
    assert "at least 0.7" in page
    assert f'<a href="/policies/{house.policy.name}/">' in page


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize("use", ["performance.none", "performance.binary@99", "%22%3E"])
def test_what_is_not_in_the_catalogue_is_not_found(use: str, stranger: User, as_person: Browser) -> None:
    assert as_person(stranger).get(f"/checks/{use}/").status_code == HTTPStatus.NOT_FOUND


def test_the_parameters_that_the_pages_read_are_those_of_the_checks() -> None:
    file = Path(str(checks.__path__[0])) / FILE
    call_command("print_checks", parameters=True, check=file)


def test_every_need_task_and_kind_has_words() -> None:
    assert set(NEEDS) == set(Need.__args__)  # type: ignore[attr-defined]
    assert set(TASKS) == set(Task.__args__)  # type: ignore[attr-defined]
    assert set(KINDS) == set(Modality.__args__)  # type: ignore[attr-defined]


def test_reading_parameters_loads_nothing_heavy() -> None:
    code = "import sys; from governance.checks.parameters import parameters_of; parameters_of('performance.binary@1'); "
    code += "assert not {'numpy', 'pyarrow', 'pandas'} & set(sys.modules)"
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
