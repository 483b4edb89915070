"""What a cluster is answered. Pure: a question, the permits there are, and the operator's settings in; an answer out.

Everything that is not understood is refused, apart from what takes away: deleting, and taking the last finalizers off.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from governance.kubernetes.review import (
    BREAK_GLASS,
    DIGEST,
    INFERENCE_SERVICE,
    Ask,
    BadDeclaration,
    annotation,
    digests,
    init_containers,
    is_known,
    runs,
)

_SHORTEST_REASON: Final = 10
_HARMLESS: Final = frozenset({"DELETE", "CONNECT"})
_AUDIT: Final = "countersign.dev/"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator decides. Without ``break_glass_groups`` nobody breaks the glass."""

    undeclared: Literal["refuse", "allow"] = "refuse"
    break_glass_groups: frozenset[str] = frozenset()
    check_images: frozenset[str] = frozenset()
    """If named, a pod that declares a model must have an init container of one of these images that checks the bytes."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a digest may run in a namespace: the permit that allows it, or the reason why none does."""

    permit: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BrokenGlass:
    """Somebody let something in without a permit. To be kept before the answer goes out."""

    uid: str
    namespace: str
    title: str
    digests: tuple[str, ...]
    user: str
    reason: str
    refused_because: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. ``broken`` must have been written down before an answer with it is sent."""

    allowed: bool
    message: str = ""
    warnings: tuple[str, ...] = ()
    audit: Mapping[str, str] = field(default_factory=dict)
    broken: BrokenGlass | None = None


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why something would be refused."""

    reason: str
    digests: tuple[str, ...]
    audit: Mapping[str, str]


Judge = Callable[[str, str], Judgement]
"""Digest and namespace to a judgement; it does not raise."""
Granted = Callable[[str, tuple[str, ...]], str]
"""Namespace and digests to who broke the glass for exactly these of late; empty if nobody did."""


def decide(ask: Ask, *, judge: Judge, granted: Granted, settings: Settings) -> Answer:
    """Answer one question."""
    if ask.operation in _HARMLESS or ask.sub_resource in {"status", "scale"}:
        return Answer(allowed=True)
    if ask.operation == "UPDATE" and (ask.new.get("metadata") or {}).get("deletionTimestamp"):
        return Answer(allowed=True)
    declared: tuple[str, ...] = ()
    try:
        if not is_known(ask.kind):
            raise BadDeclaration(f"objects of the kind {ask.kind} are not understood here: do not send them")
        declared = digests(ask.kind, ask.new)
        refused, permits = _judged(ask, declared, judge, settings)
        unchanged = bool(refused) and _unchanged(ask)
    except BadDeclaration as error:
        refused, permits, unchanged = f"{error}.", [], False
    audit = {f"{_AUDIT}digests": ",".join(declared), f"{_AUDIT}permits": ",".join(permits)}
    if not refused:
        return Answer(allowed=True, audit=audit)
    if unchanged:
        warning = f"What runs does not change, so {ask.title} stays; anew it would be refused: {refused}"
        return Answer(allowed=True, warnings=(warning,), audit=audit)
    return _broken(ask, _Refusal(refused, declared, audit), granted, settings)


def _judged(ask: Ask, declared: Sequence[str], judge: Judge, settings: Settings) -> tuple[str, list[str]]:
    """Why it is refused, or nothing, and the permits that speak for it."""
    if not declared:
        if ask.kind != INFERENCE_SERVICE and settings.undeclared == "allow":
            return "", []
        return f"It declares no model: the annotation {DIGEST} is missing.", []
    if ask.sub_resource == "ephemeralcontainers":
        return "A container that joins the pod later could change the model that was checked, or read what it sees.", []
    if ask.sub_resource:
        return f"The sub-resource {ask.sub_resource} of a pod with a model is not understood here.", []
    judgements = {digest: judge(digest, ask.namespace) for digest in declared}
    problems = [f"sha256:{digest[:16]}…: {one.reason}" for digest, one in judgements.items() if not one.permit]
    if not problems and (missing := _unchecked(ask, declared, settings)):
        problems = [missing]
    return " ".join(problems), [one.permit for one in judgements.values() if one.permit]


def _unchecked(ask: Ask, declared: Sequence[str], settings: Settings) -> str:
    """Why nothing makes sure that the bytes are those declared, if that is asked for."""
    if not settings.check_images or ask.kind == INFERENCE_SERVICE:  # KServe's pods come by here themselves
        return ""
    for container in init_containers(ask.kind, ask.new):
        words = [*_words(container.get("command")), *_words(container.get("args"))]
        if container.get("image") in settings.check_images and all(f"sha256:{digest}" in words for digest in declared):
            return ""
    images = ", ".join(sorted(settings.check_images))
    return f"No init container of {images} checks the bytes of every model: see `countersign gate check`."


def _words(given: object) -> list[str]:
    return [str(word) for word in given] if isinstance(given, list) else []


def _unchanged(ask: Ask) -> bool:
    """An update of labels, replicas and the like: the same runs before and after."""
    return (
        ask.operation == "UPDATE"
        and not ask.sub_resource
        and bool(ask.old)
        and runs(ask.kind, ask.old) == runs(ask.kind, ask.new)
    )


def _broken(ask: Ask, refusal: _Refusal, granted: Granted, settings: Settings) -> Answer:
    """Refuse, unless somebody who may breaks the glass, or did so for the workload that this pod belongs to."""
    told = f"Countersign refuses {ask.title}: {refusal.reason}"
    follows = ask.operation == "CREATE" and not ask.sub_resource and refusal.digests
    if follows and (who := granted(ask.namespace, refusal.digests)):
        return Answer(
            allowed=True,
            warnings=(f"{told} Let in, because {who} broke the glass for it.",),
            audit={**refusal.audit, f"{_AUDIT}break-glass": who},
        )
    reason = annotation(ask.new, BREAK_GLASS).strip()
    if not reason:
        return Answer(allowed=False, message=told, audit=refusal.audit)
    if not ask.groups & settings.break_glass_groups:
        return Answer(allowed=False, message=f"{told} {ask.user} may not break the glass.", audit=refusal.audit)
    if len(reason) < _SHORTEST_REASON:
        return Answer(
            allowed=False, message=f"{told} To break the glass, say why in {BREAK_GLASS}.", audit=refusal.audit
        )
    event = BrokenGlass(
        ask.uid, ask.namespace, ask.title, refusal.digests, ask.user, reason[:1000], refusal.reason[:1000]
    )
    return Answer(
        allowed=True,
        warnings=(f"{told} Let in by {ask.user}, who broke the glass; this is on record and will be reviewed.",),
        audit={**refusal.audit, f"{_AUDIT}break-glass": ask.user},
        broken=None if ask.dry_run else event,
    )
