"""gunicorn's configuration for the web processes: threads, because the views wait for PostgreSQL (DESIGN §10)."""

import os

wsgi_app = "config.wsgi:application"
bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
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
