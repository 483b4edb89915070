"""Permits of version 1, which installations made before there were two signers: readable, verifiable, and no way in."""

import json
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import transaction
from django.test import Client
from django.utils import timezone

from audit.services import append
from governance.models import Permit, PromotionRequest
from governance.permits import dsse, keyfiles, signed, trust, verifier
from governance.selectors.permits import micro, permit_file, signers_of, trust_root
from governance.services import permits
from governance.services.permits import issuing, life
from governance.services.permits.scope import scope_of
from registry.models import Alias, User
from tests.factories import governance as make

pytestmark = pytest.mark.django_db
V1 = "https://countersign.dev/permit/v1"


def old_statement(request: PromotionRequest, permit_id: uuid.UUID) -> bytes:
    """As the release before wrote it: one subject, names of people, no leaf indexes."""
    make.integrate()
    now = timezone.now()
    scope = scope_of(request, permit_id, at=now)
    predicate = scope.predicate() | {"expires_at": micro(now + timedelta(days=90))}
    del predicate["namespaces"]
    for approval in predicate["approvals"]:
        del approval["leaf_index"]
        approval["name"] = "Ada"
    subject = [{"name": f"{scope.model}/{scope.version}", "digest": {"sha256": scope.manifest_digest}}]
    return dsse.canonical(
        {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": V1, "predicate": predicate}
    )


@pytest.fixture
def old(ready: PromotionRequest, approvers: list[User], signing_keys: Path) -> Permit:
    """An active permit of version 1, in the log, its alias set."""
    for signer in approvers:
        make.sign(ready, signer)
    request = PromotionRequest.objects.get(pk=ready.pk)
    key = ec.generate_private_key(ec.SECP256R1())
    (signing_keys / "permit.p256.pub.pem").write_text(trust.pem(key.public_key()))
    permit_id = uuid.uuid4()
    payload = old_statement(request, permit_id)
    predicate = json.loads(payload)["predicate"]
    with transaction.atomic():
        permit = Permit.objects.create(
            id=permit_id,
            request=request,
            version=request.version,
            model=request.model,
            target=request.target,
            manifest_digest=request.manifest_digest,
            envelope=dsse.sign(dsse.PERMIT, payload, key),
            key_id=signed.fingerprint(key.public_key()),
            not_before=timezone.now(),
            expires_at=timezone.now() + timedelta(days=90),
        )
        facts = {"request": predicate["request"], "payload_digest": dsse.digest(payload), "key_id": permit.key_id}
        append(action="permit.issued", subject=permit, by=issuing.SIGNERS, facts=facts)
        life.move_target(permit, by=issuing.SIGNERS)
    return permit


def test_a_permit_from_before_is_listed_handed_out_verified_and_shown(
    old: Permit, approvers: list[User], client: Client
) -> None:
    make.publish()
    root = trust.read(trust_root())
    assert root["roles"]["permit-v1"] == {"keyids": [old.key_id], "threshold": 1}
    proved, told = verifier.verify(json.loads(permit_file(old)), json.loads(trust_root()))
    assert (proved["permit"], "signed with 1 of 1 keys" in told) == (str(old.pk), True)
    client.force_login(approvers[0], backend="django.contrib.auth.backends.ModelBackend")
    text = client.get(f"/permits/{old.pk}/").content.decode()
    assert signers_of(old.envelope)[0][:8] in text
    assert approvers[0].username in text


def test_no_second_permit_is_made_for_its_request_and_it_lives_on_as_any(old: Permit, approvers: list[User]) -> None:
    make.issue()
    assert Permit.objects.count() == 1
    permits.suspend(permit=old, reason="Look first.", by=make.actor(approvers[0]))
    assert not Alias.objects.exists()
    permits.resume(permit=old, reason="Looked.", by=make.actor(approvers[1]))
    assert Alias.objects.get().version_id == old.version_id


def test_a_successor_of_the_new_kind_takes_its_place(old: Permit, approvers: list[User], scientist: User) -> None:
    make.approve(make.finish_all(make.request(make.sealed_version(old.model, scientist), scientist)), approvers)
    old.refresh_from_db()
    assert (old.state, len(signers_of(Permit.objects.get(state="active").envelope))) == ("superseded", 2)


def test_the_old_key_signs_no_permit_of_the_new_kind_and_the_new_keys_none_of_the_old(
    old: Permit, signing_keys: Path, ready: PromotionRequest
) -> None:
    make.publish()
    file = json.loads(permit_file(old))
    pinned = json.loads(trust_root())
    payload = old_statement(ready, uuid.UUID(int=1))
    both = [keyfiles.private(signing_keys / f"permit-{name}.pem") for name in ("issuer", "countersigner")]
    forged = json.loads(dsse.sign(dsse.PERMIT, payload, *both))
    with pytest.raises(signed.Refused, match="has not this role"):
        verifier.verify({**file, "envelope": forged}, pinned)
