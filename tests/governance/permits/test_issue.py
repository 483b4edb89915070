"""From the last signature to the permit: two signers, each in its own time, and exactly one permit."""

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import connection, connections, transaction
from django.utils import timezone

from config.errors import Conflict, Refusal
from governance.models import Permit, PermitIssuance, PromotionRequest
from governance.permits import keyfiles, verifier
from governance.selectors.permits import current_root, permit_file, signers_of, statement_of, trust_root
from governance.services import permits, trust, waivers
from governance.services.permits import issuing, scope
from governance.standing import standing_of
from governance.states import IssuanceState
from registry.models import Alias, ModelVersion, User
from registry.services import catalog
from tests.factories import governance as make
from tests.waiting import until_a_backend_waits_on_a_lock

pytestmark = pytest.mark.django_db


def signed_by_all(request: PromotionRequest, signers: list[User]) -> PromotionRequest:
    """Approved, and nothing more."""
    for signer in signers:
        make.sign(request, signer)
    return PromotionRequest.objects.get(pk=request.pk)


def again() -> None:
    """Later, when what was refused is tried again."""
    PermitIssuance.objects.filter(state=IssuanceState.REFUSED).update(retry_at=timezone.now())
    make.issue()


def test_after_both_signers_the_permit_is_there_and_verifies_offline(
    ready: PromotionRequest, approvers: list[User]
) -> None:
    make.approve(ready, approvers)
    make.publish()
    permit = Permit.objects.get()
    proved, _ = verifier.verify(json.loads(permit_file(permit)), json.loads(trust_root()))
    assert proved["permit"] == str(permit.pk)
    assert Alias.objects.get().version == ready.version


def test_between_the_last_signature_and_the_permit_nothing_is_live(
    ready: PromotionRequest, approvers: list[User]
) -> None:
    request = signed_by_all(ready, approvers)
    assert request.state == "approved"
    assert not Permit.objects.exists()
    assert not Alias.objects.exists()
    with pytest.raises(Refusal) as refused:
        catalog.set_alias(model=request.model, alias="production", number=1, by=make.actor(approvers[0]))
    assert refused.value.code == "gate.no_permit"
    make.prepare()
    assert PermitIssuance.objects.get().state == IssuanceState.PREPARED
    assert not Permit.objects.exists()
    issuing.countersign_waiting()
    assert (Permit.objects.get().state, PermitIssuance.objects.get().state) == ("active", "issued")
    assert Alias.objects.get().version == request.version


def test_what_is_being_permitted_keeps_its_name_and_nobody_signs_beside_it(
    ready: PromotionRequest, approvers: list[User], scientist: User
) -> None:
    second = make.finish_all(make.request(make.sealed_version(ready.model, scientist), scientist))
    make.sign(second, approvers[0])
    signed_by_all(ready, approvers)
    with pytest.raises(Refusal) as refused:
        make.sign(second, approvers[1])
    assert refused.value.code == "promotion.permit_being_made"
    with pytest.raises(Refusal) as kept:
        catalog.delete_model(model=ready.model, by=make.actor(scientist))
    assert kept.value.code == "gate.delete"
    make.issue()
    with pytest.raises(Refusal) as stale:
        make.sign(second, approvers[1])
    assert stale.value.code == "live_changed"


def test_the_permit_says_where_each_approval_stands_in_the_log_and_names_nobody(
    ready: PromotionRequest, approvers: list[User]
) -> None:
    make.approve(ready, approvers)
    permit = Permit.objects.get()
    statement = statement_of(permit)
    bodies = make.log()
    for approval in statement["predicate"]["approvals"]:
        body = bodies[approval["leaf_index"]]
        assert (body["id"], body["action"]) == (approval["entry_id"], "decision.signed")
        assert body["actor"]["id"] == approval["person"]
    assert all(one.username not in json.dumps(statement) for one in approvers)
    assert len(signers_of(permit.envelope)) == 2


def test_repeating_every_step_changes_nothing(ready: PromotionRequest, approvers: list[User]) -> None:
    make.approve(ready, approvers)
    envelope = Permit.objects.get().envelope
    for _ in range(2):
        issuing.begin(ready.pk)
        make.issue()
    assert Permit.objects.get().envelope == envelope
    assert sum(body["action"] == "permit.issued" for body in make.log()) == 1


# refused, shown, and tried again


