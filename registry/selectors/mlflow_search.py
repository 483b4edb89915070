"""What the MLflow edge reads: one model or version by name, the newest version per stage, and both searches."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any, Final, Protocol, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import BooleanField, Exists, F, Func, Model, OuterRef, Q, QuerySet, Value
from django.db.models.expressions import Combinable

from config.errors import Invalid
from config.pagination import Page, page_of
from registry.models import Alias, ModelTag, ModelVersion, RegisteredModel, User, VersionTag

LARGEST_NUMBER: Final = 2**31 - 1
PROMPT_TAG: Final = "mlflow.prompt.is_prompt"
# Of who registered a version, only the name is shown; the tracking process, which asks too, may read no more.
_SHOWN_OF_PERSON: Final = frozenset({"id", "username"})
_NOT_READ: Final = tuple(
    f"registered_by__{field.name}" for field in User._meta.concrete_fields if field.name not in _SHOWN_OF_PERSON
)
Row = TypeVar("Row", bound=Model)


class Condition(Protocol):
    """One comparison of a search (``registry.mlflow.filters.Condition``)."""

    @property
    def on(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def operator(self) -> str: ...
    @property
    def value(self) -> str | int | tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class _Columns:
    """Names of the language → lookups of the ORM."""

    fields: dict[str, str]
    orders: dict[str, str]
    tie_break: Sequence[str]
    default: Sequence[str]


_MODELS: Final = _Columns(
    fields={"name": "name"},
    orders={"name": "name", "updated": "updated_at"},
    tie_break=("name",),
    default=("name",),
)
_VERSIONS: Final = _Columns(
    fields={"name": "model__name", "run_id": "run_id", "source_path": "source", "version_number": "number"},
    orders={"name": "model__name", "number": "number", "created": "created_at", "updated": "updated_at"},
    tie_break=("model__name", "-number"),
    default=("-updated_at", "model__name", "-number"),
)


def version_of(model: RegisteredModel, number: int) -> ModelVersion | None:
    """The live version of a model by number, with what a document of it needs."""
    if not 0 < number <= LARGEST_NUMBER:
        return None
    return _complete(ModelVersion.objects.filter(model=model, number=number, deleted_at=None)).first()


def version_by_alias(model: RegisteredModel, alias: str) -> ModelVersion | None:
    """The version an alias of a model names."""
    found = _complete(ModelVersion.objects.filter(model=model, aliases__name=alias, deleted_at=None))
    return found.filter(aliases__model=model).first()


def newest_version(model: RegisteredModel) -> ModelVersion | None:
    """The live version with the highest number."""
    return _complete(ModelVersion.objects.filter(model=model, deleted_at=None)).order_by("-number").first()


def latest_per_stage(models: Iterable[RegisteredModel]) -> dict[int, list[ModelVersion]]:
    """For each model, by primary key, its newest live version in each stage.

    One probe of the index ``modelversion_latest`` per model and stage: the cost does not grow with the versions.
    """
    keys = [model.pk for model in models]
    found: dict[int, list[ModelVersion]] = {key: [] for key in keys}
    if not keys:
        return found
    newest = ModelVersion.objects.raw(
        """
        SELECT v.id FROM unnest(%s::bigint[]) AS wanted(model_id)
        CROSS JOIN unnest(%s::text[]) AS of(stage)
        CROSS JOIN LATERAL (
            SELECT id FROM registry_modelversion
            WHERE model_id = wanted.model_id AND stage = of.stage AND deleted_at IS NULL
            ORDER BY (number * -1) LIMIT 1
        ) AS v
        """,
        [keys, [stage.value for stage in ModelVersion.Stage]],
    )
    for version in _complete(ModelVersion.objects.filter(pk__in=[row.pk for row in newest])).order_by("number"):
        found[version.model_id].append(version)
    return found


def tags_of_models(models: Iterable[RegisteredModel]) -> dict[int, list[ModelTag]]:
    """Tags by the primary key of their model."""
    found: dict[int, list[ModelTag]] = {model.pk: [] for model in models}
    for tag in ModelTag.objects.filter(model__in=list(found)).order_by("key"):
        found[tag.model_id].append(tag)
    return found


def aliases_of_models(models: Iterable[RegisteredModel]) -> dict[int, list[Alias]]:
    """Aliases, with their versions, by the primary key of their model."""
    found: dict[int, list[Alias]] = {model.pk: [] for model in models}
    for alias in Alias.objects.filter(model__in=list(found)).select_related("version").order_by("name"):
        found[alias.model_id].append(alias)
    return found


def search_models(
    user: User,
    conditions: Sequence[Condition],
    order: Sequence[tuple[str, bool]],
    *,
    after: str,
    size: int,
    prompts: bool,
) -> Page[RegisteredModel]:
    """A page of the registered models a user may see. Raises ``Invalid`` for a page token that is not ours."""
    rows = RegisteredModel.objects.alive().visible_to(user)
    rows = rows.filter(_where(conditions, _MODELS.fields, ModelTag, "model", prompts=prompts))
    if not prompts:
        rows = rows.exclude(Exists(_prompt(ModelTag, "model", "pk")))
    return _page(rows, _keys(order, _MODELS), after=after, size=size)


def search_versions(
    user: User,
    conditions: Sequence[Condition],
    order: Sequence[tuple[str, bool]],
    *,
    after: str,
    size: int,
    prompts: bool,
) -> Page[ModelVersion]:
    """A page of the live versions a user may see. Raises ``Invalid`` for a page token that is not ours."""
    rows = ModelVersion.objects.alive().visible_to(user)
    rows = rows.filter(_where(conditions, _VERSIONS.fields, VersionTag, "version", prompts=prompts))
    if not prompts:
        rows = rows.exclude(Exists(_prompt(ModelTag, "model", "model_id")))
        rows = rows.exclude(Exists(_prompt(VersionTag, "version", "pk")))
    rows = rows.select_related("model", "registered_by").defer(*_NOT_READ).prefetch_related("tags", "aliases")
    return _page(rows, _keys(order, _VERSIONS), after=after, size=size)


def _complete(versions: QuerySet[ModelVersion]) -> QuerySet[ModelVersion]:
    return versions.select_related("model", "registered_by").defer(*_NOT_READ).prefetch_related("tags", "aliases")


def _prompt(tags: type[ModelTag] | type[VersionTag], owner: str, outer: str) -> QuerySet[Any]:
    manager: QuerySet[Any] = tags._default_manager.all()
    return manager.filter(**{owner: OuterRef(outer)}, key=PROMPT_TAG, value="true")


def _page(rows: QuerySet[Row], keys: Sequence[str], *, after: str, size: int) -> Page[Row]:
    try:
        return page_of(rows, after=after, size=size, keys=keys)
    except ValidationError as error:
        raise Invalid("This page token is not one of this search.", code="page_token", field="page_token") from error


def _keys(order: Sequence[tuple[str, bool]], columns: _Columns) -> list[str]:
    if not order:
        return list(columns.default)
    keys = [columns.orders[name] if ascending else f"-{columns.orders[name]}" for name, ascending in order]
    given = {key.removeprefix("-") for key in keys}
    return keys + [key for key in columns.tie_break if key.removeprefix("-") not in given]


def _where(
    conditions: Sequence[Condition],
    fields: dict[str, str],
    tags: type[ModelTag] | type[VersionTag],
    owner: str,
    *,
    prompts: bool,
) -> Q:
    """All attribute conditions, and for each tag key one tag that meets every condition on it."""
    where = Q()
    of_tags: dict[str, list[Condition]] = {}
    for condition in conditions:
        if condition.on == "attribute":
            where &= Q(_compare(fields[condition.key], condition))
        elif condition.key != PROMPT_TAG or prompts:
            of_tags.setdefault(condition.key, []).append(condition)
    for key, wanted in of_tags.items():
        manager: QuerySet[Any] = tags._default_manager.all()
        one = manager.filter(**{owner: OuterRef("pk")}, key=key)
        one = one.filter(reduce(and_, [Q(_compare("value", condition)) for condition in wanted]))
        where &= Q(Exists(one))
    return where


_LOOKUPS: Final = {"=": "exact", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte", "IN": "in"}


def _compare(field: str, condition: Condition) -> Q | Combinable:
    if condition.operator in {"LIKE", "ILIKE"}:
        return Func(
            F(field),
            Value(condition.value),
            template="(%(expressions)s ESCAPE '')",
            arg_joiner=f" {condition.operator} ",
            output_field=BooleanField(),
        )
    if condition.operator in {"!=", "NOT IN"}:
        return ~Q(**{f"{field}__{'in' if condition.operator == 'NOT IN' else 'exact'}": condition.value})
    return Q(**{f"{field}__{_LOOKUPS[condition.operator]}": condition.value})
