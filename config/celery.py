"""The Celery application. PostgreSQL holds the truth about every job; the broker is a doorbell (DESIGN section 10)."""

import os
from typing import Any

from celery import Celery, signals
from celery.schedules import crontab, schedule
from django.conf import settings
from kombu import Queue  # type: ignore[attr-defined]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.prod")

QUEUES = ("checks", "ingest", "exports", "default", "webhooks")
# The courier's: what it sends waits behind no check, and it alone needs a way out of the internal network.
WEBHOOK_TASKS = ("registry.tasks.deliver_webhook", "registry.tasks.sweep_webhooks")

app = Celery("countersign")
app.config_from_object(
    {
        "task_queues": [Queue(name, routing_key=name) for name in QUEUES],  # type: ignore[no-untyped-call]
        "task_default_queue": "default",
        "task_routes": {task: {"queue": "webhooks"} for task in WEBHOOK_TASKS},
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,
        "task_track_started": False,
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {
            "visibility_timeout": 7200,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
        },
        "beat_scheduler": "celery.beat:Scheduler",
        "beat_schedule": {
            "send-waiting-jobs": {"task": "governance.tasks.sweep", "schedule": schedule(5.0)},
            "send-waiting-ingests": {"task": "registry.tasks.sweep", "schedule": schedule(5.0)},
            "send-waiting-webhooks": {"task": "registry.tasks.sweep_webhooks", "schedule": schedule(5.0)},
            "send-waiting-verifications": {"task": "audit.tasks.sweep", "schedule": schedule(5.0)},
            "publish-log": {"task": "audit.tasks.publish", "schedule": schedule(60.0)},
            "verify-log": {"task": "audit.tasks.ask_for_verification", "schedule": crontab(minute="20")},
            "tidy": {"task": "registry.tasks.tidy", "schedule": crontab(hour="3", minute="15")},
            "send-waiting-exports": {"task": "governance.tasks.sweep_exports", "schedule": schedule(5.0)},
            "compare-tables": {"task": "audit.tasks.reconcile_tables", "schedule": crontab(minute="40")},
            "expire-permits": {"task": "governance.tasks.expire", "schedule": schedule(60.0)},
        },
        "timezone": "UTC",
    }
)


@app.on_configure.connect  # type: ignore[untyped-decorator]
def _broker(sender: Celery, **_: object) -> None:
    sender.conf.broker_url = settings.BROKER_URL


@signals.celeryd_init.connect  # type: ignore[untyped-decorator]
def _name_the_connections(sender: str, conf: Any, **_: object) -> None:  # noqa: ANN401 - Celery has no types
    """A worker tells the broker which of ours it is, so that the supervisor sees which of them consume."""
    conf.broker_transport_options = {**conf.broker_transport_options, "client_name": sender.partition("@")[0]}


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _keep_our_logging(**_: Any) -> None:
    """Django's LOGGING is the only logging configuration; Celery adds none of its own."""


app.autodiscover_tasks(["audit", "registry", "governance"])
