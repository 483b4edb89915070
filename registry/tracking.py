"""Reading from the tracking process over HTTP, as workers do. What comes back is untrusted: clients wrote it."""

import math
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit

import httpx
from django.conf import settings

HEADER: Final = "X-Countersign-Tracking"
"""Header with the secret that the tracking process asks for."""
USER_HEADER: Final = "X-Countersign-User"
"""Header with the account for which our door asks: the registry that the tracking process shows is what they may see."""
USER_TAG: Final = "mlflow.user"
DEEPEST: Final = 32
_API: Final = "/api/2.0/mlflow"
_ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"
_SCHEME: Final = "mlflow-artifacts:"
LONGEST_PATH: Final = 2000


def address() -> str:
    """Where runs and artifacts are kept: our own tracking process, or the MLflow server that MLFLOW_TRACKING_URI names."""
    return str(settings.MLFLOW_TRACKING_URI or settings.TRACKING_URL)


def is_elsewhere() -> bool:
    """Whether an existing MLflow server keeps them, which others may reach too, past our door."""
    return bool(settings.MLFLOW_TRACKING_URI)


def credentials() -> dict[str, str]:
    """The headers by which it knows us."""
    if not is_elsewhere():
        return {HEADER: settings.TRACKING_SECRET}
    return {"Authorization": settings.MLFLOW_TRACKING_AUTHORIZATION} if settings.MLFLOW_TRACKING_AUTHORIZATION else {}


def trusted() -> ssl.SSLContext | bool:
    """What is trusted of an https server: the system's authorities, and those of SSL_CERT_FILE."""
    return ssl.create_default_context() if address().startswith("https://") else True


class TrackingError(Exception):
    """What was asked for cannot be had; the message says why, for people."""


class TrackingDown(TrackingError):
    """The tracking process does not answer, or with an error of its own. Worth another try."""


class NotThere(TrackingError):
    """The tracking process has no such run, model or file."""


