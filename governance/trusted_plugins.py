"""The plug-ins that this installation trusts: loaded when a process starts; what is wrong with one is said to the operator."""

import logging
from collections.abc import Sequence
from typing import Final

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name

from governance.checks import catalogue

logger: Final = logging.getLogger(__name__)


def load() -> None:
    """Fill the catalogue. Never raises for a plug-in: the process starts without it, and logs why."""
    for problem in catalogue.trust(settings.TRUSTED_CHECK_PLUGINS):
        if not problem.refused:
            logger.error("Plug-in %s: %s %s", problem.distribution, problem.sentence, problem.remedy)


@register(Tags.compatibility, deploy=True)
def plugins(app_configs: Sequence[AppConfig] | None = None, **_: object) -> list[CheckMessage]:
    """One error for each plug-in that is broken or clashes, one warning for each that is installed and not trusted."""
    return [
        Warning(one.sentence, hint=one.remedy, obj=one.distribution, id="countersign.W010")
        if one.refused
        else Error(one.sentence, hint=one.remedy, obj=one.distribution, id="countersign.E010")
        for one in catalogue.problems()
    ]
