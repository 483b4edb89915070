"""Where a webhook may send: the form of its address, and which addresses of the network behind it are let through.

An address is read as data when a webhook is made, and looked up only by the worker that sends, once for each attempt:
the connection goes to exactly the address that was examined, so a name that changes its mind in between changes nothing.
Messages about the form are MLflow's (mlflow/utils/validation.py, 3.17).
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from django.conf import settings

from config.errors import Invalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
LONGEST: Final = 500
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
_NAME: Final = re.compile(r"(?=.{1,253}\.?$)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_NUMBERS: Final = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*", re.IGNORECASE)
_PORTS: Final = {"http": 80, "https": 443}
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL: Final = ipaddress.IPv6Network("2000::/3")
"""All that was ever given out of IPv6 (RFC 4291 2.4). Python calls much else global: site-local, IPv4-compatible, NAT64's own."""
_NEVER: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local, and the metadata service of nearly every cloud
        "fe80::/10",
        "fd00:ec2::254/128",  # Amazon's metadata over IPv6
        "fd20:ce::254/128",  # Google's
        "168.63.129.16/32",  # Azure's host agent: a public address that is none
        "100.100.100.200/32",  # Alibaba's metadata
        "0.0.0.0/8",
        "::/128",
        "224.0.0.0/4",
        "ff00::/8",
    )
)


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook's address, taken apart. ``userinfo`` is ``name:password``, decoded, or nothing."""

    scheme: str
    host: str
    port: int
    path: str
    userinfo: str
    shown: str
    """The address without ``userinfo``: what is stored, shown and sent to."""

    @property
    def authority(self) -> str:
        """What the ``Host`` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The address without its path, which is often a secret: for the ledger."""
        return f"{self.scheme}://{self.authority}"


def parse(url: str) -> Target:
    """Take an address apart, looking nothing up. Raises ``Invalid`` (field ``url``), in MLflow's words where it has some."""
    if not url.strip():
        raise _invalid(f"Webhook URL cannot be empty or just whitespace: {url!r}")
    if len(url) > LONGEST:
        raise _invalid(f"Webhook URL is longer than {LONGEST} characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _invalid(f"Invalid webhook URL: {error}.") from error
    allowed = sorted(settings.WEBHOOK_ALLOWED_SCHEMES)
    if parts.scheme not in allowed:
        raise _invalid(
            f"Invalid webhook URL scheme: {parts.scheme[:40]!r}. Allowed schemes are: {', '.join(reversed(allowed))}."
        )
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise _invalid("Webhook URL may hold visible ASCII characters only: percent-encode the others.")
    host = (parts.hostname or "").rstrip(".")
    if not host:
        raise _invalid("Webhook URL must include a hostname.")
    if port == 0:
        raise _invalid("Invalid webhook URL: port 0.")
    _check_host(host, parts.scheme)
    return Target(
        scheme=parts.scheme,
        host=host,
        port=port or _PORTS[parts.scheme],
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        userinfo=_userinfo(parts),
        shown=parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl(),
    )


def _userinfo(parts: SplitResult) -> str:
    if parts.username is None and parts.password is None:
        return ""
    name, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not (name + password).isprintable() or ":" in name:
        raise _invalid("The name and password in the webhook URL may hold printable characters only.")
    return f"{name}:{password}"


def _check_host(host: str, scheme: str) -> None:
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        # socket reads 127.1, 0177.0.0.1 and 2130706433 as addresses, each in its own way.
        if ":" in host or _NUMBERS.fullmatch(host):
            raise _invalid(f"Webhook URL host {host!r} is not a canonical IP address literal.") from None
        if not _NAME.fullmatch(host):
            raise _invalid(f"Webhook URL host {host[:60]!r} is no host name.") from None
        if host.lower() == "localhost" or host.lower().endswith(".localhost"):
            literal = ipaddress.ip_address("127.0.0.1")
        else:
            return
    if why := why_not(literal, scheme):
        raise _invalid(f"Webhook URL {why}.")


def _invalid(message: str) -> Invalid:
    return Invalid(message, code="webhook.url", field="url")


def why_not(address: Address, scheme: str) -> str:
    """Why nothing is sent to this address of the network, or an empty text."""
    plain = _embedded(address)
    if any(plain in network for network in _NEVER if network.version == plain.version):
        return f"leads to {address}, where nothing is ever sent"
    named = any(plain in network for network in settings.WEBHOOK_ALLOWED_NETWORKS if network.version == plain.version)
    public = plain.is_global and (plain.version == 4 or plain in _GLOBAL)
    if not public and not named:
        return f"leads to {address}, which is not a public address, and WEBHOOK_ALLOWED_NETWORKS does not name it"
    if scheme == "http" and not named:
        return f"is http and leads to {address}, which WEBHOOK_ALLOWED_NETWORKS does not name: outside it, only https is sent"
    return ""


def why_not_any(addresses: Iterable[Address], scheme: str) -> str:
    """The first reason against any of a host's addresses: one bad one condemns the name."""
    return next((why for address in addresses if (why := why_not(address, scheme))), "")


def _embedded(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, 6to4, NAT64, Teredo), which is where packets end up."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        teredo = address.teredo
        return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)
    return address
