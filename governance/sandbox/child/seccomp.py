"""A seccomp-bpf filter through ctypes: no sockets, no new processes, no kernel doors.

What attacks use and models never do ends the process; sockets and processes answer EPERM, so that a library that
only asks can go on (the attempt is noticed by the audit hook). ``clone3`` answers ENOSYS: its flags lie in memory
where a filter cannot look, and libraries then use ``clone``, whose flags it can. ``mmap`` answers ENOMEM for shared
anonymous and downward growing memory, which ``RLIMIT_DATA`` does not count; ``tgkill`` reaches this process alone.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN, _AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
_NUMBER, _ARCH, _ARG0_LOW, _ARG3_LOW = 0, 4, 16, 40
_SHARED_ANONYMOUS, _GROWS_DOWN = 0x21, 0x100
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

_COMMON = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "pidfd_open": 434,
    "clone3": 435,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_send_signal": 424,
    "memfd_secret": 447,
}
_NUMBERS: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            "mmap": 9,
            "shmget": 29,
            "semget": 64,
            "msgget": 68,
            "setpriority": 141,
            "sched_setparam": 142,
            "sched_setscheduler": 144,
            "sched_setaffinity": 203,
            "tgkill": 234,
            "ioprio_set": 251,
            "migrate_pages": 256,
            "move_pages": 279,
            "sched_setattr": 314,
            "memfd_create": 319,
            "socket": 41,
            "socketpair": 53,
            "clone": 56,
            "fork": 57,
            "vfork": 58,
            "execve": 59,
            "kill": 62,
            "ptrace": 101,
            "personality": 135,
            "pivot_root": 155,
            "acct": 163,
            "chroot": 161,
            "mount": 165,
            "umount2": 166,
            "swapon": 167,
            "swapoff": 168,
            "reboot": 169,
            "init_module": 175,
            "delete_module": 176,
            "quotactl": 179,
            "tkill": 200,
            "kexec_load": 246,
            "add_key": 248,
            "request_key": 249,
            "keyctl": 250,
            "unshare": 272,
            "rt_sigqueueinfo": 129,
            "perf_event_open": 298,
            "rt_tgsigqueueinfo": 297,
            "prlimit64": 302,
            "name_to_handle_at": 303,
            "open_by_handle_at": 304,
            "setns": 308,
            "process_vm_readv": 310,
            "process_vm_writev": 311,
            "kcmp": 312,
            "finit_module": 313,
            "kexec_file_load": 320,
            "bpf": 321,
            "execveat": 322,
            "userfaultfd": 323,
            **_COMMON,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "mmap": 222,
            "shmget": 194,
            "semget": 190,
            "msgget": 186,
            "setpriority": 140,
            "sched_setparam": 118,
            "sched_setscheduler": 119,
            "sched_setaffinity": 122,
            "tgkill": 131,
            "ioprio_set": 30,
            "migrate_pages": 238,
            "move_pages": 239,
            "sched_setattr": 274,
            "memfd_create": 279,
            "socket": 198,
            "socketpair": 199,
            "clone": 220,
            "execve": 221,
            "kill": 129,
            "ptrace": 117,
            "personality": 92,
            "pivot_root": 41,
            "acct": 89,
            "chroot": 51,
            "mount": 40,
            "umount2": 39,
            "swapon": 224,
            "swapoff": 225,
            "reboot": 142,
            "init_module": 105,
            "delete_module": 106,
            "quotactl": 60,
            "tkill": 130,
            "kexec_load": 104,
            "add_key": 217,
            "request_key": 218,
            "keyctl": 219,
            "unshare": 97,
            "rt_sigqueueinfo": 138,
            "perf_event_open": 241,
            "rt_tgsigqueueinfo": 240,
            "prlimit64": 261,
            "name_to_handle_at": 264,
            "open_by_handle_at": 265,
            "setns": 268,
            "process_vm_readv": 270,
            "process_vm_writev": 271,
            "kcmp": 272,
            "finit_module": 273,
            "kexec_file_load": 294,
            "bpf": 280,
            "execveat": 281,
            "userfaultfd": 282,
            **_COMMON,
        },
    ),
}
_REFUSED = (
    "socket",
    "socketpair",
    "fork",
    "vfork",
    "execve",
    "execveat",
    "kill",
    "tkill",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "pidfd_open",
    "pidfd_send_signal",
    "personality",
    "process_madvise",
    "kcmp",
    # Memory that no limit of a process counts, and that can outlive it.
    "memfd_create",
    "memfd_secret",
    "shmget",
    "semget",
    "msgget",
    # What one process may do to another of the same user: where the model has no user of its own, to the worker.
    "setpriority",
    "ioprio_set",
    "sched_setparam",
    "sched_setscheduler",
    "sched_setaffinity",
    "sched_setattr",
    "migrate_pages",
    "move_pages",
)
_SPECIAL = ("clone", "clone3", "prlimit64", "mmap", "tgkill")


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install(libc: ctypes.CDLL) -> str:
    """Install the filter for this process. Needs ``no_new_privs``. Returns "on", or why not; raises ``OSError``."""
    machine = platform.machine()
    if machine not in _NUMBERS:
        return f"no system call table for {machine}"
    code = _program(*_NUMBERS[machine])
    program = _Program(len(code) // 8, code)
    pointer = ctypes.c_void_p(ctypes.addressof(program))
    if libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), pointer, 0, 0):
        number = ctypes.get_errno()
        if number in (errno.EINVAL, errno.ENOSYS):
            return "the kernel has no seccomp filters"
        raise OSError(number, f"seccomp: {os.strerror(number)}")
    return "on"


def _program(arch: int, numbers: dict[str, int]) -> bytes:
    """The filter: wrong architecture ends the process; then special cases, refusals, endings; the rest is allowed."""

    def op(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("=HBBI", code, then, otherwise, value)

    no = _ERRNO | errno.EPERM
    parts = [
        op(_LOAD, _ARCH),
        op(_EQUAL, arch, 1, 0),
        op(_RETURN, _KILL),
        op(_LOAD, _NUMBER),
        op(_AT_LEAST, _X32, 0, 1),
        op(_RETURN, _KILL),
        op(_EQUAL, numbers["clone3"], 0, 1),
        op(_RETURN, _ERRNO | errno.ENOSYS),
        op(_EQUAL, numbers["clone"], 0, 4),
        op(_LOAD, _ARG0_LOW),
        op(_ANY_BIT, _CLONE_THREAD, 1, 0),
        op(_RETURN, no),
        op(_RETURN, _ALLOW),
        op(_EQUAL, numbers["prlimit64"], 0, 4),
        op(_LOAD, _ARG0_LOW),
        op(_EQUAL, 0, 1, 0),
        op(_RETURN, no),
        op(_RETURN, _ALLOW),
    ]
    parts += [
        op(_EQUAL, numbers["mmap"], 0, 6),
        op(_LOAD, _ARG3_LOW),
        op(_ANY_BIT, _GROWS_DOWN, 2, 0),
        op(_AND, _SHARED_ANONYMOUS),
        op(_EQUAL, _SHARED_ANONYMOUS, 0, 1),
        op(_RETURN, _ERRNO | errno.ENOMEM),
        op(_RETURN, _ALLOW),
        op(_EQUAL, numbers["tgkill"], 0, 4),
        op(_LOAD, _ARG0_LOW),
        op(_EQUAL, os.getpid(), 1, 0),
        op(_RETURN, no),
        op(_RETURN, _ALLOW),
    ]
    for name, number in sorted(numbers.items()):
        if name not in _SPECIAL:
            parts += [op(_EQUAL, number, 0, 1), op(_RETURN, no if name in _REFUSED else _KILL)]
    return b"".join([*parts, op(_RETURN, _ALLOW)])
