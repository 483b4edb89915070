"""The policy that the demonstration adopts: all of it is in the catalogue, it replaces the built-in one, and only once."""

from pathlib import Path

import pytest
from pytest_django import Settings

from audit.actors import SYSTEM
from governance import checks
from governance.demo import people, rules
from governance.models import PolicyVersion
from governance.policy import built_in, parse
from governance.services.policies import adopt_built_in


def test_it_asks_for_more_than_the_policy_that_comes_with_the_product() -> None:
    own, first = parse(rules.document().encode()), parse(built_in())
    assert own.name == first.name
    assert {need.key for need in first.checks} < {need.key for need in own.checks}
    assert set(first.card) < set(own.card)
    assert own.review == first.review


def test_its_parameters_are_known_and_every_limit_leaves_room_to_fail() -> None:
    for need in parse(rules.document().encode()).checks:
        checks.get(need.use).params.from_mapping(need.params)
        figures = {figure.key: figure for figure in checks.manifest(need.use).figures}
        assert need.limits, need.key
        for limit in need.limits:
            assert limit.op == ("ge" if figures[limit.figure].better == "higher" else "le")
            assert limit.op == "le" or limit.value > 0 or limit.figure == "auc_difference", (
                "nothing else can be negative"
            )


@pytest.mark.django_db
def test_it_is_the_second_version_however_often_the_demonstration_is_run(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    people.accounts()
    adopt_built_in(by=SYSTEM)
    first, second = rules.tighten(), rules.tighten()
    assert first == second == PolicyVersion.objects.get(number=2)
    assert str(adopt_built_in(by=SYSTEM)) == str(first)
