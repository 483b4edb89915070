"""``security.scan``: the artifact gate's report as a check."""

from __future__ import annotations

import pyarrow as pa

from governance.checks.contract import CheckInputs, Params
from governance.checks.manifests.model import SECURITY
from governance.checks.results import CheckError, CheckResult, Figure, Table
from governance.checks.rowless import RowlessCheck


class SecurityScan(RowlessCheck):
    """Reads ``ScanReport.as_dict()``."""

    manifest = SECURITY
    params = Params

    def validate(self, inputs: CheckInputs) -> None:
        if inputs.scan is None or "findings" not in inputs.scan:
            raise CheckError("inputs.missing", "This check needs the artifact gate's report, and none was given.")

    def finish(self, state: pa.Table, inputs: CheckInputs, params: Params) -> CheckResult:
        scan = inputs.scan or {}
        found = list(scan["findings"])
        files = int(scan.get("files", 0))
        rows = tuple((str(f["severity"]), str(f["path"]), str(f["code"]), str(f["message"])) for f in found)
        refused = [row for row in rows if row[0] == "refused"]
        warned = [row for row in rows if row[0] == "warning"]
        columns = (("severity", "Severity"), ("path", "File"), ("code", "Code"), ("message", "Finding"))
        names = ", ".join(scan.get("flavors", ())) or "none"
        said = [f"{path}: {message}" for _, path, _, message in (*refused, *warned)][:10]
        return CheckResult(
            SECURITY.key, SECURITY.version, params.as_dict(), files,
            figures=(
                _exact("refused_findings", "Refused findings", len(refused), files),
                _exact("warnings", "Warnings", len(warned), files),
            ),
            tables=(Table("findings", "Findings", columns, rows),) if rows else (),
            findings=tuple(said) or (f"{files} files were read; nothing in them is refused (flavours: {names}).",),
            limits=("A scan is triage, not proof: the model runs in the sandbox only.",),
            facts={
                "loader_module": str(scan.get("loader_module", "")), "requirements": len(scan.get("requirements", ())),
            },
        )  # fmt: skip


def _exact(key: str, label: str, count: int, files: int) -> Figure:
    number = float(count)
    return Figure(key, label, number, files, "lower", ci_low=number, ci_high=number)
