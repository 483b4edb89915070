"""RFC 3161: stamps of a real authority, made by ``openssl ts`` behind HTTP, verified against a pinned root."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.utils import timezone
from pytest_django import Settings

from audit.models import Attestor, Checkpoint, TimeStamp
from audit.witnessing import notary, selectors, timestamps
from audit.witnessing.records import Failed
from tests.audit.witnessing.answering import answering
from tests.factories.audit import integrate, log_of, touch

pytestmark = pytest.mark.django_db
Stamping = Callable[..., AbstractContextManager[None]]
Reply = Callable[[str, bytes], tuple[int, str, bytes]]
OPENSSL = shutil.which("openssl") or "openssl"
CONFIGURATION = """
[tsa]
serial = {place}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate | None, signer: ec.EllipticCurvePrivateKey, *,
    authority: bool,
) -> x509.Certificate:  # fmt: skip
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        issuer.subject if issuer else subject, subject, key.public_key(), x509.random_serial_number(),
        now - timedelta(days=1), now + timedelta(days=365),
    ).add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)  # fmt: skip
    if not authority:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return made.sign(signer, hashes.SHA256())


@dataclass
class Authority:
    """Root, intermediate and signer, and what ``openssl ts`` answers with them."""

    place: Path

    def __post_init__(self) -> None:
        self.place.mkdir()
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
        self.root = certificate("Root", keys[0], None, keys[0], authority=True)
        middle = certificate("Middle", keys[1], self.root, keys[0], authority=True)
        signer = certificate("Stamps", keys[2], middle, keys[1], authority=False)
        (self.place / "root.pem").write_bytes(self.root.public_bytes(Encoding.PEM))
        (self.place / "chain.pem").write_bytes(middle.public_bytes(Encoding.PEM))
        (self.place / "signer.pem").write_bytes(signer.public_bytes(Encoding.PEM))
        pem = keys[2].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.place / "key.pem").write_bytes(pem)
        (self.place / "serial").write_text("01\n")
        (self.place / "conf").write_text(CONFIGURATION.format(place=self.place))

    def reply(self, _: str, query: bytes) -> tuple[int, str, bytes]:
        (self.place / "query").write_bytes(query)
        done = subprocess.run(  # the system's
            [OPENSSL, "ts", "-reply", "-queryfile", "query", "-config", "conf", "-section", "tsa", "-signer", "signer.pem",
             "-inkey", "key.pem", "-chain", "chain.pem", "-out", "reply"],
            cwd=self.place, capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode:
            return 500, "text/plain", done.stderr
        return 200, "application/timestamp-reply", (self.place / "reply").read_bytes()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def stamping(settings: Settings, authority: Authority) -> Stamping:
    """Configure the authority, or somebody who answers in its place."""

    @contextmanager
    def configure(reply: Reply | None = None, ca: Path | None = None) -> Iterator[None]:
        with answering(reply or authority.reply) as url:
            settings.TIMESTAMP_URL, settings.TIMESTAMP_CA = url, ca or authority.place / "root.pem"
            yield

    return configure


def errand() -> notary.Errand:
    return next(one for one in notary.errands() if one.name == "timestamp")


def test_a_checkpoint_is_stamped_and_openssl_verifies_what_is_kept(
    stamping: Stamping,
    authority: Authority,
    tmp_path: Path,
) -> None:
    log_of(4)
    with stamping():
        assert notary.once(errand())
    kept = TimeStamp.objects.get()
    assert abs(kept.at - timezone.now()) < timedelta(minutes=1)
    assert (kept.size, kept.authority) == (4, "127.0.0.1")
    [(name, token)] = selectors.timestamps(4)
    assert name.endswith(".tsr")
    (tmp_path / "token").write_bytes(token)
    (tmp_path / "note").write_text(Checkpoint.objects.get(size=4).note)
    verify = [OPENSSL, "ts", "-verify", "-in", "token", "-data", "note", "-CAfile", str(authority.place / "root.pem")]
    verify += ["-untrusted", str(authority.place / "chain.pem")]
    done = subprocess.run(verify, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Verification: OK" in done.stdout + done.stderr
    (tmp_path / "note").write_text(Checkpoint.objects.get(size=4).note.replace("\n4\n", "\n5\n"))
    assert subprocess.run(verify, cwd=tmp_path, capture_output=True, check=False).returncode != 0
    assert selectors.cosigned_note(4).startswith(Checkpoint.objects.get(size=4).note)
    assert selectors.timestamped(1) == 4


def test_stamps_are_taken_on_schedule_and_soon_after_a_permit(
    stamping: Stamping,
    settings: Settings,
) -> None:
    settings.TIMESTAMP_ACTIONS = ["test.touched"]
    log_of(2)
    with stamping():
        assert notary.once(errand())
        assert not notary.once(errand()), "nothing is new"
        touch()
        integrate()
        assert not notary.once(errand()), "not twice in a minute"
        Attestor.objects.update(succeeded_at=timezone.now() - timedelta(minutes=2))
        assert notary.once(errand()), "an action worth it"
        settings.TIMESTAMP_ACTIONS = ["permit.issued"]
        touch()
        integrate()
        Attestor.objects.update(succeeded_at=timezone.now() - timedelta(minutes=2))
        assert not notary.once(errand()), "an action that is not"
        Attestor.objects.update(succeeded_at=timezone.now() - timedelta(minutes=61))
        assert notary.once(errand()), "an hour is over"
    assert list(TimeStamp.objects.order_by("id").values_list("size", flat=True)) == [2, 3, 4]


def test_another_root_another_nonce_and_another_message_are_refused(
    stamping: Stamping,
    authority: Authority,
    tmp_path: Path,
) -> None:
    log_of(2)
    checkpoint = Checkpoint.objects.get()
    stranger = Authority(tmp_path / "stranger")
    with stamping(ca=stranger.place / "root.pem"), pytest.raises(Failed, match="does not verify"):
        timestamps.stamp(checkpoint)
    with stamping(reply=stranger.reply), pytest.raises(Failed, match="does not verify"):
        timestamps.stamp(checkpoint)
    kept: list[bytes] = []

    def once_more(path: str, query: bytes) -> tuple[int, str, bytes]:
        if not kept:
            kept.append(authority.reply(path, query)[2])
        return 200, "application/timestamp-reply", kept[0]

    with stamping(reply=once_more):
        timestamps.stamp(checkpoint)
        with pytest.raises(Failed, match="Nonce mismatch"):
            timestamps.stamp(checkpoint)
        touch()
        integrate()
        with pytest.raises(Failed, match="over something else"):
            timestamps.stamp(Checkpoint.objects.get(size=3))
    assert TimeStamp.objects.count() == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((500, "text/plain", b""), "answered 500"),
        ((200, "text/html", b"<html>"), "no time stamp"),
        ((200, "application/timestamp-reply", b""), "no time stamp"),
        ((200, "application/timestamp-reply", bytes.fromhex("30030a0102")), "no time stamp"),
        ((200, "application/timestamp-reply", bytes.fromhex("30053003020102")), "refused, with status 2"),
    ],
)
def test_answers_that_are_no_stamp_are_failures_in_words(
    stamping: Stamping,
    answer: tuple[int, str, bytes],
    why: str,
) -> None:
    log_of(2)
    with stamping(reply=lambda *_: answer):
        assert not notary.once(errand())
    record = Attestor.objects.get(name="timestamp")
    assert record.failures == 1
    assert why in record.last_error
    assert "mistake of ours" not in record.last_error
    assert not TimeStamp.objects.exists()


def test_a_token_over_something_else_is_not_handed_out(
    stamping: Stamping,
) -> None:
    log_of(2)
    with stamping():
        token = timestamps.stamp(Checkpoint.objects.get()).token
    touch()
    integrate()
    for content in (bytes(token), b"junk"):
        TimeStamp.objects.create(size=3, authority="x", token=content, at=timezone.now())
    assert selectors.timestamps(3) == []


@pytest.mark.parametrize(
    ("content", "why"), [(None, "cannot read"), (b"junk", "no certificates"), ("chain", "no root")]
)
def test_without_a_usable_root_nothing_is_verified(
    stamping: Stamping,
    authority: Authority,
    tmp_path: Path,
    content: object,
    why: str,
) -> None:
    log_of(2)
    ca = tmp_path / "ca.pem"
    if content == "chain":
        ca = authority.place / "chain.pem"
    elif isinstance(content, bytes):
        ca.write_bytes(content)
    with stamping(ca=ca), pytest.raises(Failed, match=why):
        timestamps.stamp(Checkpoint.objects.get())
