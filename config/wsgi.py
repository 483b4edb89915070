"""The WSGI entry point for gunicorn."""

import os
from collections.abc import Iterable
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.core.wsgi import get_wsgi_application

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


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.prod")
application = read_to_the_end(get_wsgi_application())
