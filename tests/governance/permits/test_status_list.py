"""The status list: what it says, who signs it, when it is made anew; and that outside is believed what holds inside."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings as django_settings
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from audit import followers
from config.errors import NotFound, Refusal
from governance.followers import Permits
from governance.models import Permit, PromotionRequest, StatusList, TrustRoot
from governance.permits import dsse, keyfiles, signed, trust, verifier
from governance.selectors.permits import in_force, micro, permit_file, status_list, trust_root
from governance.services import permits
from governance.services import trust as trust_service
from governance.services.permits import lists
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make

pytestmark = pytest.mark.django_db


def said() -> dict[str, object]:
    """What the newest list says."""
    payload, _, _ = signed.opened(json.loads(status_list()), dsse.STATUS, "it")
    made: dict[str, object] = json.loads(payload)
    return made


def test_a_list_names_every_permit_is_bound_to_the_log_and_signed_by_both(
    ready: PromotionRequest, approvers: list[User]
) -> None:
    make.approve(ready, approvers)
    listed = json.loads(make.publish())
    permit = Permit.objects.get()
    assert said()["permits"] == {str(permit.pk): "active"}
    root = trust.read(trust_root())
    keys, threshold = signed.role(root, "status")
    assert threshold == 2
    signed.check_threshold(listed, dsse.STATUS, keys, threshold, "it")
    checkpoint = said()["checkpoint"]
    assert isinstance(checkpoint, dict)
    assert checkpoint["size"] == len(make.log())
    folder = Path(django_settings.DATA_DIR) / "trust"
    assert json.loads((folder / "permit-status.json").read_text()) == listed
    assert json.loads((folder / "roots.json").read_text()) == [json.loads(trust_root())]


@pytest.mark.parametrize(("verb", "state"), [("suspend", "suspended"), ("revoke", "revoked")])
def test_each_change_of_a_permit_makes_a_list_at_once(
    ready: PromotionRequest, approvers: list[User], verb: str, state: str
) -> None:
    make.approve(ready, approvers)
    make.publish()
    before = StatusList.objects.count()
    getattr(permits, verb)(permit=Permit.objects.get(), reason="Because.", by=make.actor(approvers[0]))
    make.prepare()
    assert StatusList.objects.count() == before + 1
    assert list(dict(said()["permits"]).values()) == ["active"], "not yet countersigned"  # type: ignore[call-overload]
    assert lists.countersign_newest()
    assert list(dict(said()["permits"]).values()) == [state]  # type: ignore[call-overload]


def test_a_list_is_renewed_long_before_it_is_stale_and_not_before_it_is_due(
    ready: PromotionRequest, approvers: list[User]
) -> None:
    make.approve(ready, approvers)
    make.publish()
    make.prepare()
    assert not lists.countersign_newest()
    until = said()["valid_until"]
    with time_machine.travel(timezone.now() + timedelta(hours=1, minutes=1)):
        make.prepare()
        assert lists.countersign_newest()
        assert int(str(said()["valid_until"])) > int(str(until))


def test_the_countersigner_signs_no_list_that_promises_more_than_the_rows(
    ready: PromotionRequest, approvers: list[User]
) -> None:
    make.approve(ready, approvers)
    make.prepare()
    lists.want()
    assert lists.prepare_due()
    permits.revoke(permit=Permit.objects.get(), reason="Over.", by=make.actor(approvers[0]))
    assert not lists.countersign_newest()
    make.prepare()
    assert lists.countersign_newest()
    assert list(dict(said()["permits"]).values()) == ["revoked"]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trust_root", 2),
        ("issued_at", 0),
        ("valid_until", 2**53),
        ("checkpoint", {"origin": "x", "size": 1, "root": "00"}),
        ("permits", {"0b1f6a5e-3a54-4f43-9a8e-6d7c7a0f9b11": "revoked"}),
        ("_type", "other"),
    ],
)
def test_the_countersigner_signs_no_list_that_is_not_what_it_should_be(
    ready: PromotionRequest, approvers: list[User], field: str, value: object
) -> None:
    make.approve(ready, approvers)
    make.prepare()
    lists.want()
    lists.prepare_due()
    newest = StatusList.objects.order_by("-pk").first()
    assert newest is not None
    newest.payload = dsse.canonical({**json.loads(newest.payload), field: value}).decode()
    newest.save()
    assert not lists.countersign_newest()


@pytest.mark.parametrize("name", ["permit-issuer.pem", "permit-countersigner.pem"])
def test_without_one_of_the_keys_the_old_list_stays_and_grows_stale(
    ready: PromotionRequest, approvers: list[User], signing_keys: Path, name: str
) -> None:
    make.approve(ready, approvers)
    make.publish()
    before = status_list()
    (signing_keys / name).unlink()
    permits.revoke(permit=Permit.objects.get(), reason="Over.", by=make.actor(approvers[0]))
    make.integrate()
    followers.run_all([Permits()])
    if name == "permit-countersigner.pem":
        with pytest.raises(keyfiles.NoKey):
            lists.countersign_newest()
    assert status_list() == before
    file = json.dumps({**json.loads(permit_file(Permit.objects.get()))})
    later = micro(timezone.now() + timedelta(hours=25))
    with pytest.raises(signed.Refused, match="stale"):
        verifier.verify(json.loads(file), json.loads(trust_root()), now=later)


def test_without_a_list_nothing_is_handed_out(ready: PromotionRequest, approvers: list[User]) -> None:
    make.approve(ready, approvers)
    with pytest.raises(NotFound):
        permit_file(Permit.objects.get())


# the trust root of an installation


def test_the_trust_root_is_made_once_and_then_only_followed_by_what_its_keys_signed(
    ready: PromotionRequest, approvers: list[User], signing_keys: Path
) -> None:
    done = trust_service.set_up(make.trust_places())
    assert (done.version, len(done.offline_keys)) == (1, 2)
    assert trust_service.set_up(make.trust_places()).offline_keys == ()
    make.approve(ready, approvers)
    make.publish()
    old_pin = json.loads(trust_root())
    third = signing_keys / "third.pem"
    keyfiles.make(third)
    made = trust.following(trust.read(trust_root()), now=micro(timezone.now()), days=30)
    gone = signed.fingerprint(keyfiles.public(signing_keys / "permit-issuer.pem.pub"))
    for role in ("permit", "status"):
        made = trust.remove_key(trust.add_key(made, role, keyfiles.public(signing_keys / "third.pem.pub")), role, gone)
    unsigned = trust.draft(made)
    for text in (unsigned, trust.sign(unsigned, keyfiles.private(done.offline_keys[0]))):
        with pytest.raises(Exception, match="signatures that count"):
            trust_service.adopt(text)
    agreed = trust.sign(unsigned, *(keyfiles.private(path) for path in done.offline_keys))
    assert trust_service.adopt(agreed).version == 2
    with pytest.raises(Exception, match="Version 3 follows"):
        trust_service.adopt(agreed)
    assert [body["action"] for body in make.log()].count("trust.root_adopted") == 2
    # The key that left makes no permit any more, and what it signed is believed no more.
    (signing_keys / "permit-issuer.pem").unlink()
    third.rename(signing_keys / "permit-issuer.pem")
    make.publish()
    with pytest.raises(signed.Refused, match="has not this role"):
        verifier.verify(json.loads(permit_file(Permit.objects.get())), old_pin)


def test_a_trust_root_in_the_rows_is_never_changed(ready: PromotionRequest) -> None:
    make.trust_root()
    with pytest.raises(Exception, match="append-only"), transaction.atomic():
        TrustRoot.objects.update(envelope="{}")


# invariant 16

_STEPS = st.lists(
    st.sampled_from(["suspend", "resume", "revoke", "another", "expire", "a day", "half a year"]), max_size=5
)


@contextmanager
def undone() -> Iterator[None]:
    """Whatever is written inside is gone afterwards: one database for many examples."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(steps=_STEPS)
