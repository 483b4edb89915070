"""The witness that we ship, as a process: it answers as the specification says and never signs two histories."""

import base64
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from audit import notes
from audit.witnessing import cosignatures, protocol
from audit.witnessing.cosignatures import LOG_ED25519, MLDSA44, Verifier
from audit.witnessing.witness import Witness
from tests.audit.witnessing.conftest import COMMAND, MakeWitness, WitnessProcess
from tests.audit.witnessing.logs import MemoryLog, forged_line
from tests.serving import ROOT


def moment(log: MemoryLog, witness: WitnessProcess, answer: httpx.Response, size: int | None = None) -> int:
    """When the cosignature in an answer says that it was made, after verifying it as a client does."""
    assert answer.status_code == 200, answer.text
    parsed = notes.parse(log.note(size) + answer.text)
    return cosignatures.verify(parsed.text, parsed.signatures[-1], witness.verifier)


@pytest.mark.parametrize("algorithm", ["ed25519", "ml-dsa-44"])
def test_it_cosigns_a_new_log_and_then_what_continues_it(
    make_witness: MakeWitness, log: MemoryLog, algorithm: str
) -> None:
    witness = make_witness("one", log.verifier, algorithm=algorithm)
    before = int(time.time())
    first = moment(log, witness, witness.ask(log.request(0)))
    log.grow(6)
    second = moment(log, witness, witness.ask(log.request(7)))
    assert before <= first <= second <= int(time.time())
    assert (witness.verifier.kind == MLDSA44) == (algorithm == "ml-dsa-44")


def test_the_same_head_again_is_cosigned_again(make_witness: MakeWitness, log: MemoryLog) -> None:
    witness = make_witness("one", log.verifier)
    assert moment(log, witness, witness.ask(log.request(0))) <= moment(log, witness, witness.ask(log.request(7)))


def test_an_old_size_that_is_not_the_latest_is_answered_with_the_latest(
    make_witness: MakeWitness, log: MemoryLog
) -> None:
    witness = make_witness("one", log.verifier)
    witness.ask(log.request(0))
    log.grow(3)
    for old in (0, 3, 8):
        answer = witness.ask(log.request(old))
        assert (answer.status_code, answer.text, answer.headers["content-type"]) == (409, "7\n", "text/x.tlog.size")
        assert protocol.parse_size(answer.content) == 7


def test_a_smaller_head_is_never_signed(make_witness: MakeWitness, log: MemoryLog) -> None:
    witness = make_witness("one", log.verifier)
    witness.ask(log.request(0))
    assert witness.ask(log.request(5, 5)).status_code == 409
    assert witness.ask(_with_old(log.request(0, 5), 7)).status_code == 400


def _with_old(request: bytes, old: int) -> bytes:
    return b"old %d\n" % old + request.partition(b"\n")[2]


def test_a_fork_is_refused_and_what_was_asked_is_kept_in_the_log_of_the_process(
    make_witness: MakeWitness, log: MemoryLog
) -> None:
    witness = make_witness("one", log.verifier)
    witness.ask(log.request(0))
    forked = log.fork(4)
    forked.grow(5)
    assert witness.ask(forked.request(7)).status_code == 422
    assert witness.ask(forked.request(7, 7)).status_code == 422, "the same size with another root"
    log.grow(1)
    assert witness.ask(log.request(7)).status_code == 200
    witness.end()
    told = [line for line in witness.said if "REFUSED to cosign" in line]
    assert len(told) == 2
    assert base64.b64encode(forked.root()).decode() in told[0], "the head that proves the log's misbehaviour"


def test_statuses_are_those_of_the_specification(make_witness: MakeWitness, log: MemoryLog) -> None:
    witness = make_witness("one", log.verifier)
    witness.ask(log.request(0))
    stranger, impostor = MemoryLog("example.com/other"), MemoryLog(log.name)
    for other in (stranger, impostor):
        other.leaves = list(log.leaves)
    ours = log.verifier.key_id
    right = log.note()
    cases = {
        "unknown origin": (stranger.request(7, 7), 404),
        "a key nobody trusts": (impostor.request(7, 7), 403),
        "a wrong line of the trusted key": (
            b"old 7\n\n" + (log.text() + "\n" + forged_line(log.name, ours)).encode(),
            403,
        ),
        "a wrong line beside a right one": (b"old 7\n\n" + (right + forged_line(log.name, ours)).encode(), 403),
        "old above the size": (b"old 8\n\n" + right.encode(), 400),
        "a proof where none is due": (b"old 7\n" + base64.b64encode(bytes(32)) + b"\n\n" + right.encode(), 422),
        "an unknown signature beside it": (b"old 7\n\n" + (right + forged_line("x.example/y", b"abcd")).encode(), 200),
    }
    for what, (body, status) in cases.items():
        assert witness.ask(body).status_code == status, what


