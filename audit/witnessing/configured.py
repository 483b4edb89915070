"""Which witnesses this installation has, from its policy file (``WITNESS_POLICY``)."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from django.conf import settings

from audit.witnessing.cosignatures import LOG_ED25519, Verifier
from audit.witnessing.policy import EMPTY, BadPolicy, Policy, parse

_read: Final[dict[Path, tuple[tuple[int, int], Policy]]] = {}


class Misconfigured(RuntimeError):
    """The policy file cannot be used. The message names it and the line."""


def shipped() -> Path:
    """The policy file that the start-up step writes for the two witnesses that come along."""
    return Path(settings.DATA_DIR) / "witnesses" / "policy"


def policy() -> Policy:
    """Return the policy in force: that of the file, as it is now. No file, no witnesses. Raises ``Misconfigured``.

    A witness without an address that is one of those that come along gets the address it has at present.
    """
    path = Path(settings.WITNESS_POLICY)
    found = _load(path)
    if found is None:
        if path != shipped():
            raise Misconfigured(f"WITNESS_POLICY names {path}, which is not there")
        return EMPTY
    if path == shipped() or all(one.url for one in found.witnesses):
        return found
    ours = {str(one.verifier): one.url for one in (_load(shipped()) or EMPTY).witnesses}
    witnesses = (replace(one, url=one.url or ours.get(str(one.verifier), "")) for one in found.witnesses)
    return replace(found, witnesses=tuple(witnesses))


def _load(path: Path) -> Policy | None:
    try:
        stat = path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
        known = _read.get(path)
        if known is None or known[0] != stamp:
            known = _read[path] = (stamp, parse(path.read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}") from error
    except BadPolicy as bad:
        raise Misconfigured(f"{path}: {bad}") from bad
    return known[1]


def log_of(origin: str) -> Verifier | None:
    """The pinned key of the log with this name, if the policy names one."""
    return next((log for log in policy().logs if log.name == origin and log.kind == LOG_ED25519), None)


def configured_vkeys() -> list[str]:
    """The verifier keys of the witnesses of the policy, for documents that name them. Raises ``Misconfigured``."""
    return [str(witness.verifier) for witness in policy().witnesses]


def quorum_words() -> str:
    """What the policy asks for, in words; empty when it asks for nothing. Raises ``Misconfigured``."""
    return policy().words