@pytest.mark.parametrize("name", ["permit-issuer.pem", "permit-countersigner.pem"])
def test_without_one_of_the_keys_there_is_no_permit_and_with_it_there_is(
    ready: PromotionRequest, approvers: list[User], signing_keys: Path, name: str
) -> None:
    make.trust_root()
    request = signed_by_all(ready, approvers)
    (signing_keys / name).rename(signing_keys / "away")
    make.issue()
    assert not Permit.objects.exists()
    issuance = PermitIssuance.objects.get(request=request)
    assert (issuance.state, name in issuance.problem) == (IssuanceState.REFUSED, True)
    assert issuance.retry_at is not None
    (signing_keys / "away").rename(signing_keys / name)
    again()
    assert Permit.objects.get().state == "active"


@pytest.mark.parametrize("name", ["permit-issuer.pem", "permit-countersigner.pem"])
def test_a_key_that_the_trust_root_does_not_name_makes_no_permit(
    ready: PromotionRequest, approvers: list[User], signing_keys: Path, name: str
) -> None:
    make.trust_root()
    signed_by_all(ready, approvers)
    (signing_keys / name).unlink()
    keyfiles.make(signing_keys / name)
    make.issue()
    assert not Permit.objects.exists()
    assert "has not the role “permit”" in PermitIssuance.objects.get().problem


def test_one_key_in_both_processes_makes_no_permit(
    ready: PromotionRequest, approvers: list[User], signing_keys: Path
) -> None:
    make.trust_root()
    signed_by_all(ready, approvers)
    (signing_keys / "permit-countersigner.pem").write_bytes((signing_keys / "permit-issuer.pem").read_bytes())
    make.issue()
    assert not Permit.objects.exists()
    assert "1 of 2 signatures" in PermitIssuance.objects.get().problem


def test_with_an_ended_trust_root_there_is_no_permit(ready: PromotionRequest, approvers: list[User]) -> None:
    make.trust_root()
    signed_by_all(ready, approvers)
    with time_machine.travel(timezone.now() + timedelta(days=trust.DAYS + 1)):
        make.issue()
    assert not Permit.objects.exists()
    assert "of the trust root ended" in PermitIssuance.objects.get().problem


@pytest.mark.parametrize("what", ["signature", "statement"])
def test_the_countersigner_does_not_believe_the_issuer(
    ready: PromotionRequest, approvers: list[User], what: str
) -> None:
    signed_by_all(ready, approvers)
    make.prepare()
    issuance = PermitIssuance.objects.get()
    if what == "signature":
        issuance.issuer_signature = bytes(issuance.issuer_signature)[:-1] + b"\x00"
    else:
        issuance.payload = issuance.payload.replace('"Tests."', '"Everything."')
    issuance.save()
    issuing.countersign_waiting()
    assert not Permit.objects.exists()
    assert PermitIssuance.objects.get().state == IssuanceState.REFUSED
    assert PermitIssuance.objects.get().problem


@pytest.mark.parametrize("what", ["record", "person", "artifact", "policy", "index"])
def test_the_countersigner_does_not_believe_the_rows_without_the_log(
    ready: PromotionRequest, approvers: list[User], what: str
) -> None:
    request = signed_by_all(ready, approvers)
    make.prepare()
    now = timezone.now()
    said = scope.scope_of(request, PermitIssuance.objects.get().permit_id, at=now)
    decisions = scope.approvals_of(request, standing_of(request, at=now))
    root = current_root(now)
    scope.check_logged(said, decisions, root)
    first = said.approvals[0]
    match what:
        case "record":
            decisions[0].record = decisions[0].record.replace('"approve"', '"reject"')
        case "person":
            said = replace(said, approvals=[replace(first, person="user:0"), said.approvals[1]])
        case "artifact":
            said = replace(said, manifest_digest="0" * 64)
        case "policy":
            said = replace(said, policy={**said.policy, "digest": "0" * 64})
        case _:
            said = replace(said, approvals=[replace(first, leaf_index=0), said.approvals[1]])
    with pytest.raises(Conflict, match="is not what the log says it is"):
        scope.check_logged(said, decisions, root)


def test_a_draft_that_waited_too_long_is_written_anew(ready: PromotionRequest, approvers: list[User]) -> None:
    signed_by_all(ready, approvers)
    make.prepare()
    first = PermitIssuance.objects.get().payload
    with time_machine.travel(timezone.now() + issuing.OLDEST_DRAFT + timedelta(seconds=1)):
        make.issue()
        permit = Permit.objects.get()
        assert timezone.now() - permit.not_before < timedelta(minutes=1)
    assert PermitIssuance.objects.get().payload != first


