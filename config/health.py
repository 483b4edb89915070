"""Health probes: ``live`` says the process answers, ``ready`` that it can reach its database."""

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """200 while the process answers."""
    return JsonResponse({"status": "live"})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when the database answers, 503 with the reason's kind when not.

    ``tracking`` says who keeps runs: our own process, or an existing MLflow server. It is not asked: the registry does
    without it.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return JsonResponse({"status": "unready", "cause": type(error).__name__}, status=503)
    kept_by = "existing MLflow server" if settings.MLFLOW_TRACKING_URI else "own process"
    return JsonResponse({"status": "ready", "tracking": kept_by})
