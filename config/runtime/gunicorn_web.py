"""gunicorn's configuration for the web processes: threads, because the views wait for PostgreSQL (DESIGN §10).

The application is loaded once, and the workers are forks of it: they start at once, and share the memory of the code.
"""

import gc
import os

wsgi_app = "config.wsgi:application"
bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
preload_app = True
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "8"))
timeout = 60
graceful_timeout = 15
keepalive = 30
max_requests = 20_000
max_requests_jitter = 2_000
proc_name = "countersign-web"
accesslog = None
errorlog = "-"
control_socket_disable = True  # it would stand in $HOME, shared by every installation of this user


def when_ready(server: object) -> None:
    """Load what the first request would load, and take it from the garbage collector, which would copy it by looking."""
    del server
    from django.urls import get_resolver  # noqa: PLC0415 - the settings are known by now

    get_resolver().url_patterns  # noqa: B018 - the views are imported by this
    gc.collect()
    gc.freeze()
