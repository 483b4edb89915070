"""What the log says of itself."""

from typing import Final

from audit.actions import register
from audit.subjects import Subject

LOG: Final = Subject("audit.log", "log")
VERIFIED: Final = register("log.verified", "{actor} found the log as it was signed").name
BROKEN: Final = register("log.broken", "{actor} found that the log is not what was signed").name
