"""What the runtime says when it cannot go on."""


class RuntimeProblem(Exception):
    """Something about this machine stops the runtime; the message says what, and what to do about it."""
