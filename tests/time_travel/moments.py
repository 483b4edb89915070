"""Moments in tests: give everything committed its place in the log, and say where that was."""

from collections.abc import Callable

from django.test import Client

from audit.history.moments import found
from audit.keys import ledger_key
from audit.models import Checkpoint
from config.as_of import Moment
from registry.models import User
from tests.factories.audit import integrate

Visit = Callable[[User], Client]


def here() -> Moment:
    """The moment of what is committed now."""
    integrate(key=ledger_key())
    size = Checkpoint.objects.order_by("-size").values_list("size", flat=True)[0]
    return found(f"entry:{size}")
