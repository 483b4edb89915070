"""Copies of checkpoints where we cannot take them back: S3 with Object Lock, and a git repository."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from django.utils import timezone
from pytest_django import Settings

from audit import keys, notes
from audit.models import Anchor, Attestor, Checkpoint
from audit.witnessing import git, notary, selectors, worm
from audit.witnessing.cosignatures import LOG_ED25519, Verifier
from audit.witnessing.records import Contradicted, Failed
from config.runtime.ports import free_port
from tests.audit.witnessing.rewriting import cut, rewrite
from tests.factories.audit import KEY, integrate, log_of, touch
from tests.serving import serving

pytestmark = pytest.mark.django_db
LOG = Verifier(keys.origin(KEY.public_key()), LOG_ED25519, KEY.public_key())
SLUG = LOG.name.replace("/", "-")


@pytest.fixture(autouse=True)
def pinned(settings: Settings, tmp_path: Path) -> None:
    """A policy that knows the log and asks nobody."""
    settings.DATA_DIR = tmp_path / "data"
    settings.WITNESS_POLICY = tmp_path / "policy"
    settings.WITNESS_POLICY.write_text(f"log {LOG}\nquorum none\n")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Moto's server: an S3 over HTTP, with Object Lock."""
    port = free_port()
    environment = {"PATH": os.defpath, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    log = tmp_path_factory.mktemp("moto") / "log"
    with serving(command, f"http://127.0.0.1:{port}/moto-api/", environment=environment, log=log):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def bucket(s3: str, settings: Settings, request: pytest.FixtureRequest) -> Any:
    """A client on a bucket of this test's own, which is configured; ``unlocked`` in the test's name means that."""
    name = f"anchors-{abs(hash(request.node.name)) % 10**9}"
    access = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "hidden-secret"}
    client = boto3.client("s3", endpoint_url=s3, region_name="us-east-1", **access)
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket="unlocked" not in request.node.name)
    settings.ANCHOR_S3 = {
        "bucket": name, "prefix": "checkpoints/", "endpoint": s3, "region": "us-east-1", "mode": "COMPLIANCE", "days": 30,
        "access_key_id": "AKIATEST", "secret_access_key": "hidden-secret",
    }  # fmt: skip
    yield client
    client.close()


def key(size: int) -> str:
    return f"checkpoints/{SLUG}/{size:020d}.txt"


def errand(name: str) -> notary.Errand:
    return next(one for one in notary.errands() if one.name == name)


def test_a_checkpoint_in_s3_cannot_be_deleted_before_its_day(bucket: Any, settings: Settings) -> None:
    log_of(3)
    assert notary.once(errand("worm"))
    kept = Anchor.objects.get()
    name, version = settings.ANCHOR_S3["bucket"], kept.place.rpartition("=")[2]
    assert kept.place == f"s3://{name}/{key(3)}?versionId={version}"
    told = bucket.head_object(Bucket=name, Key=key(3), VersionId=version)
    assert told["ObjectLockMode"] == "COMPLIANCE"
    assert told["ObjectLockRetainUntilDate"] == kept.until
    assert kept.until is not None
    assert timedelta(days=29) < kept.until - datetime.now(UTC) <= timedelta(days=30)
    body = bucket.get_object(Bucket=name, Key=key(3))["Body"].read().decode()
    assert body == selectors.cosigned_note(3)
    assert notes.verify_checkpoint(body, LOG.name, KEY.public_key()).size == 3
    with pytest.raises(ClientError, match="AccessDenied"):
        bucket.delete_object(Bucket=name, Key=key(3), VersionId=version)
    assert selectors.anchors(3) == [kept]


def test_anchoring_waits_for_its_hour_and_for_news(bucket: Any) -> None:
    log_of(2)
    assert notary.once(errand("worm"))
    touch()
    integrate()
    assert not notary.once(errand("worm"))
    Attestor.objects.update(succeeded_at=timezone.now() - timedelta(hours=2))
    assert notary.once(errand("worm"))
    Attestor.objects.update(succeeded_at=timezone.now() - timedelta(hours=2))
    assert not notary.once(errand("worm"))
    assert list(Anchor.objects.values_list("size", flat=True)) == [2, 3]


def test_a_bucket_that_is_unlocked_is_no_anchor_and_the_failure_is_seen(bucket: Any) -> None:
    log_of(2)
    assert not notary.once(errand("worm"))
    record = Attestor.objects.get(name="worm")
    assert "Object Lock" in record.last_error or "refused put object" in record.last_error
    assert not Anchor.objects.exists()
    standing = {one.kind: one.state for one in selectors.attested().standings}
    assert standing["worm"] == "failing"


def test_s3_that_fails_says_why_and_no_secret(bucket: Any, settings: Settings) -> None:
    log_of(2)
    good = dict(settings.ANCHOR_S3)
    for change, why in (
        ({"bucket": "nowhere-at-all"}, "NoSuchBucket"),
        ({"endpoint": "http://127.0.0.1:9"}, "refused"),
    ):
        settings.ANCHOR_S3 = good | change
        with pytest.raises(Failed, match=why) as failure:
            worm.put(2)
        assert "hidden-secret" not in str(failure.value)