@pytest.mark.parametrize(
    "begin",
    [
        b"", b"\n", b"old\n\n", b"old 07\n\n", b"old -7\n\n", b"old  7\n\n", b"old 7 \n\n", b"old +7\n\n", b"Old 7\n\n",
        b"size 7\n\n", b"old 7\r\n\r\n", b"old 9223372036854775808\n\n", b"old \xd9\xa7\n\n", b"old 7\n!!\n\n",
        b"old 7\n" + base64.b64encode(bytes(31)) + b"\n\n", b"old 7\n" + base64.b64encode(bytes(32))[:-1] + b"\n\n",
        b"old 7\n" + base64.b64encode(bytes(32)) + b"\r\n\n", b"old 7\n" + b"B" * 42 + b"B=\n\n",
        b"old 7\n" + (base64.b64encode(bytes(32)) + b"\n") * 64 + b"\n", b"old 7\n", b"7\n\n",
    ],
)  # fmt: skip
def test_a_malformed_beginning_is_a_bad_request(tmp_path: Path, log: MemoryLog, begin: bytes) -> None:
    answer = _asked_inside(tmp_path, log, begin + log.note().encode())
    assert answer[0] == 400, answer


@pytest.mark.parametrize(
    "spoil",
    [
        lambda note: note.replace("\n7\n", "\n07\n", 1), lambda note: note.replace("\n7\n", "\n-1\n", 1),
        lambda note: note.replace("\n7\n", "\n", 1), lambda note: note.rstrip("\n"), lambda note: note.partition("\n\n")[0],
        lambda note: note.replace("—", "-"), lambda note: note + "\n", lambda _: "", lambda note: "\n" + note,
        lambda note: note.replace("\n7\n", "\n7\n\t", 1), lambda note: note.replace("=\n\n", "\n\n", 1),
    ],
)  # fmt: skip
def test_a_malformed_note_is_a_bad_request(tmp_path: Path, log: MemoryLog, spoil: object) -> None:
    assert callable(spoil)
    answer = _asked_inside(tmp_path, log, b"old 0\n\n" + spoil(log.note()).encode())
    assert answer[0] == 400, answer


def _asked_inside(tmp_path: Path, log: MemoryLog, body: bytes) -> tuple[int, bytes]:
    """What a witness in this process answers: the same code without a socket."""
    made = subprocess_free_witness(tmp_path, log)
    answer = made.add_checkpoint(body)
    made.close()
    return int(answer.status), answer.body


def subprocess_free_witness(place: Path, *logs: MemoryLog, clock: object = time.time) -> Witness:
    from audit.witnessing import files, witness  # noqa: PLC0415 - only here

    if not (place / "state").exists():
        files.make_key(place / "key", "example.com/inside")
        witness.make_state(place / "state")
    assert callable(clock)
    return Witness.open(place / "key", place / "state", [log.verifier for log in logs], clock)


def test_an_empty_log_has_one_root_only(tmp_path: Path) -> None:
    empty = MemoryLog()
    witness = subprocess_free_witness(tmp_path, empty)
    assert witness.add_checkpoint(empty.request(0)).status == 200
    wrong = notes.sign(str(notes.CheckpointText(empty.name, 0, bytes(32))), empty.name, empty.key)
    assert witness.add_checkpoint(b"old 0\n\n" + wrong.encode()).status == 422
    witness.close()


