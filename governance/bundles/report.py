"""``report.pdf`` of a bundle: what it is about, in words, as of the last moment of the log not after the bundle's checkpoint.

Only workers set documents, so a question that asks for the report is a worker's job (``services.exports``); what a web
process answers at once has none.
"""

from typing import Final
from uuid import UUID

from audit.history.moments import NotAMoment
from config.errors import Conflict, NotFound
from governance.bundles.questions import Question
from governance.documents import NotRendered, Pack, render
from governance.documents.job import PDF, at_moment
from governance.documents.packs import model, request, version
from governance.selectors.requests import request_of
from registry.models import ModelVersion, RegisteredModel, User
from registry.selectors.catalog import version_by_number

MEMBER: Final = PDF
SECONDS: Final = 90
"""Below the lease of an export, which nobody prolongs meanwhile."""


def pack_of(question: Question, *, user: User, size: int) -> tuple[Pack | None, str]:
    """What the report says, for this person to see; or None, and why there is no report of that moment.

    Both stay the same for the same question and size, whatever is written afterwards.
    """
    try:
        with at_moment(size):
            return _built(question, user), ""
    except NotAMoment:
        return None, "The history of this installation begins after the checkpoint."
    except NotFound:
        return None, "It was not there yet at the last moment before the checkpoint of which all rows are known."


def _built(question: Question, user: User) -> Pack:
    if question.kind == "request":
        return request.build(request_of(user, UUID(question.subject)), user)
    if question.kind == "model":
        return model.build(_model(user, int(question.subject)))
    row = ModelVersion.objects.filter(pk=UUID(question.subject)).first()
    if row is None:
        raise NotFound("There is no such version.", code="version.unknown")
    return version.build(version_by_number(_model(user, row.model_id), row.number), user)


def _model(user: User, key: int) -> RegisteredModel:
    found = RegisteredModel.objects.alive().visible_to(user).select_related("owner", "team").filter(pk=key).first()
    if found is None:
        raise NotFound("There is no such model, or you may not see it.", code="model.unknown")
    return found


def document_of(pack: Pack) -> tuple[str, bytes]:
    """The member. Raises ``Conflict`` if the document cannot be set: the bundle can be had without it."""
    try:
        return MEMBER, render(pack.report, pack.data, at=pack.log.at, files=pack.files, seconds=SECONDS)
    except NotRendered as refused:
        raise Conflict(
            "The report could not be set; the worker's log says why.",
            code="evidence.report",
            remedy="Ask for the bundle without the report.",
        ) from refused
