"""Asking real witnesses about the log in the database: what they sign is kept, what fails is seen, what contradicts is loud."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from audit import keys, notes
from audit.models import Attestor, Checkpoint, Cosignature, Entry
from audit.witnessing import client, configured, cosignatures, notary, selectors
from audit.witnessing.cosignatures import LOG_ED25519, Verifier
from audit.witnessing.policy import PolicyWitness
from audit.witnessing.records import Contradicted, Failed
from tests.audit.witnessing.answering import answering
from tests.audit.witnessing.conftest import MakeWitness, WitnessProcess
from tests.audit.witnessing.logs import forged_line
from tests.audit.witnessing.rewriting import cut, rewrite
from tests.factories.audit import KEY, integrate, log_of, touch

pytestmark = pytest.mark.django_db
LOG = Verifier(keys.origin(KEY.public_key()), LOG_ED25519, KEY.public_key())


@pytest.fixture
def with_policy(settings: Settings, tmp_path: Path) -> Callable[..., None]:
    """Configure a policy: lines, after the log's."""

    def write(*lines: str, log: Verifier = LOG) -> None:
        settings.WITNESS_POLICY = tmp_path / "policy"
        settings.WITNESS_POLICY.write_text("".join(f"{line}\n" for line in (f"log {log}", *lines)))

    return write


def line(name: str, witness: WitnessProcess, url: str = "") -> str:
    return f"witness {name} {witness.verifier} {url or witness.url}"


def ask(name: str = "one") -> int | None:
    head = Checkpoint.objects.order_by("-size").first()
    assert head is not None
    return client.cosign(next(one for one in configured.policy().witnesses if one.name == name), head)


def test_two_witnesses_cosign_what_the_log_signed(make_witness: MakeWitness, with_policy: Callable[..., None]) -> None:
    one, two = make_witness("one", LOG), make_witness("two", LOG, algorithm="ml-dsa-44")
    with_policy(line("one", one), line("two", two), "group both all one two", "quorum both")
    log_of(5)
    assert not selectors.quorum(5).reached
    assert not selectors.is_attested(5)
    notary.ask_all()
    found = selectors.quorum(5)
    assert found.reached
    assert [each.witness for each in found.cosigned] == ["one", "two"]
    note = selectors.cosigned_note(5)
    assert note.startswith(Checkpoint.objects.get(size=5).note)
    parsed = notes.parse(note)
    assert notes.verify_checkpoint(note, LOG.name, KEY.public_key()).size == 5
    for signature, witness in zip(parsed.signatures[1:], (one, two), strict=True):
        assert cosignatures.verify(parsed.text, signature, witness.verifier)
    touch()
    integrate()
    notary.ask_all()
    assert selectors.quorum(6).reached
    assert selectors.cosigned_size() == 6
    assert selectors.is_attested(4)
    assert not selectors.is_attested(7)
    assert ask() is None, "it has that already"


def test_one_that_is_down_is_seen_and_does_not_keep_the_other(
    make_witness: MakeWitness, with_policy: Callable[..., None]
) -> None:
    one, two = make_witness("one", LOG), make_witness("two", LOG)
    with_policy(line("one", one), line("two", two), "group either 1 one two", "group both all either", "quorum both")
    two.end()
    log_of(3)
    notary.ask_all()
    assert selectors.quorum(3).reached, "one of two is enough here"
    states = {each.name: each for each in selectors.attested().standings}
    assert states["one"].state == "good"
    assert (states["two"].state, states["two"].failures) == ("failing", 1)
    assert "no connection" in states["two"].last_error
    errand = next(each for each in notary.errands() if each.name == "witness:two")
    first = Attestor.objects.get(name="witness:two").retry_at
    notary.once(errand)
    assert Attestor.objects.get(name="witness:two").retry_at == first, "it rests"
    for _ in range(3):
        notary.once(errand, patient=False)
    record = Attestor.objects.get(name="witness:two")
    touch()
    integrate()
    notary.ask_all()
    record = Attestor.objects.get(name="witness:two")
    assert record.retry_at is not None
    assert record.retry_at > timezone.now()
    two.start()
    notary.ask_all()
    record = Attestor.objects.get(name="witness:two")
    assert (record.failures, record.last_error, record.size) == (0, "", 4)


