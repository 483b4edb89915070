"""Who fills which slot of the review, and who may sign next. One person fills one slot of the whole review."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from governance.policy.document import Policy, ReviewStage, Slots
from governance.policy.facts import Facts, SignatureFact


@dataclass(frozen=True, slots=True)
class Slot:
    """One place for one signature."""

    stage: str
    rule: Slots
    number: int

    @property
    def words(self) -> str:
        """``an independent validator``, ``an approver``."""
        noun = f"independent {self.rule.role}" if self.rule.independent else self.rule.role
        return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


@dataclass(frozen=True, slots=True)
class Filled:
    """A slot and the signature that fills it, or None."""

    slot: Slot
    signature: SignatureFact | None


@dataclass(frozen=True, slots=True)
class MaySign:
    """Whether a person may sign now: ``stage`` names the open stage, or is None and ``reason`` says why not."""

    stage: str | None
    reason: str


def conflict_of(facts: Facts, person: str) -> str | None:
    """Why this person's vote cannot count on this request, or None."""
    return next((c.because for c in facts.conflicts if c.person == person), None)


def slots_of(stage: ReviewStage) -> tuple[Slot, ...]:
    """Every single place of a stage, the strictest rules first."""
    rules = sorted(stage.all, key=lambda rule: not rule.independent)
    return tuple(Slot(stage.name, rule, number) for rule in rules for number in range(rule.n))


def fits(signature: SignatureFact, slot: Slot) -> bool:
    """Whether the roles held at signing suffice for the slot."""
    return (
        signature.stage == slot.stage
        and slot.rule.role in signature.roles
        and (signature.independent or not slot.rule.independent)
    )


def counting(facts: Facts, decision: str = "approve") -> tuple[SignatureFact, ...]:
    """Signatures that may count: of that decision, not void, no conflict of the person; oldest first."""
    usable = (s for s in facts.signatures if s.decision == decision and not s.void and not conflict_of(facts, s.person))
    return tuple(sorted(usable, key=lambda s: (s.at, s.id)))


def fill(policy: Policy, facts: Facts) -> tuple[Filled, ...]:
    """Match signatures to slots over all stages; stages in order, a person once.

    Guarantee: as many slots of stage 1 as can be filled are, then of stage 2, and so on (augmenting paths never
    empty a filled slot). A stage is matched only when all before it are full, and only with signatures that were
    given after the last signature that completed them.
    """
    approvals = counting(facts)
    taken: dict[int, SignatureFact] = {}
    slots: list[Slot] = []
    used: set[str] = set()
    open_since = None
    complete = True
    for stage in policy.review:
        own = slots_of(stage)
        start = len(slots)
        slots.extend(own)
        if not complete:
            continue
        pool = [s for s in approvals if s.person not in used and (open_since is None or s.at >= open_since)]
        matched = _match(own, pool)
        taken.update({start + number: signature for number, signature in matched.items()})
        used |= {signature.person for signature in matched.values()}
        complete = len(matched) == len(own)
        if matched:
            open_since = max(s.at for s in matched.values())
    return tuple(Filled(slot, taken.get(number)) for number, slot in enumerate(slots))


def _match(slots: Sequence[Slot], pool: Sequence[SignatureFact]) -> dict[int, SignatureFact]:
    """Maximum bipartite matching of slots to *persons* (Kuhn's augmenting paths)."""
    by_person: dict[str, list[SignatureFact]] = {}
    for signature in pool:
        by_person.setdefault(signature.person, []).append(signature)
    holder: dict[str, int] = {}

    def place(number: int, seen: set[str]) -> bool:
        for person, signatures in by_person.items():
            if person in seen or not any(fits(s, slots[number]) for s in signatures):
                continue
            seen.add(person)
            if person not in holder or place(holder[person], seen):
                holder[person] = number
                return True
        return False

    for number in range(len(slots)):
        place(number, set())
    return {number: next(s for s in by_person[person] if fits(s, slots[number])) for person, number in holder.items()}


def open_stage(filled: Iterable[Filled]) -> str | None:
    """The first stage with an empty slot, or None when the review is complete."""
    return next((f.slot.stage for f in filled if f.signature is None), None)


def may_sign(policy: Policy, facts: Facts, *, person: str, roles: frozenset[str], independent: bool = False) -> MaySign:
    """Whether this person could fill an empty slot now; the reason is the sentence for the disabled button."""
    because = conflict_of(facts, person)
    if because:
        return MaySign(None, f"Your vote cannot count here: you {because}.")
    filled = fill(policy, facts)
    stage_name = open_stage(filled)
    if stage_name is None:
        return MaySign(None, "The review is complete.")
    if any(s.person == person and not s.void for s in facts.signatures):
        return MaySign(None, "You have signed already; each person fills one place of the review.")
    probe = SignatureFact("", person, "", stage_name, "approve", roles, facts.at, independent)
    wanted = [f.slot for f in filled if f.slot.stage == stage_name and f.signature is None]
    held = [f.signature for f in filled if f.slot.stage == stage_name and f.signature is not None]
    places = slots_of(policy.stage(stage_name))
    if len(_match(places, [*held, probe])) > len(held):
        return MaySign(stage_name, "")
    asked = " or ".join(sorted({slot.words for slot in wanted}))
    return MaySign(None, f"The stage “{stage_name}” still needs {asked}; you are not one for this model.")
