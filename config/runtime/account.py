"""The system user PostgreSQL runs as when the runtime was started by root, because ``postgres`` refuses root."""

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from config.runtime.errors import RuntimeProblem

NAME = "countersign"


@dataclass(frozen=True, slots=True)
class Account:
    """A system user; processes started with it have no supplementary groups."""

    name: str
    uid: int
    gid: int

    def can_enter(self, directory: Path) -> bool:
        """Say whether this user may traverse ``directory`` and everything above it."""
        return all(self._allowed(step, stat.S_IXOTH) for step in (directory, *directory.parents))

    def can_run(self, program: Path) -> bool:
        """Say whether this user may reach, read and execute ``program``."""
        needed = stat.S_IROTH | stat.S_IXOTH
        return self.can_enter(program.parent) and self._allowed(program, needed)

    def own(self, directory: Path) -> None:
        """Give ``directory`` to this user, closed to everybody else."""
        os.chown(directory, self.uid, self.gid)
        directory.chmod(0o700)

    def _allowed(self, path: Path, bits: int) -> bool:
        status = path.stat()
        if status.st_uid == self.uid:
            bits <<= 6
        elif status.st_gid == self.gid:
            bits <<= 3
        return status.st_mode & bits == bits


def database_account() -> Account | None:
    """Return the user to run PostgreSQL as, or ``None`` when we are an ordinary user and run it as ourselves.

    As root the system user ``countersign`` is used and created when missing; ``PG_USER`` names another existing one.
    Raises ``RuntimeProblem`` when no such user exists and none can be created.
    """
    if os.geteuid() != 0:
        return None
    wanted = os.environ.get("PG_USER", NAME)
    entry = _lookup(wanted)
    if entry is None and wanted == NAME:
        entry = _create(wanted)
    if entry is None or entry.pw_uid == 0:
        raise RuntimeProblem(
            f"PostgreSQL does not run as root and there is no unprivileged system user {wanted!r} to run it as. "
            "Create one (useradd --system countersign) or name an existing one with PG_USER."
        )
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _lookup(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _create(name: str) -> pwd.struct_passwd | None:
    """Create the system user, or return the one a simultaneous start has created; ``None`` when neither worked."""
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is not None:
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        # A lost race for the lock on /etc/passwd is an error of useradd but no problem for us: the lookup decides.
        for _attempt in range(3):
            subprocess.run(
                [useradd, *options, "--shell", "/usr/sbin/nologin", name],
                check=False,
                capture_output=True,
                timeout=30,
            )
            if (entry := _lookup(name)) is not None:
                return entry
    return _lookup("nobody")