def test_a_witness_with_an_older_state_is_brought_along(
    make_witness: MakeWitness, with_policy: Callable[..., None]
) -> None:
    one = make_witness("one", LOG)
    with_policy(line("one", one), "quorum one")
    log_of(3)
    ask()
    older = one.state.read_bytes()
    touch()
    integrate()
    ask()
    one.end()
    one.state.write_bytes(older)
    one.start()
    touch()
    integrate()
    assert ask() == 5, "409 with 3, then the proof from 3"
    Attestor.objects.all().delete()
    touch()
    integrate()
    assert ask() == 6, "and so when it is we who forgot"


@pytest.mark.parametrize("size", [5, 8])
def test_a_rewritten_log_is_refused_and_said_loudly_with_the_proof(
    make_witness: MakeWitness, with_policy: Callable[..., None], caplog: pytest.LogCaptureFixture, size: int
) -> None:
    one = make_witness("one", LOG)
    with_policy(line("one", one), "quorum one")
    log_of(5)
    notary.ask_all()
    rewrite(size)
    if size == 5:
        Attestor.objects.all().delete()  # as the one who rewrote would
    notary.ask_all()
    record = Attestor.objects.get(name="witness:one")
    assert "another history: 5 entries with another root" in record.alarm
    assert notes.verify_checkpoint(record.evidence, LOG.name, KEY.public_key()).size == 5
    assert "THE LOG IS CONTRADICTED by witness:one" in caplog.text
    assert selectors.attested().standings[0].state == "contradicts"
    assert selectors.alarm().startswith("witness one contradicts the log: ")
    assert selectors.head_and_contradiction()[1] == selectors.alarm()
    Attestor.objects.update(evidence="")
    assert selectors.head_and_contradiction()[1] == "", "a claim without proof stops nobody"
    notary.ask_all()
    integrate()
    logged = Entry.objects.get(action="log.contradicted")
    assert (logged.object_id, logged.facts["proved"], logged.facts["size"]) == ("witness:one", True, size)
    output = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("audit_witness", "--show", stdout=output)
    assert ended.value.code == 1
    assert "CONTRADICTED" in output.getvalue()


def test_a_log_that_was_cut_is_noticed(make_witness: MakeWitness, with_policy: Callable[..., None]) -> None:
    one = make_witness("one", LOG)
    with_policy(line("one", one), "quorum one")
    log_of(5)
    log_of(2)
    notary.ask_all()
    cut(5)
    Attestor.objects.all().delete()
    with pytest.raises(
        Contradicted, match=r"cosigned 7 entries .* now has 5: .*rolled back or cut.* signed 7 entries"
    ) as found:
        ask()
    assert found.value.proved


