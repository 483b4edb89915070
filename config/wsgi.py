"""The WSGI entry point for gunicorn."""

import os
from collections.abc import Iterable
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

SMALL_BODY: Final = 64 * 1024


def read_to_the_end(app: WSGIApplication) -> WSGIApplication:
    """Read what a view left of a small request body, before the answer goes out.

    gunicorn 26 reads it after the answer. A client that sends its next request in that moment has it swallowed with the
    rest of the body, and waits until the connection's keep-alive ends. A larger rest is gunicorn's to cut off.
    """

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer = app(environ, start_response)
        if (
            str(environ.get("CONTENT_LENGTH") or "0").isdigit()
            and int(environ.get("CONTENT_LENGTH") or 0) <= SMALL_BODY
        ):
            environ["wsgi.input"].read(SMALL_BODY)
        return answer

    return serve


class Request(WSGIRequest):
    """A request that is UTF-8, whatever charset its Content-Type names.

    Django reads the query by that charset. Python knows some in which the same bytes are another query than MLflow reads,
    and some that are none for text, at which Django gives up before anything of ours can answer.
    """

    def _set_content_type_params(self, meta: WSGIEnvironment) -> None:
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:  # a parameter in a charset that nobody knows
            self.content_type, self.content_params = "", {}


class Handler(WSGIHandler):
    """Django's, with that request."""

    request_class = Request


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.prod")
django.setup(set_prefix=False)
application = read_to_the_end(Handler())
