"""Make the two witnesses that come along: their keys and memories, whom they sign for, and the policy that asks them."""

from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit import keys
from audit.witnessing import files, witness
from audit.witnessing.configured import shipped
from audit.witnessing.cosignatures import LOG_ED25519, Cosigner, Verifier
from audit.witnessing.files import FileProblem
from config.runtime.services import WITNESSES

POLICY = """# Written at each start, for the witnesses that come along. They are run by whoever runs this log, so they
# prove little: name others in a file of your own (WITNESS_POLICY). docs/operators/witnesses.md says how.
"""


class Command(BaseCommand):
    """Safe to repeat. WITNESS_URLS has their addresses; without it there are none, and a policy stays as it is."""

    help = "Make the witnesses that come along, and the policy that asks them."
    requires_system_checks: list[str] = []

    def handle(self, *_: object, **__: object) -> None:
        """Make what is missing, write what may change."""
        urls = settings.WITNESS_URLS
        if not urls:
            self.stdout.write("No witnesses come along (WITNESS_URLS is not set)")
            return
        if len(urls) != len(WITNESSES):
            raise CommandError(f"WITNESS_URLS must hold {len(WITNESSES)} addresses with a comma between them")
        public = keys.ledger_public_key()
        log = Verifier(keys.origin(public), LOG_ED25519, public)
        lines = [f"log {log}"]
        try:
            for name, url in zip(WITNESSES, urls, strict=True):
                cosigner = _make(shipped().parent / name, f"{log.name}/witness-{name}", log)
                lines.append(f"witness {name} {cosigner.verifier} {url}")
        except FileProblem as problem:
            raise CommandError(str(problem)) from problem
        lines += [f"group ours all {' '.join(WITNESSES)}", "quorum ours"]
        files.replace(shipped(), (POLICY + "".join(f"{line}\n" for line in lines)).encode(), 0o644)
        self.stdout.write(f"Witnesses {', '.join(WITNESSES)} in {shipped().parent}")


def _make(place: Path, name: str, log: Verifier) -> Cosigner:
    """Memory first: a key without a memory would be one that forgot, and is refused when it starts."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    key, state = place / "witness.key", place / "state.json"
    if not key.exists():
        if not state.exists():
            witness.make_state(state)
        files.make_key(key, name)
    cosigner = files.read_key(key)
    files.replace(place / "logs", f"{log}\n".encode(), 0o644)
    return cosigner