def test_an_alarm_ends_when_the_witness_vouches_for_the_log_again(
    make_witness: MakeWitness, with_policy: Callable[..., None]
) -> None:
    one = make_witness("one", LOG)
    with_policy(line("one", one), "quorum one")
    log_of(2)
    Attestor.objects.create(
        name="witness:one", failures=1, last_error="x", alarm="x", evidence="y", retry_at=timezone.now()
    )
    notary.ask_all()
    record = Attestor.objects.get(name="witness:one")
    assert (record.alarm, record.evidence, record.failures) == ("", "", 0)
    assert selectors.alarm() == ""


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((404, "text/plain", b"unknown"), "does not know the log countersign/"),
        ((403, "text/plain", b"no\x1b[31m"), "does not accept the log's signature: no"),
        ((400, "text/plain", b"bad"), "answered 400: bad"),
        ((500, "text/plain", b""), "answered 500: no reason"),
        ((302, "text/plain", b""), "answered 302"),
        ((409, "text/x.tlog.size", b"many\n"), "409 without a size"),
        ((409, "text/x.tlog.size", b"2"), "409 without a size"),
        ((200, "text/plain", b""), "no signature of the pinned key"),
        ((200, "text/plain", b"hello"), "no signature line"),
        ((200, "text/plain", b"\xff"), "no signature line"),
        ((200, "text/plain", forged_line("other.example/w", b"abcd").encode()), "no signature of the pinned key"),
        ((200, "text/plain", b"x" * 70_000), "longer than"),
    ],
)
def test_answers_that_help_nobody_are_failures_in_words(
    make_witness: MakeWitness, with_policy: Callable[..., None], answer: tuple[int, str, bytes], why: str
) -> None:
    one = make_witness("one", start=False)
    log_of(3)
    with answering(lambda *_: answer) as url:
        with_policy(line("one", one, url), "quorum one")
        with pytest.raises(Failed, match=why) as refused:
            ask()
    assert not isinstance(refused.value, Contradicted)
    assert "\x1b" not in str(refused.value)
    assert not Cosignature.objects.exists()


def test_a_wrong_cosignature_of_the_right_name_is_not_kept(
    make_witness: MakeWitness, with_policy: Callable[..., None]
) -> None:
    one = make_witness("one", start=False)
    log_of(3)
    wrong = forged_line(one.verifier.name, one.verifier.key_id, 72).encode()
    with answering(lambda *_: (200, "text/plain", wrong)) as url:
        with_policy(line("one", one, url), "quorum one")
        with pytest.raises(Failed, match="does not verify"):
            ask()
    assert not Cosignature.objects.exists()


def test_a_cosignature_from_the_future_is_not_kept(make_witness: MakeWitness, with_policy: Callable[..., None]) -> None:
    from audit.witnessing import files  # noqa: PLC0415 - only here

    one = make_witness("one", start=False)
    cosigner = files.read_key(one.place / "witness.key")
    log_of(3)
    text = notes.parse(Checkpoint.objects.get(size=3).note).text
    later = int((timezone.now() + timedelta(hours=2)).timestamp())
    for at in (later, 2**63 - 1):
        with answering(lambda *_, at=at: (200, "text/plain", cosigner.cosign(text, at).encode())) as url:
            with_policy(line("one", one, url), "quorum one")
            with pytest.raises(Failed, match="ahead of ours"):
                ask()
    assert not Cosignature.objects.exists()


def test_a_witness_that_names_another_size_each_time_is_given_up(
    make_witness: MakeWitness, with_policy: Callable[..., None]
) -> None:
    one = make_witness("one", start=False)
    log_of(9)
    sizes = iter(range(1, 100))
    with answering(lambda *_: (409, "text/x.tlog.size", f"{next(sizes)}\n".encode())) as url:
        with_policy(line("one", one, url), "quorum one")
        with pytest.raises(Failed, match="another size each time"):
            ask()
    assert next(sizes) < 10


def test_a_claim_without_a_signed_head_is_an_alarm_that_says_so(
    make_witness: MakeWitness, with_policy: Callable[..., None]
) -> None:
    one = make_witness("one", start=False)
    log_of(3)
    with answering(lambda path, _: (409, "text/x.tlog.size", b"99\n") if "add" in path else (404, "", b"")) as url:
        with_policy(line("one", one, url), "quorum one")
        with pytest.raises(Contradicted, match=r"cosigned 99 entries.*shows no signed head") as found:
            ask()
    assert not found.value.proved
    Attestor.objects.all().delete()
    answers = iter([(409, "text/x.tlog.size", b"2\n"), (409, "text/x.tlog.size", b"2\n"), (404, "", b"")])
    with answering(lambda *_: next(answers)) as url:
        with_policy(line("one", one, url), "quorum one")
        with pytest.raises(Contradicted, match="another root for 2 entries"):
            ask()


