"""Whether a process does its work, seen from outside it."""

from collections.abc import Callable, Mapping

import httpx
import psycopg
from redis.exceptions import RedisError

from config.runtime.postgres import Cluster
from config.runtime.valkey import Broker

Check = Callable[[], bool]


def http(url: str, headers: Mapping[str, str]) -> Check:
    """True when ``url`` answers 200."""

    def check() -> bool:
        try:
            return httpx.get(url, headers=dict(headers), timeout=5, trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    return check


def consumes(broker: Broker) -> Check:
    """True when a Celery worker listens for remote control.

    A worker subscribes to the pattern of its control mailbox after it has begun to consume the task queues, and the
    subscription ends with its connection; nothing else of ours subscribes to patterns.
    """

    def check() -> bool:
        try:
            with broker.client() as client:
                return int(client.execute_command("PUBSUB", "NUMPAT")) > 0
        except RedisError:
            return False

    return check


def session(cluster: Cluster, role: str) -> Check:
    """True when somebody is signed in to the database as ``role``."""

    def check() -> bool:
        try:
            with cluster.connect() as server:
                found = server.execute("SELECT 1 FROM pg_stat_activity WHERE usename = %s LIMIT 1", [role]).fetchone()
        except psycopg.OperationalError:
            return False
        return found is not None

    return check
