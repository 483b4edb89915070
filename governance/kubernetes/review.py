"""What a cluster asks: an AdmissionReview of admission.k8s.io/v1, read as hostile.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/ and, for KServe,
https://kserve.github.io/website/latest/reference/api/ (v1beta1).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

API_VERSION: Final = "admission.k8s.io/v1"
DIGEST: Final = "countersign.dev/model-digest"
"""Annotation: ``sha256:<hex>`` of the artifact manifest, several with commas. That of a pod template counts for its pods."""
BREAK_GLASS: Final = "countersign.dev/break-glass"
"""Annotation: the reason why this must run without a permit."""
_SHA256: Final = re.compile(r"sha256:([0-9a-f]{64})")
_COMPONENTS: Final = ("predictor", "transformer", "explainer")
_TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
INFERENCE_SERVICE: Final = "InferenceService"

Object = Mapping[str, Any]


class NotAReview(ValueError):
    """The request is no AdmissionReview that can be answered."""


class BadDeclaration(ValueError):
    """The object declares its models in a way that cannot be read. The message is for its author."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One question. ``new`` and ``old`` are the objects, empty where the operation has none."""

    uid: str
    kind: str
    group: str
    namespace: str
    name: str
    operation: str
    sub_resource: str
    dry_run: bool
    user: str
    groups: frozenset[str]
    new: Object
    old: Object

    @property
    def title(self) -> str:
        """The object, for people."""
        name = self.name or str(_at(self.new, "metadata").get("generateName", "")) + "…"
        return f"{self.kind} {self.namespace}/{name}"


def read(content: bytes) -> Ask:
    """Read a question. Raises ``NotAReview``."""
    try:
        review = json.loads(content)
        if review["apiVersion"] != API_VERSION or review["kind"] != "AdmissionReview":
            raise NotAReview(f"it is {review['apiVersion']} {review['kind']}, not {API_VERSION} AdmissionReview")
        asked = review["request"]
        user = asked.get("userInfo") or {}
        ask = Ask(
            uid=_text(asked["uid"]),
            kind=_text(asked["kind"]["kind"]),
            group=_text(asked["kind"]["group"]),
            namespace=_text(asked.get("namespace") or ""),
            name=_text(asked.get("name") or ""),
            operation=_text(asked["operation"]),
            sub_resource=_text(asked.get("subResource") or ""),
            dry_run=asked.get("dryRun") is True,
            user=_text(user.get("username") or ""),
            groups=frozenset(_text(group) for group in user.get("groups") or ()),
            new=_object(asked.get("object")),
            old=_object(asked.get("oldObject")),
        )
    except NotAReview:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotAReview(f"a part is missing or malformed: {type(error).__name__} {error}") from error
    if not ask.uid:
        raise NotAReview("it has no uid")
    return ask


def annotation(found: Object, name: str) -> str:
    """An annotation of the object itself."""
    value = _at(found, "metadata", "annotations").get(name, "")
    return value if isinstance(value, str) else ""


def is_known(kind: str) -> bool:
    """Whether objects of this kind can be read for the models that they run."""
    return kind == INFERENCE_SERVICE or kind in _TEMPLATES


def digests(kind: str, found: Object) -> tuple[str, ...]:
    """The manifest digests that an object declares, in hexadecimal, sorted. Raises ``BadDeclaration``."""
    declared = sorted({digest for text in _declarations(kind, found) for digest in _digests(text)})
    if kind == INFERENCE_SERVICE and (loads := _sources(found)) > len(declared) > 0:
        raise BadDeclaration(f"it loads {loads} models and declares the digests of {len(declared)}")
    return tuple(declared)


def runs(kind: str, found: Object) -> object:
    """What of an object decides what runs: two objects of which this is equal run the same."""
    if kind == INFERENCE_SERVICE:
        return _at(found, "spec")
    template = _at(found, *_TEMPLATES[kind])
    return template.get("spec"), digests(kind, found)


def init_containers(kind: str, found: Object) -> Sequence[Object]:
    """The init containers of a pod or pod template."""
    if kind == INFERENCE_SERVICE:
        return [one for part in _COMPONENTS for one in _list(_at(found, "spec", part), "initContainers")]
    return list(_list(_at(found, *_TEMPLATES[kind], "spec"), "initContainers"))


def _declarations(kind: str, found: Object) -> Iterator[str]:
    yield annotation(found, DIGEST)
    if kind == INFERENCE_SERVICE:
        for part in _COMPONENTS:
            # KServe hands the annotations of a component on to its pods.
            yield annotation({"metadata": _at(found, "spec", part)}, DIGEST)
    elif _TEMPLATES[kind]:
        inner = annotation(_at(found, *_TEMPLATES[kind]), DIGEST)
        if annotation(found, DIGEST) and not inner:
            raise BadDeclaration(f"the annotation {DIGEST} must stand on the pod template, from which pods have it")
        yield inner


def _digests(text: str) -> Iterator[str]:
    for one in filter(None, (part.strip() for part in text.split(","))):
        match = _SHA256.fullmatch(one)
        if match is None:
            raise BadDeclaration(
                f"the annotation {DIGEST} has {one[:80]!r}, which is not sha256:<64 hexadecimal digits>"
            )
        yield match[1]


def _sources(found: Object) -> int:
    """How many places an InferenceService loads models from."""
    predictor = _at(found, "spec", "predictor")
    holders = [predictor, *(one for one in predictor.values() if isinstance(one, Mapping))]
    single = sum(bool(one.get("storageUri") or one.get("storage")) for one in holders)
    return single + sum(len(_list(one, "storageUris")) for one in holders)


def _at(found: Object, *path: str) -> Object:
    """What lies there, or nothing. Raises ``BadDeclaration`` for a thing of another shape."""
    for step in path:
        inner = found.get(step) or {}
        if not isinstance(inner, Mapping):
            raise BadDeclaration(f"{step} is no object")
        found = inner
    return found


def _list(found: Object, name: str) -> Sequence[Object]:
    inner = found.get(name) or []
    if not isinstance(inner, list) or not all(isinstance(one, Mapping) for one in inner):
        raise BadDeclaration(f"{name} is no list of objects")
    return inner


def _object(given: object) -> Object:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise NotAReview("the object is no object")
    metadata = given.get("metadata") or {}
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("annotations") or {}, Mapping):
        raise NotAReview("the object's metadata are not those of an object")
    return given


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise NotAReview(f"{given!r} is no text")
    return given
