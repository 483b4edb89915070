"""Landlock through ctypes: which paths may be read, and the one directory that may be written (Linux 5.13+).

Source: https://docs.kernel.org/userspace-api/landlock.html. Numbers are the kernel's and equal on all architectures.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15}
_FS_BITS_LATEST = 16
_NET_ALL = 0b11
_SCOPE_ALL = 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def available(libc: ctypes.CDLL) -> bool:
    """Whether this kernel has Landlock."""
    return _abi(libc) >= 1


def _abi(libc: ctypes.CDLL) -> int:
    answer: int = libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG))
    return answer


def restrict(libc: ctypes.CDLL, *, read: Iterable[str], write: str) -> str:
    """Allow reading below ``read`` and reading and writing below ``write``; nothing else, and no execution.

    Needs ``no_new_privs``. Returns "on", or why not. Raises ``OSError`` if the kernel refuses a rule.
    """
    abi = _abi(libc)
    if abi < 1:
        return "the kernel has no Landlock"
    handled = (1 << _FS_BITS.get(abi, _FS_BITS_LATEST)) - 1
    attributes = _Ruleset(handled, _NET_ALL if abi >= 4 else 0, _SCOPE_ALL if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _checked(libc.syscall(_CREATE, ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint(0)))
    for path in read:
        _allow(libc, ruleset, path, _READ_FILE | _READ_DIR)
    changes = _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG
    _allow(libc, ruleset, write, (_READ_FILE | _READ_DIR | changes) & handled)
    _allow(libc, ruleset, "/dev/null", _READ_FILE | _WRITE_FILE)
    _checked(libc.syscall(_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint(0)))
    os.close(ruleset)
    return "on"


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, access: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            access &= _READ_FILE | _WRITE_FILE
        rule = _PathBeneath(access, parent)
        kind = ctypes.c_int(_PATH_BENEATH)
        _checked(libc.syscall(_ADD, ctypes.c_int(ruleset), kind, ctypes.byref(rule), ctypes.c_uint(0)))
    finally:
        os.close(parent)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
