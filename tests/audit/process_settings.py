"""Settings of the sequencer processes that tests start: the real ones, without the followers of other apps."""

from config.settings.base import *  # noqa: F403

FOLLOWERS = []
