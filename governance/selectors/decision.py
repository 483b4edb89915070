"""What the page of one request reads beside its own rows: where both versions come from, what the live one measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from governance.models import CheckRun, PromotionRequest
from governance.states import CheckState
from registry.models import Edge, ModelVersion, Node
from registry.services.lineage import node_key


@dataclass(frozen=True, slots=True)
class Input:
    """Something that went into a version, and as what (``training``, ``code`` …)."""

    node: Node
    context: str


@dataclass(frozen=True, slots=True)
class Origin:
    """What one version was made from, at most two steps back. Empty where nothing was recorded."""

    version: Node | None = None
    runs: tuple[Node, ...] = ()
    inputs: tuple[Input, ...] = ()

    def of(self, kind: str) -> tuple[Input, ...]:
        """The inputs of one kind, each once."""
        seen: dict[UUID, Input] = {}
        for one in self.inputs:
            if one.node.kind == kind:
                seen.setdefault(one.node.pk, one)
        return tuple(seen.values())


def origins(*versions: ModelVersion | None) -> tuple[Origin, ...]:
    """The origin of each version given, in order. Three queries however many. A retracted edge does not count."""
    keys = {node_key(version): version for version in versions if version is not None}
    direct = _edges(Edge.objects.filter(dst__kind=Node.Kind.VERSION, dst__namespace__in=list(keys)))
    runs = {edge.src_id for edge in direct if edge.src.kind == Node.Kind.RUN}
    further = _edges(Edge.objects.filter(dst__in=runs)) if runs else []
    return tuple(_origin(node_key(version) if version else "", direct, further) for version in versions)


def live_results(request: PromotionRequest) -> Mapping[str, CheckRun]:
    """The newest results of the replaced version, by key, where they were measured on the same data as this round's."""
    if request.replaces_id is None:
        return {}
    data = {run.key: run.dataset_id for run in request.checks.all() if run.round == request.round}
    found = CheckRun.objects.filter(
        request__version=request.replaces_id, state=CheckState.FINISHED, key__in=list(data), result__isnull=False
    ).order_by("finished_at")
    return {run.key: run for run in found if run.dataset_id == data[run.key]}


def _edges(found: "QuerySet[Edge]") -> list[Edge]:
    rows = list(found.select_related("src", "dst"))
    retracted = {(edge.src_id, edge.dst_id) for edge in rows if edge.relation == Edge.Relation.RETRACTS}
    return [edge for edge in rows if (edge.src_id, edge.dst_id) not in retracted]


def _origin(key: str, direct: list[Edge], further: list[Edge]) -> Origin:
    own = [edge for edge in direct if edge.dst.namespace == key]
    runs = [edge.src for edge in own if edge.src.kind == Node.Kind.RUN]
    inputs = [Input(edge.src, edge.context) for edge in own if edge.src.kind != Node.Kind.RUN]
    inputs += [Input(edge.src, edge.context) for edge in further if edge.dst_id in {run.pk for run in runs}]
    return Origin(own[0].dst if own else None, tuple(runs), tuple(inputs))
