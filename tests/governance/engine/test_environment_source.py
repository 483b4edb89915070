"""Where models' environments come from is part of what a result is found by: other libraries, other answers."""

from typing import Any

import pytest

from registry.models import User
from tests.governance.engine.test_cache_keys import POLICY, asked, changed, keys

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]
RUN = {"predict.scores", "performance.binary", "fairness.groups", "documentation.claims", "reproducibility.metrics"}


@pytest.mark.parametrize("policy", [POLICY, POLICY + "sandbox: {environment: compatible}\n"])
@pytest.mark.parametrize(("before", "after"), [("", "indexes"), ("indexes", ""), ("indexes", "another word")])
def test_another_source_is_another_result_where_a_model_runs(
    scientist: User, settings: Any, before: str, after: str, policy: str
) -> None:
    found = []
    for word in (before, after, before):
        settings.SANDBOX_SOURCE = word
        found.append(keys(asked(scientist, policy=policy)))
    first, second, third = found
    there = changed(first, second)
    assert {"predict.scores", "performance.binary", "fairness.groups"} <= there <= RUN
    assert not {"security.scan", "data.quality", "drift.live"} & there
    assert not changed(first, third)


def test_the_embedded_installation_makes_the_word_from_the_addresses_without_their_passwords(tmp_path: Any) -> None:
    from config.runtime.installation import source_word  # noqa: PLC0415 - the supervisor's side

    bare = source_word("https://pypi.example.org/simple")
    assert bare == source_word("https://reader:secret@pypi.example.org/simple")
    assert bare != source_word("https://pypi.example.org/other")
    assert source_word("") == ""
    assert "pypi" not in bare
