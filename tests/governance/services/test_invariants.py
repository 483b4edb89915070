"""The invariants of DESIGN section 3, after every step of random histories over the real services and database.

A history has one model, three versions, and people of every kind who try everything: most of it is refused, and no
refusal or success may ever leave a state that an invariant forbids. The numbers are those of the list in the design.
"""

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from config.errors import Refusal
from governance.models import CheckRun, Decision, Permit, PromotionRequest
from governance.permits import dsse, signed
from governance.policy import fill
from governance.selectors.permits import current_root
from governance.services import permits, promotions, waivers
from governance.standing import policy_of, standing_of
from governance.states import OPEN_REQUEST_STATES, PERMIT_FOLLOWS, REQUEST_FOLLOWS, PermitState, RequestState
from registry.models import Alias, ModelVersion, User
from registry.roles import Role
from registry.services import catalog
from tests.factories import governance as make

pytestmark = pytest.mark.django_db
_PEOPLE = st.integers(0, 5)
_VERSIONS = st.integers(0, 2)


class Promotions(RuleBasedStateMachine):
    """Everybody tries everything."""

    def __init__(self) -> None:
        super().__init__()
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.people: list[User] = [
            make.person("scientist", Role.CONTRIBUTOR),
            make.person("approver", Role.APPROVER),
            make.person("approver", Role.APPROVER),
            make.person("both", Role.APPROVER, Role.CONTRIBUTOR),
            make.person("root", is_superuser=True),
            make.person("robot", Role.APPROVER, Role.CONTRIBUTOR, is_service=True),
        ]
        self.model = make.registered_model(self.people[0])
        self.versions = [
            make.sealed_version(self.model, self.people[0]),
            make.sealed_version(self.model, self.people[0], trained_by=self.people[1]),
            make.sealed_version(self.model, self.people[3], code_author=self.people[2]),
        ]
        self.terminal: dict[Any, str] = {}

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    def newest(self, version: int) -> PromotionRequest | None:
        return PromotionRequest.objects.filter(version=self.versions[version]).order_by("-number").first()

    @rule(person=st.sampled_from([0, 0, 0, 1, 3, 5]), version=_VERSIONS)
    def ask(self, person: int, version: int) -> None:
        self.attempt(lambda: make.request(self.versions[version], self.people[person]))

    @rule(version=_VERSIONS, auc=st.sampled_from([0.9, 0.9, 0.5, None]))
    def finish(self, version: int, auc: float | None) -> None:
        if request := self.newest(version):
            make.finish_all(request, auc=auc)

    @rule(
        person=_PEOPLE,
        version=_VERSIONS,
        outcome=st.sampled_from(
            ["approve", "approve", "approve", "approve_with_conditions", "request_changes", "reject"]
        ),
    )
    def sign(self, person: int, version: int, outcome: str) -> None:
        if request := self.newest(version):
            conditions = "Within bounds." if outcome == "approve_with_conditions" else ""
            comment = "Because." if outcome in {"request_changes", "reject"} else ""
            by = self.people[person]
            self.attempt(lambda: make.sign(request, by, outcome, comment=comment, conditions=conditions))

    @rule()
    def the_signers_of_permits_work(self) -> None:
        make.issue()

    @rule(
        version=_VERSIONS,
        auc=st.sampled_from([0.9, 0.9, 0.5]),
        turn=st.sampled_from(
            ["", "", "wait", "one", "withdraw", "request_changes", "reject", "revoke", "suspend", "resume"]
        ),
    )
    def go_the_whole_way(self, version: int, auc: float, turn: str) -> None:
        """What random single steps seldom reach: a request that is asked, checked, waived if need be, and signed by all."""
        self.ask(0, version)
        self.finish(version, auc)
        if auc < 0.75:
            self.waive(0, version)
        if turn == "withdraw":
            self.withdraw(0, version)
        elif turn in {"request_changes", "reject"}:
            for person in (1, 2):
                self.sign(person, version, turn)
        if turn == "one":
            self.sign(1, version, "approve")
        elif turn != "wait":
            self.everybody_signs(version)
        if turn == "resume":
            self.suspend(1)
            self.resume(2)
        if turn in {"revoke", "suspend"}:
            (self.revoke if turn == "revoke" else self.suspend)(1)

    @rule(version=_VERSIONS)
    def everybody_signs(self, version: int) -> None:
        for person in range(len(self.people)):
            self.sign(person, version, "approve")
        make.issue()

    @rule(person=_PEOPLE, version=_VERSIONS)
    def run_again(self, person: int, version: int) -> None:
        if request := self.newest(version):
            self.attempt(lambda: promotions.run_again(request=request, by=make.actor(self.people[person])))

    @rule(person=_PEOPLE, version=_VERSIONS)
    def withdraw(self, person: int, version: int) -> None:
        if request := self.newest(version):
            self.attempt(lambda: promotions.withdraw(request=request, by=make.actor(self.people[person])))

    @rule(person=_PEOPLE, version=_VERSIONS)
    def waive(self, person: int, version: int) -> None:
        request = self.newest(version)
        if request is None:
            return
        run = request.checks.filter(round=request.round, key="performance.binary").first()
        until = timezone.now() + timedelta(days=30)
        if run is not None:
            by = make.actor(self.people[person])
            self.attempt(
                lambda: waivers.ask(request=request, check_run_id=run.pk, reason="Why not.", until=until, by=by)
            )
        for waiver in request.waivers.all():
            for signer in self.people:
                self.attempt(
                    lambda w=waiver, s=signer: waivers.sign(waiver_id=w.pk, password=make.PASSWORD, by=make.actor(s))
                )

    @rule(person=_PEOPLE)
    def revoke(self, person: int) -> None:
        for permit in Permit.objects.all():
            self.attempt(lambda p=permit: permits.revoke(permit=p, reason="Over.", by=make.actor(self.people[person])))

    @rule(person=_PEOPLE)
    def suspend(self, person: int) -> None:
        for permit in Permit.objects.all():
            by = make.actor(self.people[person])
            self.attempt(lambda p=permit, b=by: permits.suspend(permit=p, reason="Look first.", by=b))

    @rule(person=_PEOPLE)
    def resume(self, person: int) -> None:
        for permit in Permit.objects.all():
            by = make.actor(self.people[person])
            self.attempt(lambda p=permit, b=by: permits.resume(permit=p, reason="Looked.", by=b))

    @rule(person=_PEOPLE, version=_VERSIONS)
    def set_alias(self, person: int, version: int) -> None:
        number, by = self.versions[version].number, make.actor(self.people[person])
        self.attempt(lambda: catalog.set_alias(model=self.model, alias="production", number=number, by=by))

    @rule(person=_PEOPLE)
    def delete_alias(self, person: int) -> None:
        by = make.actor(self.people[person])
        self.attempt(lambda: catalog.delete_alias(model=self.model, alias="production", by=by))

    def check_all(self) -> None:
        """Every invariant, for histories that are written out."""
        self.permits_rest_on_a_full_quorum_of_able_people()
        self.the_governed_alias_names_exactly_what_is_permitted()
        self.every_step_is_in_the_table_and_logged_once()
        self.what_has_ended_stays_ended()
        self.old_votes_are_void_and_versions_unchanged()

    def attempt(self, act: Any) -> None:
        """Try it; a refusal is as good as a success, anything else is a failure of the test."""
        try:
            act()
        except Refusal:
            return

    @invariant()
    def permits_rest_on_a_full_quorum_of_able_people(self) -> None:
        """1, 2, 3, 4, 9."""
        for permit in Permit.objects.select_related("request__version__model", "request__policy_version"):
            request = permit.request
            keys, threshold = signed.role(current_root(timezone.now()), "permit")
            assert threshold == 2
            outer = json.loads(permit.envelope)
            statement = json.loads(signed.check_threshold(outer, dsse.PERMIT, keys, threshold, "the permit"))
            predicate = statement["predicate"]
            subject = statement["subject"][0]["digest"]["sha256"]
            assert subject == permit.manifest_digest == request.manifest_digest == request.version.manifest_digest
            assert (predicate["target"], predicate["request"]) == (request.target, str(request.pk))
            standing = standing_of(request, at=permit.not_before)
            assert standing.verdict.approved
            people = [one["person"] for one in predicate["approvals"]]
            assert len(set(people)) == len(fill(policy_of(request.policy_version), standing.facts))
            assert not set(people) & {conflict.person for conflict in standing.facts.conflicts}
            assert not set(people) & {f"user:{self.people[4].pk}", f"user:{self.people[5].pk}"}
            waived = {one["key"] for one in predicate["waivers"]}
            checks = request.checks.filter(round=request.round).exclude(category="scoring")
            assert {run.key for run in checks if run.verdict != "pass"} <= waived
            for approval in predicate["approvals"]:
                decision = Decision.objects.get(record_digest=approval["record_digest"])
                record = json.loads(decision.record)
                assert record["manifest_digest"] == subject
                assert record["evidence_digest"] == predicate["evidence_digest"] == request.evidence_digest
                assert decision.round == request.round

    @invariant()
    def the_governed_alias_names_exactly_what_is_permitted(self) -> None:
        """15, and at most one permit in force (14)."""
        alias = Alias.objects.filter(model=self.model, name="production").first()
        active = list(Permit.objects.active().filter(model=self.model))
        assert len(active) <= 1
        assert (alias.version_id if alias else None) == (active[0].version_id if active else None)

    @invariant()
    def every_step_is_in_the_table_and_logged_once(self) -> None:
        """6 and 7: the states told by the ledger are a walk through the table that ends in the present state."""
        told: dict[str, list[list[str]]] = {}
        for body in make.log():
            if (
                body["object"]["type"] in {"governance.promotionrequest", "governance.permit"}
                and "state" in body["diff"]
            ):
                told.setdefault(body["object"]["id"], []).append(body["diff"]["state"])
        for request in PromotionRequest.objects.filter(model=self.model):
            at = RequestState.DRAFT.value
            for before, after in told[str(request.pk)]:
                assert before == at
                assert after in REQUEST_FOLLOWS[RequestState(before)]
                at = after
            assert at == request.state
            assert (request.closed_at is None) == (request.state in OPEN_REQUEST_STATES)
        for permit in Permit.objects.filter(model=self.model):
            steps = told.get(str(permit.pk), [])
            assert (["active"] + [after for _, after in steps])[-1] == permit.state
            assert all(after in PERMIT_FOLLOWS[PermitState(before)] for before, after in steps)

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        """7."""
        for pk, state in self.terminal.items():
            row = PromotionRequest.objects.filter(pk=pk).first() or Permit.objects.get(pk=pk)
            assert row.state == state
        for request in PromotionRequest.objects.exclude(closed_at=None):
            self.terminal[request.pk] = request.state
        for permit in Permit.objects.exclude(ended_at=None):
            self.terminal[permit.pk] = permit.state

    @invariant()
    def old_votes_are_void_and_versions_unchanged(self) -> None:
        """5 and 10."""
        for request in PromotionRequest.objects.filter(model=self.model):
            for fact in standing_of(request, at=timezone.now()).facts.signatures:
                decision = Decision.objects.get(pk=fact.id)
                assert bool(fact.void) == (decision.round != request.round)
        for version in self.versions:
            assert ModelVersion.objects.get(pk=version.pk).manifest_digest == version.manifest_digest
        assert not CheckRun.objects.filter(state="finished", result_digest="").exists()