@dataclass(frozen=True, slots=True)
class UsedDataset:
    """A data set that was logged as an input of a run. ``digest`` is MLflow's: 32 bits, never an identity."""

    name: str
    digest: str
    context: str = ""
    source: str = ""
    schema: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the tracking process knows it."""

    id: str
    user: str
    artifact_path: str
    status: str = ""
    started_ms: int = 0
    ended_ms: int = 0
    experiment_id: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[UsedDataset, ...] = ()


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A logged model (MLflow 3) as the tracking process knows it."""

    id: str
    name: str
    artifact_path: str
    experiment_id: str = ""
    run_id: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrackedExperiment:
    """An experiment as the tracking process knows it. ``artifact_root`` is empty if its artifacts are not served there."""

    id: str
    name: str
    artifact_root: str


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file in the artifact store: its path there, and the size it is listed with."""

    path: str
    size: int


class TrackingClient:
    """A connection to the tracking process. Use it in a ``with`` statement."""

    def __init__(self, url: str = "", secret: str = "") -> None:
        server = url or address()
        if not server:
            raise TrackingDown("TRACKING_URL is not set, so runs and their artifacts cannot be read.")
        self._http = httpx.Client(
            base_url=server,
            headers={HEADER: secret} if secret else credentials(),
            timeout=httpx.Timeout(60.0, connect=3.0),
            trust_env=False,
            verify=trusted(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def experiment(self, experiment_id: str) -> TrackedExperiment:
        """One experiment. Raises ``NotThere`` or ``TrackingDown``."""
        found = self._get(f"{_API}/experiments/get", what=f"experiment {experiment_id}", experiment_id=experiment_id)[
            "experiment"
        ]
        return TrackedExperiment(
            id=str(found["experiment_id"]),
            name=str(found.get("name", "")),
            artifact_root=path_in_store(str(found.get("artifact_location", ""))),
        )

    def run(self, run_id: str) -> Run:
        """One run. Raises ``NotThere`` or ``TrackingDown``."""
        found = self._get(f"{_API}/runs/get", what=f"run {run_id}", run_id=run_id)["run"]
        info, data = found["info"], found.get("data", {})
        tags = _pairs(data.get("tags", []))
        return Run(
            id=str(info["run_id"]),
            user=tags.get(USER_TAG) or str(info.get("user_id", "")),
            artifact_path=_stored_path(str(info.get("artifact_uri", "")), f"run {run_id}"),
            status=str(info.get("status", "")),
            started_ms=int(info.get("start_time", 0)),
            ended_ms=int(info.get("end_time", 0)),
            experiment_id=str(info.get("experiment_id", "")),
            parameters=_pairs(data.get("params", [])),
            metrics=_numbers(data.get("metrics", [])),
            tags=tags,
            datasets=tuple(_dataset(entry) for entry in found.get("inputs", {}).get("dataset_inputs", [])),
        )

    def logged_model(self, model_id: str) -> LoggedModel:
        """One logged model. Raises ``NotThere`` or ``TrackingDown``."""
        found = self._get(f"{_API}/logged-models/{quote(model_id, safe='')}", what=f"logged model {model_id}")
        return _logged_model(found["model"])

    def logged_model_of_run(self, run: Run, name: str) -> LoggedModel | None:
        """The newest logged model of a run with that name, if there is one: ``runs:/<run>/<name>`` since MLflow 3."""
        answer = self._send(
            "POST",
            f"{_API}/logged-models/search",
            what=f"logged models of run {run.id}",
            json={"experiment_ids": [run.experiment_id], "filter": f"source_run_id = '{run.id}'", "max_results": 50},
        )
        models = [_logged_model(found) for found in answer.get("models", [])]
        return next((model for model in models if model.name == name and model.run_id == run.id), None)

    def files(self, root: str) -> Iterator[RemoteFile]:
        """Every file below ``root``. Raises ``TrackingDown``, or ``TrackingError`` for a bottomless tree."""
        yield from self._files(root, 0)

    @contextmanager
    def download(self, path: str) -> Iterator["Download"]:
        """A file as a stream. Raises ``NotThere`` or ``TrackingDown``."""
        try:
            with self._http.stream("GET", f"{_ARTIFACTS}/{quote(path)}") as answer:
                _check(answer, f"artifact {path}")
                yield Download(answer)
        except httpx.TransportError as error:
            raise _down(error) from error

    def _files(self, directory: str, depth: int) -> Iterator[RemoteFile]:
        if depth > DEEPEST:
            raise TrackingError(f"The artifacts are nested deeper than {DEEPEST} directories.")
        answer = self._get(_ARTIFACTS, what=f"artifacts in {directory}", path=directory)
        for entry in answer.get("files", []):
            name = str(entry.get("path", ""))
            if not name or "/" in name or name in {".", ".."}:
                raise TrackingError(f"The artifact store lists a file with the name {name!r}, which is none.")
            path = f"{directory}/{name}"
            if entry.get("is_dir"):
                yield from self._files(path, depth + 1)
            else:
                yield RemoteFile(path, int(entry.get("file_size", 0)))

    def _get(self, address: str, *, what: str, **query: str) -> dict[str, Any]:
        return self._send("GET", address, what=what, params=query)

    def _send(self, method: str, address: str, *, what: str, **more: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, address, **more)
        except httpx.TransportError as error:
            raise _down(error) from error
        _check(answer, what)
        document = answer.json()
        if not isinstance(document, dict):
            raise TrackingDown(f"The tracking process answered for {what} with something else than an object.")
        return document


class Download:
    """The bytes of one file, in pieces of the size asked for."""

    def __init__(self, answer: httpx.Response) -> None:
        self._chunks = answer.iter_bytes()
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end. Raises ``httpx.TransportError`` if the connection breaks."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = chunk
        given, self._rest = self._rest[:size], self._rest[size:]
        return given


def _check(answer: httpx.Response, what: str) -> None:
    if answer.is_success:
        return
    if answer.status_code in {400, 404}:
        raise NotThere(f"The tracking process has no {what}.")
    raise TrackingDown(f"The tracking process answered {answer.status_code} for {what}.")


def _down(error: httpx.TransportError) -> TrackingDown:
    return TrackingDown(f"The tracking process does not answer ({type(error).__name__}).")


def path_in_store(uri: str) -> str:
    """The path in the store that the tracking process serves; empty for anything that lies elsewhere.

    ``mlflow-artifacts:/a/b`` as MLflow writes it, or with the host of the server that is asked, or that server's own http
    address of it (mlflow/store/artifact/mlflow_artifacts_repo.py).
    """
    here = urlsplit(address())
    parts = urlsplit(uri)
    if parts.query or parts.fragment:
        return ""
    if uri.startswith(_SCHEME):
        path = parts.path if parts.netloc in {"", here.netloc} else ""
    else:
        served = f"{address()}{_ARTIFACTS}/"
        path = f"/{uri.removeprefix(served)}" if uri.startswith(served) else ""
    clean = path.removeprefix("/").rstrip("/")
    if not clean or any(part in {"", ".", ".."} for part in clean.split("/")) or "\\" in clean or "%" in clean:
        return ""
    return clean if len(clean) <= LONGEST_PATH and len(clean.encode(errors="replace")) <= LONGEST_PATH else ""


def _stored_path(uri: str, what: str) -> str:
    """The path inside the artifact store. Raises ``TrackingError`` for anything that lies elsewhere."""
    path = path_in_store(uri)
    if path:
        return path
    remedy = (
        "Let that MLflow server serve its artifacts (mlflow server --serve-artifacts, with --artifacts-destination), make a "
        "new experiment and log the model to it."
        if is_elsewhere()
        else "Log the model to an experiment with the default artifact location."
    )
    raise TrackingError(
        f"The artifacts of {what} are kept at {uri[:200]!r}, which Countersign does not read: only what is stored under "
        f"mlflow-artifacts:/ is. {remedy}"
    )


def _logged_model(found: dict[str, Any]) -> LoggedModel:
    info, data = found["info"], found.get("data", {})
    return LoggedModel(
        id=str(info["model_id"]),
        name=str(info.get("name", "")),
        artifact_path=_stored_path(str(info.get("artifact_uri", "")), f"logged model {info['model_id']}"),
        experiment_id=str(info.get("experiment_id", "")),
        run_id=str(info.get("source_run_id", "")),
        parameters=_pairs(data.get("params", [])),
        metrics=_numbers(data.get("metrics", [])),
        tags=_pairs(info.get("tags", [])),
    )


def _dataset(entry: dict[str, Any]) -> UsedDataset:
    dataset, tags = entry.get("dataset", {}), _pairs(entry.get("tags", []))
    return UsedDataset(
        name=str(dataset.get("name", "")),
        digest=str(dataset.get("digest", "")),
        context=tags.get("mlflow.data.context", ""),
        source=str(dataset.get("source", "")),
        schema=str(dataset.get("schema", "")),
        tags=tags,
    )


def _pairs(entries: list[dict[str, Any]]) -> dict[str, str]:
    return {str(entry["key"]): str(entry.get("value", "")) for entry in entries}


def _numbers(entries: list[dict[str, Any]]) -> dict[str, float]:
    """Metrics by name. Those that are no finite number (MLflow writes them as text) are left out."""
    found = {str(entry["key"]): float(entry.get("value", 0)) for entry in entries}
    return {key: value for key, value in found.items() if math.isfinite(value)}