@example(steps=["half a year", "half a year", "half a year"])
def test_outside_is_accepted_exactly_what_inside_is_active(house: object, steps: list[str]) -> None:
    with undone():
        _walk(steps)


def _walk(steps: list[str]) -> None:
    scientist = make.person("scientist", Role.CONTRIBUTOR)
    approvers = [make.person("approver", Role.APPROVER), make.person("approver", Role.APPROVER)]
    model = make.registered_model(scientist)
    now = timezone.now()

    def another() -> None:
        make.approve(make.finish_all(make.request(make.sealed_version(model, scientist), scientist)), approvers)

    another()
    pinned = json.loads(trust_root())
    ends = json.loads(signed.opened(pinned, signed.ROOT, "it")[0])["expires_at"]
    for step in ["", *steps]:
        by, newest = make.actor(approvers[0]), Permit.objects.order_by("-issued_at").first()
        assert newest is not None
        now += {"a day": timedelta(days=1), "half a year": timedelta(days=179, hours=23)}.get(
            step, timedelta(seconds=1)
        )
        with time_machine.travel(now):
            if micro(now) >= ends:  # nothing is accepted outside until there is a new trust root
                with pytest.raises(signed.Refused, match="ended"):
                    verifier.verify(json.loads(permit_file(newest)), pinned, now=micro(now))
                return
            if step == "another":
                another()
            elif step == "expire":
                permits.expire_due()
            elif step in {"suspend", "resume", "revoke"}:
                with suppress(Refusal):
                    getattr(permits, step)(permit=newest, reason="Because.", by=by)
            make.publish()
            at = timezone.now()
            for permit in Permit.objects.all():
                try:
                    verifier.verify(json.loads(permit_file(permit)), pinned, now=micro(at))
                    accepted = True
                except signed.Refused:
                    accepted = False
                assert accepted == in_force(permit, at=at), (step, permit)
