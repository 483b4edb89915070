"""The system's Chromium against the live server: every page with its content security policy, its script and its style.

``browser_page(user=…, width=…, scheme=…, script=…)`` opens a tab. When the test ends, whatever the console complained
about (a script's error, a violation of the policy, a file that is missing) fails it, so no test has to ask.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, Response, sync_playwright
from pytest_django.live_server_helper import LiveServer

from registry.models import User

HERE: Final = Path(__file__).parent
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
ALONE: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
HEIGHT: Final = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this directory needs a browser."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


def chromium_path() -> str:
    """Where Chromium is: CHROMIUM, else on the path, else nowhere (empty)."""
    found = (shutil.which(name) for name in NAMES)
    return os.environ.get("CHROMIUM", "") or next((path for path in found if path), "")


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One Chromium for these tests. Without one they are skipped and say how to get it.

    Playwright's event loop runs in this thread for as long as it is open, which Django takes for asynchronous code:
    it refuses to ask the database, though nothing awaits here, and keeps other connections than outside the loop.
    So both kinds are closed where they cannot be seen any more, or the test database could not be dropped.
    """
    path = chromium_path()
    if not path:
        pytest.skip("no Chromium here: install it (Debian: apt-get install chromium) or name one with CHROMIUM=/path")
    connections.close_all()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path, args=ALONE) as browser:
            yield browser
            connections.close_all()


@dataclass
class Tabs:
    """Opens tabs and remembers what went wrong in them."""

    chromium: Browser
    server: str
    problems: list[str] = field(default_factory=list)
    unanswered: set[Request] = field(default_factory=set)

    def __call__(
        self,
        *,
        user: User | None = None,
        width: int = 1440,
        scheme: Literal["light", "dark"] = "light",
        script: bool = True,
    ) -> Page:
        """A tab of a browser of its own: signed in as ``user`` if one is given. Addresses are relative to the server."""
        context = self.chromium.new_context(
            base_url=self.server,
            viewport={"width": width, "height": HEIGHT},
            color_scheme=scheme,
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        if user is not None:
            context.add_cookies(
                [{"name": settings.SESSION_COOKIE_NAME, "value": _session_of(user), "url": self.server}]
            )
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", self._heard)
        page.on("pageerror", self._raised)
        page.on("response", self._answered)
        page.on("request", self._asked)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)
        return page

    def settle(self) -> None:
        """Wait until every request is answered: emptying the database would wait for the one, and it for the other."""
        for context in self.chromium.contexts:
            for page in context.pages:
                while self.unanswered:
                    page.wait_for_timeout(10)

    def _asked(self, request: Request) -> None:
        self.unanswered.add(request)

    def _ended(self, request: Request) -> None:
        self.unanswered.discard(request)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.problems.append(f"{message.text} ({message.location.get('url', '')})")

    def _raised(self, error: Error) -> None:
        self.problems.append(str(error))

    def _answered(self, response: Response) -> None:
        """A page may refuse (4xx); a file that a page needs may not, and nothing may break."""
        if response.status >= 500 or (response.status >= 400 and "/static/" in response.url):
            self.problems.append(f"{response.status} {response.url}")


def _session_of(user: User) -> str:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client.cookies[settings.SESSION_COOKIE_NAME].value


@pytest.fixture
def browser_page(
    chromium: Browser, transactional_db: None, live_server: LiveServer, artifact_root: Path
) -> Iterator[Tabs]:
    """Open tabs; afterwards no console may have complained."""
    tabs = Tabs(chromium, live_server.url)
    yield tabs
    tabs.settle()
    for context in list(chromium.contexts):
        context.close()
    assert tabs.problems == []
