# ruff: noqa: T201 - a program that prints
"""``countersign trust …``: making, changing and signing a trust root, on a machine that need not be the server.

A version is a draft until enough offline keys signed it; each signature is added by whoever holds the key, and the file
goes from one to the next. ``manage.py adopt_trust_root`` then brings it into force.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from audit.notes import origin, verifier_key
from governance.permits import dsse, keyfiles, signed, trust
from governance.permits.keyfiles import NoKey
from governance.permits.signed import Refused, fingerprint

DAYS = 365


def init(arguments: list[str]) -> int:
    """Version 1 of a trust root, as a draft to be signed."""
    parser = _parser("init", "Make version 1 of a trust root, and offline root keys that do not exist yet.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--root-key", type=Path, action="append", required=True, help="private key; made if not there")
    parser.add_argument("--root-threshold", type=int, help="how many of them must sign the next version (all)")
    parser.add_argument("--permit-key", type=Path, action="append", required=True, help="public key; at least two")
    parser.add_argument("--old-permit-key", type=Path, help="public key of permits of version 1")
    parser.add_argument("--ledger-key", type=Path, required=True, help="public key of the log, Ed25519")
    _common(parser)

    def run(given: argparse.Namespace) -> None:
        for path in given.root_key:
            if keyfiles.make(path):
                print(f"Made {path}. Keep it offline.")
        roots = [keyfiles.private(path) for path in given.root_key]
        signers = [keyfiles.public(path) for path in given.permit_key]
        by_role = {"root": [key.public_key() for key in roots], "permit": signers, "status": signers}
        if given.old_permit_key:
            by_role["permit-v1"] = [keyfiles.public(given.old_permit_key)]
        ledger = load_pem_public_key(given.ledger_key.read_bytes())
        if not isinstance(ledger, Ed25519PublicKey):
            raise NoKey(f"{given.ledger_key} is no Ed25519 key")
        contents = trust.Contents(
            keys=by_role,
            ledger_origin=origin(ledger),
            ledger_vkey=verifier_key(origin(ledger), ledger),
            witnesses=given.witness or (),
            witness_quorum=given.quorum or 0,
            timestamp_authorities=[path.read_text() for path in given.timestamp_authority or ()],
            thresholds={"root": given.root_threshold} if given.root_threshold else {},
        )
        made = trust.document(contents, version=1, now=_now(), days=given.days)
        _write(given.out, trust.sign(trust.draft(made), *roots))
        print(f"{given.out}: version 1, signed with {len(roots)} keys.")

    return _run(parser, arguments, run)


def rotate(arguments: list[str]) -> int:
    """The next version, as a draft that nobody has signed."""
    parser = _parser("rotate", "Make the next version of a trust root, with changes, as a draft to be signed.")
    parser.add_argument("current", type=Path, help="the version in force")
    parser.add_argument("out", type=Path)
    parser.add_argument("--add", action="append", default=[], metavar="ROLE=PUBLIC_KEY_FILE")
    parser.add_argument("--remove", action="append", default=[], metavar="ROLE=KEY_ID", help="its beginning is enough")
    parser.add_argument("--threshold", action="append", default=[], metavar="ROLE=N")
    _common(parser)

    def run(given: argparse.Namespace) -> None:
        made = trust.following(trust.read(given.current.read_text()), now=_now(), days=given.days)
        for role, name in map(_pair, given.add):
            made = trust.add_key(made, role, keyfiles.public(Path(name)))
        for role, prefix in map(_pair, given.remove):
            made = trust.remove_key(made, role, prefix)
        for role, number in map(_pair, given.threshold):
            if role not in made["roles"] or not number.isdigit():
                raise Refused(f"--threshold {role}={number}: a role that there is, and a number")
            made["roles"][role]["threshold"] = int(number)
        if given.witness is not None:
            made["witnesses"]["vkeys"] = given.witness
        if given.quorum is not None:
            made["witnesses"]["quorum"] = given.quorum
        if given.timestamp_authority is not None:
            made["timestamp_authorities"] = [path.read_text() for path in given.timestamp_authority]
        signed.check_root(made)
        _write(given.out, trust.draft(made))
        print(
            f"{given.out}: version {made['version']}, a draft. Sign it: countersign trust sign {given.out} --key FILE"
        )

    return _run(parser, arguments, run)


def add_key(arguments: list[str]) -> int:
    """One more key in a draft that nobody has signed."""
    parser = _parser("add-key", "Put a public key into a role of a draft. What is signed already is not touched.")
    parser.add_argument("draft", type=Path)
    parser.add_argument("key", type=Path, help="public key, PEM")
    parser.add_argument("--role", required=True, choices=trust.ROLES)
    parser.add_argument("--threshold", type=int)

    def run(given: argparse.Namespace) -> None:
        text = given.draft.read_text()
        if signed.opened(json.loads(text), dsse.TRUST_ROOT, "the trust root")[2]:
            raise Refused(
                f"{given.draft} is signed; what is signed stays as it is: countersign trust rotate makes the next version"
            )
        made = trust.add_key(trust.read(text), given.role, keyfiles.public(given.key))
        if given.threshold is not None:
            made["roles"][given.role]["threshold"] = given.threshold
        signed.check_root(made)
        _write(given.draft, trust.draft(made))
        print(f"{given.draft}: key {fingerprint(keyfiles.public(given.key))[:16]} has the role {given.role}.")

    return _run(parser, arguments, run)


def sign(arguments: list[str]) -> int:
    """One offline key's signature."""
    parser = _parser("sign", "Add the signature of an offline root key to a draft.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", type=Path, action="append", required=True)
    parser.add_argument("--previous", type=Path, help="the version in force: says what is still missing")

    def run(given: argparse.Namespace) -> None:
        text = given.file.read_text()
        roots = [trust.read(text)] + ([trust.read(given.previous.read_text())] if given.previous else [])
        known = {keyid for root in roots for keyid in root["roles"]["root"]["keyids"]}
        keys = [keyfiles.private(path) for path in given.key]
        for path, key in zip(given.key, keys, strict=True):
            if given.previous and fingerprint(key.public_key()) not in known:
                raise Refused(f"{path} is a root key neither of this version nor of the one before")
        _write(given.file, trust.sign(text, *keys))
        print(_shown(given.file.read_text(), roots[1:]))

    return _run(parser, arguments, run)


