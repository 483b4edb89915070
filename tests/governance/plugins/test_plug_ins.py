"""Plug-ins: the example of the documentation runs; what is broken, clashes or is not trusted is said and harms nobody."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pytest
from django.core.checks import Error, Warning  # noqa: A004 - Django's name

from governance import trusted_plugins
from governance.checks import CheckError, CheckInputs, Roles, catalogue, run_check
from governance.checks.code import code_of, own
from governance.checks.plugins import Problem
from tests.governance.plugins.conftest import EXAMPLE, ROOT
from tests.governance.plugins.made import install, one

KEY = "acme.decision_cost"
INPUTS = CheckInputs(
    data=pa.table({"y": [0, 1, 0, 1]}), predictions=pa.table({"prediction": [1, 1, 0, 0]}), roles=Roles(label="y")
)


def problem(*trusted: str) -> Problem:
    """The only problem that trusting these distributions has."""
    (found,) = catalogue.trust(trusted)
    return found


def test_the_example_is_a_check_like_any_other(example: Path) -> None:
    assert catalogue.trust(["Acme_Checks"]) == ()
    assert catalogue.resolve(KEY) == f"{KEY}@1"
    result = run_check(catalogue.get(KEY), INPUTS, {"miss": 3.0})
    assert result.figure("mean_cost").value == pytest.approx((1 + 3) / 4)


def test_its_results_name_the_distribution_and_the_digest_of_its_files(example: Path) -> None:
    catalogue.trust(["acme-checks"])
    code = code_of(KEY)
    assert (code.distribution, code.version) == ("acme-checks", "1.0.0")
    facts = run_check(catalogue.get(KEY), INPUTS).facts
    assert facts == {"plugin": "acme-checks", "plugin_version": "1.0.0", "plugin_digest": code.digest}
    assert code_of("performance.binary") == own()


def test_the_digest_is_that_of_the_files_wherever_they_are_installed(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.trust(["acme-checks"])
    before = code_of(KEY).digest
    for loose in ("INSTALLER", "direct_url.json", "uv_cache.json"):
        (example / "acme_checks-1.0.0.dist-info" / loose).write_text("{}")
    catalogue.trust(["acme-checks"])
    assert code_of(KEY).digest == before


def test_its_own_tests_pass_where_it_is_installed(built: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(EXAMPLE / "tests")],
        cwd=ROOT, env={"PYTHONPATH": f"{built}:{ROOT}", "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "11 passed" in done.stdout


def test_a_web_process_loads_no_numerical_library_for_it(built: Path) -> None:
    code = (
        "import sys\nfrom governance.checks import catalogue\n"
        f"assert catalogue.trust(['acme-checks']) == ()\nassert catalogue.manifest({KEY!r}).title\n"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'scipy', 'sklearn', 'mlflow', 'django'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": str(built)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_manifests_that_import_numpy_are_refused_in_a_web_process(tmp_path: Path) -> None:
    install(tmp_path, "heavy-checks", one("heavy-checks", "heavy.check", more="import numpy\n"))
    code = (
        "from governance.checks import catalogue\n(found,) = catalogue.trust(['heavy-checks'])\n"
        "assert 'numpy' in found.sentence, found\nassert 'heavy.check@1' not in catalogue.names()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_what_is_not_trusted_is_not_even_imported(place: Path) -> None:
    install(place, "sly-checks", one("sly-checks", "sly.check", more="raise SystemExit('it ran')\n"))
    found = problem()
    assert found.refused
    assert "not trusted" in found.sentence
    assert "sly_checks" not in sys.modules


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"odd_checks.py": "1 / 0\n"}, "ZeroDivisionError"),
        ({"odd_checks.py": "raise SystemExit(3)\n"}, "SystemExit"),
        ({"odd_checks.py": "this is no Python\n"}, "SyntaxError"),
        ({"odd_checks.py": "TWO = 2\n"}, "AttributeError"),
        ({"odd_checks.py": "ONE = {'key': 'odd.check'}\n"}, "no Manifest"),
        ({"odd_checks.py": "ONE = []\n"}, "name no check"),
        (one("odd-checks", "odd"), "no key of a check"),
        (one("odd-checks", "odd.check", version=0), "whole number from 1"),
        (one("odd-checks", "odd.check", more="ONE = [ONE, ONE]\n"), "twice"),
        ({"odd_checks.py": one("json", "odd.check")["json.py"]}, "not among the files"),
    ],
)  # fmt: skip
def test_a_broken_plug_in_is_a_sentence(place: Path, files: dict[str, str], said: str) -> None:
    install(place, "odd-checks", files)
    found = problem("odd-checks")
    assert said in found.sentence
    assert found.remedy
    assert not found.refused
    assert catalogue.names() == catalogue.built_in()


@pytest.mark.parametrize("version", [1, 7])
def test_nobody_takes_the_key_of_a_built_in_check(place: Path, version: int) -> None:
    install(place, "greedy", one("greedy", "performance.binary", version=version))
    found = problem("greedy")
    assert "Countersign itself" in found.sentence
    assert "greedy.binary" in found.remedy
    assert catalogue.resolve("performance.binary") == "performance.binary@1"
    assert type(catalogue.get("performance.binary")).__module__ == "governance.checks.performance.binary"


def test_of_two_plug_ins_with_one_key_neither_counts_and_a_third_does(place: Path) -> None:
    install(place, "red", one("red", "shared.check"))
    install(place, "blue", one("blue", "shared.check", version=2))
    install(place, "good", one("good", "good.check"))
    found = catalogue.trust(["red", "blue", "good"])
    assert [one.distribution for one in found] == ["blue", "red"]
    assert set(catalogue.names()) - set(catalogue.built_in()) == {"good.check@1"}


def test_a_file_that_was_changed_after_installing_stops_the_plug_in(example: Path) -> None:
    (example / "acme_checks/decision_cost.py").write_text("import os\n")
    assert "differs from the RECORD" in problem("acme-checks").sentence


def test_a_file_that_is_gone_stops_the_plug_in(example: Path) -> None:
    (example / "acme_checks/decision_cost.py").unlink()
    assert "cannot be read" in problem("acme-checks").sentence
    import_module("importlib_metadata")  # as MLflow does in workers; it takes the standard library's place
    assert "cannot be read" in problem("acme-checks").sentence


def test_an_editable_plug_in_has_no_digest_and_is_refused(place: Path) -> None:
    files = one("loose", "loose.check")
    install(place, "loose", files, metadata={"direct_url.json": '{"url": "file:///x", "dir_info": {"editable": true}}'})
    assert "editable" in problem("loose").sentence


def test_a_plug_in_without_a_record_is_refused(place: Path) -> None:
    (install(place, "bare", one("bare", "bare.check")) / "RECORD").unlink()
    assert "RECORD" in problem("bare").sentence


def test_naming_what_is_not_installed_is_an_error(place: Path) -> None:
    assert "not installed" in problem("nowhere").sentence


def test_a_class_that_is_not_what_the_manifest_says_ends_the_check_with_the_name_of_the_plug_in(place: Path) -> None:
    install(place, "hollow", one("hollow", "hollow.check", more="class Class: pass\n"))
    assert catalogue.trust(["hollow"]) == ()
    with pytest.raises(CheckError, match=r"plug-in hollow 1\.0 is broken") as caught:
        catalogue.get("hollow.check")
    assert caught.value.code == "check.broken"


OTHERWISE = """
from dataclasses import replace
from governance.checks.contract import Check
from governance.checks.results import CheckResult

