"""TCP ports on the loopback: a free one, and whether a wanted one is taken."""

import socket

from config.runtime.errors import RuntimeProblem

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port of the loopback that was free a moment ago; the caller must be ready to lose it to a race."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def refuse_taken_port(host: str, port: int, *, variable: str) -> None:
    """Raise ``RuntimeProblem`` naming ``variable`` when nothing can listen on ``host:port``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As the servers themselves do, so that a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise RuntimeProblem(
                f"Cannot listen on {host}:{port}: {error.strerror}. "
                f"Stop what uses it, or choose another port, for example: make up {variable}={port + 1}"
            ) from error


def answers(host: str, port: int) -> bool:
    """Say whether something accepts a TCP connection there right now."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
