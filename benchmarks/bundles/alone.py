"""One export or one verification in a process of its own, which then says how long it took and how much memory."""

import contextlib
import io
import json
import resource
import sys
import time
from pathlib import Path


def main(what: str, file: str, entries: str) -> None:
    """Do it and print seconds and peak memory (KiB) as JSON."""
    if what == "export":
        import django

        django.setup()
        from audit.exports.bundle import Contents, write_bundle

        contents = Contents("period", {"begin": 0, "end": int(entries)}, ranges=[(0, int(entries))], heads=False)
        began = time.perf_counter()
        with Path(file).open("wb") as out:
            write_bundle(out, contents)
    else:
        from audit.exports import verify

        began = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            verify.verify(file)
    taken = time.perf_counter() - began
    print(json.dumps({"seconds": taken, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


if __name__ == "__main__":
    main(*sys.argv[1:])
