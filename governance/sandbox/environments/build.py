"""uv, started with nothing of ours: resolve to a lock with hashes, then install exactly that, wheels only.

No code of a package runs while its wheel is resolved or unpacked, and none may afterwards: files are compiled by an
interpreter that knows nothing of them (no ``site``, so no ``.pth``), and the sandbox starts Python without ``site``, too.
"""

from __future__ import annotations

import os
import platform
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from governance.sandbox.environments.recorded import Pin
from governance.sandbox.environments.settings import Environments
from governance.sandbox.failed import EnvironmentFailed

Beat = Callable[[], None]
BUILDER_UID = 61183
"""The user that builds when the worker is root: one below those that models run as."""
_TICK = 1.0
_FILE_BYTES = 2 * 1024**3
_WHEELS = ("--only-binary", ":all:", "--no-config", "--no-progress", "--color", "never", "--no-python-downloads")
_PASSED_ON = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")
# Read-only when it is used, so what is not compiled now is compiled at every start. The bytes depend on the sources alone:
# no time stamps, the names of the final place, one order of sets.
_COMPILE = """
import sys
del sys.path[0]
import compileall, py_compile
compileall.compile_dir(sys.argv[1], maxlevels=50, quiet=2, workers=1, stripdir=sys.argv[1], prependdir=sys.argv[2],
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""
# The tool dies with the worker, leaves no core, and writes files that models' users may read.
_TRAMPOLINE = """
import ctypes, os, resource, sys
parent, uid, largest = (int(word) for word in sys.argv[1:4])
os.umask(0o022)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
if uid:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
libc = ctypes.CDLL(None)
if libc.prctl(38, ctypes.c_ulong(1), 0, 0, 0) or libc.prctl(1, ctypes.c_ulong(9), 0, 0, 0) or os.getppid() != parent:
    sys.exit("the worker is gone")
os.execv(sys.argv[4], sys.argv[4:])
"""


@dataclass(frozen=True, slots=True)
class Span:
    """What one build may use: the operator's settings, the end of its time, and whom to tell that it is alive."""

    allowed: Environments
    beat: Beat
    deadline: float


def tool() -> str:
    """The path of uv. Raises ``EnvironmentFailed``."""
    beside = Path(sys.executable).with_name("uv")
    if not beside.is_file():
        raise EnvironmentFailed("This worker has no “uv” to build environments with.")
    return str(beside)