def test_what_is_stored_is_not_believed(make_witness: MakeWitness, with_policy: Callable[..., None]) -> None:
    one = make_witness("one", LOG)
    with_policy(line("one", one), "quorum one")
    log_of(3)
    ask()
    touch()
    integrate()
    true = Cosignature.objects.get()
    moved = {"witness": "one", "at": true.at, "line": true.line}
    Cosignature.objects.create(size=4, **moved)
    Cosignature.objects.create(size=4, **(moved | {"line": "nonsense"}))
    Cosignature.objects.create(size=4, **(moved | {"witness": "stranger"}))
    assert not selectors.quorum(4).reached
    assert selectors.cosigned_note(4) == Checkpoint.objects.get(size=4).note
    assert selectors.cosigned_size() == 3


def test_all_are_asked_about_the_same_head_in_one_stretch_of_time() -> None:
    log_of(2)
    at = Checkpoint.objects.get().at
    begin = datetime.fromtimestamp(at.timestamp() // client.PACE * client.PACE, UTC)
    assert client.target(begin + timedelta(seconds=client.PACE * 0.99)) is None
    for part in (0, 0.5, 0.99):
        found = client.target(begin + timedelta(seconds=client.PACE * (1 + part)))
        assert found is not None
        assert found.size == 2


def test_another_log_than_the_pinned_one_is_not_shown_to_anybody(
    make_witness: MakeWitness, with_policy: Callable[..., None]
) -> None:
    one = make_witness("one", LOG)
    other = Verifier("countersign/other", LOG_ED25519, KEY.public_key())
    with_policy(line("one", one), "quorum one", log=other)
    log_of(2)
    with pytest.raises(Contradicted, match="the policy pins countersign/other"):
        ask()


def test_no_policy_asks_for_nothing_and_a_bad_one_says_its_line(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.WITNESS_POLICY = tmp_path / "witnesses" / "policy"
    log_of(2)
    assert selectors.quorum(2).reached
    assert selectors.cosigned_size() == 2
    assert selectors.attested().misconfigured == ""
    settings.WITNESS_POLICY = tmp_path / "mine"
    assert "which is not there" in selectors.attested().misconfigured
    settings.WITNESS_POLICY.write_text("quorum none\nwitness x y\n")
    assert "line 2" in selectors.attested().misconfigured
    with pytest.raises(CommandError) as refused:
        call_command("audit_witness")
    assert refused.value.returncode == 2


def test_a_witness_of_ours_needs_no_address_in_the_operators_own_policy(
    make_witness: MakeWitness, settings: Settings, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    one = make_witness("one", LOG, start=False)
    configured.shipped().write_text(f"log {LOG}\n{line('a', one, 'http://127.0.0.1:7')}\nquorum a\n")
    settings.WITNESS_POLICY = tmp_path / "mine"
    settings.WITNESS_POLICY.write_text(f"log {LOG}\nwitness mine {one.verifier}\nquorum mine\n")
    assert configured.policy().witnesses == (PolicyWitness("mine", one.verifier, "http://127.0.0.1:7"),)


def test_the_status_costs_few_queries(
    make_witness: MakeWitness, with_policy: Callable[..., None], django_assert_max_num_queries: Any
) -> None:
    one, two = make_witness("one", LOG), make_witness("two", LOG)
    with_policy(line("one", one), line("two", two), "group both all one two", "quorum both")
    for _ in range(4):
        touch()
        integrate()
        notary.ask_all()
    two.end()
    touch()
    integrate()
    notary.ask_all()
    with django_assert_max_num_queries(7):
        found = selectors.attested()
    assert found.head is not None
    assert found.quorum is not None
    assert (found.head.size, found.head.reached, found.quorum.size) == (5, False, 4)
    assert json.dumps([one.state for one in found.standings]) == '["good", "failing", "waiting"]'