def show(arguments: list[str]) -> int:
    """What a trust root, or a chain of them, says, and whether it holds."""
    parser = _parser("show", "Show a trust root; of several files, walk from the first to the last.")
    parser.add_argument("files", type=Path, nargs="+")

    def run(given: argparse.Namespace) -> None:
        texts = [path.read_text() for path in given.files]
        for number, text in enumerate(texts):
            print(_shown(text, [trust.read(texts[number - 1])] if number else []))
        made = trust.walk(texts, now=_now())
        print(f"HOLDS: version {made['version']} until {signed.at(made['expires_at'])}")

    return _run(parser, arguments, run)


def _shown(text: str, previous: list[trust.Document]) -> str:
    made = trust.read(text)
    _, _, signatures = signed.opened(json.loads(text), dsse.TRUST_ROOT, "the trust root")
    signers = {keyid for keyid, _ in signatures}
    lines = [f"Trust root version {made['version']}, until {signed.at(made['expires_at'])}"]
    for role, one in made["roles"].items():
        lines.append(f"  {role}: {one['threshold']} of {', '.join(keyid[:16] for keyid in one['keyids'])}")
    lines.append(
        f"  log: {made['ledger']['origin']}; witnesses: {made['witnesses']['quorum']} of {len(made['witnesses']['vkeys'])}"
    )
    for root, whose in [(made, "its own"), *((one, "the previous") for one in previous)]:
        role = root["roles"]["root"]
        lines.append(f"  signatures of {whose} root keys: {len(signers & set(role['keyids']))} of {role['threshold']}")
    return "\n".join(lines)


def _parser(name: str, about: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"countersign trust {name}", description=about)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=int, default=DAYS, help=f"how long it is good ({DAYS})")
    parser.add_argument("--witness", action="append", help="verifier key of a witness, name+hash+key; replaces all")
    parser.add_argument("--quorum", type=int, help="how many witnesses must have cosigned")
    parser.add_argument("--timestamp-authority", type=Path, action="append", help="certificate, PEM; replaces all")


def _pair(text: str) -> tuple[str, str]:
    role, equals, value = text.partition("=")
    if not equals or not value:
        raise Refused(f"{text!r} is not of the form ROLE=VALUE")
    return role, value


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text)
    draft.replace(path)


def _now() -> int:
    return time.time_ns() // 1000


def _run(parser: argparse.ArgumentParser, arguments: list[str], act: Callable[[argparse.Namespace], None]) -> int:
    given = parser.parse_args(arguments)
    try:
        act(given)
    except Refused as refused:
        print(f"REFUSED: {refused}", file=sys.stderr)
        return 1
    except (NoKey, OSError, ValueError) as error:
        print(f"CANNOT READ: {error}", file=sys.stderr)
        return 2
    return 0