def interpreter(wanted: str) -> tuple[str, str]:
    """Python of the wanted minor version (ours if none is named): its path and version. Raises ``EnvironmentFailed``."""
    minor = ".".join(wanted.split(".")[:2])
    ours = platform.python_version()
    if not minor or minor == ".".join(ours.split(".")[:2]):
        return str(Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")), ours
    found = subprocess.run(
        [tool(), "python", "find", "--no-python-downloads", "--no-config", "--system", "--no-project", minor],
        capture_output=True, text=True, check=False, timeout=30, env={"PATH": os.environ.get("PATH", "")},
    )  # fmt: skip
    path = found.stdout.strip()
    if found.returncode or not path:
        raise EnvironmentFailed(f"The model records Python {wanted}, and this worker has Python {ours} only.")
    told = subprocess.run(
        [path, "-I", "-S", "-c", "import platform; print(platform.python_version())"],
        capture_output=True, text=True, check=True, timeout=30, env={},
    )  # fmt: skip
    return path, told.stdout.strip()


def asked(pins: Sequence[Pin], python: str, allowed: Environments) -> str:
    """Everything that the resolution depends on, as text; its digest finds the lock again."""
    lines = sorted(f"{pin.text} {' '.join(sorted(pin.hashes))}".strip() for pin in pins)
    minor = ".".join(python.split(".")[:2])
    return "\n".join([f"{sys.platform} {platform.machine()} {minor}", *allowed.indexes, "", *lines, ""])


def resolve(pins: Sequence[Pin], python: str, folder: Path, span: Span) -> str:
    """The lock: every package with one version and the hashes of its files. Raises ``EnvironmentFailed``."""
    wanted = folder / "wanted.txt"
    wanted.write_text("".join(f"{pin.text}\n" for pin in pins))
    out = folder / "resolved" / "lock.txt"
    out.parent.mkdir()
    command = ["pip", "compile", str(wanted), "--output-file", str(out), "--generate-hashes", "--no-header",
               "--no-annotate", "--quiet", "--python", python]  # fmt: skip
    _run([tool(), *command, *_WHEELS, *span.allowed.arguments()], folder, span, writes=out.parent)
    return _with_recorded_hashes(out.read_text(), pins)


def install(lock: str, python: str, folder: Path, span: Span, *, place: Path) -> None:
    """Install ``lock`` into ``folder/site``, compiled as for ``place``. Raises ``EnvironmentFailed``."""
    path = folder / "lock.txt"
    path.write_text(lock)
    site = folder / "site"
    site.mkdir()
    command = ["pip", "install", "--target", str(site), "--require-hashes", "--no-deps", "--quiet", "--python", python,
               "--requirement", str(path)]  # fmt: skip
    _run([tool(), *command, *_WHEELS, *span.allowed.arguments()], folder, span, writes=site)
    compiler = [python, "-s", "-S", "-B", "-c", _COMPILE, str(site), str(place)]
    # A source that cannot be compiled is the package's own affair: it is none that anybody could import.
    _run(compiler, folder, span, writes=site, must=False)


def packages(lock: str) -> int:
    """How many packages a lock names."""
    return len(_entries(lock))


def size(*folders: Path) -> int:
    """Bytes on disk, each file once however many names it has."""
    seen: dict[tuple[int, int], int] = {}
    for folder in folders:
        for path, _, files in os.walk(folder):
            for name in files:
                try:
                    about = os.lstat(os.path.join(path, name))  # noqa: PTH118 - a hundred thousand files
                except FileNotFoundError:
                    continue  # it was renamed between listing and looking
                seen[about.st_dev, about.st_ino] = about.st_blocks * 512
    return sum(seen.values())


def _entries(lock: str) -> dict[str, str]:
    """Name → text of each entry of a lock that uv wrote."""
    joined = re.sub(r"\\\n", " ", lock)
    found = {}
    for line in joined.splitlines():
        if line.strip() and not line.lstrip().startswith(("#", "-")):
            name = re.split(r"[=<>~!;\[\s]", line.strip(), maxsplit=1)[0]
            found[name] = line
    return found


def _with_recorded_hashes(lock: str, pins: Sequence[Pin]) -> str:
    """The lock with no other files than those whose hashes the model recorded, where it did."""
    recorded: dict[str, set[str]] = {}
    for pin in pins:
        if pin.hashes:
            recorded.setdefault(pin.name, set()).update(pin.hashes)
    lines = []
    for name, line in _entries(lock).items():
        offered = re.findall(r"--hash=sha256:([0-9a-f]{64})", line)
        hashes = sorted(set(offered) & recorded[name]) if name in recorded else sorted(offered)
        if not hashes:
            raise EnvironmentFailed(f"No file of “{name}” in the allowed indexes has a hash that the model recorded.")
        bare = line.split("--hash", maxsplit=1)[0].strip()
        lines.append(" \\\n".join([bare, *(f"    --hash=sha256:{one}" for one in hashes)]))
    return "\n".join([*sorted(lines), ""])


def _run(command: list[str], folder: Path, span: Span, *, writes: Path, must: bool = True) -> None:
    """Run a command to its end, in time and in bounds. Guarantee: afterwards nothing of it is running."""
    cache = folder / "cache"
    cache.mkdir(exist_ok=True)
    uid = BUILDER_UID if os.getuid() == 0 and _reachable(folder, Path(tool()), span.allowed) else 0
    if uid:
        for path in (cache, writes):
            os.chown(path, uid, uid)
    start = [sys.executable, "-I", "-S", "-c", _TRAMPOLINE, str(os.getpid()), str(uid), str(_FILE_BYTES)]
    with (folder / "said").open("w+b") as said:
        child = subprocess.Popen(
            [*start, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            cwd=folder,
            env=_environment(cache, span.allowed),
            start_new_session=True,
        )
        try:
            why = _wait(child, folder, span)
        finally:
            _end(child)
        if not why and (child.returncode == 0 or not must):
            return
        said.seek(0)
        raise EnvironmentFailed(why or _reason(said.read(256 * 1024), span.allowed))


def _environment(cache: Path, allowed: Environments) -> Mapping[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**passed, "UV_CACHE_DIR": str(cache), "HOME": str(cache), "LANG": "C.UTF-8", "PYTHONHASHSEED": "0",
            **allowed.environment()}  # fmt: skip


def _wait(child: subprocess.Popen[bytes], folder: Path, span: Span) -> str:
    """Until it has ended: "", or why it must end now."""
    over = False
    while not over:
        with suppress(subprocess.TimeoutExpired):
            child.wait(_TICK)
            over = True
        if size(folder) > span.allowed.max_bytes:
            return f"The environment is larger than {span.allowed.max_bytes // 1024**2} MiB, the limit for one."
        if not over and time.monotonic() > span.deadline:
            return f"The environment was not built within {span.allowed.build_seconds:g} seconds."
        span.beat()
    return ""


def _end(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _reason(said: bytes, allowed: Environments) -> str:
    """What uv said, as one sentence without addresses' passwords."""
    text = said.decode("utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("Using", "Resolved"))]
    causes = [re.sub(r"^(error|cause):\s*", "", line) for line in lines]
    words = allowed.without_secrets(" ".join(causes)) or "uv gave no reason."
    return f"The recorded environment cannot be built: {words[:600]}"


def _reachable(folder: Path, uv: Path, allowed: Environments) -> bool:
    """Whether another user can get at everything a build reads."""
    folders = [Path(one.removeprefix("file://")) for one in allowed.indexes if one.startswith(("/", "file:"))]
    needed = (folder, uv.parent, Path(sys.executable).parent, Path(sys.executable).resolve().parent, *folders)
    return all(
        part.stat().st_mode & stat.S_IXOTH
        for path in needed
        if path.exists()
        for part in (path.resolve(), *path.resolve().parents)
    )
