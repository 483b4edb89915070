"""What clusters let in without a permit: the list, and the review of each."""

from http import HTTPStatus
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from audit.actors import Actor
from config.errors import NotFound, Refusal
from config.pages import render_page, signed_in
from config.pagination import page_of
from governance import guards
from governance.models import BrokenGlass
from governance.selectors.broken_glass import unreviewed, visible_to
from governance.services import broken_glass
from governance.ui.forms import LONGEST, show
from governance.ui.screen import person

PER_PAGE = 25


class ReviewForm(forms.Form):
    """What was found. The outcome starts unpicked."""

    outcome = forms.ChoiceField(
        label="Was it justified?",
        choices=BrokenGlass.Outcome.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Say whether it was justified."},
    )
    text = forms.CharField(
        label="What you found",
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Write what you found."},
    )


@signed_in
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Newest first."""
    reader = person(request)
    after = request.GET.get("after", "")
    page = page_of(visible_to(reader), after=after, size=PER_PAGE, keys=("-reported_at", "-pk"))
    context = {
        "section": "inbox",
        "rows": page.rows,
        "open": unreviewed(reader).count(),
        "next": page.next,
        "after": after,
    }
    return render_page(request, "governance/broken_glass_list.html", context)


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What was let in, by whom, why, and what a review found. A POST reviews it."""
    found = visible_to(person(request)).filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such report, or you may not see it.", code="glass.unknown")
    form, status = ReviewForm(), HTTPStatus.OK
    if request.method == "POST":
        form, status = ReviewForm(request.POST), HTTPStatus.UNPROCESSABLE_ENTITY
        if form.is_valid():
            try:
                broken_glass.review(broken=found, **form.cleaned_data, by=Actor.of(request))
            except Refusal as refusal:
                show(form, refusal)
                status = refusal.status
            else:
                messages.success(request, "Your review is on record.")
                return HttpResponseRedirect(reverse("ui:broken-glass", args=[found.pk]), status=HTTPStatus.SEE_OTHER)
    why_not = guards.why_not(guards.check_can_review_broken_glass, Actor.of(request), found)
    context = {"section": "inbox", "broken": found, "form": form, "why_not": why_not}
    return render_page(request, "governance/broken_glass.html", context, status=status)
