"""Data sets and their versions."""

from typing import Any

from django.db.models import Max
from django.http import FileResponse
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import NotFound
from registry.api.endpoint import Endpoint, PageQuery, created
from registry.api.schema import BYTES, IDEMPOTENCY_KEY, documented, page_of
from registry.api.serializers.artifacts import DatasetIn, DatasetOut, DatasetQuery, DatasetVersionOut, ProfileOut
from registry.api.views.versions import version_of
from registry.models import Dataset, DatasetVersion, User
from registry.selectors.datasets import shown, visible
from registry.services import datasets, holdouts
from registry.services.idempotency import Answer

TAG = "datasets"
EXAMPLE = OpenApiExample(
    "A held-out set",
    value={
        "name": "credit-holdout",
        "role": "test",
        "columns": {"label": "default", "positive": 1, "sensitive": ["sex", "age_band"]},
    },
    request_only=True,
)


def dataset_of(name: str, user: User) -> Dataset:
    """The data set, if the person may see it. Raises ``NotFound``."""
    found = visible(user).filter(name=name).first()
    if found is None:
        raise NotFound("There is no such data set, or you may not see it.", code="dataset.unknown")
    return found


def dataset_version_of(name: str, number: int, user: User) -> DatasetVersion:
    """The data set version, if the person may see it. Raises ``NotFound``."""
    found = shown(DatasetVersion.objects.filter(dataset=dataset_of(name, user), number=number)).first()
    if found is None:
        raise NotFound(f"The data set {name} has no version {number}.", code="dataset.unknown_version")
    return found


class Datasets(Endpoint):
    """All data sets, and a new version of one."""

    query = DatasetQuery

    @documented("datasets_list", "List data sets", tag=TAG, query=DatasetQuery, answer=page_of(DatasetOut))
    def get(self, _request: Request) -> Response:
        """By name."""
        asked = self.ask()
        rows = visible(self.person).select_related("owner").annotate(latest_number=Max("versions__number"))
        if "name" in asked:
            rows = rows.filter(name__icontains=asked["name"])
        return self.listed(rows, keys=["name"], asked=asked, present=DatasetOut)

    @documented(
        "datasets_create",
        "Register a data set version",
        tag=TAG,
        request=DatasetIn,
        answer=DatasetVersionOut,
        status=201,
        writes=True,
        parameters=[IDEMPOTENCY_KEY],
        examples=[EXAMPLE],
        description="A new name makes a data set; a known name, its next version. Then upload one file, "
        "(CSV, Parquet or Arrow, as it is or packed with gzip or Zstandard) and call `finish`; or give a `reference`, which a "
        "worker reads at once. The role `holdout` needs a validator or compliance officer. The role `predictions` takes what "
        "a model that is not here predicted, with `predictions` naming the version and the data.",
    )
    def post(self, _request: Request) -> Response:
        """Register."""
        given = self.read(DatasetIn)
        of = given.pop("predictions", None)

        def create() -> Answer:
            predictions = self._predictions(of) if of else None
            version = datasets.register_dataset(by=self.actor, **given, predictions=predictions)
            here = reverse("api:dataset-version", kwargs={"name": version.dataset.name, "number": version.number})
            return created(DatasetVersionOut(version).data, location=here)

        return self.once(create)

    def _predictions(self, of: dict[str, Any]) -> datasets.Of:
        """Raises ``NotFound`` for what the person may not see."""
        return datasets.Of(
            version=version_of(of["model"], of["version"], self.person),
            data=dataset_version_of(of["dataset"], of["dataset_version"], self.person),
            digest=of["digest"],
        )


class OneDataset(Endpoint):
    """One data set."""

    @documented("datasets_read", "Read a data set", tag=TAG, answer=DatasetOut)
    def get(self, _request: Request, name: str) -> Response:
        """Read."""
        self.ask()
        rows = Dataset.objects.filter(pk=dataset_of(name, self.person).pk).select_related("owner")
        return Response(DatasetOut(rows.annotate(latest_number=Max("versions__number")).get()).data)


class DatasetVersions(Endpoint):
    """All versions of a data set."""

    query = PageQuery

    @documented(
        "dataset_versions_list",
        "List the versions of a data set",
        tag=TAG,
        query=PageQuery,
        answer=page_of(DatasetVersionOut),
    )
    def get(self, _request: Request, name: str) -> Response:
        """Newest first."""
        rows = shown(DatasetVersion.objects.filter(dataset=dataset_of(name, self.person)))
        return self.listed(rows, keys=["-number"], asked=self.ask(), present=DatasetVersionOut)


class OneDatasetVersion(Endpoint):
    """One version of a data set."""

    @documented("dataset_versions_read", "Read a data set version", tag=TAG, answer=DatasetVersionOut)
    def get(self, _request: Request, name: str, number: int) -> Response:
        """Read."""
        self.ask()
        return Response(DatasetVersionOut(dataset_version_of(name, number, self.person)).data)


class Finish(Endpoint):
    """The file is up: have it sealed."""

    @documented(
        "dataset_versions_finish",
        "Seal a data set version",
        tag=TAG,
        request=None,
        answer=DatasetVersionOut,
        writes=True,
        status=202,
        description="A worker reads the file: schema, rows. Follow `status`: `sealed`, or `failed` with the reason in "
        "`status_message`, such as a label or sensitive column that is not there.",
    )
    def post(self, _request: Request, name: str, number: int) -> Response:
        """Seal."""
        version = dataset_version_of(name, number, self.person)
        datasets.finish_dataset(dataset_version=version, by=self.actor)
        return Response(
            DatasetVersionOut(dataset_version_of(name, number, self.person)).data, status=status.HTTP_202_ACCEPTED
        )


class Profile(Endpoint):
    """What may be told of a version's columns."""

    @documented(
        "dataset_versions_profile",
        "Read the profile of a data set version",
        tag=TAG,
        answer=ProfileOut,
        description="Made by the worker that sealed it: type, missing, distinct values, quantiles or the most frequent "
        "values. Of sensitive columns and ids no value, and no count below `smallest_cell` or that would give one away. Of "
        "a hold-out only names and types.",
    )
    def get(self, _request: Request, name: str, number: int) -> Response:
        """Read."""
        self.ask()
        profile = dataset_version_of(name, number, self.person).profile
        if profile is None:
            raise NotFound(
                "It has no profile: it is not sealed, or was before there were any.", code="dataset.no_profile"
            )
        return Response(profile)


class Download(Endpoint):
    """The file as it was sealed."""

    @documented(
        "dataset_versions_download",
        "Download the file of a data set version",
        tag=TAG,
        answers={(200, "application/octet-stream"): BYTES},
        description="For who registered it, validators and auditors. Nobody reads a sealed hold-out: 403, and the attempt "
        "is logged.",
    )
    def get(self, _request: Request, name: str, number: int) -> FileResponse:
        """Stream."""
        self.ask()
        version = dataset_version_of(name, number, self.person)
        content = holdouts.opened(version, by=self.actor, door="dataset")
        return FileResponse(
            content,
            as_attachment=True,
            filename=f"{version.dataset.name}-v{version.number}",
            content_type="application/octet-stream",
            headers={"ETag": f'"{version.digest}"'},
        )
