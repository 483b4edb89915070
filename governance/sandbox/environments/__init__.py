"""Which libraries a model runs with: the environment it recorded, built for it, or the platform's when that fits.

The model's files are read as text. What is built comes from the operator's indexes only, as wheels only, and the
build never sees the model: a package index and a model's author are two different strangers.
"""

from governance.sandbox.environments.choice import Chosen, choose
from governance.sandbox.environments.recorded import Recorded, read_recorded
from governance.sandbox.environments.settings import Environments
from governance.sandbox.failed import EnvironmentFailed

__all__ = ["Chosen", "EnvironmentFailed", "Environments", "Recorded", "choose", "read_recorded"]
