# syntax=docker/dockerfile:1
# Three images of one source: "web" (web, courier, scheduler, sequencer, witnesses; no machine-learning library), "worker"
# (workers, MLflow's tracking process, migrations) and "notary". Build: docker compose build

FROM python:3.11-slim-bookworm AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PATH=/opt/venv/bin:$PATH
# Its own user; the directories exist so that fresh volumes over them belong to it.
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent countersign \
    && install -d -o countersign -g countersign -m 0700 /data /keys /permit-issuer /permit-countersigner /offline \
        /data/witnesses /data/witnesses/one /data/witnesses/two

FROM base AS web-environment
COPY requirements/web.txt requirements/dev.txt /tmp/requirements/
# uv itself comes hash-locked too, from the lock of the developers' set.
RUN python -m venv /opt/venv && python -m venv /opt/uv \
    && awk '/^uv==/ {on = 1} on {print} on && !/\\$/ {exit}' /tmp/requirements/dev.txt > /tmp/uv.txt \
    && /opt/uv/bin/pip install --no-cache-dir --require-hashes -r /tmp/uv.txt \
    && /opt/uv/bin/uv pip install --no-cache --compile-bytecode --python /opt/venv/bin/python \
        --require-hashes -r /tmp/requirements/web.txt

FROM web-environment AS worker-environment
COPY requirements/worker.txt /tmp/requirements/
RUN /opt/uv/bin/uv pip install --no-cache --compile-bytecode --python /opt/venv/bin/python \
        --require-hashes -r /tmp/requirements/worker.txt

FROM base AS source
WORKDIR /app
COPY manage.py LICENSE ./
COPY config config
COPY audit audit
COPY registry registry
COPY governance governance
COPY templates templates
COPY static static

FROM source AS web
COPY --from=web-environment /opt/venv /opt/venv
USER countersign
EXPOSE 8000
CMD ["python", "-m", "gunicorn", "--config", "python:config.runtime.gunicorn_web"]

FROM source AS worker
COPY --from=worker-environment /opt/venv /opt/venv
USER countersign
CMD ["python", "-m", "celery", "--app", "config.celery", "worker", "--pool", "prefork", "--concurrency", "2", \
     "--queues", "checks,ingest,exports,default", "--hostname", "worker@%h", "--without-gossip", "--without-mingle", \
     "--loglevel", "INFO"]

# Asks witnesses and others outside, and puts checkpoints into S3 and git: boto3 of the workers' set, and git.
FROM worker AS notary
USER root
RUN apt-get update && apt-get install --yes --no-install-recommends git openssh-client && rm -rf /var/lib/apt/lists/*
USER countersign
CMD ["python", "manage.py", "notary"]
