"""The verdict tree: every requirement of the policy with its status, its reason and the way out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from governance.policy.judgement import Judged


class Status(StrEnum):
    """Where a requirement stands. Only ``MET`` and ``WAIVED`` let a request through."""

    MET = "met"
    NOT_MET = "not_met"
    WAIVED = "waived"
    PENDING = "pending"
    CANNOT_TELL = "cannot_tell"

    @property
    def good(self) -> bool:
        """Whether it lets the request through."""
        return self in (Status.MET, Status.WAIVED)


@dataclass(frozen=True, slots=True)
class Node:
    """One requirement. ``anchor`` is its stable id on the page; ``judged`` the figures behind a leaf of a check."""

    key: str
    label: str
    status: Status
    reason: str
    remedy: str = ""
    anchor: str = ""
    children: tuple[Node, ...] = ()
    judged: tuple[Judged, ...] = ()
    waiver: str = ""

    def walk(self) -> Iterator[Node]:
        """The node and everything below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, for API and evidence snapshot. Figures are given by key, group and judgement."""
        made: dict[str, Any] = {
            "key": self.key, "label": self.label, "status": self.status.value, "reason": self.reason,
            "remedy": self.remedy, "anchor": self.anchor, "children": [child.as_dict() for child in self.children],
        }  # fmt: skip
        if self.waiver:
            made["waiver"] = self.waiver
        if self.judged:
            made["judged"] = [
                {
                    "figure": j.figure.key, "attribute": j.figure.attribute, "group": j.figure.group,
                    "value": j.figure.value, "ci_low": j.figure.ci_low, "ci_high": j.figure.ci_high, "n": j.figure.n,
                    "op": j.limit.op, "limit": j.limit.value, "bound": j.limit.bound, "ideal": j.limit.ideal,
                    "judgement": j.judgement.value, "reason": j.reason, "headroom": j.headroom,
                    "p_adjusted": j.p_adjusted,
                }
                for j in self.judged
            ]  # fmt: skip
        return made


@dataclass(frozen=True, slots=True)
class Verdict:
    """The whole answer. ``checks``, ``card`` and ``review`` are the three branches of ``root``."""

    root: Node
    checks: Node
    card: Node
    review: Node
    open_stage: str | None

    @property
    def status(self) -> Status:
        """Of everything together."""
        return self.root.status

    @property
    def ready_for_review(self) -> bool:
        """Checks and card let the request through, so that people may sign."""
        return self.checks.status.good and self.card.status.good

    @property
    def approved(self) -> bool:
        """Everything the policy asks for is met or waived."""
        return self.root.status.good

    def find(self, key: str) -> Node:
        """The node of that key. Raises ``KeyError``."""
        for node in self.root.walk():
            if node.key == key:
                return node
        raise KeyError(key)

    def blocking(self) -> tuple[Node, ...]:
        """The leaves that stand in the way, in order."""
        return tuple(node for node in self.root.walk() if not node.children and not node.status.good)


def combined(children: Sequence[Node]) -> Status:
    """The status of a parent: the worst of its children; nothing asked is met."""
    found = {child.status for child in children}
    for status in (Status.NOT_MET, Status.CANNOT_TELL, Status.PENDING, Status.WAIVED):
        if status in found:
            return status
    return Status.MET
