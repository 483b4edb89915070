"""The notary as a process, signed in as the app; and the step that makes the witnesses that come along."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from audit import keys
from audit.models import Attestor, Cosignature, Entry
from audit.witnessing import configured, policy, selectors
from audit.witnessing.cosignatures import LOG_ED25519, Verifier
from tests.audit.witnessing.conftest import MakeWitness
from tests.factories.audit import KEY, integrate, touch
from tests.waiting import until

LOG = Verifier(keys.origin(KEY.public_key()), LOG_ED25519, KEY.public_key())
Start = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def start(transactional_db: None, settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Start notary processes on this test's database and policy; none outlives the test."""
    settings.WITNESS_POLICY = tmp_path / "policy"
    url = os.environ["DATABASE_URL"].rsplit("/", 1)[0] + f"/{connection.settings_dict['NAME']}"
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.audit.process_settings",
        "SECRET_KEY": "x" * 40,
        "DATABASE_ROLE": "app",
        "DATABASE_URL": url,
        "DATA_DIR": str(tmp_path),
        "WITNESS_POLICY": str(tmp_path / "policy"),
    }
    started: list[subprocess.Popen[str]] = []

    def start_one() -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "django", "notary"]
        started.append(
            subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        )
        return started[-1]

    yield start_one
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def grow() -> int:
    touch()
    integrate()
    return Entry.objects.count()


def attested(size: int) -> Callable[[], bool]:
    return lambda: selectors.is_attested(size)


@pytest.mark.django_db(transaction=True)
def test_a_notary_works_as_the_app_and_another_takes_over(
    make_witness: MakeWitness, start: Start, tmp_path: Path
) -> None:
    one, two = make_witness("one", LOG), make_witness("two", LOG)
    lines = [f"log {LOG}", f"witness one {one.verifier} {one.url}", f"witness two {two.verifier} {two.url}"]
    (tmp_path / "policy").write_text("\n".join([*lines, "group both all one two", "quorum both", ""]))
    first = start()
    until(attested(grow()), what="both cosignatures", seconds=60)
    sizes = set(Cosignature.objects.values_list("size", flat=True))
    assert all(Cosignature.objects.filter(size=size).count() == 2 for size in sizes), "both sign the same heads"
    until(lambda: Attestor.objects.filter(name="heads", size__gt=0).exists(), what="the head map")
    second = start()
    assert second.stdout is not None
    assert any("The notary begins" in line for line in second.stdout)
    two.end()
    grow()
    until(lambda: Attestor.objects.get(name="witness:two").failures > 0, what="a failure on record", seconds=60)
    first.send_signal(signal.SIGKILL)
    first.wait()
    two.start()
    until(attested(grow()), what="the other notary", seconds=120)
    second.terminate()
    assert second.wait(60) == 0


@pytest.mark.django_db(transaction=True)
def test_a_notary_takes_up_a_changed_policy_and_keeps_the_old_one_when_it_is_bad(
    make_witness: MakeWitness, start: Start, tmp_path: Path
) -> None:
    one, two = make_witness("one", LOG), make_witness("two", LOG)
    file = tmp_path / "policy"
    file.write_text(f"log {LOG}\nwitness one {one.verifier} {one.url}\nquorum one\n")
    process = start()
    until(attested(grow()), what="the first witness", seconds=60)
    file.write_text("nonsense\n")
    assert process.stdout is not None
    assert any("the one before stays" in line for line in process.stdout)
    file.write_text(f"log {LOG}\nwitness two {two.verifier} {two.url}\nquorum two\n")
    until(attested(grow()), what="the second witness", seconds=60)


@pytest.mark.django_db(transaction=True)
def test_a_notary_without_a_usable_policy_says_so_and_ends(start: Start, tmp_path: Path) -> None:
    (tmp_path / "policy").write_text("nonsense\n")
    output, _ = start().communicate(timeout=60)
    assert "line 1" in output


@pytest.fixture
def house(settings: Settings, tmp_path: Path, keys_dir: Path) -> Path:
    settings.DATA_DIR = tmp_path / "data"
    settings.WITNESS_POLICY = configured.shipped()
    settings.WITNESS_URLS = ("http://127.0.0.1:7071", "http://127.0.0.1:7072")
    keys.ensure_keys(keys_dir)
    return tmp_path / "data" / "witnesses"


def set_up() -> str:
    output = StringIO()
    call_command("setup_witnesses", stdout=output)
    return output.getvalue()


def test_the_witnesses_that_come_along_are_made_once(house: Path, settings: Settings) -> None:
    set_up()
    made = policy.parse((house / "policy").read_bytes())
    assert [log.name for log in made.logs] == [keys.origin(keys.ledger_public_key())]
    assert [(one.name, one.url) for one in made.witnesses] == list(
        zip(("one", "two"), settings.WITNESS_URLS, strict=True)
    )
    assert made.words == "2 of 2"
    for name in ("one", "two"):
        assert stat.S_IMODE((house / name).stat().st_mode) == 0o700
        assert stat.S_IMODE((house / name / "witness.key").stat().st_mode) == 0o600
        assert (house / name / "logs").read_text() == f"{made.logs[0]}\n"
    memory = (house / "one" / "state.json").read_bytes()
    settings.WITNESS_URLS = ("http://127.0.0.1:8071", "http://127.0.0.1:8072")
    set_up()
    again = policy.parse((house / "policy").read_bytes())
    assert [one.verifier for one in again.witnesses] == [one.verifier for one in made.witnesses]
    assert again.witnesses[0].url == "http://127.0.0.1:8071"
    assert (house / "one" / "state.json").read_bytes() == memory
    assert configured.configured_vkeys() == [str(one.verifier) for one in made.witnesses]


def test_a_witness_that_lost_its_memory_does_not_get_an_empty_one(house: Path) -> None:
    set_up()
    (house / "one" / "state.json").unlink()
    set_up()
    assert not (house / "one" / "state.json").exists(), "the witness itself refuses to start, and says what to do"


def test_without_addresses_no_witness_comes_along(house: Path, settings: Settings) -> None:
    settings.WITNESS_URLS = ()
    assert "No witnesses" in set_up()
    assert not house.exists()
    settings.WITNESS_URLS = ("http://127.0.0.1:7071",)
    with pytest.raises(CommandError, match="2 addresses"):
        set_up()
