"""The gate as a cluster meets it: a process that answers over TLS, from files, and an init container."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from config.runtime.ports import LOOPBACK
from governance.kubernetes import cli
from governance.kubernetes.server import LARGEST
from governance.selectors.permits import trust_root
from tests.governance.kubernetes.asking import STRANGE, pod, review, service, workload
from tests.governance.kubernetes.conftest import Cluster

ROOT = Path(__file__).resolve().parents[3]
WHY = "Fraud wave; the permitted model is down."
ON_CALL = ("system:authenticated", "on-call")


def make_certificate(place: Path) -> None:
    """A certificate of its own authority for the loopback, as an operator would make for a try."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "countersign-gate")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    (place / "tls.crt").write_bytes(made.public_bytes(Encoding.PEM))
    (place / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@contextmanager
def gate(cluster: Cluster, place: Path, *more: str) -> Iterator[httpx.Client]:
    """A gate in a process of its own, without Django's settings, and a client that trusts its certificate."""
    make_certificate(place)
    (place / "root.json").write_text(trust_root())
    command = [
        *(sys.executable, "-m", "config.cli", "gate", "serve", "--listen", f"{LOOPBACK}:0"),
        *("--permits", str(cluster.directory), "--trust-root", str(place / "root.json")),
        *("--journal", str(place / "journal"), "--break-glass-group", "on-call"),
        *("--certificate", str(place / "tls.crt"), "--key", str(place / "tls.key"), *more),
    ]
    with subprocess.Popen(
        command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline().decode()
            assert "listening on" in said, said
            context = ssl.create_default_context(cafile=str(place / "tls.crt"))
            url = f"https://{LOOPBACK}:{said.strip().rpartition(':')[2]}"
            with httpx.Client(base_url=url, verify=context, trust_env=False, timeout=20) as client:
                yield client
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()


def ask(client: httpx.Client, *args: Any, **given: Any) -> dict[str, Any]:
    asked = review(*args, **given)
    answered = client.post("/validate?timeout=10s", json=asked)
    assert answered.status_code == 200, answered.text
    made = answered.json()
    assert (made["apiVersion"], made["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response: dict[str, Any] = made["response"]
    assert response["uid"] == asked["request"]["uid"]
    return response


def test_a_cluster_is_answered_from_permits(cluster: Cluster, tmp_path: Path) -> None:
    with gate(cluster, tmp_path) as client:
        assert client.get("/readyz").json() == {"ready": True, "problem": ""}
        for made in (pod(cluster.digest), service(cluster.digest), workload("Deployment", cluster.digest)):
            response = ask(client, made)
            assert response["allowed"]
            assert response["auditAnnotations"]["permits"] == str(cluster.permit.pk)
        response = ask(client, service(STRANGE))
        assert not response["allowed"]
        assert response["status"]["code"] == 403
        assert "no permit for these bytes" in response["status"]["message"]
        (cluster.directory / "status.json").unlink()
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        assert not ask(client, pod(cluster.digest))["allowed"]


def test_a_broken_glass_is_on_disk_before_the_answer_and_pods_follow(cluster: Cluster, tmp_path: Path) -> None:
    journal = tmp_path / "journal" / "broken-glass.jsonl"
    made = workload("Deployment", STRANGE, break_glass=WHY)
    with gate(cluster, tmp_path) as client:
        assert ask(client, made, groups=ON_CALL, dry_run=True)["allowed"]
        assert not journal.exists()
        assert not ask(client, pod(STRANGE))["allowed"]
        response = ask(client, made, groups=ON_CALL)
        assert response["allowed"]
        assert "will be reviewed" in response["warnings"][0]
        [event] = [json.loads(line) for line in journal.read_text().split("\n") if line]
        assert (event["uid"], event["user"], event["reason"]) == (response["uid"], "ada", WHY)
        assert ask(client, pod(STRANGE))["allowed"]
        journal.unlink()
        journal.mkdir()  # nothing can be written there any more
        assert client.post("/validate", json=review(made, groups=ON_CALL)).status_code == 500


def test_what_is_no_question_is_an_error_and_holds_nobody_up(cluster: Cluster, tmp_path: Path) -> None:
    with gate(cluster, tmp_path) as client:
        assert client.post("/validate", content=b"{}").status_code == 400
        assert client.post("/other", json={}).status_code == 404
        assert client.get("/other").status_code == 404
        assert client.post("/validate", content=b" " * (LARGEST + 1)).status_code == 413
        port = client.base_url.port
        with socket.create_connection((LOOPBACK, port or 0)):  # says nothing, not even a handshake
            assert ask(client, pod(cluster.digest))["allowed"]
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"http://{LOOPBACK}:{port}/healthz", trust_env=False)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--trust-root", "nothing.json"],
        ["--certificate", "nothing.pem", "--key", "nothing.pem"],
        ["--registry", "http://countersign.example", "--token-file", "token"],
        ["--registry", "https://countersign.example"],
    ],
)
def test_a_gate_that_is_set_up_wrong_does_not_start(
    wrong: list[str],
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "root.json").write_text(trust_root())
    (tmp_path / "token").write_text("t")
    common = ["--permits", str(cluster.directory), "--trust-root", "root.json", "--journal", "journal"]
    assert cli.serve([*common, "--listen", f"{LOOPBACK}:0", *wrong]) == 2
    assert "countersign gate: " in capsys.readouterr().err


def test_it_does_not_speak_plain_http_to_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    common = ["--permits", str(cluster.directory), "--trust-root", "root.json", "--journal", "journal"]
    with pytest.raises(SystemExit):
        cli.serve(common)


# The init container


def check(cluster: Cluster, place: Path, digest: str, *more: str, namespace: str = "credit") -> int:
    (place / "root.json").write_text(trust_root())
    common = ["--permits", str(cluster.directory), "--trust-root", str(place / "root.json")]
    return cli.check([*common, "--namespace", namespace, "--model", str(cluster.model), digest, *more])


def test_the_bytes_are_checked_before_they_are_loaded(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = f"sha256:{cluster.digest}"
    assert check(cluster, tmp_path, declared) == 0
    assert "and permitted" in capsys.readouterr().out
    assert check(cluster, tmp_path, declared, namespace="payments") == 1
    assert "does not reach" in capsys.readouterr().out
    assert check(cluster, tmp_path, f"sha256:{STRANGE}") == 1
    assert "its files are sha256:" in capsys.readouterr().out
    victim = next(path for path in cluster.model.rglob("*") if path.is_file())
    victim.write_bytes(victim.read_bytes() + b"x")
    assert check(cluster, tmp_path, declared) == 1
    assert check(cluster, tmp_path, declared, "--trust-root", str(tmp_path / "nothing.json")) == 2
    with pytest.raises(SystemExit):
        check(cluster, tmp_path, declared, declared)  # two digests, one directory
