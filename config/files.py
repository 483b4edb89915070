"""Files that are written whole or not at all."""

import os
import secrets
from pathlib import Path


def write_once(path: Path, content: bytes, mode: int) -> bool:
    """Write a file, on disk when this returns, and never over one that is there; say whether it is ours.

    Of several processes that write the same path one wins. ``mode`` is what the file is made with, less the umask.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # refuses to replace
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True
