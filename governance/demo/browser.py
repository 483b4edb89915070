"""What a person does in the browser, over plain HTTP: open a page, fill its form, send it. No JavaScript, no API."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Self

import httpx


class DemoFailed(Exception):
    """A step of the demonstration did not go as it must; the message says which and why."""


@dataclass(slots=True)
class Form:
    """One form of a page: where it goes and what it would send if nobody touched it."""

    action: str
    values: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    """Collect the forms of a page by id, with the values of their hidden and pre-filled inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: dict[str, Form] = {}
        self._open: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(action=given.get("action", ""))
            self.forms[given.get("id", f"form-{len(self.forms)}")] = self._open
        elif tag == "input" and self._open is not None and given.get("name"):
            kind = given.get("type", "text")
            if kind not in {"radio", "checkbox", "submit"} or "checked" in given:
                self._open.values[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


class Browser:
    """A signed-in person: cookies, CSRF, redirects followed."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, follow_redirects=True, timeout=60, headers={"Referer": url + "/"})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def open(self, path: str) -> httpx.Response:
        """GET a page. Raises ``DemoFailed`` unless it answers 200."""
        response = self._client.get(path)
        if response.status_code != httpx.codes.OK:
            raise DemoFailed(f"{path} answered {response.status_code}, not 200")
        return response

    def sign_in(self, username: str, password: str) -> None:
        """Through the sign-in form. Raises ``DemoFailed`` when it is not accepted."""
        response = self.send("/sign-in/", "sign-in", {"username": username, "password": password})
        if "/sign-in/" in str(response.url):
            raise DemoFailed(f"{username} could not sign in")

    def offers(self, path: str, form_id: str) -> bool:
        """Whether the page has that form: an action one may not take, or took already, has none."""
        return form_id in _forms_of(self.open(path))

    def send(self, path: str, form_id: str, values: dict[str, str]) -> httpx.Response:
        """Open ``path``, fill the form ``form_id`` with ``values`` and send it.

        Raises:
            DemoFailed: the page has no such form, or the answer is an error.

        """
        forms = _forms_of(self.open(path))
        form = forms.get(form_id)
        if form is None:
            raise DemoFailed(f"{path} has no form {form_id!r}; it has {', '.join(forms) or 'none'}")
        response = self._client.post(form.action or path, data={**form.values, **values})
        if response.is_error:
            raise DemoFailed(f"{form_id} on {path} answered {response.status_code}: {_alerts(response.text)}")
        return response

    def download(self, path: str) -> bytes:
        """The bytes behind a link."""
        return self.open(path).content


def _forms_of(page: httpx.Response) -> dict[str, Form]:
    forms = _Forms()
    forms.feed(page.text)
    return forms.forms


class _Alerts(HTMLParser):
    """Text of what a page says went wrong (elements with role=alert)."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._depth:
            self._depth += 1
        elif dict(attrs).get("role") == "alert":
            self._depth = 1

    def handle_endtag(self, tag: str) -> None:
        self._depth = max(0, self._depth - 1)

    def handle_data(self, data: str) -> None:
        if self._depth and data.strip():
            self.said.append(data.strip())


def _alerts(html: str) -> str:
    alerts = _Alerts()
    alerts.feed(html)
    return " ".join(alerts.said) or "no reason was shown"