_TURNS = ["", "wait", "one", "withdraw", "request_changes", "reject", "revoke", "suspend", "resume"]


@pytest.mark.parametrize("auc", [0.9, 0.5])
@pytest.mark.parametrize("turn", _TURNS)
def test_no_usual_history_breaks_an_invariant(house: object, signing_keys: Path, turn: str, auc: float) -> None:
    machine = Promotions()
    try:
        for version in (0, 1, 2):
            machine.go_the_whole_way(version, auc, turn)
            machine.check_all()
        approving = turn in {"", "revoke", "suspend", "resume"}
        assert Permit.objects.exists() == approving
        assert Permit.objects.filter(state="superseded").exists() == (turn in {"", "suspend", "resume"})
    finally:
        machine.teardown()


@pytest.mark.slow
def test_no_random_history_breaks_an_invariant(house: object, signing_keys: Path) -> None:
    limits = settings(
        max_examples=25,
        stateful_step_count=10,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    run_state_machine_as_test(Promotions, settings=limits)


def test_an_envelope_is_text_a_person_can_decode(ready: PromotionRequest, approvers: list[User]) -> None:
    make.approve(ready, approvers)
    envelope = json.loads(Permit.objects.get().envelope)
    assert json.loads(base64.b64decode(envelope["payload"]))["predicate"]["model"] == ready.model.name
