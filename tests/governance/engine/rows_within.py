"""Run checks over a sealed file within a limit of memory: ``python -m tests.governance.engine.rows_within``.

Arguments: MiB of private memory (RLIMIT_DATA) beyond that of an idle worker, SHA-256 of the data, of its predictions and of
the training data ("" without; the predictions are also the champion's, and those on the training data), label, sensitive
column, then the checks. The columns whose names begin with x are the model's inputs. Prints one line of JSON: the digest of each
result, and the CPU and memory that were used.
"""

import json
import resource
import sys
from pathlib import Path

import django


def private_memory() -> int:
    """What counts against RLIMIT_DATA now: libraries, and the stacks and arenas of their threads."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmData:")) << 10


def main() -> None:
    """See above."""
    mebibytes, data, predictions, training, label, sensitive, *uses = sys.argv[1:]
    django.setup()
    import pyarrow as pa  # noqa: PLC0415 - after the settings, as in a worker

    from governance import checks  # noqa: PLC0415
    from governance.checks import CheckInputs, Roles  # noqa: PLC0415
    from governance.checks.batches import run_batches  # noqa: PLC0415
    from governance.engine.inputs import columns_read  # noqa: PLC0415
    from governance.engine.rows import table_of  # noqa: PLC0415

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    names = table_of(data).column_names
    inputs_of_it = tuple(name for name in names if name.startswith("x"))
    roles = Roles(label=label, sensitive=(sensitive,) if sensitive else (), features=inputs_of_it)
    for use in uses:
        checks.get(use)
    limit = private_memory() + (int(mebibytes) << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    digests = {}
    for use in uses:
        about = checks.manifest(use)
        said, known = (table_of(one) if one else None for one in (predictions, training))
        inputs = CheckInputs(
            data=table_of(data, columns_read(about, roles, {})), roles=roles, predictions=said, champion=said, training=known,
            training_predictions=said, live_data=known,
        )  # fmt: skip
        digests[use] = run_batches(checks.get(use), inputs).digest
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {"digests": digests, "cpu": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss >> 10}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
