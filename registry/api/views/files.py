"""Files of versions and of data sets: open an upload, send all of it at once, list, download."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.http import FileResponse, StreamingHttpResponse
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import NotFound
from registry.api.endpoint import Endpoint, PageQuery, created
from registry.api.parsers import StrictJSONParser
from registry.api.schema import BYTES, IDEMPOTENCY_KEY, View, documented, page_of
from registry.api.serializers.artifacts import FileOut, UploadIn, UploadOut, WholeFileIn
from registry.api.views.datasets import dataset_version_of
from registry.api.views.versions import version_of
from registry.models import DatasetVersion, ManifestFile, ModelVersion, Upload
from registry.services import artifacts, holdouts
from registry.services.idempotency import Answer
from registry.storage import blobs

EXAMPLE = OpenApiExample(
    "A model file",
    value={"path": "model/model.skops", "sha256": "0" * 64, "size": 482_113},
    request_only=True,
    media_type="application/json",
)
BOTH = {"application/json": UploadIn, "multipart/form-data": WholeFileIn}
HOW = (
    "Two ways. As JSON: declare path, SHA-256 and size, then send chunks to the upload's `url` and close it at its "
    "`complete_url`. As `multipart/form-data`: path, SHA-256 and the file itself, in one request. Either way the "
    "server computes the digest, and refuses bytes that do not match."
)


def _documented_upload(operation: str, summary: str) -> Callable[[View], View]:
    """What OpenAPI says of a file on its way in, whatever it is of."""
    return documented(
        operation,
        summary,
        tag="files",
        request=BOTH,
        answer=UploadOut,
        status=201,
        writes=True,
        parameters=[IDEMPOTENCY_KEY],
        examples=[EXAMPLE],
        description=HOW,
    )


class Files(Endpoint):
    """Files of something that is not sealed yet, or of something that is."""

    query = PageQuery
    parser_classes = [StrictJSONParser, MultiPartParser]

    def accept(self, target: ModelVersion | DatasetVersion) -> Response:
        """Open an upload for the target; with ``multipart/form-data``, fill and close it at once."""
        whole = (self.request.content_type or "").startswith("multipart/")
        given = self.read(WholeFileIn if whole else UploadIn)
        size = given["file"].size if whole else given["size"]

        def open_one() -> Answer:
            upload = artifacts.open_upload(
                target, path=given["path"], declared_sha256=given["sha256"], declared_size=size, by=self.actor
            )
            return created(UploadOut(upload).data, location=reverse("api:upload", kwargs={"upload": upload.pk}))

        answer = self.once(open_one)
        if not whole:
            return answer
        upload = Upload.objects.get(pk=answer.data["id"])
        if upload.state == Upload.State.OPEN:
            if upload.received < upload.declared_size:
                given["file"].seek(upload.received)
                upload = artifacts.append_chunk(
                    upload=upload, offset=upload.received, stream=given["file"], by=self.actor
                )
            upload = artifacts.complete_upload(upload=upload, by=self.actor)
        answer.data = UploadOut(upload).data
        return answer


class VersionFiles(Files):
    """Files of a model version."""

    @documented(
        "version_files_list", "List the files of a version", tag="files", query=PageQuery, answer=page_of(FileOut)
    )
    def get(self, _request: Request, name: str, number: int) -> Response:
        """By path: what was sealed, or what is on its way in."""
        version = version_of(name, number, self.person)
        rows: QuerySet[Any]
        if version.is_sealed:
            rows = ManifestFile.objects.filter(manifest=version.manifest_id).select_related("blob")
        else:
            rows = Upload.objects.filter(version=version).exclude(state=Upload.State.FAILED)
        return self.listed(rows, keys=["path"], asked=self.ask(), present=FileOut)

    @_documented_upload("version_files_create", "Upload a file of a version")
    def post(self, _request: Request, name: str, number: int) -> Response:
        """Open, or send whole."""
        return self.accept(version_of(name, number, self.person))


class DatasetFiles(Files):
    """The file of a data set version: CSV, Parquet or Arrow, as it is or packed with gzip or Zstandard."""

    @_documented_upload("dataset_files_create", "Upload the file of a data set version")
    def post(self, _request: Request, name: str, number: int) -> Response:
        """Open, or send whole."""
        return self.accept(dataset_version_of(name, number, self.person))


class Download(Endpoint):
    """One sealed file's bytes."""

    @documented(
        "version_files_download",
        "Download a sealed file",
        tag="files",
        answers={(200, "application/octet-stream"): BYTES},
        description="Exactly the bytes that were sealed. The `ETag` is their SHA-256.",
    )
    def get(
        self,
        _request: Request,
        name: str,
        number: int,
        path: str,
    ) -> StreamingHttpResponse:
        """Stream."""
        self.ask()
        version = version_of(name, number, self.person)
        line = (
            ManifestFile.objects.filter(manifest=version.manifest_id, path=path).select_related("blob").first()
            if version.is_sealed
            else None
        )
        if line is None:
            raise NotFound(f"{version} has no sealed file of that path.", code="file.unknown", field="path")
        holdouts.check_bytes(line.blob_id, by=self.actor, door="file")
        return FileResponse(
            blobs().open(line.blob_id),
            as_attachment=True,
            filename=path.rpartition("/")[2],
            content_type="application/octet-stream",
            headers={"ETag": f'"{line.blob_id}"', "Content-Length": str(line.blob.size)},
        )
