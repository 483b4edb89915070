"""Looking into files by their magic bytes: pickles, zip archives, skops files, compressed streams, numpy arrays."""

# ruff: noqa: ANN401 - these values come from outside and are checked here
from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, Literal

from registry.formats.scan.allowed import SKOPS_LOADERS, allowed
from registry.formats.scan.pickles import UnreadablePickleError, looks_like_pickle, names_in_pickles
from registry.formats.scan.report import Finding

MAX_UNPACKED = 512 * 1024 * 1024
MAX_DEPTH = 4
MAX_MEMBERS = 10_000
Loaded = Literal["pickle", "skops", "native"]
"""How the file that MLmodel names is loaded."""
_HARMLESS = ((b"PAR1", "parquet"), (b"ARROW1", "arrow"), (b"\x89PNG\r\n\x1a\n", "png"))
_UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError, OSError, ValueError)
"""What zipfile and the codecs beneath it raise on hostile bytes. An encrypted member is a RuntimeError, as is one
compressed in a way that is not implemented."""
_CODE = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!")


class Inside:
    """What was met while looking: the names, for the report."""

    def __init__(self) -> None:
        self.names: set[str] = set()


def look(path: str, data: bytes, inside: Inside, *, named: Loaded | None = None, depth: int = 0) -> Iterator[Finding]:
    """Findings in one file's bytes. ``named``: MLmodel says that this is the model, and how it would be loaded.

    What will be unpickled must also read as a pickle, whatever it begins with: bytes can be two things at once.
    """
    found = list(_by_magic(path, data, inside, named=named, depth=depth))
    if not found and named == "pickle" and not looks_like_pickle(data):
        found = list(_pickle(path, data, inside))
    yield from found


def _by_magic(path: str, data: bytes, inside: Inside, *, named: Loaded | None, depth: int) -> Iterator[Finding]:
    if named == "skops" and not data.startswith(b"PK\x03\x04"):
        yield Finding(path, "refused", "skops.unreadable", "MLmodel says that this is a skops file; it is no archive.")
    elif depth > MAX_DEPTH:
        yield Finding(path, "refused", "archive.nested", "Archives are nested too deeply.")
    elif looks_like_pickle(data):
        yield from _pickle(path, data, inside)
    elif data.startswith(b"PK\x03\x04"):
        yield from _zip(path, data, inside, depth)
    elif data.startswith(b"\x93NUMPY"):
        yield from _array(path, data)
    elif data.startswith(_CODE):
        yield Finding(path, "refused", "file.code", "The file is a program or a library.")
    elif any(data.startswith(magic) for magic, _ in _HARMLESS):
        return
    elif (unpacked := _unpacked(data)) is not None:
        if unpacked == b"":
            yield Finding(path, "refused", "archive.unreadable", "The compressed file is broken or unpacks too large.")
        else:
            yield from look(path, unpacked, inside, depth=depth + 1)
    else:
        yield from _rest(path, data, inside, named=named)


def _rest(path: str, data: bytes, inside: Inside, *, named: Loaded | None) -> Iterator[Finding]:
    text = _is_text(data)
    if named and path.endswith(".bin") and not text:
        yield from _pickle(path, data, inside)  # protocol 1 has no magic
    elif path.endswith((".pkl", ".pickle", ".joblib", ".cloudpickle")):
        yield from _pickle(path, data, inside)
    elif not text:
        yield Finding(path, "refused", "file.unknown", "The file is of no format that the gate knows.")


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _pickle(path: str, data: bytes, inside: Inside) -> Iterator[Finding]:
    reported: set[str] = set()
    try:
        for named in names_in_pickles(data):
            full = str(named)
            if full in reported:
                continue
            reported.add(full)
            inside.names.add(full)
            if named.module is None or not allowed(named.module, named.name):
                yield Finding(path, "refused", "pickle.global", _why(named.module, named.name))
    except UnreadablePickleError as error:
        hint = " joblib files with raw arrays cannot be followed: log with skops, cloudpickle or pickle."
        yield Finding(path, "refused", "pickle.unreadable", f"The pickle cannot be read to its end: {error}.{hint}")


def _why(module: str | None, name: str) -> str:
    if module is None:
        return f"The pickle would load {name}."
    if module.startswith("cloudpickle") or (module, name) == ("types", "CodeType"):
        return f"The pickle carries its own code ({module}.{name}), which would run. Use importable library classes."
    return f"The pickle would import {module}.{name} and could run it while loading; it is not on the allow-list."


