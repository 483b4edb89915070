"""The model's papers and files: what is missing, older than the version, or speaks of other data; every finding with its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from governance.checks import CheckError, CheckInputs, CheckResult, get, run_check
from registry.formats.scan import scan_directory

MINE, OTHER = "a" * 64, "b" * 64
PAPERS = {
    "card_changed": "2026-03-01T00:00:00+00:00", "version_made": "2026-03-11T12:00:00+00:00",
    "used": [{"name": "loans", "number": 3, "sha256": MINE}],
    "named": [{"name": "loans", "number": 2, "sha256": OTHER}, {"name": "loans", "number": 3, "sha256": MINE}],
}  # fmt: skip


def card(
    text: str, papers: Mapping[str, Any] | None = None, *, required: tuple[str, ...] = ("use",), **params: Any
) -> CheckResult:
    inputs = CheckInputs(card={"use": text}, required_card=required, papers=papers)
    return run_check(get("documentation.card"), inputs, params)


def test_what_is_missing() -> None:
    result = card("x", required=("use", "limits", "owner"))
    assert result.figure("filled_share").value == pytest.approx(1 / 3)
    assert result.findings[0] == "Empty: limits, owner."
    assert card(" ").figure("missing_fields").value == 1


def test_a_card_older_than_the_version() -> None:
    result = card("x", PAPERS)
    assert result.figure("days_behind").value == 10.5
    assert "10 days before" in result.findings[1]
    assert len(card("x", PAPERS, older_days=30).findings) == 1
    assert card("x", {**PAPERS, "card_changed": "2026-04-01T00:00:00Z"}).figure("days_behind").value == 0
    assert card("x", {**PAPERS, "card_changed": ""}).figure("days_behind").value is None
    assert card("x").figure("days_behind").note


@pytest.mark.parametrize(
    "text", ["loans v3", f"sha256:{MINE}", "loans@3", "loans, version 3", "our-loans v2", "loans", "v2"]
)
def test_its_own_data(text: str) -> None:
    assert card(text, PAPERS).figure("wrong_data").value == 0


@pytest.mark.parametrize("text", ["loans v2", f"sha256:{OTHER.upper()}", "loans@2", "(loans version 7)", "c" * 64])
def test_other_data(text: str) -> None:
    result = card(f"Tested on {text}.", PAPERS)
    assert result.figure("wrong_data").value == 1
    assert result.findings[-1].startswith("use: “")
    assert card(text).figure("wrong_data").value is None


def test_without_a_card_it_is_an_error() -> None:
    with pytest.raises(CheckError):
        run_check(get("documentation.card"), CheckInputs())
    with pytest.raises(CheckError):
        run_check(get("documentation.card"), CheckInputs(card={}), {"older_days": -1})


def test_every_finding_has_its_file(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {loader_module: evil}, wild: {}}\n")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "blob.bin").write_bytes(b"\x00\x01\x02\xff\xfe")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04broken")
    result = run_check(get("security.scan"), CheckInputs(scan=scan_directory(tmp_path).as_dict()))
    assert result.figure("refused_findings").value == len(result.findings) >= 5
    assert result.figure("unlisted_formats").value == 3
    assert result.figure("archive_findings").value == 1
    for name in ("run.sh", "blob.bin", "broken.zip"):
        assert any(said.startswith(f"{name}: ") for said in result.findings)
    assert {row[1] for row in result.tables[0].rows} == {"MLmodel", "run.sh", "blob.bin", "broken.zip"}
    assert len(result.pictures) == 1


def test_many_findings_are_cut_in_the_sentences_only(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {sklearn: {}}\n")
    for number in range(80):
        (tmp_path / f"{number}.sh").write_text("#!/bin/sh\n")
    result = run_check(get("security.scan"), CheckInputs(scan=scan_directory(tmp_path).as_dict()))
    assert "more are in the table" in result.findings[-1]
    assert len(result.tables[0].rows) >= 80


def test_what_is_refused_inside_an_archive_is_a_finding_of_archives_and_a_warning_is_none() -> None:
    found = [
        ("refused", "a.zip!b.pkl", "pickle.global"),
        ("refused", "c.pkl", "pickle.global"),
        ("warning", "d.zip!e", "x"),
    ]
    scan = {"files": 3, "findings": [{"severity": s, "path": p, "code": c, "message": "No."} for s, p, c in found]}
    result = run_check(get("security.scan"), CheckInputs(scan=scan))
    counts = {figure.key: figure.value for figure in result.figures}
    assert counts == {"refused_findings": 2, "warnings": 1, "unlisted_formats": 0, "archive_findings": 1}


@pytest.mark.parametrize("scan", [None, {}, {"files": 3}])
def test_without_the_gates_report_it_is_an_error_and_not_a_clean_result(scan: Any) -> None:
    with pytest.raises(CheckError) as error:
        run_check(get("security.scan"), CheckInputs(scan=scan))
    assert error.value.code == "inputs.missing"