def test_what_was_approved_and_holds_no_longer_is_given_up_and_blocks_nobody(
    house: object, version: ModelVersion, scientist: User, approvers: list[User]
) -> None:
    stopped = make.finish_all(make.request(version, scientist), auc=0.5)
    run = stopped.checks.get(key="performance.binary")
    until = timezone.now() + timedelta(days=2)
    waiver = waivers.ask(request=stopped, check_run_id=run.pk, reason="Why not.", until=until, by=make.actor(scientist))
    for signer in approvers:
        waivers.sign(waiver_id=waiver.pk, password=make.PASSWORD, by=make.actor(signer))
    signed_by_all(stopped, approvers)
    with time_machine.travel(timezone.now() + timedelta(days=3)):
        make.issue()
    issuance = PermitIssuance.objects.get()
    assert (issuance.state, issuance.retry_at) == (IssuanceState.ABANDONED, None)
    assert "no longer holds" in issuance.problem
    other = make.finish_all(make.request(make.sealed_version(version.model, scientist), scientist))
    make.approve(other, approvers)
    assert Permit.objects.get().request == other


# a second permit for the same target


def test_a_successor_ends_the_one_before_it_even_while_that_is_suspended(
    ready: PromotionRequest, approvers: list[User], scientist: User
) -> None:
    make.approve(ready, approvers)
    first = Permit.objects.get()
    permits.suspend(permit=first, reason="Look first.", by=make.actor(approvers[0]))
    make.approve(make.finish_all(make.request(make.sealed_version(ready.model, scientist), scientist)), approvers)
    first.refresh_from_db()
    second = Permit.objects.get(state="active")
    assert (first.state, first.superseded_by) == ("superseded", second)
    assert statement_of(second)["predicate"]["supersedes"] == str(first.pk)


def test_when_the_permit_before_it_ends_meanwhile_the_statement_is_written_anew(
    ready: PromotionRequest, approvers: list[User], scientist: User
) -> None:
    make.approve(ready, approvers)
    signed_by_all(make.finish_all(make.request(make.sealed_version(ready.model, scientist), scientist)), approvers)
    make.prepare()
    permits.revoke(permit=Permit.objects.get(), reason="Over.", by=make.actor(approvers[0]))
    issuing.countersign_waiting()
    assert not Permit.objects.active().exists()
    again()
    assert statement_of(Permit.objects.get(state="active"))["predicate"]["supersedes"] == ""


# processes that die, and two at once


@pytest.mark.django_db(transaction=True)
def test_two_countersigners_at_once_make_one_permit(ready: PromotionRequest, approvers: list[User]) -> None:
    signed_by_all(ready, approvers)
    make.prepare()

    def countersign(_: int) -> int:
        try:
            return issuing.countersign_waiting()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(countersign, range(4))) == 1
    assert Permit.objects.count() == 1


def _killed_at(statement: int, act: Callable[[], object]) -> bool:
    """Run ``act`` in a process that SIGKILLs itself before its ``statement``-th statement or commit; say whether it died."""
    child = os.fork()
    if child == 0:
        try:
            connection.connection = None  # the parent's; this process opens its own
            left = [statement]

            def step() -> None:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            def deadly(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
                step()
                return execute(sql, params, many, context)

            backend: Any = connection
            commit = backend._commit

            def deadly_commit() -> None:
                step()
                commit()
                step()

            backend._commit = deadly_commit
            with connection.execute_wrapper(deadly):
                act()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a child of the test must end here whatever happens
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in {0, -signal.SIGKILL}
    return os.waitstatus_to_exitcode(status) != 0


@pytest.mark.django_db(transaction=True)
def test_killed_before_any_statement_or_commit_the_signers_still_make_exactly_one_permit(
    ready: PromotionRequest, approvers: list[User]
) -> None:
    signed_by_all(ready, approvers)
    make.trust_root()
    deaths = 0
    for act in (make.prepare, issuing.countersign_waiting, make.integrate):
        statement = 0
        while _killed_at(statement, act):
            deaths += 1
            statement += 1
            assert Permit.objects.count() == Alias.objects.count() <= 1
    make.issue()
    assert deaths > 50
    assert Permit.objects.get().state == "active"
    actions = [body["action"] for body in make.log()]
    assert actions.count("permit.issued") == actions.count("alias.set") == 1


@pytest.mark.django_db(transaction=True)
def test_what_changes_while_the_countersigner_waits_for_a_lock_is_seen(
    ready: PromotionRequest, approvers: list[User]
) -> None:
    signed_by_all(ready, approvers)
    make.prepare()

    def countersign() -> int:
        try:
            return issuing.countersign_waiting()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            PermitIssuance.objects.select_for_update().get()
            waits = pool.submit(countersign)
            until_a_backend_waits_on_a_lock()
            PermitIssuance.objects.update(state=IssuanceState.WAITING)
        assert waits.result(timeout=30) == 0
    assert not Permit.objects.exists()
