"""Versions of a model: register, read, describe, delete, seal, and where they come from."""

from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import Refusal
from registry.api.endpoint import Endpoint, PageQuery, created
from registry.api.lineage import as_input
from registry.api.schema import IDEMPOTENCY_KEY, documented, page_of
from registry.api.serializers.artifacts import FinishVersionIn
from registry.api.serializers.versions import VersionChange, VersionIn, VersionOut
from registry.models import ModelVersion, User
from registry.selectors.catalog import model_by_name, version_by_number
from registry.services import artifacts, lineage, versions
from registry.services.idempotency import Answer

TAG = "versions"
EXAMPLE = OpenApiExample(
    "Trained elsewhere",
    value={
        "description": "Retrained on the second quarter.",
        "parameters": {"C": "0.1"},
        "metrics": {"auc": 0.81},
        "lineage": {
            "datasets": [{"name": "credit-train", "sha256": "0" * 64, "context": "training"}],
            "code": {"repository": "https://git.example/credit", "commit": "1" * 40, "dirty": False},
            "environment": {"python": "3.11.9", "files": {"requirements.txt": "2" * 64}},
            "seeds": {"numpy": 7},
        },
    },
    request_only=True,
)


def shown(rows: QuerySet[ModelVersion]) -> QuerySet[ModelVersion]:
    """With everything that ``VersionOut`` reads, in a fixed number of queries."""
    return rows.select_related("model", "registered_by").prefetch_related("tags", "aliases")


def version_of(name: str, number: int, user: User) -> ModelVersion:
    """The version, if the person may see its model. Raises ``NotFound``."""
    return version_by_number(model_by_name(name, user), number)


class Versions(Endpoint):
    """All versions of a model, and a new one."""

    query = PageQuery

    @documented("versions_list", "List the versions of a model", tag=TAG, query=PageQuery, answer=page_of(VersionOut))
    def get(self, _request: Request, name: str) -> Response:
        """Newest first."""
        model = model_by_name(name, self.person)
        rows = shown(ModelVersion.objects.alive().filter(model=model))
        return self.listed(rows, keys=["-number"], asked=self.ask(), present=VersionOut)

    @documented(
        "versions_create",
        "Register a version",
        tag=TAG,
        request=VersionIn,
        answer=VersionOut,
        status=201,
        writes=True,
        parameters=[IDEMPOTENCY_KEY],
        examples=[EXAMPLE],
        description="The version begins as `PENDING_REGISTRATION`. Upload its files, then call `finish`: the server "
        "computes the manifest and seals it.",
    )
    def post(self, _request: Request, name: str) -> Response:
        """Register the version and its lineage, both or neither."""
        model = model_by_name(name, self.person)
        given = self.read(VersionIn)
        origin = given.pop("lineage", None)

        def create() -> Answer:
            with transaction.atomic():
                try:
                    version = versions.register_version(model=model, by=self.actor, **given)
                except Refusal as refused:
                    refusal = refused  # nothing to undo, and the ledger keeps its entry if the gate refused
                else:
                    if origin:
                        inputs = as_input(origin, parameters=given["parameters"], metrics=given["metrics"])
                        lineage.record(version=version, inputs=inputs, by=self.actor)
                    fresh = shown(ModelVersion.objects.all()).get(pk=version.pk)
                    here = reverse("api:version", kwargs={"name": model.name, "number": fresh.number})
                    return created(VersionOut(fresh).data, location=here)
            raise refusal

        return self.once(create)


class VersionEndpoint(Endpoint):
    """Views of one version."""

    def present(self, version: ModelVersion) -> Response:
        """The version as it is now."""
        return Response(VersionOut(shown(ModelVersion.objects.all()).get(pk=version.pk)).data)


class Version(VersionEndpoint):
    """One version."""

    @documented("versions_read", "Read a version", tag=TAG, answer=VersionOut)
    def get(self, _request: Request, name: str, number: int) -> Response:
        """Read."""
        self.ask()
        return self.present(version_of(name, number, self.person))

    @documented("versions_change", "Describe a version", tag=TAG, request=VersionChange, answer=VersionOut, writes=True)
    def patch(self, _request: Request, name: str, number: int) -> Response:
        """Describe."""
        version = version_of(name, number, self.person)
        given = self.read(VersionChange)
        return self.present(versions.update_version(version=version, by=self.actor, description=given["description"]))

    @documented("versions_delete", "Delete a version", tag=TAG, answer=None, status=204, writes=True)
    def delete(self, _request: Request, name: str, number: int) -> Response:
        """Delete."""
        versions.delete_version(version=version_of(name, number, self.person), by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Finish(VersionEndpoint):
    """All files are up: seal."""

    @documented(
        "versions_finish",
        "Seal a version",
        tag=TAG,
        request=FinishVersionIn,
        answer=VersionOut,
        writes=True,
        description="Refused while an upload is open, or without files. Afterwards the bytes never change.",
    )
    def post(self, _request: Request, name: str, number: int) -> Response:
        """Seal."""
        version = version_of(name, number, self.person)
        runnable = self.read(FinishVersionIn)["runnable"]
        return self.present(artifacts.finish_version(version=version, by=self.actor, runnable=runnable))
