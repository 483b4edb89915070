"""The names a pickle would import, read from its opcodes with a symbolic stack: nothing is built, nothing is called."""

# ruff: noqa: ANN401 - these values come from outside and are checked here
from __future__ import annotations

import io
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_OPCODES = 50_000_000


class UnreadablePickleError(Exception):
    """The bytes are no pickle that can be followed to its end."""


@dataclass(frozen=True, slots=True)
class Named:
    """A name that would be imported. ``module`` None: it is computed while loading, so nobody can tell."""

    module: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}" if self.module is not None else self.name


class _Opaque:
    """Anything on the stack that is not a known string."""


_OPAQUE = _Opaque()
_MARK = pickletools.markobject
_UNTIL_MARK = pickletools.stackslice
_STRINGS = frozenset({
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
})  # fmt: skip
_OUTSIDE = frozenset({"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER"})


def looks_like_pickle(head: bytes) -> bool:
    """Whether the bytes begin as a pickle of protocol 2 to 5 does."""
    return len(head) >= 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def names_in_pickles(data: bytes) -> Iterator[Named]:
    """Every name of every pickle in ``data`` (some files hold several, one after another).

    Guarantee: each opcode that imports yields a name, including those in code that a memo or mark trick would
    hide: a name that is not two literal strings comes as computed. Raises ``UnreadablePickleError``.
    """
    stream = io.BytesIO(data)
    seen = 0
    while stream.tell() < len(data):
        reader = _Reader()
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                seen += 1
                if seen > MAX_OPCODES:
                    raise UnreadablePickleError("it has too many opcodes")
                yield from reader.step(opcode, argument)
        except (ValueError, IndexError, KeyError, UnicodeDecodeError, OverflowError, MemoryError) as error:
            raise UnreadablePickleError(str(error)) from error


class _Reader:
    """The symbolic machine: a stack of known strings, marks and opaque things, and the memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, opcode: Any, argument: Any) -> Iterator[Named]:
        name = opcode.name
        if name in ("GLOBAL", "INST"):
            module, _, attribute = str(argument).partition(" ")
            yield Named(module, attribute)
        elif name == "STACK_GLOBAL":
            yield self._stack_global()
        elif name in _OUTSIDE:
            yield Named(None, f"an object from outside the file ({name})")
        self._move(opcode, argument)

    def _stack_global(self) -> Named:
        known = [item for item in self.stack[-2:] if isinstance(item, str)]
        if len(known) < 2:
            return Named(None, "a name computed while loading")
        return Named(known[0], known[1])

    def _move(self, opcode: Any, argument: Any) -> None:
        name = opcode.name
        if name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[int(argument)] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[int(argument)])
        elif name == "DUP":
            self.stack.append(self.stack[-1])
        elif name == "POP":
            self.stack.pop()
        else:
            self._generic(opcode, argument)

    def _generic(self, opcode: Any, argument: Any) -> None:
        before = opcode.stack_before
        if (before and _UNTIL_MARK in before) or opcode.name == "POP_MARK":
            while self.stack.pop() is not _MARK:
                pass
            before = before[: before.index(_MARK)] if _MARK in before else []
        for _ in before:
            self.stack.pop()
        for kind in opcode.stack_after:
            if kind is _MARK:
                self.stack.append(_MARK)
            else:
                self.stack.append(argument if opcode.name in _STRINGS and isinstance(argument, str) else _OPAQUE)
