"""Recorded requirements against a list of advisories: forms of files, ranges of versions, and never a pass without a list."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from governance import advisories
from governance.checks import CheckError, CheckInputs, CheckResult, get, run_check
from governance.checks.model.pins import affects
from governance.checks.model.requirement_files import recorded


def advisory(name: str = "some-package", *, id: str = "PYSEC-1", **more: Any) -> dict[str, Any]:  # noqa: A002
    ranges = more.pop("ranges", [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.5"}]}])
    affected = {"package": {"ecosystem": "PyPI", "name": name}, "ranges": ranges, "versions": more.pop("versions", [])}
    return {"id": id, "modified": "2026-01-02T03:04:05Z", "summary": "It lets in.", "affected": [affected], **more}


def listing(folder: Path, *entries: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, one in enumerate(entries):
        (folder / f"{number}.json").write_text(json.dumps(one))
    return folder


def pins(texts: Mapping[str, str], place: Path | None) -> CheckResult:
    names = {one.name for one in recorded(texts)}
    return run_check(get("security.pins"), CheckInputs(requirements=texts, advisories=advisories.known(place, names)))


def test_a_vulnerable_pin_is_found_with_its_file_and_the_fixed_version(tmp_path: Path) -> None:
    texts = {
        "requirements.txt": "Some_Package==1.4.2\nother==1.0\n",
        "python_env.yaml": "dependencies: [-r requirements.txt]",
    }
    result = pins(texts, listing(tmp_path / "osv", advisory(database_specific={"severity": "HIGH"})))
    assert result.figure("vulnerable_pins").value == 1
    assert result.figure("unpinned").value == 0
    assert result.findings == ("requirements.txt: Some_Package==1.4.2: PYSEC-1 (HIGH), fixed in 1.5.",)
    assert result.facts["advisories"] == 1
    assert len(result.pictures) == 1


def test_without_a_list_nothing_is_shown_to_be_safe(tmp_path: Path) -> None:
    for place in (None, tmp_path / "not there", listing(tmp_path / "empty")):
        result = pins({"requirements.txt": "a==1\nb>=2\n"}, place)
        assert {figure.value for figure in result.figures} == {None}
        assert "no list of advisories" in result.findings[0]
        assert any("b>=2: a range of versions" in said for said in result.findings)


def test_a_model_that_records_nothing_is_not_safe(tmp_path: Path) -> None:
    result = pins({}, listing(tmp_path / "osv", advisory()))
    assert {figure.value for figure in result.figures} == {None}
    assert "records no requirements" in result.findings[0]


@pytest.mark.parametrize(
    ("line", "possibly"),
    [
        ("some-package", 1),
        ("some-package>=1.0", 1),
        ("some-package>=1.5", 0),
        ("some-package~=1.4.0", 1),
        ("some-package==1.5.*", 0),
        ("some-package @ https://example.org/x.whl", 1),
        ("some-package>1.5,<2", 0),
    ],
)
def test_what_is_not_pinned_may_be_vulnerable(tmp_path: Path, line: str, possibly: int) -> None:
    result = pins({"requirements.txt": line}, listing(tmp_path / "osv", advisory()))
    assert result.figure("vulnerable_pins").value == 0
    assert result.figure("possibly_vulnerable").value == possibly
    assert result.figure("unpinned").value == 1
    assert any(line in said and "not pinned" in said for said in result.findings)


def test_every_line_of_every_file_is_held_against_the_list(tmp_path: Path) -> None:
    files = {
        "requirements.txt": "safe==1.0\nsome-package==1.4",
        "conda.yaml": "dependencies: [{pip: [some-package==1.3]}]",
    }
    result = pins(files, listing(tmp_path / "osv", advisory()))
    assert result.figure("vulnerable_pins").value == 2
    assert {(row[0], row[2]) for row in result.tables[0].rows} == {
        ("requirements.txt", "some-package==1.4"), ("conda.yaml", "some-package==1.3"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "kind", "version"),
    [
        ("a==1.0", "pinned", "1.0"),
        ("A.b-C===1.0", "pinned", "1.0"),
        ("a==1.0 ; python_version > '3'", "pinned", "1.0"),
        ("a[x,y]==1.0 --hash=sha256:00", "pinned", "1.0"),
        ("a==1.0  # why", "pinned", "1.0"),
        ("a==1.*", "range", ""),
        ("a>=1,<2", "range", ""),
        ("a", "open", ""),
        ("a @ git+https://example.org/a", "direct", ""),
        ("./wheel.whl", "direct", ""),
        ("-e .", "option", ""),
        ("--extra-index-url https://example.org", "option", ""),
        ("a==", "unreadable", ""),
        ("import os; os.system('x')", "unreadable", ""),
        ("a=" + "x" * 2000, "unreadable", ""),
    ],
)
def test_a_line_of_pips(line: str, kind: str, version: str) -> None:
    (one,) = recorded({"requirements.txt": line})
    assert (one.kind, one.version) == (kind, version)


def test_the_files_that_mlflow_writes() -> None:
    conda = """
