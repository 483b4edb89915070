"""Django's admin for people, teams, roles and tokens, bound by the services and the ledger."""

from django.contrib import admin


class CountersignAdminSite(admin.AdminSite):
    """The admin under the product's name."""

    site_header = "Countersign administration"
    site_title = "Countersign"
    index_title = "People, teams, roles and tokens"
