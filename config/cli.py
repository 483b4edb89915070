"""``countersign WORDS…``: the commands that people run by hand, or in a container, apart from ``manage.py``.

Those that verify something need no server, no database and no settings. Each is a function of its arguments that
returns an exit code: 0 it holds, 1 it does not, 2 it could not be asked like that.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Final

COMMANDS: Final[Mapping[tuple[str, ...], tuple[str, str]]] = {
    ("permit", "verify"): ("check a permit's file, offline", "governance.permits.verifier:main"),
    ("trust", "init"): ("make a trust root and its offline keys", "governance.permits.trust_cli:init"),
    ("trust", "rotate"): ("make its next version, as a draft", "governance.permits.trust_cli:rotate"),
    ("trust", "add-key"): ("put a public key into a draft", "governance.permits.trust_cli:add_key"),
    ("trust", "sign"): ("add an offline key's signature to a draft", "governance.permits.trust_cli:sign"),
    ("trust", "show"): ("show a trust root, or walk a chain of them", "governance.permits.trust_cli:show"),
    ("gate", "serve"): ("refuse in a cluster what no permit allows", "governance.kubernetes.cli:serve"),
    ("gate", "check"): ("check a model's bytes before they are loaded", "governance.kubernetes.cli:check"),
    ("gate", "sync"): ("bring the active permits into a directory", "governance.kubernetes.cli:sync"),
    ("recheck",): ("run a stored result again, from the sealed bytes", "governance.recheck_cli:main"),
    ("witness",): ("cosign the heads of logs we know: a service of its own", "audit.witnessing.server:run"),
    ("witness-keygen",): ("make a witness: its key and its empty memory", "audit.witnessing.server:keygen"),
}
"""The words, what they do, and ``module:function`` that does it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; without or with unknown words, say which there are."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for words, (_, where) in COMMANDS.items():
        if tuple(given[: len(words)]) == words:
            return _function(where)(given[len(words) :])
    wants_help = given in ([], ["--help"], ["-h"], ["help"])
    out = sys.stdout if wants_help else sys.stderr
    if not wants_help:
        print(f"countersign: there is no command {' '.join(given)!r}.", file=out)
    print("Usage: countersign COMMAND … (each knows --help)\n", file=out)
    for words, (about, _) in COMMANDS.items():
        print(f"  {' '.join(words):<20} {about}", file=out)
    return 0 if wants_help else 2


def _function(where: str) -> Callable[[list[str]], int]:
    module, _, name = where.partition(":")
    found: Callable[[list[str]], int] = getattr(import_module(module), name)
    return found


if __name__ == "__main__":
    sys.exit(main())
