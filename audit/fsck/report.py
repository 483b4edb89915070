"""What a verification found."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

MOST_PROBLEMS: Final = 100
ROOT_DIFFERS: Final = "signed root differs from the entries"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not hold. ``where`` names it (``entry 17``, ``checkpoint 40``)."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(slots=True)
class Report:
    """The outcome. ``problems`` stops at a hundred; ``broken`` counts on.

    Looked at were the entries from index ``first`` to ``size``, without it; ``root`` is the signed one of that size, or
    nothing if no checkpoint has that size.
    """

    entries: int = 0
    checkpoints: int = 0
    problems: list[Problem] = field(default_factory=list)
    broken: int = 0
    first: int = 0
    size: int = 0
    root: bytes = b""

    def add(self, where: str, what: str) -> None:
        """Note a problem."""
        self.broken += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(where, what))

    def join(self, others: "Iterable[Report]") -> None:
        """Take in what was found in parts of the log, given in their order."""
        for other in others:
            self.entries += other.entries
            self.checkpoints += other.checkpoints
            self.broken += other.broken - len(other.problems)
            for problem in other.problems:
                # Once one root is wrong, so are all later ones: only the first says where.
                if not problem.what.startswith(ROOT_DIFFERS) or not self._root_differs():
                    self.add(problem.where, problem.what)

    def _root_differs(self) -> bool:
        return any(problem.what.startswith(ROOT_DIFFERS) for problem in self.problems)

    @property
    def sound(self) -> bool:
        """Whether everything held."""
        return self.broken == 0
