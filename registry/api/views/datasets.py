"""Data sets and their versions."""

from django.db.models import Max, QuerySet
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import NotFound
from registry.api.endpoint import Endpoint, PageQuery, created
from registry.api.schema import IDEMPOTENCY_KEY, documented, page_of
from registry.api.serializers.artifacts import DatasetIn, DatasetOut, DatasetQuery, DatasetVersionOut
from registry.models import Dataset, DatasetVersion, User
from registry.reach import VIEW, holds_anywhere
from registry.services import datasets
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


def shown(rows: QuerySet[DatasetVersion]) -> QuerySet[DatasetVersion]:
    """With everything that ``DatasetVersionOut`` reads."""
    return rows.select_related("dataset", "created_by")


def visible(user: User) -> QuerySet[Dataset]:
    """Data sets the person may see: their own, and for whoever holds a role on some model, all of them."""
    if holds_anywhere(user, VIEW):
        return Dataset.objects.all()
    return Dataset.objects.filter(owner=user)


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
        "CSV or Parquet, and call `finish`.",
    )
    def post(self, _request: Request) -> Response:
        """Register."""
        given = self.read(DatasetIn)

        def create() -> Answer:
            version = datasets.register_dataset(by=self.actor, **given)
            here = reverse("api:dataset-version", kwargs={"name": version.dataset.name, "number": version.number})
            return created(DatasetVersionOut(version).data, location=here)

        return self.once(create)


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
