"""Files that people attached, given back: always as a download, so that no browser shows one as a page of ours."""

from django.http import FileResponse

from governance.models import CheckRun
from governance.services import findings


def download_of(run: CheckRun, sha256: str) -> FileResponse:
    """A file that stands beside the result of a check. Raises ``NotFound``."""
    name, size, stream = findings.file_of(run, sha256)
    return FileResponse(
        stream,
        as_attachment=True,
        filename=name,
        content_type="application/octet-stream",
        headers={
            "ETag": f'"{sha256}"',
            "Content-Length": str(size),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        },
    )
