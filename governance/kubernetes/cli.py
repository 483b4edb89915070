"""``countersign gate serve | check | sync``: the gate of a cluster as commands, for containers."""

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from governance.kubernetes.journal import Journal
from governance.kubernetes.permits import Permits
from governance.kubernetes.rules import Settings
from governance.kubernetes.server import Gate, Server, every
from governance.kubernetes.sync import Registry, Unreachable
from governance.permits.signed import Refused, load
from governance.permits.verifier import manifest

_PULL_SECONDS: Final = 60.0
_TELL_SECONDS: Final = 5.0
_CANNOT: Final = 2


def serve(arguments: Sequence[str]) -> int:
    """``countersign gate serve``: the validating admission webhook."""
    parser = argparse.ArgumentParser(
        prog="countersign gate serve", description="Answer a cluster's admission webhook from permits, offline."
    )
    _sources(parser)
    parser.add_argument("--journal", type=Path, required=True, help="directory for what breaks the glass")
    parser.add_argument("--listen", default="0.0.0.0:8443", help="address:port (%(default)s)")
    parser.add_argument("--certificate", type=Path, help="PEM; taken up again when it is renewed")
    parser.add_argument("--key", type=Path, help="PEM")
    parser.add_argument("--undeclared", choices=["refuse", "allow"], default="refuse", help="pods without a model")
    parser.add_argument("--break-glass-group", action="append", default=[], help="who may; may be repeated")
    parser.add_argument("--break-glass-hours", type=int, default=24, help="how long pods follow (%(default)s)")
    parser.add_argument("--check-image", action="append", default=[], help="pods need an init container of it")
    _registry(parser)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    host, _, port = given.listen.rpartition(":")
    local = host in {"127.0.0.1", "localhost"}
    if (given.certificate is None) != (given.key is None) or (given.certificate is None and not local):
        parser.error("give --certificate and --key: a cluster asks over TLS alone")
    try:
        permits, registry = _permits(given), _registry_of(given)
        journal = Journal(given.journal, _now, given.break_glass_hours)
        settings = Settings(given.undeclared, frozenset(given.break_glass_group), frozenset(given.check_image))
        server = Server(Gate(permits, journal, settings), (host, int(port)), given.certificate, given.key)
    except (OSError, ValueError, Refused) as error:
        print(f"countersign gate: {error}", file=sys.stderr)
        return _CANNOT
    stopped = threading.Event()
    works: list[Any] = [partial(every, _PULL_SECONDS, server.renew, stopped)]
    if registry is not None:
        works.append(partial(every, _PULL_SECONDS, partial(registry.pull, given.permits), stopped))
        works.append(partial(every, _TELL_SECONDS, partial(journal.tell, registry.tell), stopped))
    for work in works:
        threading.Thread(target=work, daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.close).start())
    print(f"countersign gate: listening on {host}:{server.port}", flush=True)
    server.run()
    stopped.set()
    return 0


def check(arguments: Sequence[str]) -> int:
    """``countersign gate check``: the init container. The bytes are those declared, and a permit allows them here."""
    parser = argparse.ArgumentParser(
        prog="countersign gate check", description="Refuse to start over a model that no permit allows here."
    )
    _sources(parser)
    parser.add_argument("digest", nargs="+", help="sha256:<hex> of each model's manifest, as the pod declares them")
    parser.add_argument("--namespace", required=True, help="where it runs")
    parser.add_argument("--model", type=Path, action="append", required=True, help="directory of each, in their order")
    _registry(parser)
    given = parser.parse_args(arguments)
    if len(given.digest) != len(given.model):
        parser.error("give one --model for each digest")
    try:
        permits, registry = _permits(given), _registry_of(given)
        if registry is not None:
            registry.pull(given.permits)
    except (OSError, ValueError, Refused, Unreachable) as error:
        print(f"CANNOT CHECK: {error}", file=sys.stderr)
        return _CANNOT
    refused = False
    for declared, directory in zip(given.digest, given.model, strict=True):
        problem = _problem(permits, declared, directory, given.namespace)
        print(f"REFUSED: {directory}: {problem}" if problem else f"ok: {directory} is {declared}, and permitted")
        refused |= bool(problem)
    return int(refused)


def sync(arguments: Sequence[str]) -> int:
    """``countersign gate sync``: bring the permits of a registry into a directory, once."""
    parser = argparse.ArgumentParser(prog="countersign gate sync", description="Bring permits into a directory.")
    parser.add_argument("--permits", type=Path, required=True, help="the directory")
    _registry(parser, required=True)
    given = parser.parse_args(arguments)
    try:
        registry = _registry_of(given)
        count = registry.pull(given.permits) if registry else 0
    except (OSError, ValueError, Unreachable) as error:
        print(f"countersign gate: {error}", file=sys.stderr)
        return _CANNOT
    print(f"{count} active permits are in {given.permits}.")
    return 0


def _problem(permits: Permits, declared: str, directory: Path, namespace: str) -> str:
    digest = declared.removeprefix("sha256:")
    try:
        found = manifest(directory)
    except (Refused, OSError) as error:
        return f"{error}"
    if found != digest:
        return f"its files are sha256:{found}, not {declared}"
    return permits.judge(digest, namespace).reason


def _sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--permits", type=Path, required=True, help="directory of permits, status list, trust roots")
    parser.add_argument("--trust-root", type=Path, required=True, help="the trust root you trust (not from --permits)")


def _registry(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    parser.add_argument("--registry", required=required, help="https address to bring permits from")
    parser.add_argument("--token-file", type=Path, required=required, help="file with a service account's token")
    parser.add_argument("--authority", type=Path, help="PEM of the authority that signed the registry's certificate")


def _permits(given: argparse.Namespace) -> Permits:
    return Permits(given.permits, load(given.trust_root.read_bytes(), "the trust root"), _now)


def _registry_of(given: argparse.Namespace) -> Registry | None:
    if given.registry is None:
        return None
    if given.token_file is None:
        raise ValueError("--registry needs --token-file")
    return Registry(given.registry.rstrip("/"), given.token_file.read_text().strip(), given.authority)


def _now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000
