"""Where webhooks may not send, however the address is written and whatever the name says the second time."""

import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _is_public_ip
from pytest_django import Settings

from config.errors import Invalid
from registry.webhook_address import parse, why_not
from registry.webhook_http import Undeliverable, post
from tests.registry.webhooks.receiver import Receiver, receiving, status

PUBLIC = "93.184.215.14"


def resolving(*rounds: Sequence[str]) -> tuple[Callable[[str, int], list[Any]], list[str]]:
    """A name server whose answers change from one question to the next, and the list of what it was asked."""
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[Any]:
        asked.append(host)
        answer = rounds[min(len(asked), len(rounds)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer]

    return resolve, asked


def send(url: str, resolve: Callable[[str, int], list[Any]], seconds: float = 5) -> int:
    return post(parse(url), body=b"{}", headers={}, seconds=seconds, resolve=resolve).status


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "100.100.100.200", "168.63.129.16", "0.1.2.3", "255.255.255.255", "224.0.0.1", "192.0.2.1", "198.18.0.1",
        "::1", "::", "fe80::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
        "fec0::1", "::7f00:1", "64:ff9b:1::7f00:1", "::ffff:0:7f00:1", "5f00::1", "4000::1",
    ],
)  # fmt: skip
def test_nothing_inside_is_reached(address: str) -> None:
    assert why_not(ipaddress.ip_address(address), "https")
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(Invalid, match="Webhook URL leads to"):
        parse(f"https://{host}/x")
    resolve, _ = resolving([address])
    with pytest.raises(Undeliverable, match="Not sent: the address leads to"):
        send("https://hooks.example.org/", resolve)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses_are_reached_by_https_only(address: str) -> None:
    assert why_not(ipaddress.ip_address(address), "https") == ""
    assert "only https is sent" in why_not(ipaddress.ip_address(address), "http")


@given(st.ip_addresses())
def test_we_reach_nothing_that_mlflow_calls_private(address: Any) -> None:
    if not why_not(address, "https"):
        assert _is_public_ip(address)


def test_the_setting_opens_networks_inside_but_never_metadata(settings: Settings) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    for address in ("10.1.2.3", "127.0.0.1", "::1", PUBLIC):
        assert why_not(ipaddress.ip_address(address), "http") == ""
    for address in ("169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200"):
        assert "nothing is ever sent" in why_not(ipaddress.ip_address(address), "https")


