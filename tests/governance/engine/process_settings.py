"""Settings of the worker processes that tests start: the real ones, with a short lease and no followers."""

from datetime import timedelta

from config.settings.base import *  # noqa: F403

FOLLOWERS = []
JOB_LEASE = timedelta(seconds=3)
