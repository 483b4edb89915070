"""What a model records is read as text: no option obeyed, no address followed, every oddity said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.sandbox.environments import read_recorded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_requirements_and_python_as_mlflow_writes_them(folder: Path) -> None:
    (folder / "requirements.txt").write_text(
        "mlflow==3.17.2\nscikit_learn==1.5.0 ; python_version<'4'  # the model\n\n"
    )
    (folder / "python_env.yaml").write_text(
        "python: 3.10\nbuild_dependencies:\n- pip\ndependencies:\n- -r requirements.txt\n"
    )
    found = read_recorded(folder)
    assert (found.source, found.python) == ("requirements.txt", "3.10")
    assert [(pin.name, pin.text) for pin in found.pins] == [
        ("mlflow", "mlflow==3.17.2"),
        ("scikit-learn", 'scikit_learn==1.5.0; python_version < "4"'),
    ]
    assert found.problems == ()


def test_hashes_over_several_lines_are_kept(folder: Path) -> None:
    (folder / "requirements.txt").write_text(
        f"joblib==1.0 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n"
    )
    (pin,) = read_recorded(folder).pins
    assert (pin.text, pin.hashes) == ("joblib==1.0", frozenset({"a" * 64, "b" * 64}))


def test_conda_is_read_where_there_are_no_requirements(folder: Path) -> None:
    (folder / "conda.yaml").write_text(
        "dependencies:\n- python=3.11.4\n- pip<=24\n- pip:\n  - joblib==1.2\n- cudatoolkit=11\n"
    )
    found = read_recorded(folder)
    assert (found.source, found.python, [pin.text for pin in found.pins]) == ("conda.yaml", "3.11.4", ["joblib==1.2"])
    assert found.problems == ("“cudatoolkit=11” is recorded as a conda package, which cannot be built from wheels.",)


@pytest.mark.parametrize(
    "line", ["--index-url https://evil.example/simple", "--extra-index-url=https://evil.example", "-f /tmp", "--pre"]
)
def test_the_models_own_index_is_set_aside_and_said(folder: Path, line: str) -> None:
    (folder / "requirements.txt").write_text(f"{line}\njoblib==1.0\n")
    found = read_recorded(folder)
    assert [pin.name for pin in found.pins] == ["joblib"]
    option = line.partition(" ")[0].partition("=")[0]
    assert found.ignored == (f"The option {option} in the recorded requirements is not obeyed.",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("joblib @ https://evil.example/joblib.whl", "an address of its own"),
        ("git+https://evil.example/x.git#egg=x", "no requirement of a package"),
        ("-e .", "use -e, which cannot be built from wheels"),
        ("-r other.txt", "use -r"),
        ("../wheels/x.whl", "no requirement of a package"),
        ("joblib==1.0 --hash=md5:abc", "none of sha256"),
        ("x" * 400 + " y", "no requirement of a package"),
    ],
)
def test_what_cannot_be_built_is_a_problem_with_words(folder: Path, line: str, said: str) -> None:
    (folder / "requirements.txt").write_text(line + "\n")
    found = read_recorded(folder)
    assert found.pins == ()
    assert said in found.problems[0]


def test_hostile_files_are_problems_and_never_followed(folder: Path) -> None:
    (folder / "requirements.txt").symlink_to("/etc/passwd")
    (folder / "python_env.yaml").write_text("a: &x [1]\nb: *x\n")
    (folder / "conda.yaml").write_bytes(b"\xff\xfe\x00")
    found = read_recorded(folder)
    assert found.source == ""
    assert [one.split(" is not ")[1] for one in found.problems] == ["a plain file.", "text.", "readable YAML."]


@pytest.mark.parametrize("version", ["3.11; rm -rf", "../../bin", "python", "99999.1"])
def test_a_python_that_is_none_is_a_problem(folder: Path, version: str) -> None:
    (folder / "python_env.yaml").write_text(f"python: '{version}'\n")
    found = read_recorded(folder)
    assert found.python == ""
    assert "is none" in found.problems[0]


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=100))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_text_breaks_the_reader(folder: Path, requirements: str, conda: str, python: str) -> None:
    (folder / "requirements.txt").write_text(requirements, newline="", errors="surrogatepass")
    (folder / "conda.yaml").write_text(conda, newline="")
    (folder / "python_env.yaml").write_text(python, newline="")
    for pin in read_recorded(folder).pins:
        assert "://" not in pin.text.partition(";")[0]
        assert "\n" not in pin.text
