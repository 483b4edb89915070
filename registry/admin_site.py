"""The admin site itself, apart from its pages: Django makes it before it looks for them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from registry import reach


class CountersignAdminSite(admin.AdminSite):
    """The admin under the product's name, for administrators. It signs people in through the product's own page."""

    site_header = "Countersign administration"
    site_title = "Countersign"
    index_title = "People, teams, roles and tokens"
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff who administer every model."""
        user = request.user
        return bool(user.is_active and user.is_staff and reach.holds(user, reach.ADMINISTER))

    def password_change(  # type: ignore[override]  # a redirect is an answer, too
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseRedirect:
        """Lead to the account page: a password is changed there, by the service, and the change is logged."""
        return HttpResponseRedirect(f"{reverse('ui:account')}#password")

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseRedirect:
        """Lead to the sign-in page, where tries are counted and logged."""
        return HttpResponseRedirect(f"{reverse('login')}?next={request.get_full_path()}")
