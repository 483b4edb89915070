"""Logging: structured, one line per event, with the request id; secrets never reach it."""

import logging
from typing import Any

import structlog

_SECRET_KEYS = frozenset(
    {"password", "secret", "token", "authorization", "cookie", "set-cookie", "csrfmiddlewaretoken"}
)


class Routine(logging.Filter):
    """Leave out what Celery says each few seconds about the tasks that look for lost work; their warnings stay."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep warnings, and everything that is not about a sweep."""
        return record.levelno > logging.INFO or ".tasks.sweep" not in record.getMessage()


def drop_secrets(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Replace the value of any key that names a secret. A guard, not a licence to log one."""
    for key in event:
        if key.lower() in _SECRET_KEYS:
            event[key] = "[removed]"
    return event


def logging_config(log_format: str) -> dict[str, Any]:
    """A ``LOGGING`` dictionary. ``log_format`` is ``console`` (for people) or ``json`` (for collectors)."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        drop_secrets,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )  # no locals: secrets
    )
    tail: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if log_format == "json":
        tail.append(structlog.processors.format_exc_info)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [*tail, renderer],
            }
        },
        "filters": {"routine": {"()": Routine}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["routine"]}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            "django.server": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
            "django.request": {"level": "ERROR"},
            "httpx": {"level": "WARNING"},
        },
    }
