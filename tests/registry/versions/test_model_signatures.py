"""Signatures that come along with a version's files: verified when it is sealed, shown, and looked at again when asked."""

from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from audit import followers
from audit.actors import SYSTEM
from audit.models import Entry
from audit.selectors import entries_about
from config.errors import Conflict, NotAllowed
from registry import tasks
from registry.followers import Signatures
from registry.guards import check_can_have_signatures_checked
from registry.models import ModelSignature, ModelVersion, RegisteredModel, User
from registry.roles import Role
from registry.selectors.model_signatures import newest
from registry.services import model_signatures
from tests.factories import registry as make
from tests.factories.audit import integrate
from tests.registry.formats.signed_models import SIGNATURE, public, signed

FILES = {"MLmodel": b"flavors: {}\n", "model.skops": bytes(range(256)), "data/empty": b""}
KEY = ec.generate_private_key(ec.SECP256R1())
State = ModelSignature.State


@pytest.fixture
def signers(keys_dir: Path) -> Path:
    """Where the operator says whom to trust: the credit team."""
    directory = model_signatures.signers()
    directory.mkdir(parents=True)
    (directory / "credit-team.pem").write_bytes(public(KEY))
    return directory


def looked_at(model: RegisteredModel, by: User, files: dict[str, bytes]) -> ModelSignature:
    """What a look at the only signature of a new version with these files finds."""
    version = make.sealed_version(model, by, files)
    [look] = model_signatures.check(version=version, by=SYSTEM)
    return look


def entries_of(version: ModelVersion) -> list[Entry]:
    integrate()
    about = entries_about("registry.modelversion", str(version.pk))
    return list(about.filter(action="version.signature_checked").order_by("index"))


@pytest.mark.usefixtures("signers")
def test_a_signature_over_every_file_is_verified_and_logged(model: RegisteredModel, scientist: User) -> None:
    look = looked_at(model, scientist, {**FILES, SIGNATURE: signed(FILES, KEY)})
    assert (look.state, look.signer, look.covered, look.problems) == (State.VERIFIED, "credit-team", 3, [])
    [entry] = entries_of(look.version)
    assert entry.facts["state"] == "verified"
    assert entry.facts["root_digest"] == look.root_digest
    assert entry.facts["sha256"] == look.blob_id


@pytest.mark.usefixtures("signers")
@pytest.mark.parametrize(
    ("sealed", "state", "problems"),
    [
        ({**FILES, "more.txt": b""}, State.PARTIAL, ["more.txt was not signed."]),
        ({**FILES, "MLmodel": b"#"}, State.DIFFERS, ["MLmodel is not as it was signed."]),
        ({"MLmodel": b"flavors: {}\n", "data/empty": b""}, State.DIFFERS, ["model.skops was signed, and is not here."]),
    ],
)
def test_what_the_signature_does_not_cover_is_named(
    sealed: dict[str, bytes], state: str, problems: list[str], model: RegisteredModel, scientist: User
) -> None:
    look = looked_at(model, scientist, {**sealed, SIGNATURE: signed(FILES, KEY)})
    assert (look.state, look.problems) == (state, problems)


@pytest.mark.usefixtures("signers")
def test_many_differences_are_counted(model: RegisteredModel, scientist: User) -> None:
    many = {f"part-{number:02}": b"x" for number in range(30)}
    look = looked_at(model, scientist, {**FILES, **many, SIGNATURE: signed(FILES, KEY)})
    assert len(look.problems) == 21
    assert look.problems[-1] == "And 10 more files."


@pytest.mark.usefixtures("signers")
def test_a_stranger_is_not_trusted_and_what_is_no_signature_is_invalid(model: RegisteredModel, scientist: User) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    look = looked_at(model, scientist, {**FILES, SIGNATURE: signed(FILES, other)})
    assert (look.state, look.signer, look.covered) == (State.UNTRUSTED, "", 0)
    look = looked_at(model, scientist, {**FILES, SIGNATURE: b"-----BEGIN PGP SIGNATURE-----"})
    assert look.state == State.INVALID
    assert "not an OpenSSF model signature" in look.problems[0]


def test_a_signer_added_later_counts_from_the_next_look_on(
    model: RegisteredModel, scientist: User, keys_dir: Path
) -> None:
    version = make.sealed_version(model, scientist, {**FILES, SIGNATURE: signed(FILES, KEY)})
    tasks.check_signatures(str(version.pk))
    tasks.check_signatures(str(version.pk))  # a task may run twice
    assert [look.state for look in newest(version)] == [State.UNTRUSTED]
    assert len(entries_of(version)) == 1
    directory = model_signatures.signers()
    directory.mkdir()
    (directory / "credit-team.pem").write_bytes(public(KEY))
    tasks.check_signatures(str(version.pk))
    assert [look.state for look in newest(version)] == [State.VERIFIED]
    assert [entry.facts["state"] for entry in entries_of(version)] == ["untrusted", "verified"]


@pytest.mark.usefixtures("signers")
def test_only_versions_that_bring_a_signature_are_looked_at(
    model: RegisteredModel,
    scientist: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    make.sealed_version(model, scientist)
    make.sealed_version(model, scientist, {**FILES, "data/model.sig": b"not beside MLmodel"})
    version = make.sealed_version(model, scientist, {**FILES, SIGNATURE: signed(FILES, KEY)})
    with django_capture_on_commit_callbacks() as rung:
        integrate()
        while followers.run_all([Signatures()]):
            pass
    assert len(rung) == 1

    def waiting() -> list[UUID]:
        return list(model_signatures.unchecked(since=model.created_at, before=timezone.now()))

    assert waiting() == [version.pk]
    model_signatures.check(version=version, by=SYSTEM)
    assert not waiting()


def test_who_may_have_it_looked_at_again(
    model: RegisteredModel, scientist: User, pending: ModelVersion, stranger: User
) -> None:
    version = make.sealed_version(model, scientist)
    check_can_have_signatures_checked(make.actor(scientist), version)
    with pytest.raises(NotAllowed):
        check_can_have_signatures_checked(make.actor(stranger), version)
    with pytest.raises(Conflict):
        check_can_have_signatures_checked(make.actor(scientist), pending)


@pytest.mark.usefixtures("signers")
def test_the_page_and_rest_show_it(model: RegisteredModel, scientist: User) -> None:
    look = looked_at(model, scientist, {**FILES, "MLmodel": b"#", SIGNATURE: signed(FILES, KEY)})
    browser = Client()
    browser.force_login(make.person(Role.AUDITOR), backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get(f"/models/credit-default/versions/{look.version.number}/artifacts/").content.decode()
    assert "A trusted signer signed other files than these" in page
    assert "MLmodel is not as it was signed." in page
    assert "credit-team" in page
    address = f"/api/v1/models/credit-default/versions/{look.version.number}/signatures"
    [told] = browser.get(address).json()["results"]
    assert (told["path"], told["state"], told["signer"]) == (SIGNATURE, "differs", "credit-team")
    assert browser.post(address).status_code == 403  # auditors read


def test_a_slip_of_the_operator_is_loud(model: RegisteredModel, scientist: User, signers: Path) -> None:
    (signers / "slip.pem").write_text("hello")
    version = make.sealed_version(model, scientist, {**FILES, SIGNATURE: signed(FILES, KEY)})
    with pytest.raises(ValueError, match=r"slip\.pem"):
        model_signatures.check(version=version, by=SYSTEM)
    assert not newest(version)
