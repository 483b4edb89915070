"""Who holds which role."""

from rest_framework.request import Request
from rest_framework.response import Response

from registry.api.endpoint import Endpoint
from registry.api.schema import documented, page_of
from registry.api.serializers.roles import RoleOut, RoleQuery
from registry.selectors.access import grants_visible_to


class Roles(Endpoint):
    """Roles as they were given to teams."""

    query = RoleQuery

    @documented("roles_list", "List who holds which role", tag="accounts", query=RoleQuery, answer=page_of(RoleOut))
    def get(self, _request: Request) -> Response:
        """By role and team. Auditors and administrators see all, everybody else the roles of their own teams."""
        asked = self.ask()
        rows = grants_visible_to(self.person, model=asked["model"])
        return self.listed(rows, keys=["role", "team__name", "pk"], asked=asked, present=RoleOut)
