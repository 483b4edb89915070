"""A plug-in's check from the policy to the result and its recheck; and what happens when it is gone."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from config.errors import Conflict, Invalid
from governance.checks import catalogue
from governance.checks.code import code_of
from governance.models import PolicyVersion
from governance.recheck_cli import main
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make
from tests.governance.engine import models
from tests.governance.engine.test_execute import asked, run_all, run_of

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

NOT_TRUSTED = (
    "The distribution acme-checks is installed and brings checks, but is not trusted: none of its code was loaded."
)
POLICY = """\
policy: house
governs: {tiers: [1, 2, 3], targets: ["alias:production"]}
checks:
  - use: acme.decision_cost
    data: {role: test}
    params: {miss: 2.0}
    require: {mean_cost: {le: 1.0}}
review:
  - stage: approval
    all: [{role: approver, n: 1}]
"""


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    settings.JOB_LEASE = timedelta(hours=1)


def test_it_runs_is_pinned_by_its_files_and_agrees_when_run_again(
    example: Path, scientist: User, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue.trust(["acme-checks"])
    request = run_all(asked(scientist, models.sound_model(), policy=POLICY))
    run = run_of(request, "acme.decision_cost")
    assert (run.verdict, run.category) == ("pass", "performance"), run.summary
    assert run.result is not None
    digest = code_of("acme.decision_cost").digest
    assert run.result["facts"]["plugin_digest"] == digest
    assert run.provenance["code"] == {"distribution": "acme-checks", "version": "1.0.0", "digest": digest}
    make.integrate()
    assert main([str(run.pk)]) == 0
    assert "It agrees" in capsys.readouterr().out


def test_other_files_of_the_plug_in_make_the_result_anew(example: Path, scientist: User) -> None:
    catalogue.trust(["acme-checks"])
    files, data = models.sound_model(), models.parquet(models.people(seed=11))
    first = run_all(asked(scientist, files, data, policy=POLICY))
    again = make.request(make.sealed_version(first.model, scientist, files), scientist)
    assert run_of(again, "acme.decision_cost").reused_from == run_of(first, "acme.decision_cost")

    about = example / "acme_checks-1.0.0.dist-info"
    record = (about / "RECORD").read_text()
    kept = [line for line in record.splitlines() if not line.startswith("acme_checks/__init__.py")]
    (about / "RECORD").write_text("\n".join(kept) + "\n")  # the same distribution, of other files
    catalogue.trust(["acme-checks"])
    other = make.request(make.sealed_version(first.model, scientist, files), scientist)
    assert run_of(other, "acme.decision_cost").reused_from is None


def test_without_the_plug_in_its_results_stay_and_new_requests_are_told_why(
    example: Path, scientist: User, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue.trust(["acme-checks"])
    request = run_all(asked(scientist, models.sound_model(), policy=POLICY))
    run = run_of(request, "acme.decision_cost")
    make.integrate()
    catalogue.trust([])

    reader = Client()
    reader.force_login(make.person("approver", Role.APPROVER))
    for where in (f"/requests/{request.ref}/", f"/requests/{request.ref}/checks/{run.pk}/", "/policies/house/"):
        assert reader.get(where).status_code == 200, where
    assert main([str(run.pk)]) == 3
    assert "not installed or not trusted" in capsys.readouterr().out
    with pytest.raises(Conflict, match=r"acme\.decision_cost"):
        make.request(make.sealed_version(request.model, scientist), scientist)


def test_a_worker_without_the_plug_in_ends_its_check_with_the_reason(example: Path, scientist: User) -> None:
    catalogue.trust(["acme-checks"])
    request = asked(scientist, models.sound_model(), policy=POLICY)
    catalogue.trust([])
    run = run_of(run_all(request), "acme.decision_cost")
    assert (run.verdict, run.error_code) == ("error", "check.unknown")
    assert run.provenance == {}
    for said in ("There is no check “acme.decision_cost", NOT_TRUSTED, "TRUSTED_CHECK_PLUGINS"):
        assert said in run.summary


def test_a_policy_that_asks_for_it_is_not_adopted_while_it_is_not_trusted(example: Path, house: object) -> None:
    """The answer says that something is installed which is not in use, not only that the check is unknown."""
    catalogue.trust([])
    before = PolicyVersion.objects.count()
    with pytest.raises(Invalid) as refused:
        make.policy(POLICY)
    assert refused.value.code == "policy.invalid"
    for said in ("There is no check “acme.decision_cost", NOT_TRUSTED, "TRUSTED_CHECK_PLUGINS"):
        assert said in str(refused.value)
    assert PolicyVersion.objects.count() == before
    assert "acme_checks" not in sys.modules
    catalogue.trust(["acme-checks"])
    make.policy(POLICY)
    assert PolicyVersion.objects.count() == before + 1


def test_without_any_plug_in_the_answer_is_the_catalogue_alone(place: Path, house: object) -> None:
    catalogue.trust([])
    with pytest.raises(Invalid) as refused:
        make.policy(POLICY)
    assert "TRUSTED_CHECK_PLUGINS" not in str(refused.value)
