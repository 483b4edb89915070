"""What ends a run before its model is loaded."""


class EnvironmentFailed(Exception):
    """The recorded environment cannot be had; the message says why."""
