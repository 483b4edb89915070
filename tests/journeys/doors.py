"""The doors of an installation under test: REST with a token, pages with a session. Answers are looked at by the test."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from governance.demo.browser import Browser
from tests.journeys.house import House
from tests.waiting import until

HOLDOUT: Final = "diabetes-holdout"
SCORES: Final = "predict.scores"
SETTLED: Final = frozenset({"ready", "checks_failed", "in_review", "approved", "rejected"})
_NEW_TOKEN: Final = re.compile(r'id="new-token">([^<]+)<')


class Api:
    """Calls below ``/api/v1`` with a bearer token."""

    def __init__(self, house: House, token: str) -> None:
        self.token = token
        self._client = httpx.Client(
            base_url=f"{house.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60
        )

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """One call, whatever it answers."""
        return self._client.request(method, path, **kwargs)

    def get(self, path: str, **query: str | int) -> Any:
        """The JSON of something that must be there."""
        return _good(self._client.get(path, params=query))

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Any:
        """The JSON of something that must be done."""
        return _good(self._client.post(path, json=body or {}))

    def upload(self, model: str, files: Mapping[str, bytes]) -> str:
        """Make a model and a version with these files, not sealed yet; the version's address."""
        self.post("/models", {"name": model})
        _good(self._client.patch(f"/models/{model}", json={"evaluation_dataset": HOLDOUT}))
        place = f"/models/{model}/versions/{self.post(f'/models/{model}/versions')['number']}"
        for path, content in files.items():
            declared = {"path": path, "sha256": hashlib.sha256(content).hexdigest()}
            _good(self._client.post(f"{place}/files", data=declared, files={"file": (path, content)}))
        return place

    def ask(self, model: str, files: Mapping[str, bytes]) -> str:
        """Upload and seal a model, and ask for its promotion; the reference of the request."""
        self.post(f"{self.upload(model, files)}/finish")
        return str(self.post("/requests", {"model": model, "version": 1, "target": "alias:production"})["ref"])

    def check(self, ref: str, key: str) -> dict[str, Any]:
        """One check of a request; that of the scoring job is ``SCORES``."""
        rows: list[dict[str, Any]] = self.get(f"/requests/{ref}/checks")["results"]
        return next(row for row in rows if row["key"] == key)

    def settled(self, ref: str, *, seconds: float = 240) -> dict[str, Any]:
        """The request when its checks are over."""
        return self.until(
            f"/requests/{ref}", lambda row: row["state"] in SETTLED, what=f"{ref}'s checks", seconds=seconds
        )

    def until(
        self, path: str, done: Callable[[dict[str, Any]], bool], *, what: str, seconds: float = 120
    ) -> dict[str, Any]:
        """Read ``path`` until ``done`` says so."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.get(path)
            return found if done(found) else None

        # Not too often: the server's processors are the ones that do the work.
        return until(look, what=what, seconds=seconds, every=0.2)


def _good(answer: httpx.Response) -> Any:
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:2000]}"
    return answer.json() if answer.content else None


def signed_in(house: House, username: str) -> Browser:
    """A browser in which one of the demonstration's people is signed in."""
    browser = Browser(house.url)
    browser.sign_in(username, house.passwords()[username])
    return browser


def new_token(house: House, username: str) -> str:
    """A token, made on the account page as a person makes it."""
    with signed_in(house, username) as browser:
        page = browser.send("/account/", "token", {"name": "journey", "days": "1", "scope": "write"}).text
    found = _NEW_TOKEN.search(page)
    assert found, "the account page shows no new token"
    return found[1]
