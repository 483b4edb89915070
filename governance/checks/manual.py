"""``manual``: a person's finding as the result of a check. Imports no numerical library: a web process records it."""

# ruff: noqa: ANN401 - the contract's signatures
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.manifests.policys_own import MANUAL
from governance.checks.results import Cell, CheckError, CheckResult

if TYPE_CHECKING:
    import pyarrow as pa

Finding = Literal["pass", "fail", "inconclusive"]
FINDINGS: Final[tuple[Finding, ...]] = get_args(Finding)
LONGEST_TITLE: Final = 120
LONGEST_INSTRUCTIONS: Final = 8000


@dataclass(frozen=True, slots=True)
class ManualParams(Params):
    """What the policy says: the title, what is to be examined, whose finding counts, and whether a file must stand beside."""

    title: str
    instructions: str
    role: Literal["validator", "approver", "auditor"] = "validator"
    independent: bool = False
    attachment: Literal["optional", "required", "none"] = "optional"

    def check(self) -> None:
        for name, longest in (("title", LONGEST_TITLE), ("instructions", LONGEST_INSTRUCTIONS)):
            text = getattr(self, name)
            if not text.strip() or len(text) > longest or "\x00" in text:
                raise CheckError("params.value", f"The parameter “{name}” must be a text of 1 to {longest} characters.")


class ManualFinding(Check):
    """Never run: its result is recorded."""

    manifest = MANUAL
    params = ManualParams

    def plan(self, inputs: CheckInputs, params: Any, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        raise CheckError("check.manual", "A person records this finding; nothing computes it.")

    def map(self, shard: CheckInputs, params: Any) -> pa.Table:
        raise CheckError("check.manual", "A person records this finding; nothing computes it.")

    def finish(self, state: pa.Table, inputs: CheckInputs, params: Any) -> CheckResult:
        raise CheckError("check.manual", "A person records this finding; nothing computes it.")


def result_of(
    params: ManualParams, finding: Finding, words: str, *, by: str, files: tuple[Mapping[str, Cell], ...] = ()
) -> CheckResult:
    """The finding in the form of every other result. ``by`` is the ledger's id of the person, never a name."""
    return CheckResult(
        MANUAL.key,
        MANUAL.version,
        params.as_dict(),
        0,
        findings=(words,),
        limits=("A person's judgement: it is signed for, not computed, and cannot be run again.",),
        facts={"finding": finding, "found_by": by, "role": params.role},
        files=files,
    )
