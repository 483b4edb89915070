"""The log: its head and its entries, with a search."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audit import actions, selectors
from audit.models import Entry
from audit.personal import named
from audit.selectors import Filters
from audit.ui.head import standing, tree_head
from audit.ui.views.access import check_auditor
from audit.ui.views.lines import lines_of
from config.pages import render_page, signed_in

PER_PAGE: Final = 50
WEEKS: Final = 60


class SearchForm(forms.Form):
    """What the log can be searched for. ``about`` is ``kind:id`` or a kind; ``who`` a user name or an actor's id."""

    about = forms.CharField(required=False, max_length=400, label="About")
    who = forms.CharField(required=False, max_length=255, label="Who")
    action = forms.ChoiceField(required=False, label="Action")
    since = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self.fields["action"].choices = [("", "Any action"), *((one.name, one.name) for one in actions.known())]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Refuse a period that ends before it begins."""
        found = super().clean() or {}
        if found.get("since") and found.get("until") and found["since"] > found["until"]:
            self.add_error("until", "This day is before the first one.")
        return found

    def filters(self) -> Filters:
        """The search as the selectors take it; days are whole days, both included."""
        found = self.cleaned_data
        kind, _, ident = found.get("about", "").partition(":")
        until: date | None = found.get("until")
        return Filters(
            action=found.get("action", ""),
            actor=_actor(found.get("who", "")),
            object_type=kind,
            object_id=ident,
            since=_midnight(found.get("since")),
            until=_midnight(until + timedelta(days=1)) if until else None,
        )


def _midnight(day: date | None) -> datetime | None:
    return timezone.make_aware(datetime.combine(day, time())) if day else None


def _actor(who: str) -> str:
    """The id behind a user name; what is no user name is taken for an id (``service:checks``)."""
    user = get_user_model().objects.filter(username=who).only("pk").first() if who else None
    return f"user:{user.pk}" if user else who


@signed_in
@never_cache
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The log: its head, and its entries, newest first."""
    check_auditor(request)
    form = SearchForm(request.GET)
    head = tree_head()
    page = None
    if form.is_valid():
        page = selectors.entries_page(form.filters(), after=request.GET.get("after", ""), size=PER_PAGE)
    kept = {key: value for key, value in request.GET.items() if key != "after" and value}
    context = {
        "section": "audit",
        "form": form,
        "head": head,
        "standing": standing(),
        "weeks": selectors.entries_per_week(weeks=WEEKS),
        "first": Entry.objects.order_by("index").only("canon").values_list("at", flat=True).first(),
        "lines": lines_of(named(page.rows) if page else [], head.checkpoint.size if head else 0),
        "searched": bool(kept),
        "older": f"{request.path}?{urlencode({**kept, 'after': page.next})}" if page and page.next else "",
        "newer": f"{request.path}?{urlencode(kept)}" if request.GET.get("after") else "",
    }
    return render_page(request, "audit/log.html", context, partial="events", status=200 if form.is_valid() else 422)
