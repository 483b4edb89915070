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


def consumes(broker: Broker, name: str) -> Check:
    """True when the Celery worker of that node name (``--hostname name@…``) listens for remote control.

    A worker subscribes to the pattern of its control mailbox after it has begun to consume the task queues, and the
    subscription ends with its connection, which bears the worker's name (config/celery.py).
    """

    def check() -> bool:
        try:
            with broker.client() as client:
                return any(one["name"] == name and int(one["psub"]) > 0 for one in client.client_list())
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