def test_a_log_that_forgot_or_changed_what_lies_in_s3_is_contradicted(bucket: Any) -> None:
    log_of(3)
    log_of(2)
    worm.put(5)
    cut(3)
    with pytest.raises(Contradicted, match=r"holds a checkpoint of 5 entries, the log has 3: it was rolled back"):
        worm.put(3)
    Attestor.objects.all().delete()
    with pytest.raises(Contradicted, match="5 entries, the log has 3") as found:
        worm.put(3)
    assert found.value.proved
    rewrite(6)
    Attestor.objects.create(name="worm", size=5, succeeded_at=timezone.now())
    with pytest.raises(Contradicted, match="another root for 5 entries"):
        worm.put(6)
    rewrite(5)
    Attestor.objects.all().delete()
    with pytest.raises(Contradicted, match="another root for 5 entries"):
        worm.put(5)
    assert Anchor.objects.count() == 1


def run_git(place: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "HOME": str(place)}
    who = ["-c", "user.name=Somebody", "-c", "user.email=s@example.com"]
    done = subprocess.run(
        ["/usr/bin/env", "git", *who, *arguments],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture
def remote(settings: Settings, tmp_path: Path) -> Path:
    """A repository elsewhere."""
    path = tmp_path / "remote.git"
    path.mkdir()
    run_git(path, "init", "--quiet", "--bare", ".")
    settings.ANCHOR_GIT_REMOTE = str(path)
    return path


def shown(remote: Path, file: str = f"{SLUG}.txt") -> str:
    return run_git(remote, "show", f"checkpoints:{file}")


def test_checkpoints_become_commits_that_anybody_can_clone(remote: Path, tmp_path: Path) -> None:
    log_of(2)
    assert notary.once(errand("git"))
    touch()
    integrate()
    git.put(3)
    assert shown(remote) == selectors.cosigned_note(3)
    run_git(tmp_path, "clone", "--quiet", "--branch", "checkpoints", str(remote), "clone")
    log = run_git(tmp_path / "clone", "log", "--format=%s|%an")
    assert log.splitlines() == ["Checkpoint of 3 entries|Countersign", "Checkpoint of 2 entries|Countersign"]
    assert [one.place for one in Anchor.objects.order_by("size")] == [
        f"{remote} {commit}" for commit in run_git(remote, "rev-list", "--reverse", "checkpoints").split()
    ]


def test_what_others_keep_in_the_repository_stays(remote: Path, tmp_path: Path) -> None:
    log_of(2)
    git.put(2)
    run_git(tmp_path, "clone", "--quiet", "--branch", "checkpoints", str(remote), "clone")
    (tmp_path / "clone" / "a folder").mkdir()
    (tmp_path / "clone" / "a folder" / "täg.md").write_text("theirs")
    run_git(tmp_path / "clone", "add", ".")
    run_git(tmp_path / "clone", "commit", "--quiet", "-m", "theirs")
    run_git(tmp_path / "clone", "push", "--quiet")
    touch()
    integrate()
    git.put(3)
    assert shown(remote, "a folder/täg.md") == "theirs"
    assert len(run_git(remote, "rev-list", "checkpoints").split()) == 3


def test_a_log_that_forgot_or_changed_what_lies_in_git_is_contradicted(remote: Path) -> None:
    log_of(3)
    log_of(2)
    git.put(5)
    cut(3)
    with pytest.raises(Contradicted, match="5 entries, the log has 3"):
        git.put(3)
    rewrite(7)
    with pytest.raises(Contradicted, match="another root for 5 entries"):
        git.put(7)
    assert len(run_git(remote, "rev-list", "checkpoints").split()) == 1


def test_what_the_key_of_the_log_did_not_sign_is_no_contradiction(remote: Path, tmp_path: Path) -> None:
    log_of(2)
    git.put(2)
    run_git(tmp_path, "clone", "--quiet", "--branch", "checkpoints", str(remote), "clone")
    file = tmp_path / "clone" / f"{SLUG}.txt"
    file.write_text(file.read_text().replace("\n2\n", "\n99\n"))
    run_git(tmp_path / "clone", "commit", "--quiet", "-am", "vandalism")
    run_git(tmp_path / "clone", "push", "--quiet")
    touch()
    integrate()
    with pytest.raises(Failed, match="no checkpoint of this log") as refused:
        git.put(3)
    assert not isinstance(refused.value, Contradicted)


def test_git_that_fails_is_seen(remote: Path, settings: Settings, tmp_path: Path) -> None:
    log_of(2)
    settings.ANCHOR_GIT_REMOTE = str(tmp_path / "nowhere")
    assert not notary.once(errand("git"))
    assert "ls-remote failed" in Attestor.objects.get(name="git").last_error
    settings.ANCHOR_GIT_REMOTE = str(remote)
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho no room here >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Failed, match="push failed"):
        git.put(2)
    assert not Anchor.objects.exists()
    assert Checkpoint.objects.count() == 1


def test_no_hook_and_no_configuration_of_the_machine_runs(remote: Path, settings: Settings, tmp_path: Path) -> None:
    log_of(2)
    repository = Path(settings.DATA_DIR) / "anchors" / "git"
    git.put(2)
    proof = tmp_path / "ran"
    hook = repository / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {proof}\n")
    hook.chmod(0o755)
    touch()
    integrate()
    git.put(3)
    assert not proof.exists()
