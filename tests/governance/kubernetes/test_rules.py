"""What a cluster may run: what a permit covers, and what does not change what runs. All else is refused."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.kubernetes.review import NotAReview, read
from governance.kubernetes.rules import Answer, Judgement, Settings, decide
from tests.governance.kubernetes.asking import APPROVED, NAMESPACE, STRANGE, asked, pod, review, service, workload

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob")
BREAKERS = Settings(break_glass_groups=frozenset({"on-call"}))
ON_CALL = ("system:authenticated", "on-call")
WHY = "Fraud wave; the permitted model is down."


def judge(digest: str, namespace: str) -> Judgement:
    if digest == APPROVED and namespace == NAMESPACE:
        return Judgement(permit="permit-1")
    return Judgement(reason=f"nothing allows it in {namespace}.")


def answer(
    *args: Any, settings: Settings | None = None, granted: Callable[..., str] = lambda *_: "", **given: Any
) -> Answer:
    return decide(asked(*args, **given), judge=judge, granted=granted, settings=settings or Settings())


@pytest.mark.parametrize(
    "made", [pod(APPROVED), service(APPROVED), *(workload(kind, APPROVED) for kind in WORKLOADS)], ids=lambda one: one["kind"]
)  # fmt: skip
def test_what_a_permit_covers_is_let_in_and_the_permit_named(made: dict[str, Any]) -> None:
    found = answer(made)
    assert found.allowed
    assert found.audit == {"countersign.dev/digests": APPROVED, "countersign.dev/permits": "permit-1"}


@pytest.mark.parametrize(
    "made",
    [pod(STRANGE), pod(APPROVED, STRANGE), service(STRANGE), *(workload(kind, STRANGE) for kind in WORKLOADS)],
    ids=lambda one: one["kind"],
)
def test_what_no_permit_covers_is_refused_in_words(made: dict[str, Any]) -> None:
    found = answer(made)
    assert not found.allowed
    assert f"Countersign refuses {made['kind']} credit/scorer" in found.message
    assert f"sha256:{STRANGE[:16]}…: nothing allows it in credit." in found.message


def test_what_declares_no_model_is_refused_unless_the_operator_lets_it_in() -> None:
    for made in (pod(), workload("Deployment"), service()):
        assert "countersign.dev/model-digest is missing" in answer(made).message
    lenient = Settings(undeclared="allow")
    assert answer(pod(), settings=lenient).allowed
    assert answer(workload("Deployment"), settings=lenient).allowed
    assert not answer(service(), settings=lenient).allowed  # it exists to serve a model


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (pod() | {"metadata": {"annotations": {"countersign.dev/model-digest": "latest"}}}, "'latest', which is not"),
        (
            pod() | {"metadata": {"annotations": {"countersign.dev/model-digest": f"sha256:{'A' * 64}"}}},
            "is not sha256",
        ),
        (workload("Deployment", model_digest=f"sha256:{APPROVED}"), "must stand on the pod template"),
        (workload("Deployment") | {"spec": {"template": []}}, "Countersign refuses"),
        (service(predictor={"model": "x"}), "Countersign refuses"),
        (
            service(APPROVED, predictor={"model": {"storageUri": "s3://a"}, "pytorch": {"storageUri": "s3://b"}}),
            "loads 2",
        ),
        (service(APPROVED, predictor={"model": {"storageUris": [{"uri": "s3://a"}, {"uri": "s3://b"}]}}), "loads 2"),
        ({"kind": "VirtualMachine", "metadata": {}}, "the kind VirtualMachine are not understood"),
    ],
)
def test_what_cannot_be_read_is_refused(made: dict[str, Any], said: str) -> None:
    found = answer(made, settings=Settings(undeclared="refuse"))
    assert not found.allowed
    assert said in found.message


def test_the_components_of_an_inference_service_may_declare_for_themselves() -> None:
    made = service()
    made["spec"]["predictor"]["annotations"] = {"countersign.dev/model-digest": f"sha256:{APPROVED}"}
    assert answer(made).allowed
    made["spec"]["transformer"] = {"annotations": {"countersign.dev/model-digest": f"sha256:{STRANGE}"}}
    assert not answer(made).allowed


# Updates


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "CronJob"])
def test_an_update_that_changes_what_runs_needs_a_permit(kind: str) -> None:
    before = workload(kind, APPROVED)
    assert answer(workload(kind, APPROVED, image="server:2"), old=before, operation="UPDATE").allowed
    assert not answer(workload(kind, STRANGE), old=before, operation="UPDATE").allowed


@pytest.mark.parametrize(
    "made", [pod(STRANGE), service(STRANGE), workload("Deployment", STRANGE)], ids=lambda one: one["kind"]
)
def test_what_runs_without_a_permit_by_now_can_be_labelled_and_scaled_but_not_changed(made: dict[str, Any]) -> None:
    labelled = deepcopy(made)
    labelled["metadata"]["labels"] = {"team": "credit"}
    found = answer(labelled, old=made, operation="UPDATE")
    assert found.allowed
    assert "anew it would be refused" in found.warnings[0]
    changed = deepcopy(made)
    changed["spec"]["containers" if made["kind"] == "Pod" else "predictor"] = []
    if made["kind"] == "Deployment":
        changed = workload("Deployment", STRANGE, image="server:2")
    assert not answer(changed, old=made, operation="UPDATE").allowed
    if made["kind"] == "Deployment":
        assert answer(workload("Deployment", STRANGE, replicas=9), old=made, operation="UPDATE").allowed


def test_taking_the_declaration_away_is_a_change() -> None:
    assert not answer(pod(), old=pod(STRANGE), operation="UPDATE").allowed
    assert not answer(workload("Deployment"), old=workload("Deployment", STRANGE), operation="UPDATE").allowed


def test_what_goes_away_may_go() -> None:
    dying = pod(STRANGE)
    dying["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    assert answer(dying, old=pod(STRANGE), operation="UPDATE").allowed
    assert answer(None, old=pod(STRANGE), operation="DELETE").allowed
    assert not answer(dying).allowed  # created with it: nobody does that


@pytest.mark.parametrize("name", ["status", "scale"])
def test_status_and_scale_change_nothing_that_runs(name: str) -> None:
    assert answer(pod(STRANGE), old=pod(STRANGE), operation="UPDATE", sub_resource=name).allowed


def test_no_container_joins_a_pod_that_serves_a_model() -> None:
    joined = pod(APPROVED)
    joined["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "busybox", "targetContainerName": "server"}]
    given: dict[str, Any] = {"old": pod(APPROVED), "operation": "UPDATE", "sub_resource": "ephemeralcontainers"}
    assert "joins the pod later" in answer(joined, **given).message
    assert "not understood" in answer(joined, **{**given, "sub_resource": "resize"}).message
    lenient = Settings(undeclared="allow", break_glass_groups=frozenset({"on-call"}))
    assert answer(pod(), **{**given, "old": pod()}, settings=lenient).allowed
    joined["metadata"]["annotations"]["countersign.dev/break-glass"] = WHY
    assert answer(joined, **given, settings=lenient, groups=ON_CALL).broken is not None


# The bytes


def checked(*digests: str, image: str = "gate:1") -> dict[str, Any]:
    made = pod(APPROVED)
    words = [f"sha256:{digest}" for digest in digests]
    made["spec"]["initContainers"] = [
        {"name": "check", "image": image, "command": ["countersign", "gate", "check"], "args": words}
    ]
    return made


def test_where_it_is_asked_for_a_container_checks_the_bytes_before_they_are_loaded() -> None:
    strict = Settings(check_images=frozenset({"gate:1"}))
    assert answer(checked(APPROVED), settings=strict).allowed
    for made in (pod(APPROVED), checked(STRANGE), checked(), checked(APPROVED, image="evil:1")):
        assert "No init container of gate:1" in answer(made, settings=strict).message
    assert answer(service(APPROVED), settings=strict).allowed  # its pods are asked themselves


# Breaking the glass


def test_those_who_may_break_the_glass_and_it_is_an_event() -> None:
    found = answer(pod(STRANGE, break_glass=WHY), settings=BREAKERS, groups=ON_CALL)
    assert found.allowed
    assert found.broken is not None
    assert (found.broken.user, found.broken.reason, found.broken.digests) == ("ada", WHY, (STRANGE,))
    assert "nothing allows it" in found.broken.refused_because
    assert "will be reviewed" in found.warnings[0]


def test_a_dry_run_leaves_no_trace() -> None:
    found = answer(pod(STRANGE, break_glass=WHY), settings=BREAKERS, groups=ON_CALL, dry_run=True)
    assert found.allowed
    assert found.broken is None
    assert not answer(pod(STRANGE), dry_run=True).allowed


def test_others_do_not_and_not_without_a_reason() -> None:
    assert "ada may not break the glass" in answer(pod(STRANGE, break_glass=WHY), settings=BREAKERS).message
    assert not answer(pod(STRANGE, break_glass=WHY), groups=ON_CALL).allowed  # nobody may, unless it is set up
    assert "say why" in answer(pod(STRANGE, break_glass="now!"), settings=BREAKERS, groups=ON_CALL).message


def test_nothing_is_broken_where_a_permit_covers_it() -> None:
    assert answer(pod(APPROVED, break_glass=WHY), settings=BREAKERS, groups=ON_CALL).broken is None


def test_the_pods_of_a_workload_follow_it_and_nothing_else_does() -> None:
    def granted(namespace: str, digests: tuple[str, ...]) -> str:
        return "olga" if (namespace, digests) == (NAMESPACE, (STRANGE,)) else ""

    controller: dict[str, Any] = {"user": "system:serviceaccount:kube-system:replicaset-controller", "granted": granted}
    found = answer(pod(STRANGE), **controller)
    assert found.allowed
    assert found.broken is None
    assert "olga broke the glass" in found.warnings[0]
    assert not answer(pod(APPROVED, STRANGE), **controller).allowed
    assert not answer(pod(STRANGE), old=pod(STRANGE, image="x"), operation="UPDATE", **controller).allowed
    assert not answer(
        pod(STRANGE), old=pod(STRANGE), operation="UPDATE", sub_resource="ephemeralcontainers", **controller
    ).allowed
    assert not answer(pod(), user="x", granted=lambda *_: "olga").allowed  # nothing declared is nothing granted


# What is no question


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview"}',
        json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": None}).encode(),
        json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": ""}}).encode(),
        json.dumps(review(pod() | {"metadata": "x"})).encode(),
        json.dumps(review(pod() | {"metadata": {"annotations": ["x"]}})).encode(),
        json.dumps(review(pod(), old=[])).encode(),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_is_no_question_has_no_answer(content: bytes) -> None:
    with pytest.raises(NotAReview):
        read(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    where=st.lists(st.sampled_from(["metadata", "annotations", "spec", "template", "predictor", "model"]), max_size=4),
    what=JSON,
    kind=st.sampled_from(["Pod", "Deployment", "InferenceService", "CronJob", "Secret"]),
    operation=st.sampled_from(["CREATE", "UPDATE", "PATCH", ""]),
)  # fmt: skip
def test_nothing_malformed_is_ever_let_in(where: list[str], what: Any, kind: str, operation: str) -> None:
    made: Any = {"kind": kind, "metadata": {"annotations": {}}, "spec": {}}
    at = made
    for step in where[:-1]:
        inner = at.get(step)
        at[step] = inner if isinstance(inner, dict) else {}
        at = at[step]
    if where:
        at[where[-1]] = what
    try:
        ask = read(json.dumps(review(made, operation=operation, kind=kind)).encode())
    except NotAReview:
        return
    assert not decide(ask, judge=judge, granted=lambda *_: "", settings=Settings()).allowed