channels: [conda-forge]
dependencies:
  [python=3.11.9, pip<=24.0, "numpy=1.26.4", "scipy=1.11.4=py311_0", "pandas>=2", libx, {pip: ["mlflow==3.1.0", "shap"]}]
name: mlflow-env
"""
    env = "python: 3.11.9\nbuild_dependencies: [pip==24.0, setuptools, wheel==0.45.1]\ndependencies: [-r requirements.txt]\n"
    found = {
        (one.file, one.name): (one.kind, one.version or one.allowed)
        for one in recorded({"conda.yaml": conda, "python_env.yaml": env})
    }
    assert found == {
        ("conda.yaml", "numpy"): ("range", "==1.26.4.*"),
        ("conda.yaml", "scipy"): ("pinned", "1.11.4"),
        ("conda.yaml", "pandas"): ("range", ">=2"),
        ("conda.yaml", "libx"): ("open", ""),
        ("conda.yaml", "mlflow"): ("pinned", "3.1.0"),
        ("conda.yaml", "shap"): ("open", ""),
        ("python_env.yaml", "pip"): ("pinned", "24.0"),
        ("python_env.yaml", "setuptools"): ("open", ""),
        ("python_env.yaml", "wheel"): ("pinned", "0.45.1"),
    }


@pytest.mark.parametrize(
    "text", ["{", "a: &x [1]\nb: *x", "- 1", "", "!!python/object/apply:os.system ['true']", "dependencies: 3"]
)
@pytest.mark.parametrize("file", ["conda.yaml", "python_env.yaml"])
def test_hostile_files_are_findings(file: str, text: str) -> None:
    assert {one.kind for one in recorded({file: text})} <= {"unreadable"}


@given(st.dictionaries(st.sampled_from(["requirements.txt", "conda.yaml", "python_env.yaml"]), st.text(max_size=200)))
def test_any_text_can_be_read(texts: dict[str, str]) -> None:
    result = pins(texts, None)
    assert result.figure("vulnerable_pins").value is None


@pytest.mark.parametrize(
    ("events", "inside", "outside"),
    [
        ([{"introduced": "0"}, {"fixed": "1.5"}], ["0.1.dev1", "1.4", "1.5rc1"], ["1.5", "2"]),
        ([{"introduced": "1.0"}, {"last_affected": "1.4"}], ["1.0", "1.4"], ["0.9", "1.4.1"]),
        (
            [{"introduced": "2.0"}, {"fixed": "2.1"}, {"introduced": "0"}, {"fixed": "1.5"}],
            ["1.4", "2.0.3"],
            ["1.5", "1.9", "2.1"],
        ),
        (
            [{"introduced": "0"}, {"last_affected": "1.4"}, {"introduced": "2.0"}, {"last_affected": "2.3"}],
            ["1.4", "2.1"],
            ["1.5", "2.4"],
        ),
        ([{"introduced": "0"}, {"limit": "*"}], ["9"], []),
        ([{"introduced": "nonsense"}], [], ["1"]),
    ],
)
def test_ranges_are_evaluated_as_osv_says(events: list[dict[str, str]], inside: list[str], outside: list[str]) -> None:
    entry = {"versions": [], "ranges": [events]}
    assert [text for text in inside if not affects(entry, Version(text))] == []
    assert [text for text in outside if affects(entry, Version(text))] == []


def test_listed_versions_count_by_pep_440() -> None:
    assert affects({"versions": ["1.0.0"], "ranges": []}, Version("1.0"))


def test_a_list_of_files_and_archives(tmp_path: Path) -> None:
    place = listing(
        tmp_path / "osv",
        advisory("a"),
        advisory("a", id="GONE", withdrawn="2026-01-01T00:00:00Z"),
        advisory("a", id="NPM") | {"affected": [{"package": {"ecosystem": "npm", "name": "a"}}]},
        {"id": "ODD", "affected": "text"},
        {"id": "ODDER", "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}, "ranges": 3}]},
    )
    (place / "broken.json").write_text("{")
    (place / "broken.zip").write_text("PK")
    with zipfile.ZipFile(place / "all.zip", "w") as archive:
        archive.writestr("B.json", json.dumps(advisory("A", id="B", modified="2026-09-09T00:00:00Z")))
    found = advisories.known(place, ["a", "b"])
    assert found is not None
    assert [one["id"] for one in found["packages"]["a"]] == ["B", "PYSEC-1"]
    assert (found["read"], found["newest"][:10]) == (2, "2026-09-09")
    assert sorted(found["unread"]) == ["4.json", "broken.json", "broken.zip"]
    before = advisories.stamp(place)
    listing(tmp_path / "osv", advisory("a", id="ANOTHER"))
    assert advisories.stamp(place) != before
    assert advisories.known(tmp_path / "osv" / "all.zip", ["a"])


def test_the_files_must_be_given() -> None:
    with pytest.raises(CheckError) as error:
        run_check(get("security.pins"), CheckInputs())
    assert error.value.code == "inputs.missing"
