"""One account for each role, with a generated password, kept readable only by the service's own account."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction

from audit.actors import SYSTEM
from registry.models import User
from registry.roles import LABELS, Role
from registry.services import access

FILE: Final = "demo-accounts.json"
TEAMS: Final = {
    Role.CONTRIBUTOR: ("Data science", ["ds-1"]),
    Role.VALIDATOR: ("Validation", ["validator-1"]),
    Role.APPROVER: ("Compliance", ["officer-1", "officer-2"]),
    Role.AUDITOR: ("Internal audit", ["auditor-1"]),
    Role.ADMINISTRATOR: ("Administration", ["admin-1"]),
}


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody of the demonstration."""

    username: str
    password: str
    role: str


def accounts() -> list[Account]:
    """Every account of the demonstration, made on the first call; a second one returns the same passwords.

    Who is in the file but not in the database (or the other way round) is set right: the password is given anew.
    """
    path = Path(settings.DATA_DIR) / "secrets" / FILE
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    found: list[Account] = []
    for role, (_, names) in TEAMS.items():
        for username in names:
            password = known.setdefault(username, secrets.token_urlsafe(12))
            found.append(Account(username, password, LABELS[role]))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_text(json.dumps(known, indent=1))
    _make({account.username: account.password for account in found})
    return found


@transaction.atomic
def _make(passwords: dict[str, str]) -> None:
    for role, (team_name, names) in TEAMS.items():
        team = Group.objects.filter(name=team_name).first() or access.create_team(name=team_name, by=SYSTEM)
        access.grant_role(team=team, role=role, by=SYSTEM)
        for username in names:
            user = User.objects.filter(username=username).first()
            if user is None:
                user = access.create_user(
                    username=username,
                    password=passwords[username],
                    display_name=username,
                    is_staff=role is Role.ADMINISTRATOR,
                    by=SYSTEM,
                )
            elif not user.check_password(passwords[username]):
                access.update_user(user=user, password=passwords[username], by=SYSTEM)
            access.add_member(team=team, user=user, by=SYSTEM)


def token_for(username: str) -> str:
    """A fresh API token of an account, valid for a day: each run of the demonstration makes its own."""
    user = User.objects.get(username=username)
    return access.issue_token(user=user, name="demonstration", days=1, by=SYSTEM)[1]
