"""What is looked into on the way: whose run it is, where artifacts are kept, what is sealed, what looks like an approval.

A body is parsed once and written anew, so that MLflow cannot read it differently than we did. Who started a run is
evidence for the segregation of duties, so the run's user is what we know, not what the client says (``_stamped``).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from audit.actors import Actor
from config.errors import NotAllowed
from registry.mlflow.auth import person
from registry.mlflow.codec import camel
from registry.mlflow.errors import invalid
from registry.mlflow.proxy import owners
from registry.mlflow.proxy.addresses import Call
from registry.mlflow.proxy.permissions import check_path
from registry.selectors import experiments
from registry.services import tracked
from registry.sources import SEALED
from registry.tracking import USER_TAG

Document = dict[str, Any]
_OUR_STORE: Final = re.compile(r"mlflow-artifacts:(?P<path>(/(?!\.)[\w.\-]{1,100}){1,10})", re.ASCII)
_SERVERS_OWN_TAGS: Final = frozenset(
    {"mlflow.artifactLocation"}
    | {"mlflow.trace.spansLocation", "mlflow.trace.archiveLocation", "mlflow.trace.archivalFailure"}
)
"""Tags of a trace that tell MLflow where to read it from: any file it can reach. Only MLflow itself sets them."""


def look_into(call: Call, document: Document, by: Actor) -> None:
    """Check, and change where we know better, what a writing call says. Raises ``Refusal`` or ``ProtocolError``."""
    look = _LOOKS.get((call.address.method, call.name))
    if look is not None:
        look(call, document, by)


def _experiment_created(call: Call, document: Document, by: Actor) -> None:
    """Artifacts are kept in the store that is served here, never where the tracking process may reach besides."""
    del call
    for name in ("artifact_location", "artifactLocation"):
        place = document.get(name)
        if place in (None, ""):
            continue
        found = _OUR_STORE.fullmatch(place) if isinstance(place, str) else None
        if found is None or found["path"].split("/")[1] == SEALED:
            raise invalid(
                f"Invalid value for parameter 'artifact_location' supplied: {str(place)[:200]!r}. Leave it out, or name a "
                "folder of this server's own store: mlflow-artifacts:/<folder>."
            )
        path = found["path"][1:]
        check_path(person(by), path, write=True)
        # Who may restrict an experiment closes its folder. So it is nobody else's, nor one that MLflow will give: a number.
        if path.split("/")[0].isdecimal() or experiments.somebody_elses_at(person(by), path):
            raise invalid(
                f"Invalid value for parameter 'artifact_location' supplied: {str(place)[:200]!r} belongs to another "
                "experiment. Leave it out, or name a folder of your own."
            )


def _experiment_deleted(call: Call, document: Document, by: Actor) -> None:
    del document, by
    for experiment_id in call.named.experiments:
        tracked.check_not_sealed(experiment_id=experiment_id)


def _stamped(call: Call, document: Document, by: Actor) -> None:
    """The run belongs to who asks.

    MLflow takes what it has read of a message when it comes to something that it cannot read. So that is refused here, and
    who asks is said before all else.
    """
    del call
    username = person(by).username
    tags = document.pop("tags", None) or []
    if not isinstance(tags, list) or not all(_is_tag(tag) for tag in tags):
        raise invalid(
            "Invalid value for parameter 'tags' supplied: it must be a list of tags, key and value both text."
        )
    kept = [tag for tag in tags if tag.get("key") != USER_TAG]
    rest = {key: value for key, value in document.items() if key not in {"user_id", "userId"}}
    document.clear()
    document |= {"user_id": username, "tags": [{"key": USER_TAG, "value": username}, *kept], **rest}


def _is_tag(tag: object) -> bool:
    return isinstance(tag, dict) and all(value is None or isinstance(value, str) for value in tag.values())


def _run_tagged(call: Call, document: Document, by: Actor) -> None:
    """The run's user is not the client's to say, nor is an approval."""
    keys = [document["key"]] if isinstance(document.get("key"), str) else []
    keys += list(_keys(document.get("tags")))
    if USER_TAG in keys:
        raise NotAllowed(
            f"The tag {USER_TAG} is set by the server when a run is created. It says who trained: nobody may change it.",
            code="run.user_is_fixed",
            remedy="Use another key.",
        )
    if keys:
        for run_id in call.named.runs:
            tracked.check_run_tags(keys=keys, run_id=run_id, by=by)


def _run_deleted(call: Call, document: Document, by: Actor) -> None:
    del document, by
    for run_id in call.named.runs:
        tracked.check_not_sealed(run_id=run_id)


def _presigned(call: Call, document: Document, by: Actor) -> None:
    """An address to upload to, past our door: not below what was sealed."""
    del by
    inside = document.get("path")
    homes = [owners.of_run(run_id) for run_id in call.named.runs]
    homes += [owners.of_logged_model(model_id) for model_id in call.named.models]
    for home in homes:
        if home.path:
            tracked.check_path_not_sealed(f"{home.path}/{inside}" if isinstance(inside, str) else home.path)


def _logged_model_tagged(call: Call, document: Document, by: Actor) -> None:
    keys = [*_keys(document.get("tags")), *([call.parts["key"]] if "key" in call.parts else [])]
    if keys:
        tracked.check_logged_model_tags(keys=keys, logged_model_id=call.parts.get("model", ""), by=by)


def _logged_model_deleted(call: Call, document: Document, by: Actor) -> None:
    del document, by
    tracked.check_not_sealed(logged_model_id=call.parts["model"])


def _trace_written(call: Call, document: Document, by: Actor) -> None:
    """Where a trace is read from is MLflow's to say."""
    del call, by
    for holder in (document, *_below(document, "trace", "trace_info")):
        tags = holder.get("tags")
        if isinstance(tags, dict):
            holder["tags"] = {key: value for key, value in tags.items() if not _is_servers_own(key)}
        elif isinstance(tags, list):
            holder["tags"] = [tag for tag in tags if not (isinstance(tag, dict) and _is_servers_own(tag.get("key")))]


