"""``report.pdf`` in a bundle: as of the bundle's own checkpoint, the same whenever it is made, and checked by the verifier."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from audit.actors import SYSTEM
from audit.exports import verify as verifier
from audit.models import Entry
from config.errors import Invalid
from governance.bundles import questions
from governance.bundles.questions import Question
from governance.documents import press
from governance.models import Export, PromotionRequest
from governance.models.exports import ExportState
from governance.services import evidence, exports, permits, promotions
from registry.models import RegisteredModel, User
from registry.roles import Role
from registry.services import access, catalog, versions
from registry.services.lineage import CodeInput, LineageInput, record
from tests.factories import governance as make
from tests.governance.bundle.conftest import Verify, members_of
from tests.governance.documents.packs import attachments, words

pytestmark = pytest.mark.django_db(transaction=True)
Forge = Callable[[bytes], bytes]


def bundle(question: Question, by: User, size: int | None = None) -> bytes:
    """The bundle as a worker writes it."""
    out = io.BytesIO()
    evidence.write(question, by=make.actor(User.objects.get(pk=by.pk)), out=out, size=size)
    return out.getvalue()


def reported(request: PromotionRequest, by: User) -> Question:
    return questions.with_report(questions.about_request(by, request))


@pytest.fixture
def signed(approved: PromotionRequest, scientist: User) -> PromotionRequest:
    """An approval in the log, which knows its version and its model as well."""
    catalog.update_model(model=approved.model, description="Known to the log.", by=make.actor(scientist))
    versions.set_version_tag(version=approved.version, key="seen", value="yes", by=make.actor(scientist))
    make.integrate()
    return approved


def test_it_is_as_of_the_checkpoint_and_the_same_after_everything_changed(
    signed: PromotionRequest, scientist: User, approvers: list[User], verify: Verify
) -> None:
    size = Entry.objects.count()
    first = bundle(reported(signed, scientist), scientist)
    version = questions.with_report(questions.about_version(scientist, signed.version))
    model = questions.with_report(questions.about_model(scientist, signed.model))
    others = [bundle(one, scientist, size) for one in (version, model)]

    promotions.comment(request=signed, text="Well done.", by=make.actor(scientist))
    catalog.update_model(
        model=RegisteredModel.objects.get(), card={"intended_use": "Another."}, by=make.actor(scientist)
    )
    permits.revoke(permit=signed.permit, reason="Wrong data.", by=make.actor(approvers[0]))
    make.integrate()

    assert bundle(reported(signed, approvers[0]), approvers[0], size) == first
    assert [bundle(one, scientist, size) for one in (version, model)] == others
    now = bundle(reported(signed, scientist), scientist)
    for content in (first, now, *others):
        said = verify(content)
        assert "ok  report.pdf is as of the first" in said
        assert "left out" not in said
    then, later = (members_of(one)["report.pdf"] for one in (first, now))
    assert json.loads(attachments(then)["pack.json"])["log"]["size"] == size
    assert "may be called production until" in words(then)
    assert "may no longer be called production" in words(later)


def test_the_verifier_compares_its_rows_and_finds_its_files_in_the_bundle(
    signed: PromotionRequest, scientist: User, verify: Verify
) -> None:
    content = bundle(reported(signed, scientist), scientist)

    said = verify(content)

    files = verifier.attached(members_of(content)["report.pdf"])[1:]
    assert (
        f"{len(files)} files are attached to it besides its data, {len(files)} of them members of this bundle" in said
    )
    assert "rows are about entries here and say what they say" in said
    assert json.loads(members_of(content)["question.json"])["report"] is True


def test_a_worker_writes_it_and_what_is_answered_at_once_has_none(
    signed: PromotionRequest, scientist: User, verify: Verify
) -> None:
    made = exports.ask(question=reported(signed, scientist), by=make.actor(scientist))
    assert made.state == ExportState.QUEUED
    assert "report.pdf" not in members_of(evidence.bundle_bytes(request=signed, by=make.actor(scientist)))

    assert exports.write(made.pk, owner="worker")

    made.refresh_from_db()
    assert made.state == ExportState.FINISHED, made.problem
    content = exports.file_of(made).read_bytes()
    assert made.sha256 == hashlib.sha256(content).hexdigest()
    assert content == bundle(reported(signed, scientist), scientist, made.log_size)
    verify(content)


def test_there_is_none_of_a_period(scientist: User) -> None:
    with pytest.raises(Invalid, match="there is no report"):
        questions.with_report(Question("period", "A week", {"since": 1, "until": 2}))


def test_of_a_checkpoint_before_the_history_began_it_is_left_out_and_said_to_be(
    signed: PromotionRequest, scientist: User, verify: Verify
) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_moment DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM audit_moment")
        content = bundle(reported(signed, scientist), scientist)
        transaction.set_rollback(True)

    assert "report.pdf" not in members_of(content)
    assert "left out: report.pdf: The history of this installation begins after the checkpoint." in verify(content)


def test_lineage_that_its_reader_may_not_see_is_not_in_it(
    checking: PromotionRequest, approvers: list[User], scientist: User, verify: Verify
) -> None:
    base = make.sealed_version(make.registered_model(make.person("other"), name="secret-base"), make.person("other"))
    inputs = LineageInput(
        code=CodeInput(commit="0123456789"), base_models=(f"models:/{base.model.name}/{base.number}",)
    )
    record(version=checking.version, inputs=inputs, by=make.actor(scientist))
    approved = make.approve(make.finish_all(checking), approvers)
    make.integrate()
    narrow = make.person("narrow")
    team = access.create_team(name="narrow", by=SYSTEM)
    access.add_member(team=team, user=narrow, by=SYSTEM)
    access.grant_role(team=team, role=Role.CONTRIBUTOR, by=SYSTEM, model=approved.model)

    whole, part = (bundle(reported(approved, one), one) for one in (approvers[0], narrow))

    assert b"secret-base" in b"".join(verifier.attached(members_of(whole)["report.pdf"]))
    assert b"secret-base" not in b"".join(verifier.attached(members_of(part)["report.pdf"]))
    assert "secret-base" not in words(members_of(part)["report.pdf"])
    verify(whole)
    verify(part)


def test_a_document_that_cannot_be_set_ends_the_export_with_what_to_do(
    signed: PromotionRequest, scientist: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.documents.rendering.PRESS", press.__file__ + ".gone")
    made = exports.ask(question=reported(signed, scientist), by=make.actor(scientist))

    assert exports.write(made.pk, owner="worker")

    made = Export.objects.get(pk=made.pk)
    assert made.state == ExportState.FAILED
    assert "could not be set" in made.problem


# Forged reports: the manifest agrees, the report does not


def with_report(content: bytes, change: Forge | None, question: dict[str, object] | None = None) -> bytes:
    """The bundle with another report, or none, and a manifest that agrees."""
    members = members_of(content)
    manifest = json.loads(members.pop("manifest.json"))
    if change:
        members["report.pdf"] = change(members["report.pdf"])
    else:
        del members["report.pdf"]
    if question is not None:
        members["question.json"] = json.dumps(json.loads(members["question.json"]) | question).encode()
    manifest["members"] = {n: {"sha256": hashlib.sha256(d).hexdigest(), "size": len(d)} for n, d in members.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in {**members, "manifest.json": json.dumps(manifest).encode()}.items():
            archive.writestr(name, data)
    return out.getvalue()


def saying(old: bytes, new: bytes) -> Forge:
    """The report with other data attached, in a stream of the right length."""

    def change(pdf: bytes) -> bytes:
        for found in verifier.STREAM.finditer(pdf):
            if b"EmbeddedFile" in found[2]:
                end = found.end() + int(found[1])
                data = zlib.decompress(pdf[found.end() : end])
                assert old in data
                packed = zlib.compress(data.replace(old, new))
                head = b"<</Length %d%b>>\nstream\n" % (len(packed), found[2])
                return pdf[: found.start()] + head + packed + pdf[end:]
        raise AssertionError("it carries no data")

    return change


def test_a_forged_report_is_refused(signed: PromotionRequest, scientist: User, verify: Verify) -> None:
    content = bundle(reported(signed, scientist), scientist)
    pack = json.loads(verifier.attached(members_of(content)["report.pdf"])[0])
    trail = next(one for section in pack["sections"] for one in section["blocks"] if one["key"] == "trail")["rows"]
    mine = {entry.index for entry in Entry.objects.filter(object_id=str(signed.pk))}
    row = next(one for one in trail if one["index"] in mine)
    forged: list[tuple[Forge | None, dict[str, object] | None, str]] = [
        (saying(row["at"].encode(), b"2020-01-01T00:00:00.000000Z"), None, f"something else of entry {row['index']}"),
        (saying(f'"index":{row["index"]},'.encode(), b'"index":0,'), None, "report.pdf"),
        (saying(b'"outcome_key":"approve"', b'"outcome_key":"reject"'), None, "another signature than entry"),
        (saying(str(signed.pk).encode(), str(signed.version_id).encode()), None, "about something else"),
        (saying(pack["log"]["root"].encode(), b"00" * 32), None, "another checkpoint than the one it shows"),
        (saying(pack["files"][0]["sha256"].encode(), b"00" * 32), None, "are not those that its data names"),
        (lambda pdf: pdf + b"\nxref\ntrailer\n<<>>\nstartxref\n0\n%%EOF", None, "no PDF as the press writes them"),
        (lambda pdf: pdf.replace(b"/EmbeddedFiles<<", b"/EmbeddedGone0<<"), None, "does not carry its data"),
        (lambda pdf: pdf[: len(pdf) // 2], None, "report.pdf"),
        (lambda _: b"%PDF-1.7", None, "no PDF"),
        (None, None, "neither here nor said to be left out"),
        (lambda pdf: pdf, {"report": False}, "asks for no report"),
    ]
    for change, question, complaint in forged:
        assert complaint in verify(with_report(content, change, question), code=1), complaint
