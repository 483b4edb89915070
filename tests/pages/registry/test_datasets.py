"""The pages of data sets: what there is, what may be told of it, and how one is registered, without a script."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from audit.actors import Actor
from registry.models import DatasetVersion, ModelVersion, User
from registry.roles import Role
from registry.services import artifacts, datasets, sealing
from tests.factories import pages as make
from tests.factories import registry
from tests.pages.registry.conftest import QUERIES, Visit

pytestmark = pytest.mark.usefixtures("by_hand")

ROWS = b"customer,sex,age,bad\n" + b"".join(
    f"C-{at},{'feminine' if at % 3 else 'masculine'},{20 + at % 50},{at % 2}\n".encode() for at in range(400)
)
COLUMNS: dict[str, Any] = {"label": "bad", "sensitive": ["sex"], "id": "customer", "features": ["age"]}


def sealed(by: User, *, role: str = "test", name: str = "credit", content: bytes = ROWS) -> DatasetVersion:
    """What the worker makes of the rows."""
    version = datasets.register_dataset(name=name, role=role, by=registry.actor(by), columns=COLUMNS)
    registry.uploaded(version, by, content, path="data")
    datasets.finish_dataset(dataset_version=version, by=registry.actor(by))
    return sealing.seal_dataset(dataset_version=version, by=Actor.service("ingest"))


def test_a_version_shows_its_profile_and_no_value_of_sensitive_columns_or_ids(
    scientist: User, visit: Visit, django_assert_max_num_queries: Any
) -> None:
    version = sealed(scientist)
    browser = visit(scientist)

    with django_assert_max_num_queries(QUERIES):
        page = browser.get("/datasets/credit/versions/1/").content.decode()

    assert "never shown" in page
    assert not any(value in page for value in ("feminine", "masculine", "C-1"))
    assert "50%" in page
    assert version.digest[:8] in page.replace(" ", "")
    assert "Download the file" in page


def test_the_lists_show_what_there_is_in_few_queries(
    scientist: User, visit: Visit, django_assert_max_num_queries: Any
) -> None:
    for _ in range(30):
        datasets.register_dataset(name="many", role="other", by=registry.actor(scientist))
    for at in range(30):
        datasets.register_dataset(name=f"set-{at:02}", role="other", by=registry.actor(scientist))
    browser = visit(scientist)

    with django_assert_max_num_queries(QUERIES):
        listed = browser.get("/datasets/").content.decode()
    with django_assert_max_num_queries(QUERIES):
        versions = browser.get("/datasets/many/").content.decode()

    assert "set-00" in listed
    assert "after=" in listed
    assert "v30" in versions
    assert "after=" in versions


def test_who_has_no_role_sees_only_their_own(scientist: User, stranger: User, visit: Visit) -> None:
    sealed(scientist)
    browser = visit(stranger)

    assert "credit" not in browser.get("/datasets/").content.decode()
    for address in ("", "versions/1/", "versions/1/file/", "versions/9/"):
        assert browser.get(f"/datasets/credit/{address}").status_code == 404
    assert browser.post("/datasets/credit/versions/1/predictions/", {}).status_code == 404
    assert Client().get("/datasets/").status_code == 302


def _form(**given: Any) -> dict[str, Any]:
    return {"name": "credit", "role": "test", "label": "bad", "sensitive": "sex", "positive": "1", **given}


def test_a_file_is_registered_uploaded_and_handed_to_the_worker(scientist: User, visit: Visit) -> None:
    answer = visit(scientist).post("/datasets/", _form(file=SimpleUploadedFile("rows.csv", ROWS), features="age, sex"))

    assert (answer.status_code, answer["Location"]) == (303, "/datasets/credit/versions/1/")
    version = DatasetVersion.objects.get()
    assert (version.status, version.digest) == ("sealing", registry.sha256(ROWS))
    assert version.columns == {"label": "bad", "sensitive": ["sex"], "features": ["age", "sex"], "positive": 1}
    assert sealing.seal_dataset(dataset_version=version, by=Actor.service("ingest")).status == "sealed"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Give a file or a reference."),
        ({"file": SimpleUploadedFile("a", ROWS), "reference": "/srv/a"}, "not both"),
        ({"reference": "/etc/passwd"}, "reads no data sets of this role from a path"),
        ({"reference": "/srv/a", "label": ""}, "Which column is the outcome?"),
        ({"reference": "/srv/a", "weight": "age", "features": "age"}, "so it is no feature"),
        ({"reference": "/srv/a", "role": "holdout"}, "needs the role validator or compliance officer"),
        ({"reference": "/srv/a", "name": "a/b"}, "name"),
        ({"reference": "/srv/a", "role": "predictions"}, "Select a valid choice"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_beside_its_field(
    scientist: User, visit: Visit, given: dict[str, Any], words: str
) -> None:
    answer = visit(scientist).post("/datasets/", _form(**given))

    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not DatasetVersion.objects.exists()


def test_a_hold_out_shows_names_types_and_size_and_gives_nothing(visit: Visit) -> None:
    vera = make.person("vera", Role.VALIDATOR)
    sealed(vera, role="holdout", name="exam")
    browser = visit(vera)

    page = browser.get("/datasets/exam/versions/1/").content.decode()

    assert "only a worker opens it" in page
    assert "Download" not in page
    assert not any(value in page for value in ("feminine", "50%", "C-1"))
    refused = browser.get("/datasets/exam/versions/1/file/")
    assert refused.status_code == 403
    assert "audit log" in refused.content.decode()


def test_why_a_file_was_not_sealed_stands_on_its_page(scientist: User, visit: Visit) -> None:
    sealed(scientist, content=b"a;b\n1;2\n")

    page = visit(scientist).get("/datasets/credit/versions/1/").content.decode()

    assert "separated by semicolons" in page


@pytest.fixture
def vendors(scientist: User, artifact_root: Path) -> ModelVersion:
    """A version whose model is elsewhere."""
    version = registry.pending_version(make.model(scientist), scientist)
    registry.uploaded(version, scientist, b"Bought.", path="vendor.md")
    return artifacts.finish_version(version=version, by=registry.actor(scientist), runnable=False)


def test_predictions_of_a_vendors_model_are_uploaded_from_the_data_they_are_for(
    scientist: User, vendors: ModelVersion, visit: Visit
) -> None:
    data, browser = sealed(scientist), visit(scientist)
    scores = b"s\n" + b"0.5\n" * 400
    form = {"name": "answers", "model": vendors.model.name, "version": vendors.number, "score": "s"}

    missing = browser.post("/datasets/credit/versions/1/predictions/", form)
    unknown = browser.post(
        "/datasets/credit/versions/1/predictions/", {**form, "version": 9, "file": SimpleUploadedFile("a", scores)}
    )
    made = browser.post("/datasets/credit/versions/1/predictions/", {**form, "file": SimpleUploadedFile("a", scores)})

    assert (missing.status_code, unknown.status_code) == (422, 422)
    assert "There is no such version" in unknown.content.decode()
    assert (made.status_code, made["Location"]) == (303, "/datasets/answers/versions/1/")
    version = DatasetVersion.objects.get(role="predictions")
    sealing.seal_dataset(dataset_version=version, by=Actor.service("ingest"))
    assert version.predictions_for == data
    assert "uploaded, not computed here" in browser.get(made["Location"]).content.decode()


def test_values_of_categories_are_text_not_markup(scientist: User, visit: Visit) -> None:
    rows = b"word,sex,customer,age,bad\n" + b"".join(
        f"<script>alert(1)</script>,f,{at},1,{at % 2}\n".encode() for at in range(30)
    )
    sealed(scientist, content=rows)

    page = visit(scientist).get("/datasets/credit/versions/1/").content.decode()

    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
