"""Settings of the sequencer processes that tests start: the real ones, with the followers the test names."""

import os

from config.settings.base import *  # noqa: F403

FOLLOWERS = os.environ.get("TEST_FOLLOWERS", "").split()
