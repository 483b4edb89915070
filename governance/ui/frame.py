"""What the frame of every page shows of governance: what waits, is the log whole, one's role, is anything gated here.

Named as a string in the settings, because the floor imports no app. Each value is found out when a template asks for it:
a region that htmx fetches has no frame and pays for nothing.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from django.http import HttpRequest

from audit.health import LogStatus, log_status
from config import as_of
from governance.models.exemptions import WHOLE_INSTANCE
from governance.selectors.exemptions import exemptions_in_force
from governance.selectors.inbox import waiting_count
from registry.models import User
from registry.reach import ADMINISTER, APPROVE, AUDIT, CONTRIBUTE, VALIDATE, codename_of, everywhere
from registry.roles import LABELS, Role

_ROLES = {
    VALIDATE: Role.VALIDATOR,
    APPROVE: Role.APPROVER,
    CONTRIBUTE: Role.CONTRIBUTOR,
    AUDIT: Role.AUDITOR,
}


def frame(request: HttpRequest) -> dict[str, Callable[[], Any]]:
    """``exemptions``, ``instance_exempt``; for people ``inbox_count``, ``log_status``, ``account_role``, ``administers``.

    Four queries beside one for roles.
    """

    @cache
    def exemptions() -> dict[str, datetime]:
        return exemptions_in_force()

    def instance_exempt() -> datetime | None:
        return exemptions().get(WHOLE_INSTANCE)

    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {"exemptions": exemptions, "instance_exempt": instance_exempt}

    @cache
    def inbox_count() -> int:
        return 0 if as_of.current() else waiting_count(user)

    @cache
    def status() -> LogStatus:
        return log_status()

    @cache
    def account_role() -> str:
        held = everywhere(user)
        words = [LABELS[role] for permission, role in _ROLES.items() if codename_of(permission) in held]
        return ", ".join(words) or ("Administrator" if user.is_superuser else "")

    def administers() -> bool:
        return codename_of(ADMINISTER) in everywhere(user)

    return {
        "inbox_count": inbox_count,
        "log_status": status,
        "account_role": account_role,
        "administers": administers,
        "exemptions": exemptions,
        "instance_exempt": instance_exempt,
    }
