"""Every action the ledger knows, with the sentence people read. An action nobody registered cannot be logged."""

import re
from dataclasses import dataclass

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


@dataclass(frozen=True, slots=True)
class Action:
    """``name`` is past tense (``version.sealed``); ``sentence`` has ``{actor}`` and may have ``{object}``."""

    name: str
    sentence: str


class UnknownAction(LookupError):
    """The action was never registered: a mistake in our code, never in a person's input."""


_known: dict[str, Action] = {}


def register(name: str, sentence: str) -> Action:
    """Make an action loggable. Call at start, from ``<app>/actions.py``.

    Raises ``ValueError`` for a malformed name or sentence and for a name that is taken by a different sentence.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no action name: it must look like 'version.sealed'")
    if "{actor}" not in sentence:
        raise ValueError(f"the sentence of {name} must say who: put {{actor}} into it")
    action = Action(name, sentence)
    if _known.setdefault(name, action) != action:
        raise ValueError(f"action {name} is registered twice, with different sentences")
    return action


def get(name: str) -> Action:
    """Return a registered action. Raises ``UnknownAction``."""
    try:
        return _known[name]
    except KeyError:
        raise UnknownAction(f"action {name!r} is not registered; add it to the actions.py of its app") from None


def known() -> tuple[Action, ...]:
    """Return every action, by name."""
    return tuple(_known[name] for name in sorted(_known))


def sentence(name: str, *, actor: str, subject: str) -> str:
    """Tell an entry in words. An action retired since is told by its name: old entries stay readable."""
    action = _known.get(name)
    template = action.sentence if action else "{actor}: " + name + " {object}"
    words = {"{actor}": actor, "{object}": subject}
    return re.sub(r"\{(actor|object)\}", lambda found: words[found[0]], template)