@pytest.mark.parametrize(
    "url",
    [
        "", " ", "\n", "example.org", "//example.org/x", "ftp://example.org/", "javascript:alert(1)", "file:///etc/passwd",
        "http://example.org/", "HTTPS", "https://", "https:///x", "https://:443/", "https://example.org:0/",
        "https://example.org:99999/", "https://example.org:x/", "https://exa mple.org/", "https://example.org/a b",
        "https://example.org/\r\nX-Injected: 1", "https://example.org\\@127.0.0.1/", "https://bücher.example/",
        "https://127.1/", "https://2130706433/", "https://0177.0.0.1/", "https://0x7f.0.0.1/", "https://0x7f000001/",
        "https://[::1", "https://[zz]/", "https://localhost/", "https://LOCALHOST./", "https://a.localhost/",
        "https://-example.org/", "https://exa$mple.org/", "https://x:y%0d%0a@example.org/",
        "https://example.org/" + "x" * 500,
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_before_it_is_kept(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(url)
    assert refused.value.field == "url"


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "userinfo", "shown"),
    [
        ("https://example.org", "example.org", 443, "/", "", "https://example.org"),
        ("https://Example.org:8443/a/b?c=d#e", "example.org", 8443, "/a/b?c=d", "", "https://Example.org:8443/a/b?c=d"),
        ("https://u:p%40%C3%BC@example.org./x", "example.org", 443, "/x", "u:p@ü", "https://example.org./x"),
        ("https://u@example.org/", "example.org", 443, "/", "u:", "https://example.org/"),
        (f"https://{PUBLIC}/", PUBLIC, 443, "/", "", f"https://{PUBLIC}/"),
        ("https://hooks_internal.example.org/", "hooks_internal.example.org", 443, "/", "",
         "https://hooks_internal.example.org/"),
    ],
)  # fmt: skip
def test_an_address_is_taken_apart(url: str, host: str, port: int, path: str, userinfo: str, shown: str) -> None:  # noqa: PLR0917
    target = parse(url)
    assert (target.host, target.port, target.path, target.userinfo, target.shown) == (host, port, path, userinfo, shown)
    assert "p%40" not in target.shown


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_is_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.org/{text}"):
        try:
            target = parse(url)
        except Invalid:
            continue
        assert "@" not in target.authority
        assert target.path.isascii()
        assert target.path.isprintable()
        assert " " not in target.path


def test_one_bad_address_condemns_the_name() -> None:
    resolve, _ = resolving([PUBLIC, "10.0.0.1"])
    with pytest.raises(Undeliverable, match=r"10\.0\.0\.1"):
        send("https://hooks.example.org/", resolve)


def test_a_name_that_changes_its_mind_is_asked_once_and_the_first_answer_holds(
    receiver: Receiver, settings: Settings
) -> None:
    resolve, asked = resolving(["127.0.0.1"], ["169.254.169.254"])
    assert send(f"http://rebinding.example.org:{receiver.port}/x", resolve) == 200
    assert asked == ["rebinding.example.org"]
    assert receiver.received[0].headers["Host"] == f"rebinding.example.org:{receiver.port}"
    with pytest.raises(Undeliverable, match="nothing is ever sent"):
        send(f"http://rebinding.example.org:{receiver.port}/x", resolve)
    assert len(receiver.received) == 1


def test_a_redirect_inside_is_not_followed(receiver: Receiver) -> None:
    resolve, asked = resolving(["127.0.0.1"])
    receiver.answers = [status(307, Location="http://169.254.169.254/latest/meta-data/")]
    assert send(f"http://a.example.org:{receiver.port}/", resolve) == 307
    assert asked == ["a.example.org"]


def test_a_proxy_of_the_environment_is_not_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert send(receiver.url, resolving(["127.0.0.1"])[0]) == 200


def test_an_unknown_name_and_a_resolver_that_hangs_are_told_in_words(receiver: Receiver) -> None:
    def unknown(_host: str, _port: int) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def slow(_host: str, _port: int) -> list[Any]:
        receiver.over.wait(30)
        return []

    with pytest.raises(Undeliverable, match="not known: Name or service not known"):
        send("https://nowhere.example.org/", unknown)
    with pytest.raises(Undeliverable, match="was not found in time"):
        send("https://slow.example.org/", slow, seconds=0.2)


def test_a_closed_port_is_told_in_words(receiver: Receiver) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Undeliverable, match="No connection: Connection refused"):
            send(f"http://127.0.0.1:{taken.getsockname()[1]}/", resolving(["127.0.0.1"])[0])


def certificate(name: str, directory: Path) -> ssl.SSLContext:
    """A server that shows a certificate for ``name``, signed by itself and written to ``directory/ca.pem``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (directory / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "ca.pem", directory / "key.pem")
    return context


@pytest.mark.usefixtures("inside")
def test_a_certificate_must_be_for_the_name_though_the_connection_goes_to_the_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve, _ = resolving(["127.0.0.1"])
    with receiving(certificate("hooks.example.org", tmp_path)) as receiver:
        address = f"hooks.example.org:{receiver.port}/x"
        with pytest.raises(Undeliverable, match="Its certificate is not accepted"):
            send(f"https://{address}", resolve)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert send(f"https://{address}", resolve) == 200
        with pytest.raises(Undeliverable, match="Its certificate is not accepted: Hostname mismatch"):
            send(f"https://other.example.org:{receiver.port}/x", resolve)
        with pytest.raises(Undeliverable):
            send(f"http://{address}", resolve)
        assert [one.path for one in receiver.received] == ["/x"]


def test_https_to_what_speaks_no_tls_is_told_in_words(receiver: Receiver) -> None:
    with pytest.raises(Undeliverable, match="No TLS connection"):
        send(f"https://hooks.example.org:{receiver.port}/", resolving(["127.0.0.1"])[0])
