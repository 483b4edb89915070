"""Compare the governed tables with the log."""

import argparse
import sys

from django.core.management.base import BaseCommand, CommandError

from audit import reconcile


class Command(BaseCommand):
    """Exit code 1 if anything differs. Runs while everybody works; what it found goes into the log unless it is partial."""

    help = "Compare every governed row with the last entry of its object, and every object of the log with its row."
    requires_system_checks: list[str] = []  # those of the web: addresses, templates

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """A part of the tables, for a first look or to go on."""
        parser.add_argument("--table", action="append", default=[], help="only this one, as registry.alias; repeatable")
        parser.add_argument("--after", default="", help="of the first table, only what comes after this key")
        parser.add_argument("--no-entry", action="store_true", help="do not log the result")

    def handle(self, *_: object, **options: object) -> None:
        """Do it, with a line per step on standard error."""
        tables = [str(name) for name in options["table"]]  # type: ignore[attr-defined]
        try:
            report = reconcile.reconcile(tables=tables, after=str(options["after"]), progress=self._say)
        except ValueError as error:
            raise CommandError(str(error)) from error
        for one in report.differences:
            self.stdout.write(f"DIFFERS {one}")
        if report.found > len(report.differences):
            self.stdout.write(f"… and {report.found - len(report.differences)} more")
        self.stdout.write(
            f"{report.rows} rows of {len(report.tables)} tables and {report.objects} objects of the log compared: "
            + (f"{report.found} differences" if report.found else "no difference")
            + (f"; {report.earlier} rows are older than the digests of rows" if report.earlier else "")
        )
        if not (tables or options["after"] or options["no_entry"]):
            reconcile.record(report)
        if report.found:
            raise CommandError("tables and log differ")

    def _say(self, step: reconcile.Step) -> None:
        if sys.stderr.isatty():
            self.stderr.write(
                f"{step.table} after {step.after}: {step.report.rows} rows, {step.report.found} differences"
            )