class Class(Check):
    manifest = {manifest}

    def plan(self, inputs, params, *, shards=1):
        return (inputs,)

    def map(self, shard, params):
        return None

    def merge(self, states):
        return list(states)[0]

    def finish(self, state, inputs, params):
        return CheckResult({result}, {{}}, 1)
"""


def test_a_class_with_another_manifest_is_not_run(place: Path) -> None:
    """What was planned and cached by one manifest must not be computed by the class of another."""
    more = OTHERWISE.format(manifest="replace(ONE, version=2)", result='"other.check", 2')
    install(place, "other", one("other", "other.check", more=more))
    assert catalogue.trust(["other"]) == ()
    with pytest.raises(CheckError, match=r"no Check with the manifest of “other\.check@1”") as caught:
        catalogue.get("other.check")
    assert caught.value.code == "check.broken"


@pytest.mark.parametrize("result", ['"performance.binary", 1', '"false.check", 2'])
def test_a_result_in_the_name_of_another_check_is_not_taken(place: Path, result: str) -> None:
    more = OTHERWISE.format(manifest="ONE", result=result)
    install(place, "false", one("false", "false.check", more=more))
    assert catalogue.trust(["false"]) == ()
    with pytest.raises(CheckError, match=r"no CheckResult of “false\.check@1”") as caught:
        run_check(catalogue.get("false.check"), INPUTS)
    assert caught.value.code == "check.broken"


def test_the_deploy_check_tells_faults_from_choices(place: Path) -> None:
    install(place, "greedy", one("greedy", "performance.binary"))
    install(place, "unread", one("unread", "unread.check"))
    catalogue.trust(["greedy"])
    fault, choice = trusted_plugins.plugins()
    assert isinstance(fault, Error)
    assert (fault.id, fault.obj) == ("countersign.E010", "greedy")
    assert isinstance(choice, Warning)
    assert choice.obj == "unread"
