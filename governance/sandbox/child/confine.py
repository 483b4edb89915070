"""Putting on the layers, in the one order that works. Runs before any library with threads is imported."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Callable, Mapping
from typing import Any

from governance.sandbox.child import landlock, seccomp

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP = 1, 4, 38, 24
_PR_SET_KEEPCAPS = 8
_SIGKILL = 9
_DAC_READ_SEARCH = 1 << 2
_NEW_NET, _NEW_IPC, _NEW_UTS, _NEW_USER = 0x40000000, 0x08000000, 0x04000000, 0x10000000
_SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/usr/share/zoneinfo",
    "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/proc/self/maps", "/sys/devices/system/cpu",
)  # fmt: skip


def confine(job: Mapping[str, Any]) -> dict[str, str]:
    """Confine this process for good. Returns each layer with "on" or the reason why it is off.

    Raises ``OSError`` when a layer that the kernel offers cannot be put on: then no model may run.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    layers = {
        "environment": "on" if not _strangers(job) else "there were unexpected variables",
        "descriptors": "on" if _descriptors() <= {0, 1, 2, int(job["channel"])} else "there were open descriptors",
        "session": "on" if os.getsid(0) == os.getpid() else "not in its own session",
    }
    readable = [sys.prefix, sys.base_prefix, *_SYSTEM, *job["readable"], *job["code"]]
    layers["namespaces"] = _namespaces(libc)
    uid, traverse = job["uid"], bool(job["traverse"])
    if traverse and not landlock.available(libc):
        uid, traverse = None, False
    layers["limits"] = _limits(job["limits"], own_user=uid is not None)
    _bounding_set(libc)  # before the user changes, who may not
    layers["user"] = _user(libc, uid, traverse=traverse)
    _capabilities(libc, keep=_DAC_READ_SEARCH if traverse else 0)
    _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
    _prctl(libc, _PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != job["parent"]:
        raise ProcessLookupError("the worker that started this run is gone")
    _prctl(libc, _PR_SET_DUMPABLE, 0)
    layers["no_new_privs"] = "on"
    layers["landlock"] = landlock.restrict(libc, read=readable, write=job["scratch"])
    layers["seccomp"] = seccomp.install(libc)
    return layers


def _strangers(job: Mapping[str, Any]) -> set[str]:
    return set(os.environ) - set(job["environment"]) - {"LC_CTYPE"}


def _descriptors() -> set[int]:
    with os.scandir("/proc/self/fd") as entries:
        found = {int(entry.name) for entry in entries}
    return {number for number in found if _is_open(number)}


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _namespaces(libc: ctypes.CDLL) -> str:
    """A network with nothing in it, and own IPC; as an ordinary user through a user namespace where allowed."""
    flags = _NEW_NET | _NEW_IPC | _NEW_UTS
    if os.getuid() != 0:
        uid, gid = os.getuid(), os.getgid()
        if libc.unshare(flags | _NEW_USER):
            return f"not allowed here ({os.strerror(ctypes.get_errno())})"
        for name, line in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
            os.write(descriptor, line.encode())
            os.close(descriptor)
        return "on"
    if libc.unshare(flags):
        return f"not allowed here ({os.strerror(ctypes.get_errno())})"
    return "on"


def _limits(limits: Mapping[str, Any], *, own_user: bool) -> str:
    def put(what: int, amount: int) -> None:
        resource.setrlimit(what, (amount, amount))

    memory = int(limits["memory_bytes"])
    put(resource.RLIMIT_CORE, 0)
    put(resource.RLIMIT_DATA, memory)
    put(resource.RLIMIT_AS, memory * 4 + 16 * 1024**3)
    resource.setrlimit(resource.RLIMIT_CPU, (int(limits["cpu_seconds"]), int(limits["cpu_seconds"]) + 2))
    put(resource.RLIMIT_FSIZE, int(limits["file_bytes"]))
    put(resource.RLIMIT_NOFILE, int(limits["open_files"]))
    put(resource.RLIMIT_MEMLOCK, 0)
    put(resource.RLIMIT_MSGQUEUE, 0)
    if own_user:  # the limit counts all of a user's processes, so it is of use only to a user of its own
        put(resource.RLIMIT_NPROC, int(limits["threads"]))
    return "on"


def _user(libc: ctypes.CDLL, uid: int | None, *, traverse: bool) -> str:
    if uid is None:
        return "the worker's own user"
    if traverse:
        _prctl(libc, _PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    return "on"


def _bounding_set(libc: ctypes.CDLL) -> None:
    """Let no program that is started get a capability; an ordinary user has none to give and may not drop any."""
    for capability in range(64):
        libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0)  # fails where there is none to drop


def _capabilities(libc: ctypes.CDLL, *, keep: int) -> None:
    """Drop every capability but ``keep``, also when the user could not be changed."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(keep, keep)
    if libc.capset(header, data):
        number = ctypes.get_errno()
        raise OSError(number, f"capset: {os.strerror(number)}")


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")


_ATTEMPTS = {
    "socket.__new__": "tried to open a socket", "socket.connect": "tried to open a socket",
    "socket.getaddrinfo": "tried to look up a host", "socket.gethostbyname": "tried to look up a host",
    "os.fork": "tried to start a process", "os.forkpty": "tried to start a process",
    "os.exec": "tried to start a program", "os.posix_spawn": "tried to start a program",
    "os.spawn": "tried to start a program", "os.system": "tried to start a program",
    "subprocess.Popen": "tried to start a program", "os.kill": "tried to signal another process",
}  # fmt: skip


def watch(report: Callable[[str], None]) -> None:
    """From now on an attempt at a socket or a process is reported and ends this process.

    The kernel refuses it anyway; the hook only gives the attempt its name, so a model that gets round it gains nothing.
    """

    def hook(event: str, _arguments: tuple[Any, ...]) -> None:
        if event in _ATTEMPTS:
            report(_ATTEMPTS[event])

    sys.addaudithook(hook)
