"""Registered models and their aliases."""

from django.db.models import IntegerField, Max, OuterRef, Prefetch, QuerySet, Subquery
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api.endpoint import Endpoint, PageQuery, created
from registry.api.schema import IDEMPOTENCY_KEY, IF_MATCH, documented, page_of
from registry.api.serializers.models import AliasIn, AliasOut, ModelChange, ModelIn, ModelOut, ModelQuery
from registry.api.views.datasets import dataset_of
from registry.models import Alias, ModelVersion, RegisteredModel, User
from registry.selectors.catalog import model_by_name
from registry.services import catalog
from registry.services.idempotency import Answer

TAG = "models"
EXAMPLE = OpenApiExample(
    "A credit model",
    value={
        "name": "credit-default",
        "description": "Probability of default within twelve months.",
        "tier": 1,
        "use_case": "Consumer credit decisions",
        "tags": {"domain": "credit"},
        "card": {"intended_use": "Rank applications for review by a person."},
    },
    request_only=True,
)


def shown(rows: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    """With everything that ``ModelOut`` reads, in a fixed number of queries."""
    latest = (
        ModelVersion.objects.filter(model=OuterRef("pk"), deleted_at=None)
        .values("model")
        .annotate(highest=Max("number"))
        .values("highest")
    )
    return (
        rows.select_related("owner", "team", "evaluation_dataset")
        .prefetch_related("tags", Prefetch("aliases", Alias.objects.select_related("version")))
        .annotate(latest_number=Subquery(latest, output_field=IntegerField()))
    )


def visible(user: User) -> QuerySet[RegisteredModel]:
    """Models that are alive and that the person may see."""
    return RegisteredModel.objects.alive().visible_to(user)


def etag(model: RegisteredModel) -> str:
    """The model's ETag: its revision."""
    return f'"{model.revision}"'


class Models(Endpoint):
    """All models, and a new one."""

    query = ModelQuery

    @documented("models_list", "List the models you may see", tag=TAG, query=ModelQuery, answer=page_of(ModelOut))
    def get(self, _request: Request) -> Response:
        """By name."""
        asked = self.ask()
        rows = shown(visible(self.person))
        if "name" in asked:
            rows = rows.filter(name__icontains=asked["name"])
        if "tier" in asked:
            rows = rows.filter(tier=asked["tier"])
        if "owner" in asked:
            rows = rows.filter(owner__username=asked["owner"])
        return self.listed(rows, keys=["name", "pk"], asked=asked, present=ModelOut)

    @documented(
        "models_create",
        "Register a model",
        tag=TAG,
        request=ModelIn,
        answer=ModelOut,
        status=201,
        writes=True,
        parameters=[IDEMPOTENCY_KEY],
        examples=[EXAMPLE],
    )
    def post(self, _request: Request) -> Response:
        """Create."""
        given = self.read(ModelIn)

        def create() -> Answer:
            model = catalog.create_model(by=self.actor, **given)
            fresh = shown(RegisteredModel.objects.all()).get(pk=model.pk)
            return created(
                ModelOut(fresh).data, location=reverse("api:model", kwargs={"name": fresh.name}), ETag=etag(fresh)
            )

        return self.once(create)


class Model(Endpoint):
    """One model."""

    def present(self, model: RegisteredModel) -> Response:
        """The model as it is now, with its ETag."""
        fresh = shown(RegisteredModel.objects.all()).get(pk=model.pk)
        return Response(ModelOut(fresh).data, headers={"ETag": etag(fresh)})

    @documented("models_read", "Read a model", tag=TAG, answer=ModelOut)
    def get(self, _request: Request, name: str) -> Response:
        """Read."""
        self.ask()
        return self.present(model_by_name(name, self.person))

    @documented(
        "models_change",
        "Change tier, use case, description or card",
        tag=TAG,
        request=ModelChange,
        answer=ModelOut,
        writes=True,
        parameters=[IF_MATCH],
        errors=[412],
    )
    def patch(self, _request: Request, name: str) -> Response:
        """Change."""
        model = model_by_name(name, self.person)
        given = self.read(ModelChange)
        revision = self.expected_revision()
        if given.get("evaluation_dataset"):
            given["evaluation_dataset"] = dataset_of(given["evaluation_dataset"], self.person)
        return self.present(catalog.update_model(model=model, by=self.actor, revision=revision, **given))

    @documented("models_delete", "Delete a model", tag=TAG, answer=None, status=204, writes=True)
    def delete(self, _request: Request, name: str) -> Response:
        """Delete."""
        catalog.delete_model(model=model_by_name(name, self.person), by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Aliases(Endpoint):
    """The aliases of a model."""

    query = PageQuery

    @documented("aliases_list", "List the aliases of a model", tag=TAG, query=PageQuery, answer=page_of(AliasOut))
    def get(self, _request: Request, name: str) -> Response:
        """By name."""
        model = model_by_name(name, self.person)
        rows = Alias.objects.filter(model=model).select_related("version", "set_by")
        return self.listed(rows, keys=["name"], asked=self.ask(), present=AliasOut)


class OneAlias(Endpoint):
    """One alias. A governed one moves only with an active permit."""

    @documented(
        "aliases_set",
        "Point an alias to a version",
        tag=TAG,
        request=AliasIn,
        answer=AliasOut,
        writes=True,
        description="A governed alias, such as `production`, moves only with an active permit: without one the answer "
        "is a problem that says which promotion request to open or to finish.",
        examples=[OpenApiExample("Version 3", value={"version": 3}, request_only=True)],
    )
    def put(self, _request: Request, name: str, alias: str) -> Response:
        """Set."""
        model = model_by_name(name, self.person)
        given = self.read(AliasIn)
        catalog.set_alias(model=model, alias=alias, number=given["version"], by=self.actor)
        return Response(AliasOut(Alias.objects.select_related("version", "set_by").get(model=model, name=alias)).data)

    @documented("aliases_delete", "Delete an alias", tag=TAG, answer=None, status=204, writes=True)
    def delete(self, _request: Request, name: str, alias: str) -> Response:
        """Delete."""
        catalog.delete_alias(model=model_by_name(name, self.person), alias=alias, by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)
