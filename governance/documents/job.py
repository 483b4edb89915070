"""Makes one report that somebody asked for: the pack as of one moment of the log, then the document."""

import io
import logging
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connection, transaction

from audit.history import moments
from config import as_of
from config.errors import Conflict, Refusal
from governance.documents import NotRendered, Pack, catalogue, render
from governance.documents.display import tables
from governance.models import ReportJob
from governance.services import reports
from governance.services.reports import Claim, Made

logger = logging.getLogger(__name__)
PDF: Final = "report.pdf"
PACK: Final = "pack.json"
TABLES: Final = "tables.zip"
EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def make(held: Claim) -> None:
    """Make the report of the job that is held, or end it with the reason."""
    job = ReportJob.objects.select_related("asked_by").get(pk=held.job_id)
    try:
        with at_moment(job.moment):
            pack = catalogue.build(job.report, job.parameters, reader=job.asked_by)
        files = files_of(pack)
    except Refusal as refusal:
        reports.fail(held, str(refusal))
    except NotRendered:
        logger.exception("Report %s (%s) could not be set", job.pk, job.report)
        reports.fail(held, "The document could not be set. The worker's log says why.")
    else:
        reports.finish(
            held, title=f"{pack.kind}: {pack.title}", answer=pack.answer, log_size=pack.log.size, files=files
        )


def files_of(pack: Pack) -> list[Made]:
    """What is handed out: the document, its data, and the tables as CSV."""
    return [
        Made(PDF, "application/pdf", render(pack.report, pack.data, at=pack.log.at, files=pack.files)),
        Made(PACK, "application/json", pack.content),
        Made(TABLES, "application/zip", csv_archive(pack)),
    ]


def csv_archive(pack: Pack) -> bytes:
    """The tables of the pack as CSV files in one archive. The same pack gives the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in tables(pack.data):
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.external_attr, info.compress_type = 3, 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return out.getvalue()


@contextmanager
def at_moment(size: int | None = None) -> Iterator[None]:
    """Read everything as it was when the log had ``size`` entries, or at the newest moment there is; write nothing.

    What is read there is the same whenever it is read, so a report of the same question is the same, to the byte. Rights
    stay those of today. Within a transaction of the caller and without ``size``, it is what that transaction sees.
    Raises ``Conflict`` for a log without a moment, ``moments.NotAMoment`` for a size before the history began.
    """
    if connection.in_atomic_block and size is None:
        yield
        return
    began = not connection.in_atomic_block
    with transaction.atomic():
        if began:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        moment = moments.newest() if size is None else moments.found(f"entry:{size}")
        if moment is None:
            raise Conflict(
                "The log has no checkpoint yet, so a report would rest on nothing.",
                code="report.no_log",
                remedy="Wait for the sequencer to sign the first one.",
            )
        with as_of.travelling(moment):
            yield
