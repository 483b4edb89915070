"""Anchors in a git repository that others clone: one commit per checkpoint, pushed and never forced.

With the system's git and its plumbing: no work tree, no index, no hooks, no configuration but ours. The repository of our
own below DATA_DIR is a cache; what counts is the remote.
"""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Final

from django.conf import settings

from audit.witnessing import anchors
from audit.witnessing.models import Anchor
from audit.witnessing.records import Failed

NAME: Final = "git"
SECONDS: Final = 60
_SEEN: Final = "refs/anchor/remote"
_WHO: Final = {"NAME": "Countersign", "EMAIL": "countersign@localhost"}


def put(size: int) -> Anchor:
    """Commit the checkpoint of ``size`` on top of what the remote has, and push. Raises ``Failed`` and ``Contradicted``."""
    slug, note = anchors.content(size)
    file, remote = f"{slug}.txt", str(settings.ANCHOR_GIT_REMOTE)
    branch = f"refs/heads/{settings.ANCHOR_GIT_BRANCH}"
    repository = _repository()
    parent = _fetch(repository, remote, branch)
    others = []
    if parent:
        for line in _run(repository, "ls-tree", "-z", parent).split("\0"):
            if not line.endswith(f"\t{file}"):
                others.append(line)
            else:
                found = _run(repository, "cat-file", "blob", line.split("\t")[0].split(" ")[2]).encode()
                anchors.check(found, f"{remote} {settings.ANCHOR_GIT_BRANCH}:{file}")
    blob = _run(repository, "hash-object", "-w", "--stdin", given=note).strip()
    rows = [line for line in others if line] + [f"100644 blob {blob}\t{file}"]
    tree = _run(repository, "mktree", "-z", given="".join(f"{row}\0" for row in rows)).strip()
    message = f"Checkpoint of {size} entries\n"
    commit = _run(repository, "commit-tree", tree, *(("-p", parent) if parent else ()), given=message).strip()
    _run(repository, "push", "--quiet", remote, f"{commit}:{branch}")
    return anchors.keep(NAME, size, f"{remote} {commit}")


def _repository() -> Path:
    path = Path(settings.DATA_DIR) / "anchors" / "git"
    if not (path / "HEAD").exists():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _run(path, "init", "--quiet", "--bare", ".")
    return path


def _fetch(repository: Path, remote: str, branch: str) -> str:
    """Return the remote's latest commit on the branch, fetched, or nothing if it has none."""
    told = _run(repository, "ls-remote", "--", remote, branch).split()
    if not told:
        return ""
    _run(repository, "fetch", "--quiet", "--no-tags", "--depth=1", "--", remote, f"+{branch}:{_SEEN}")
    return _run(repository, "rev-parse", "--verify", "--end-of-options", _SEEN).strip()


def _run(repository: Path, *arguments: str, given: str = "") -> str:
    """Run git there and return what it prints. Raises ``Failed`` with its last words."""
    command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "protocol.ext.allow=never", *arguments]
    try:
        done = subprocess.run(
            command, cwd=repository, env=_environment(), input=given.encode(), capture_output=True, timeout=SECONDS,
            check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise Failed("git is not installed here: run the notary from the image of its own") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"git {arguments[0]} took longer than {SECONDS} seconds") from error
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason"]
        raise Failed(f"git {arguments[0]} failed: {' / '.join(words[-3:])[:500]}")
    return done.stdout.decode("utf-8", "surrogateescape")


def _environment() -> dict[str, str]:
    """Nothing of ours but the way to programs, no configuration of the machine, nobody to ask for a password."""
    given = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        **{f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _WHO.items()},
    }
    ssh = ["ssh", "-oBatchMode=yes", "-oStrictHostKeyChecking=yes"]
    if key := settings.ANCHOR_GIT_SSH_KEY:
        ssh += ["-oIdentitiesOnly=yes", "-i", str(key), f"-oUserKnownHostsFile={key}.known_hosts"]
    return given | {"GIT_SSH_COMMAND": shlex.join(ssh)}