def _zip(path: str, data: bytes, inside: Inside, depth: int) -> Iterator[Finding]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _UNREADABLE as error:
        yield _unreadable(path, error)
        return
    with archive:
        members = archive.infolist()
        if len(members) > MAX_MEMBERS or sum(m.file_size for m in members) > MAX_UNPACKED:
            yield Finding(path, "refused", "archive.too_large", "The archive unpacks to too much.")
            return
        if len({m.filename for m in members}) != len(members):
            yield Finding(path, "refused", "archive.ambiguous", "The archive holds two members of one name.")
            return
        for member in members:
            try:
                content = _content(archive, member)
            except _UNREADABLE as error:
                yield _unreadable(path, error)
                return
            where = f"{path}!{member.filename}"
            if member.filename == "schema.json":
                yield from _skops(where, content, inside)
            else:
                yield from look(where, content, inside, depth=depth + 1)


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """What a member says it has, and one byte more if there is one."""
    with archive.open(member) as handle:
        return handle.read(member.file_size + 1)


def _unreadable(path: str, error: Exception) -> Finding:
    return Finding(path, "refused", "archive.unreadable", f"The archive cannot be read: {error}.")


def _skops(path: str, data: bytes, inside: Inside) -> Iterator[Finding]:
    try:
        schema = json.loads(data)
    except (ValueError, RecursionError):
        yield Finding(path, "refused", "skops.unreadable", "The skops schema is not valid JSON.")
        return
    reported: set[str] = set()
    for code, full, message in _skops_nodes(schema):
        if full in reported:
            continue
        reported.add(full)
        if code == "type":
            inside.names.add(full)
        if message:
            yield Finding(path, "refused", f"skops.{code}", message)


def _skops_nodes(schema: Any) -> Iterator[tuple[str, str, str]]:
    """``(code, what, message)`` of every node; an empty message where all is well. Iterative: depth is hostile."""
    todo: list[Any] = [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo.extend(node)
        if not isinstance(node, dict):
            continue
        todo.extend(node.values())
        if "__loader__" in node and node["__loader__"] not in SKOPS_LOADERS:
            loader = str(node["__loader__"])
            yield "loader", loader, f"The skops file uses {loader}, which is not on the allow-list."
        pairs = (("__module__", "__class__"), ("module_path", "function"))
        for module_key, name_key in pairs:
            if module_key in node or name_key in node:
                module, name = str(node.get(module_key)), str(node.get(name_key))
                full = f"{module}.{name}"
                good = allowed(module, name) or _skops_plain(node, full)
                yield "type", full, "" if good else f"The skops file names {full}; it is not on the allow-list."


def _skops_plain(node: dict[str, Any], full: str) -> bool:
    """``builtins.function`` and the like only say what kind of node it is; the real name is in its content."""
    return (node.get("__loader__"), full) in {
        ("FunctionNode", "builtins.function"), ("FunctionNode", "builtins.builtin_function_or_method"),
        ("FunctionNode", "numpy.ufunc"),
    }  # fmt: skip


def _array(path: str, data: bytes) -> Iterator[Finding]:
    header = data[8 : 8 + 4 + int.from_bytes(data[8:10], "little")]
    if b"'descr': '|O" in header or b'"|O' in header or b"'O'" in header:
        yield Finding(path, "refused", "array.objects", "The numpy file holds Python objects (a pickle in disguise).")


def _unpacked(data: bytes) -> bytes | None:
    """The content of a compressed stream; None if it is none; empty if broken or too large."""
    openers: tuple[tuple[bytes, Any], ...] = (
        (b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open),
    )  # fmt: skip
    for magic, opener in openers:
        if data.startswith(magic):
            try:
                with opener(io.BytesIO(data)) as handle:
                    content: bytes = handle.read(MAX_UNPACKED + 1)
            except (OSError, EOFError, zlib.error, lzma.LZMAError):
                return b""
            return content if len(content) <= MAX_UNPACKED else b""
    if data[:1] == b"\x78" and data[1:2] in b"\x01\x5e\x9c\xda" and len(data) > 2:
        machine = zlib.decompressobj()
        try:
            content = machine.decompress(data, MAX_UNPACKED)
        except zlib.error:
            return None
        return content if machine.eof else b""
    return None
