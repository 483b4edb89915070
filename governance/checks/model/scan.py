"""``security.scan``: the artifact gate's report as a check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from governance.checks import pictures
from governance.checks.contract import CheckInputs, Params
from governance.checks.manifests.model import SECURITY
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rowless import RowlessCheck

_SPECS = {spec.key: spec for spec in SECURITY.figures}
_MOST_SAID = 50
_ARCHIVES = ("archive.", "skops.")
Row = tuple[Cell, ...]


class SecurityScan(RowlessCheck):
    """Reads ``ScanReport.as_dict()``."""

    manifest = SECURITY
    params = Params

    def validate(self, inputs: CheckInputs) -> None:
        if inputs.scan is None or "findings" not in inputs.scan:
            raise CheckError("inputs.missing", "This check needs the artifact gate's report, and none was given.")

    def finish(self, state: pa.Table, inputs: CheckInputs, params: Params) -> CheckResult:
        scan = inputs.scan or {}
        files = int(scan.get("files", 0))
        rows = tuple((str(f["severity"]), str(f["path"]), str(f["code"]), str(f["message"])) for f in scan["findings"])
        refused = [row for row in rows if row[0] == "refused"]
        warned = [row for row in rows if row[0] == "warning"]
        unknown = [row for row in refused if row[2] in ("file.unknown", "mlmodel.flavor", "mlmodel.loader")]
        archived = [row for row in refused if row[2].startswith(_ARCHIVES) or "!" in row[1]]
        flavours = ", ".join(scan.get("flavors", ())) or "none"
        said = [f"{path or 'The model'}: {message}" for _, path, _, message in (*refused, *warned)]
        more = [f"{len(said) - _MOST_SAID} more are in the table."] if len(said) > _MOST_SAID else []
        return CheckResult(
            SECURITY.key, SECURITY.version, params.as_dict(), files,
            figures=(
                _exact("refused_findings", len(refused), files), _exact("warnings", len(warned), files),
                _exact("unlisted_formats", len(unknown), files), _exact("archive_findings", len(archived), files),
            ),
            tables=tuple(_tables(rows, scan)),
            pictures=_pictures(rows),
            findings=(*said[:_MOST_SAID], *more)
            or (f"{files} files were read; nothing in them is refused (flavours: {flavours}).",),
            limits=("A scan is triage, not proof: the model runs in the sandbox only.",),
            facts={
                "loader_module": str(scan.get("loader_module", "")), "requirements": len(scan.get("requirements", ())),
                "bytes": int(scan.get("bytes", 0)), "flavours": flavours,
            },
        )  # fmt: skip


def _exact(key: str, count: int, files: int) -> Figure:
    spec, number = _SPECS[key], float(count)
    return Figure(key, spec.label, number, files, spec.better, ci_low=number, ci_high=number)


def _tables(rows: Sequence[Row], scan: Mapping[str, object]) -> list[Table]:
    made = []
    if rows:
        heads = (("severity", "Severity"), ("path", "File"), ("code", "Code"), ("message", "Finding"))
        made.append(Table("findings", "Findings", heads, tuple(rows)))
    names = scan.get("globals")
    if isinstance(names, Sequence) and names:
        found = tuple((str(name),) for name in names[:500])
        made.append(Table("names", "What the model's files would import", (("name", "Name"),), found))
    return made


def _pictures(rows: Sequence[Row]) -> tuple[Picture, ...]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[str(row[2])] = counts.get(str(row[2]), 0) + 1
    if not counts:
        return ()
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    bars: list[pictures.Row] = [{"name": code, "value": count} for code, count in ranked[:20]]
    alt = f"Findings by code; most of {ranked[0][0]} ({ranked[0][1]})."
    return (pictures.bars("codes", "Findings by code", alt, bars, value="Findings"),)
