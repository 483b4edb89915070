"""Where a version comes from, and what came of it."""

from rest_framework.request import Request
from rest_framework.response import Response

from registry.api.endpoint import Endpoint
from registry.api.schema import documented
from registry.api.serializers.lineage import GraphOut, LineageQuery
from registry.api.views.versions import version_of
from registry.formats import prov
from registry.selectors.lineage import Graph, around, downstream, node_of, upstream
from registry.selectors.lineage_seen import as_seen_by

WALKS = {"up": upstream, "down": downstream, "both": around}


class Lineage(Endpoint):
    """The graph around one version."""

    query = LineageQuery

    @documented(
        "version_lineage",
        "Read the lineage of a version",
        tag="versions",
        query=LineageQuery,
        answer=GraphOut,
        description="Edges go from data to product. With `format=prov` the answer is a W3C PROV-JSON document instead. "
        "Versions of models you may not see are in the graph without their names.",
    )
    def get(self, _request: Request, name: str, number: int) -> Response:
        """Walk."""
        asked = self.ask()
        node = node_of(version_of(name, number, self.person))
        graph = WALKS[asked["direction"]](node, depth=asked["depth"]) if node else Graph()
        graph = as_seen_by(self.person, graph)
        if asked["format"] == "prov":
            return Response(prov.document(graph))
        return Response(GraphOut(graph).data)
