"""Ask those who attest the log now, and show how it goes with each."""

import sys
from argparse import ArgumentParser
from datetime import datetime

from django.core.management.base import BaseCommand, CommandError

from audit.witnessing import heads, notary, selectors
from audit.witnessing.configured import Misconfigured


class Command(BaseCommand):
    """Exit code 0: the quorum is reached and nobody contradicts the log. 1: not so. 2: it could not be asked."""

    help = "Have the latest checkpoint cosigned now, and show what witnesses, time stamps and anchors say."
    requires_system_checks: list[str] = []  # those of the web: addresses, templates

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare --show, --all and --heads."""
        parser.add_argument("--show", action="store_true", help="ask nobody, only show")
        parser.add_argument("--all", action="store_true", help="also stamp, anchor, log a beacon and the head map now")
        parser.add_argument("--heads", action="store_true", help="recompute the latest head map and compare it")

    def handle(self, *_: object, **options: object) -> None:
        """Ask, show, judge."""
        try:
            if not options["show"]:
                notary.ask_all(everything=bool(options["all"]))
            found = selectors.attested()
        except Misconfigured as error:
            raise CommandError(str(error), returncode=2) from error
        if found.misconfigured:
            raise CommandError(found.misconfigured, returncode=2)
        for one in found.standings:
            self.stdout.write(_line(one))
            if one.evidence:
                self.stdout.write("".join(f"    {line}\n" for line in one.evidence.splitlines()), ending="")
        if found.head is None:
            raise CommandError("The log has no checkpoint yet.", returncode=2)
        sound = self._quorum(found.head, found.quorum) and not found.alarms
        if found.alarms:
            self.stdout.write(self.style.ERROR("CONTRADICTED: see above. Sign nothing more until a person has looked."))
        if options["heads"]:
            sound = self._heads() and sound
        if not sound:
            sys.exit(1)

    def _quorum(self, head: selectors.Quorum, best: selectors.Quorum | None) -> bool:
        if not head.words:
            self.stdout.write("The policy asks for no cosignature.")
            return True
        by = ", ".join(one.witness for one in head.cosigned) or "nobody"
        line = f"Head of {head.size}: cosigned by {by}; the policy asks for {head.words}"
        if head.reached:
            self.stdout.write(self.style.SUCCESS(f"{line}: reached"))
            return True
        at = f"; reached at {best.size}" if best else "; never reached"
        self.stdout.write(self.style.ERROR(f"{line}: NOT reached{at}"))
        return False

    def _heads(self) -> bool:
        found = heads.map_within(2**62)
        if found is None:
            self.stdout.write("No head map is logged yet.")
            return True
        entry, said = found
        if heads.verify_map(entry):
            self.stdout.write(self.style.SUCCESS(f"Head map of {said.size} entries, {said.streams} streams: holds"))
            return True
        self.stdout.write(self.style.ERROR(f"Head map of {said.size} entries (entry {entry.index}) does NOT hold"))
        return False


def _line(one: selectors.Standing) -> str:
    line = f"{one.kind} {one.name}: {one.state}, {one.size} entries, {_when(one.succeeded_at)}"
    if one.failures:
        line += f"; failed {one.failures} times, again at {_when(one.retry_at)}: {one.last_error}"
    return line


def _when(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else "never"
