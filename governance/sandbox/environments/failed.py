"""What goes wrong with an environment."""


class EnvironmentFailed(Exception):
    """The recorded environment cannot be had; the message says why."""
