"""``manage.py print_webhook_events``: docs/reference/webhook-events.md, from the tables named in WEBHOOK_EVENTS."""

import json
from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand

from registry import events

_HEAD = """# Events of webhooks

Printed from the tables of events by `manage.py print_webhook_events`; do not edit by hand. How they are delivered is told in
[webhooks](../operators/webhooks.md). The name is `entity.action`, as in the body. Events marked *MLflow* have MLflow's names
and shapes (mlflow/webhooks/types.py, 3.17) and can be chosen with MLflow's client; the others over REST and on the page.
`changes` holds what the log holds: `before` and `after` of each field, or a digest in place of a long text.
"""


def printed() -> str:
    """The whole page."""
    parts = [_HEAD]
    order = list(dict.fromkeys(event.entity for event in events.known().values()))
    ordered = sorted(events.known().values(), key=lambda event: order.index(event.entity))
    for entity, group in groupby(ordered, key=lambda event: event.entity):
        rows = "".join(
            f"| `{event.action}` | {'MLflow' if event.mlflow else ''} | {event.words} | `{_shape(event.example)}` |\n"
            for event in group
        )
        parts.append(f"\n## {entity}\n\n| Action | | When | `data` of a sample |\n|---|---|---|---|\n{rows}")
    return "".join(parts)


def _shape(example: Any) -> str:  # noqa: ANN401 - any JSON
    return json.dumps(dict(example)).replace("|", "\\|")


class Command(BaseCommand):
    """Prints the page."""

    help = "Print docs/reference/webhook-events.md."
    requires_system_checks: list[str] = []

    def handle(self, *_: Any, **_options: Any) -> None:
        """Print."""
        self.stdout.write(printed(), ending="")