def _trace_tagged(call: Call, document: Document, by: Actor) -> None:
    """The same for a tag that is set, or deleted, later."""
    del call, by
    if _is_servers_own(document.get("key")):
        raise NotAllowed(
            f"The tag {document['key']} says where MLflow reads the trace from: the server sets it, and nobody changes it.",
            code="trace.location_is_fixed",
            remedy="Use another key.",
        )


def _is_servers_own(key: object) -> bool:
    return isinstance(key, str) and key in _SERVERS_OWN_TAGS


def _below(document: Mapping[str, Any], *names: str) -> Iterator[dict[str, Any]]:
    if not names:
        return
    for spelling in dict.fromkeys((names[0], camel(names[0]))):
        inner = document.get(spelling)
        if isinstance(inner, dict):
            yield inner
            yield from _below(inner, *names[1:])


def _keys(tags: object) -> Iterator[str]:
    if isinstance(tags, list):
        yield from (tag["key"] for tag in tags if isinstance(tag, dict) and isinstance(tag.get("key"), str))


_LOOKS: Final[dict[tuple[str, str], Callable[[Call, Document, Actor], None]]] = {
    ("POST", "experiments/create"): _experiment_created,
    ("POST", "experiments/delete"): _experiment_deleted,
    ("POST", "runs/create"): _stamped,
    ("POST", "runs/set-tag"): _run_tagged,
    ("POST", "runs/delete-tag"): _run_tagged,
    ("POST", "runs/log-batch"): _run_tagged,
    ("POST", "runs/delete"): _run_deleted,
    ("POST", "artifacts/presigned-upload-url"): _presigned,
    ("POST", "logged-models"): _logged_model_tagged,
    ("PATCH", "logged-models/{model}/tags"): _logged_model_tagged,
    ("DELETE", "logged-models/{model}/tags/{key}"): _logged_model_tagged,
    ("DELETE", "logged-models/{model}"): _logged_model_deleted,
    ("POST", "traces"): _trace_written,
    ("PATCH", "traces/{trace}"): _trace_written,
    ("PATCH", "traces/{trace}/tags"): _trace_tagged,
    ("DELETE", "traces/{trace}/tags"): _trace_tagged,
}
