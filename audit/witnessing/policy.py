"""Whom to ask and how many are enough: the trust policy file of https://c2sp.org/tlog-policy.

Pure. The same file tells an auditor's tools what our own quorum is. Addresses are prefixes as tlog-witness has them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from audit.witnessing.cosignatures import ED25519, LOG_ED25519, MLDSA44, BadKey, Verifier, parse_vkey

NONE: Final = "none"
_MOST: Final = 64


class BadPolicy(ValueError):
    """Not a policy. The message names the line."""


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A witness by its name in the file, with its pinned key and, if we are to ask it, its submission prefix."""

    name: str
    verifier: Verifier
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Counts as having witnessed when at least ``needed`` of its members have."""

    name: str
    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed file. ``quorum`` is the name of a witness or group, or ``none``."""

    logs: tuple[Verifier, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: Mapping[str, Group]
    quorum: str

    def satisfied(self, cosigned: Iterable[str]) -> bool:
        """Whether a head is valid that the witnesses of these names have cosigned."""
        return self.quorum == NONE or self._witnessed(self.quorum, frozenset(cosigned))

    def _witnessed(self, name: str, cosigned: frozenset[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in cosigned
        return sum(self._witnessed(member, cosigned) for member in group.members) >= group.needed

    @property
    def words(self) -> str:
        """The quorum for people: ``2 of 3``, ``all of X, Y``; empty for none."""
        if self.quorum == NONE:
            return ""
        group = self.groups.get(self.quorum)
        return f"{group.needed} of {len(group.members)}" if group else self.quorum


EMPTY: Final = Policy((), (), {}, NONE)


def parse(content: bytes | str) -> Policy:
    """Read a policy file. Raises ``BadPolicy``."""
    raw = content.encode() if isinstance(content, str) else content
    if any((octet < 0x20 and octet not in {0x09, 0x0A}) or octet == 0x7F for octet in raw):
        raise BadPolicy("it holds a control character other than tab and newline")
    reading = _Reading()
    # Names are octets to the specification; surrogates keep those that are no UTF-8 apart.
    for number, line in enumerate(raw.decode("utf-8", "surrogateescape").split("\n"), start=1):
        words = [word for word in line.replace("\t", " ").split(" ") if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            reading.take(words)
        except (BadPolicy, BadKey) as error:
            raise BadPolicy(f"line {number}: {error}") from error
    if reading.quorum is None:
        raise BadPolicy("it has no quorum line (`quorum none` asks for no cosignature)")
    return Policy(tuple(reading.logs), tuple(reading.witnesses.values()), reading.groups, reading.quorum)


class _Reading:
    def __init__(self) -> None:
        self.logs: list[Verifier] = []
        self.witnesses: dict[str, PolicyWitness] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self._grouped: set[str] = set()

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", key, *url] if len(url) < 2:
                self._log(parse_vkey(key), url)
            case ["witness", name, key, *url] if len(url) < 2:
                self._witness(name, parse_vkey(key), url)
            case ["group", name, needed, *members] if members:
                self._group(name, needed, members)
            case ["quorum", name]:
                self._quorum(name)
            case _:
                raise BadPolicy(f"{' '.join(words)[:80]!r} is no log, witness, group or quorum line")

    def _log(self, verifier: Verifier, url: list[str]) -> None:
        if verifier.kind not in {LOG_ED25519, MLDSA44}:
            raise BadPolicy(f"the key of {verifier.name} is no log's")
        if any(_same_key(verifier, other) for other in self.logs):
            raise BadPolicy(f"the key of log {verifier.name} stands there twice")
        _address(url)
        self.logs.append(verifier)

    def _witness(self, name: str, verifier: Verifier, url: list[str]) -> None:
        self._new(name)
        if verifier.kind not in {ED25519, MLDSA44}:
            raise BadPolicy(
                f"the key of {verifier.name} is no witness's: its type is {verifier.kind:#04x}, not 0x04 or 0x06"
            )
        if any(_same_key(verifier, other.verifier) for other in self.witnesses.values()):
            raise BadPolicy(f"the key of witness {name} stands there twice: one key, one voice")
        self.witnesses[name] = PolicyWitness(name, verifier, _address(url))

    def _group(self, name: str, needed: str, members: list[str]) -> None:
        self._new(name)
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise BadPolicy(f"{member} is no witness or group of a line before")
            if member in self._grouped or members.count(member) > 1:
                raise BadPolicy(f"{member} is a member twice: nobody counts in two ways")
        count = {"all": len(members), "any": 1}.get(needed)
        if count is None:
            count = int(needed) if needed.isascii() and needed.isdigit() and len(needed) < 4 else 0
        if not 1 <= count <= len(members):
            raise BadPolicy(f"{needed} of {len(members)} members cannot be asked for")
        self._grouped.update(members)
        self.groups[name] = Group(name, count, tuple(members))

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise BadPolicy("there are two quorum lines")
        if name != NONE and name not in self.witnesses and name not in self.groups:
            raise BadPolicy(f"{name} is no witness or group of a line before")
        self.quorum = name

    def _new(self, name: str) -> None:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise BadPolicy(f"the name {name} is taken")
        if len(self.witnesses) + len(self.groups) >= _MOST:
            raise BadPolicy(f"more than {_MOST} witnesses and groups")


def _same_key(one: Verifier, other: Verifier) -> bool:
    return one.key.public_bytes_raw() == other.key.public_bytes_raw()


def _address(url: list[str]) -> str:
    """The prefix without a slash at its end, or nothing. Raises ``BadPolicy``."""
    if not url:
        return ""
    try:
        return plain_address(url[0])
    except ValueError as error:
        raise BadPolicy(str(error)) from error


def plain_address(url: str) -> str:
    """Return an address of http or https without a slash at its end. Raises ``ValueError`` for any other."""
    parts = urlsplit(url)
    _ = parts.port  # raises ValueError for what is no port
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url[:80]!r} is no http:// or https:// address")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"the address of {parts.hostname} must be a plain prefix, without credentials, ? and #")
    if not url.isascii() or any(ord(character) <= 0x20 for character in url):
        raise ValueError(f"the address of {parts.hostname} may hold visible ASCII characters only")
    return url.rstrip("/")
