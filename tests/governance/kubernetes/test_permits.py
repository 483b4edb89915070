"""Which permits a gate believes: those it can verify now, with a status list that is fresh. Nothing else, however written."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from governance.kubernetes.permits import FOLDER, ROOTS, STATUS, put
from governance.selectors.permits import micro, status_list
from governance.services import permits
from tests.factories import governance as make
from tests.factories.governance import actor
from tests.governance.kubernetes.asking import NAMESPACE, STRANGE
from tests.governance.kubernetes.conftest import Cluster

DAY = 86_400_000_000


def reason(cluster: Cluster, digest: str = "", namespace: str = NAMESPACE) -> str:
    found = cluster.permits.judge(digest or cluster.digest, namespace)
    assert bool(found.permit) != bool(found.reason)
    return found.reason


def test_an_active_permit_lets_its_bytes_run_where_it_reaches(cluster: Cluster) -> None:
    assert cluster.permits.judge(cluster.digest, NAMESPACE).permit == str(cluster.permit.pk)
    assert "does not reach the namespace payments, only credit" in reason(cluster, namespace="payments")
    assert "no namespace" in reason(cluster, namespace="")
    assert "no permit for these bytes" in reason(cluster, digest=STRANGE)
    assert cluster.permits.problem() == ""


def test_a_stale_status_list_a_missing_one_and_an_ended_permit_close_the_gate(cluster: Cluster) -> None:
    began = cluster.now
    cluster.now = began + 30 * DAY
    assert "the status list is stale" in reason(cluster)
    cluster.now = micro(cluster.permit.expires_at) + 1
    assert reason(cluster)
    cluster.now = began
    (cluster.directory / STATUS).unlink()
    assert f"there is no {STATUS}" in reason(cluster)
    assert f"there is no {STATUS}" in cluster.permits.problem()


def test_a_revoked_permit_is_known_from_the_next_status_list_on(cluster: Cluster) -> None:
    approver = cluster.permit.request.decisions.first()
    assert approver is not None
    permits.revoke(permit=cluster.permit, reason="It drifted.", by=actor(approver.person))
    assert not reason(cluster)  # until it hears of it; a list is good for a while
    make.publish()
    put(cluster.directory / STATUS, status_list().encode())
    cluster.now = micro(timezone.now() + timedelta(minutes=1))
    assert "the permit is revoked" in reason(cluster)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"payloadType": 1}'])
def test_what_is_no_status_list_no_chain_and_no_permit_closes_it(cluster: Cluster, content: bytes) -> None:
    good = (cluster.directory / STATUS).read_bytes()
    put(cluster.directory / STATUS, content)
    assert reason(cluster)
    put(cluster.directory / STATUS, good)
    assert not reason(cluster)
    if content != b"[]":
        put(cluster.directory / ROOTS, content)
        assert reason(cluster)
    put(cluster.directory / ROOTS, b"[]")
    assert not reason(cluster)
    cluster.file.write_bytes(content)
    assert "no permit for these bytes" in reason(cluster)


def test_whoever_writes_into_the_directory_brings_no_permit_about(cluster: Cluster) -> None:
    file = json.loads(cluster.file.read_bytes())
    for change in (
        {"envelope": {**file["envelope"], "signatures": []}},
        {"entry": "{}"},
        {"proof": ""},
        {"format": "x"},
    ):
        cluster.file.write_text(json.dumps(file | change))
        assert reason(cluster)
    cluster.file.write_text(json.dumps(file))
    (cluster.directory / FOLDER / "zzz.permit.json").write_text("{")
    assert not reason(cluster)  # one bad file hides no good one


def test_a_permit_that_arrives_or_goes_is_seen_without_a_restart(cluster: Cluster) -> None:
    found = cluster.permits
    content = cluster.file.read_bytes()
    cluster.file.unlink()
    assert found.judge(cluster.digest, NAMESPACE).reason
    cluster.file.write_bytes(content)
    assert found.judge(cluster.digest, NAMESPACE).permit
