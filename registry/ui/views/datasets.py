"""Pages of data sets: what there is, a version with its profile, new versions, uploaded predictions."""

import hashlib
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from django.core.files.uploadedfile import UploadedFile
from django.db.models import Max
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit.actors import Actor
from config.errors import Refusal
from config.pages import render_page, signed_in
from config.pagination import page_of
from registry.models import Dataset, DatasetVersion, ModelVersion
from registry.reach import CONTRIBUTE, VALIDATE, holds_anywhere
from registry.selectors.datasets import may_read, shown, visible
from registry.services import artifacts, datasets, holdouts
from registry.storage import CHUNK
from registry.ui.dataset_forms import DatasetForm, PredictionsForm
from registry.ui.datasets import MOST_COLUMNS, format_of, mark_of, profile_rows, role_facts
from registry.ui.views.catalog import person

PER_PAGE: Final = 25
_FIELDS: Final = {"columns": "label", "predictions": "version", "reference": "reference"}


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """All data sets the person may see; by POST a new version of one."""
    user, form, status = person(request), DatasetForm(), int(HTTPStatus.OK)
    if request.method == "POST":
        form, status = DatasetForm(request.POST, request.FILES), int(HTTPStatus.UNPROCESSABLE_ENTITY)
        made = _registered(request, form) if form.is_valid() else None
        if made is not None:
            return _to(made)
    rows = visible(user).select_related("owner").annotate(latest=Max("versions__number"))
    page = page_of(rows, after=request.GET.get("after", ""), size=PER_PAGE, keys=("name",))
    here = reverse("ui:datasets")
    context = {
        "section": "datasets",
        "rows": page.rows,
        "form": form,
        "may_register": any(holds_anywhere(user, one) for one in (CONTRIBUTE, VALIDATE)),
        "older": f"{here}?{urlencode({'after': page.next})}" if page.next else "",
        "newer": here if request.GET.get("after") else "",
    }
    return render_page(request, "registry/dataset_list.html", context, status=status)


def _registered(request: HttpRequest, form: DatasetForm) -> DatasetVersion | None:
    given, by = form.cleaned_data, Actor.of(request)
    try:
        version = datasets.register_dataset(
            name=given["name"],
            role=given["role"],
            columns=form.columns(),
            description=given["description"],
            reference=given["reference"],
            by=by,
        )
        return _filled(version, given["file"], by) if given["file"] else version
    except Refusal as refusal:
        _say(form, refusal)
        return None


def _filled(version: DatasetVersion, file: "UploadedFile[bytes]", by: Actor) -> DatasetVersion:
    """The file uploaded whole, and the version handed to the worker."""
    digest, size = hashlib.sha256(), file.size or 0
    for chunk in file.chunks(CHUNK):
        digest.update(chunk)
    upload = artifacts.open_upload(version, path="data", declared_sha256=digest.hexdigest(), declared_size=size, by=by)
    file.seek(0)
    upload = artifacts.append_chunk(upload=upload, offset=0, stream=file, by=by)
    artifacts.complete_upload(upload=upload, by=by)
    return datasets.finish_dataset(dataset_version=version, by=by)


def _say(form: DatasetForm | PredictionsForm, refusal: Refusal) -> None:
    """The refusal beside its field, as far as the form has it."""
    whole, _, part = refusal.field.partition(".")
    field = part if part in form.fields else _FIELDS.get(whole, whole)
    form.add_error(field if field in form.fields else None, str(refusal))


@signed_in
@never_cache
@require_safe
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """One data set and its versions, newest first."""
    dataset = _named(request, name)
    rows = shown(DatasetVersion.objects.filter(dataset=dataset))
    page = page_of(rows, after=request.GET.get("after", ""), size=PER_PAGE, keys=("-number",))
    here = reverse("ui:dataset", args=[dataset.name])
    context = {
        "section": "datasets",
        "dataset": dataset,
        "rows": [(version, *mark_of(version)) for version in page.rows],
        "older": f"{here}?{urlencode({'after': page.next})}" if page.next else "",
        "newer": here if request.GET.get("after") else "",
    }
    return render_page(request, "registry/dataset_detail.html", context)


@signed_in
@never_cache
@require_safe
def version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """One version: what it is, and what may be told of its columns."""
    return _page(request, _version(request, name, number), PredictionsForm())


def _page(
    request: HttpRequest, found: DatasetVersion, form: PredictionsForm, status: int = HTTPStatus.OK
) -> HttpResponse:
    user, (mark, word) = person(request), mark_of(found)
    sealed = found.status == DatasetVersion.Status.SEALED
    context = {
        "section": "datasets",
        "version": found,
        "dataset": found.dataset,
        "mark": mark,
        "word": word,
        "format": format_of(found),
        "roles": role_facts(found),
        "columns": profile_rows(found),
        "more": max(0, len(found.schema) - MOST_COLUMNS),
        "may_download": sealed and not found.is_holdout and may_read(user, found),
        "may_predict": sealed and not found.predictions_of_id and holds_anywhere(user, CONTRIBUTE),
        "form": form,
    }
    return render_page(request, "registry/dataset_version.html", context, status=status)


@signed_in
@require_POST
def predictions(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Upload what a model that is not here predicted for it."""
    data, form, by = _version(request, name, number), PredictionsForm(request.POST, request.FILES), Actor.of(request)
    if form.is_valid():
        given = form.cleaned_data
        rows = ModelVersion.objects.alive().visible_to(person(request)).select_related("model")
        of = rows.filter(model__name=given["model"], number=given["version"]).first()
        try:
            if of is None:
                raise Refusal("There is no such version, or you may not see it.", field="version")
            made = datasets.register_dataset(
                name=given["name"],
                role=DatasetVersion.Role.PREDICTIONS,
                columns=form.columns(),
                predictions=datasets.Of(version=of, data=data, digest=data.digest),
                by=by,
            )
            return _to(_filled(made, given["file"], by))
        except Refusal as refusal:
            _say(form, refusal)
    return _page(request, data, form, HTTPStatus.UNPROCESSABLE_ENTITY)


@signed_in
@require_safe
def file(request: HttpRequest, name: str, number: int) -> FileResponse:
    """The file as it was sealed, as an attachment. Nobody is given a hold-out's."""
    found = _version(request, name, number)
    content = holdouts.opened(found, by=Actor.of(request), door="page")
    return FileResponse(
        content,
        as_attachment=True,
        filename=f"{found.dataset.name}-v{found.number}",
        content_type="application/octet-stream",
    )


def _to(made: DatasetVersion) -> HttpResponseRedirect:
    return HttpResponseRedirect(
        reverse("ui:dataset-version", args=[made.dataset.name, made.number]), status=HTTPStatus.SEE_OTHER
    )


def _named(request: HttpRequest, name: str) -> Dataset:
    found = visible(person(request)).select_related("owner").filter(name=name).first() if "\x00" not in name else None
    if found is None:
        raise Http404
    return found


def _version(request: HttpRequest, name: str, number: int) -> DatasetVersion:
    rows = shown(DatasetVersion.objects.filter(dataset__in=visible(person(request)), dataset__name=name))
    found = rows.filter(number=number).first() if "\x00" not in name and number < 2**31 else None
    if found is None:
        raise Http404
    return found
