"""The policy of the demonstration: version 1 comes with the product, version 2 asks for more and is adopted on the way."""

from importlib.resources import files

from audit.actors import Actor
from governance.models import PolicyVersion
from governance.services.policies import adopt
from registry.models import User

ADMINISTRATOR = "admin-1"


def document() -> str:
    """The text of version 2."""
    return files("governance.demo").joinpath("policy.yaml").read_text(encoding="utf-8")


def tighten() -> PolicyVersion:
    """Put version 2 into force, as the administrator would by ``manage.py adopt_policy``; nothing, if it is already."""
    by = Actor.person(User.objects.get(username=ADMINISTRATOR), auth="shell")
    return adopt(document=document(), by=by)
