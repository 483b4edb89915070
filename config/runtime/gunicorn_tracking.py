"""gunicorn's configuration for MLflow's tracking application, reachable from our web processes only."""

import os

wsgi_app = "registry.mlflow.tracking:application"
bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '5000')}"
worker_class = "gthread"
workers = 1  # one holds about 300 MiB; threads share it
threads = int(os.environ.get("TRACKING_THREADS", "8"))
timeout = 120
graceful_timeout = 15
keepalive = 30
proc_name = "countersign-tracking"
accesslog = None
errorlog = "-"
control_socket_disable = True  # it would stand in $HOME, shared by every installation of this user
