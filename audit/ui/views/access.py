"""Who may read the log's pages."""

from typing import Final

from django.http import HttpRequest

from config.errors import NotAllowed

PERMISSION: Final = "registry.audit_registeredmodel"


def check_auditor(request: HttpRequest) -> None:
    """Raise ``NotAllowed`` for everybody without the auditor's permission on all models: the log speaks of every one."""
    if not request.user.has_perm(PERMISSION):
        raise NotAllowed(
            "The audit log speaks of every model, so reading it needs the auditor role on all models.",
            code="ledger.not_auditor",
            remedy="Ask an administrator for it.",
        )