def test_extension_lines_are_part_of_what_is_cosigned(make_witness: MakeWitness, log: MemoryLog) -> None:
    witness = make_witness("one", log.verifier)
    note = notes.sign(log.text() + "an extension\n", log.name, log.key)
    answer = witness.ask(b"old 0\n\n" + note.encode())
    parsed = notes.parse(note + answer.text)
    assert cosignatures.verify(parsed.text, parsed.signatures[-1], witness.verifier)
    with pytest.raises(notes.BadNote, match="does not fit"):
        cosignatures.verify(log.text(), parsed.signatures[-1], witness.verifier)


def test_http_that_is_no_question_for_a_witness(make_witness: MakeWitness, log: MemoryLog) -> None:
    witness = make_witness("one", log.verifier)
    with httpx.Client(base_url=witness.url, trust_env=False) as client:
        assert client.get("/health").text == f"{witness.verifier}\n"
        assert client.get("/add-checkpoint").status_code == 404
        assert client.post("/elsewhere", content=b"x").status_code == 404
        assert client.put("/add-checkpoint", content=b"x").status_code == 501
        assert client.post("/add-checkpoint", content=(part for part in [b"old 0\n"])).status_code == 411
        assert client.post("/add-checkpoint", content=b"x" * (protocol.LONGEST_REQUEST + 1)).status_code == 413
        assert client.post("/add-checkpoint", content=log.request(0)).status_code == 200
    with socket.create_connection(("127.0.0.1", witness.port)) as cut:
        cut.sendall(b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 500\r\n\r\nold 7\n")
    assert witness.ask(log.request(7)).status_code == 200, "it goes on after somebody hung up"


def test_connections_are_kept_alive(make_witness: MakeWitness, log: MemoryLog) -> None:
    witness = make_witness("one", log.verifier)
    connection = http.client.HTTPConnection("127.0.0.1", witness.port, timeout=20)
    connection.connect()
    kept = connection.sock
    for old in (0, 7, 3, 7):
        connection.request("POST", "/add-checkpoint", body=log.request(old))
        answer = connection.getresponse()
        answer.read()
        assert answer.status in {200, 409, 400}
        assert connection.sock is kept
    connection.close()


def test_monitors_read_the_latest_checkpoint_with_both_signatures(make_witness: MakeWitness, log: MemoryLog) -> None:
    witness = make_witness("one", log.verifier, MemoryLog("example.com/silent").verifier)
    address = f"{witness.url}/{protocol.origin_hash(log.name)}/checkpoint"
    assert httpx.get(address, trust_env=False).status_code == 404
    note = log.note() + forged_line("x.example/y", b"abcd")
    line = witness.ask(b"old 0\n\n" + note.encode()).text
    for _ in range(2):
        assert httpx.get(address, trust_env=False).text == log.note() + line, "and not what others signed"
        witness.end()
        witness.start()
    silent = protocol.origin_hash("example.com/silent")
    assert httpx.get(f"{witness.url}/{silent}/checkpoint", trust_env=False).status_code == 404


def test_a_witness_killed_between_signing_and_answering_remembers_what_it_signed(
    make_witness: MakeWitness, log: MemoryLog
) -> None:
    witness = make_witness("one", log.verifier, start=False)
    honest = witness.program
    witness.program = (sys.executable, "-m", "tests.audit.witnessing.killed_witness")
    witness.start()
    with pytest.raises(httpx.TransportError):
        witness.ask(log.request(0))
    assert witness.end() == -signal.SIGKILL
    witness.program = honest
    witness.start()
    forked = log.fork(3)
    assert witness.ask(forked.request(0)).status_code == 409, "it does not begin anew"
    assert witness.ask(forked.request(7)).status_code == 422, "nor sign another history than the one nobody got to see"
    moment(log, witness, witness.ask(log.request(7)))


def test_many_at_once_get_one_history(make_witness: MakeWitness, log: MemoryLog) -> None:
    witness = make_witness("one", log.verifier)
    witness.ask(log.request(0))
    histories = [log, log.fork(7)]
    log.grow(5)
    histories[1].grow(5, "forged")
    answers: dict[int, list[int]] = {0: [], 1: []}

    def ask(number: int) -> None:
        for size in range(8, 13):
            answers[number].append(witness.ask(histories[number].request(7, size)).status_code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in (0, 1) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers[0] + answers[1]).count(200) == 1, "one continuation of seven, from whomever it came"
    assert set(answers[0] + answers[1]) == {200, 409}


def test_two_processes_do_not_share_a_memory(make_witness: MakeWitness, log: MemoryLog) -> None:
    witness = make_witness("one", log.verifier)
    second = subprocess.run(
        [*witness.arguments()[:-1], "127.0.0.1:0"], cwd=ROOT, env=witness.environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert "another witness works on" in second.stderr


def test_what_it_needs_and_has_not_is_said(make_witness: MakeWitness, log: MemoryLog) -> None:
    witness = make_witness("one", log.verifier, start=False)

    def refuses(why: str) -> None:
        done = subprocess.run(
            witness.arguments(), cwd=ROOT, env=witness.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1, done
        assert why in done.stderr
        assert "Traceback" not in done.stderr

    memory = witness.state.read_bytes()
    witness.state.write_text('{"format": 1, "logs": {"x": {"size": 1')
    refuses("is damaged")
    witness.state.unlink()
    refuses("it would sign any history")
    witness.state.write_bytes(memory)
    (witness.place / "witness.key").chmod(0o640)
    refuses("other users may read")
    (witness.place / "witness.key").chmod(0o600)
    witness.logs.write_text("")
    refuses("name at least one log")
    witness.logs.write_text(f"{witness.verifier}\n")
    refuses("a log signs with Ed25519")
    spoiled = str(log.verifier).replace("example.com/log", "example.com/lug")
    witness.logs.write_text(f"{spoiled}\n")
    refuses("a part of it was changed")
    witness.logs.write_text(f"{log.verifier}\n{Verifier(log.name, LOG_ED25519, MemoryLog().key.public_key())}\n")
    refuses("two keys for the one log")


def test_a_key_is_private_is_made_once_and_a_bad_name_makes_none(make_witness: MakeWitness, tmp_path: Path) -> None:
    witness = make_witness("one", start=False)
    key = witness.place / "witness.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(witness.state.stat().st_mode) == 0o600
    assert (witness.place / "witness.vkey").read_text() == f"{witness.verifier}\n"
    before = key.read_bytes()

    def keygen(name: str, place: Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, "witness-keygen", "--name", name, "--key", str(place / "witness.key"), "--state", str(place / "s")],
            cwd=ROOT, env=witness.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert keygen("again", witness.place).returncode == 1
    assert key.read_bytes() == before
    assert keygen("a name", tmp_path / "bad").returncode == 1
    assert keygen("a+b", tmp_path / "bad").returncode == 1
    assert not (tmp_path / "bad").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_what_cannot_be_remembered_is_not_signed(
    tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = subprocess_free_witness(tmp_path, log)
    answer = witness.add_checkpoint(log.request(0))
    assert answer.status == 200
    log.grow(2)
    real = os.open

    def full(path: str, flags: int, mode: int = 0o777) -> int:
        return real("/dev/full", os.O_WRONLY) if ".state." in str(path) else real(path, flags, mode)

    monkeypatch.setattr(os, "open", full)
    refused = witness.add_checkpoint(log.request(7))
    assert refused.status == 503
    assert b"cannot write" in refused.body
    monkeypatch.undo()
    assert witness.add_checkpoint(log.request(7)).status == 200
    witness.close()


def test_a_clock_that_goes_back_does_not_date_a_larger_head_before_a_smaller_one(
    tmp_path: Path, log: MemoryLog
) -> None:
    now = [2_000_000_000.0]
    witness = subprocess_free_witness(tmp_path, log, clock=lambda: now[0])
    witness.add_checkpoint(log.request(0))
    log.grow(1)
    now[0] -= 30
    answer = witness.add_checkpoint(log.request(7))
    parsed = notes.parse(log.note() + answer.body.decode())
    assert cosignatures.verify(parsed.text, parsed.signatures[-1], witness.cosigner.verifier) == 2_000_000_000
    log.grow(1)
    now[0] -= 1000
    assert witness.add_checkpoint(log.request(8)).status == 503
    witness.close()
    assert json.loads((tmp_path / "state").read_text())["logs"][log.name]["size"] == 8


def test_it_runs_without_django_and_without_a_database() -> None:
    foreign = "sorted(name for name in sys.modules if name.startswith(('django', 'psycopg')))"
    program = f"import sys, audit.witnessing.server; print({foreign})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
