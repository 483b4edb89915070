"""Packs say what the record says: values, signatures with their entries, empty fields; and each only to who may have it."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.actors import SYSTEM
from audit.models import Entry
from config.errors import Conflict, Invalid, NotAllowed, NotFound
from governance.documents import cards, render
from governance.documents.catalogue import REPORTS, build
from governance.documents.controls import CONTROLS, OBJECTIVES
from governance.documents.packs import inventory
from governance.documents.shape import Pack
from governance.models import CheckRun, Comment, Decision, Permit, PromotionRequest
from registry.models import ModelVersion, RegisteredModel, User
from registry.roles import Role
from registry.services import access
from tests.factories import governance as make
from tests.factories.audit import vouch
from tests.governance.checks.test_local_law_144 import audit as bias_audit
from tests.governance.documents.packs import attachments, squeezed, words

pytestmark = pytest.mark.usefixtures("by_hand")


def about(promotion: PromotionRequest) -> dict[str, dict[str, Any]]:
    """Parameters of every report about the request or its model."""
    model, request = {"model": promotion.model.name}, {"request": promotion.ref}
    return {
        "request": request, "version": model, "model": model, "ai-act-annex-iv": model, "ll144-summary": model,
        "part-11-copy": request, "sr-26-2-inventory": {}, "separation-of-duties": {}, "iso-42001-map": {},
    }  # fmt: skip


def section(pack: Pack, key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(one for one in pack.data["sections"] if one["key"] == key)
    return found


def block(pack: Pack, part: str, key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(one for one in section(pack, part)["blocks"] if one["key"] == key)
    return found


def fact(pack: Pack, part: str, key: str) -> Mapping[str, Any]:
    for one in section(pack, part)["blocks"]:
        for found in one.get("facts", ()):
            if found["key"] == key:
                return dict(found)
    raise KeyError(key)


def test_every_report_about_an_approved_request_is_made_and_carries_its_pack(
    approved: PromotionRequest, auditor: User
) -> None:
    for name, parameters in about(approved).items():
        pack = build(name, parameters, reader=auditor)
        pdf = render(name, pack.data, at=pack.log.at, files=pack.files)

        assert json.loads(attachments(pdf)["pack.json"]) == pack.data, name
        assert squeezed(pack.answer) in squeezed(words(pdf)), name
        assert pack.log.size == Entry.objects.count()


def test_the_same_question_at_the_same_checkpoint_gives_the_same_pack(
    approved: PromotionRequest, auditor: User
) -> None:
    for name, parameters in about(approved).items():
        first, again = (build(name, parameters, reader=auditor).content for _ in range(2))
        assert first == again, name


def test_the_request_report_shows_each_limit_with_value_interval_and_verdict(
    approved: PromotionRequest, auditor: User
) -> None:
    pack = build("request", {"request": approved.ref}, reader=auditor)

    [row] = block(pack, "checks", "checks")["rows"]

    assert row["verdict"] == "pass"
    assert row["measured"] == {"value": 0.9, "low": 0.88, "high": 0.92}
    assert row["limit"] == "≥ 0.75"
    assert row["n"] == 500
    assert section(pack, "checks")["finding"] == "1 of 1 limits kept."
    assert pack.verdict == "pass"
    assert pack.seal == 2


def test_signatures_have_name_meaning_time_and_their_entry_in_the_log(
    approved: PromotionRequest, auditor: User
) -> None:
    for name, part in (("request", "signatures"), ("part-11-copy", "signatures")):
        pack = build(name, {"request": approved.ref}, reader=auditor)
        signed = block(pack, part, "signatures")["signatures"]

        assert len(signed) == 2
        for shown, decision in zip(signed, approved.decisions.order_by("signed_at"), strict=True):
            assert shown["account"] == decision.person.get_username()
            assert shown["meaning"] == decision.get_meaning_display()
            assert shown["signed_at"].startswith(f"{decision.signed_at:%Y-%m-%dT%H:%M:%S}")
            assert shown["record_digest"] == decision.record_digest
            assert shown["entry"] == Entry.objects.get(entry_id=decision.entry_id).index


def test_a_signature_that_has_no_place_in_the_log_yet_says_so(ready: PromotionRequest, approvers: list[User]) -> None:
    make.integrate()
    make.sign(ready, approvers[0])

    pack = build("request", {"request": ready.ref}, reader=approvers[0])

    [one] = block(pack, "signatures", "signatures")["signatures"]
    assert one["entry"] is None
    assert pack.seal == 1
    assert "not in the log yet" in words(render("request", pack.data, at=pack.log.at))


def test_digests_of_the_request_report_are_those_of_its_files(approved: PromotionRequest, auditor: User) -> None:
    pack = build("request", {"request": approved.ref}, reader=auditor)

    files = {one.name: one.as_dict()["sha256"] for one in pack.files}

    assert files["policy.yaml"] == approved.policy_version.digest
    assert files["manifest.json"] == approved.manifest_digest
    assert files["evidence.json"] == approved.evidence_digest
    assert files["signature-1.json"] == approved.decisions.order_by("signed_at")[0].record_digest
    assert json.loads(next(one.content for one in pack.files if one.name == "permit.dsse.json"))["payloadType"]


def test_hostile_words_of_people_reach_the_document_and_do_nothing(
    approved: PromotionRequest, scientist: User, auditor: User
) -> None:
    evil = '#panic("no") #read("/etc/passwd") *x* \u202eevil'
    RegisteredModel.objects.filter(pk=approved.model_id).update(
        card={"intended_use": evil}, use_case=evil, description=evil
    )
    Comment.objects.create(request=approved, author=scientist, text=evil)

    for name, parameters in about(PromotionRequest.objects.get(pk=approved.pk)).items():
        pack = build(name, parameters, reader=auditor)
        text = squeezed(words(render(name, pack.data, at=pack.log.at, files=pack.files)))
        if name in {"request", "version", "model", "sr-26-2-inventory"}:
            assert squeezed('#panic("no") #read("/etc/passwd") *x* <U+202E>evil') in text, name


@pytest.mark.parametrize("name", ["sr-26-2-inventory", "separation-of-duties", "iso-42001-map"])
def test_an_empty_installation_is_told_to_be_empty(name: str, auditor: User) -> None:
    make.integrate()

    pack = build(name, {}, reader=auditor)

    text = words(render(name, pack.data, at=pack.log.at))
    assert squeezed(pack.answer) in squeezed(text)
    if name == "sr-26-2-inventory":
        assert "There is no model on record." in text
        assert pack.answer == "No models, 0 of them live."


def test_without_a_checkpoint_there_is_no_report(auditor: User) -> None:
    with pytest.raises(Conflict, match="no checkpoint yet"):
        build("iso-42001-map", {}, reader=auditor)


# who may have what


@pytest.mark.parametrize("report", [one.name for one in REPORTS])
def test_a_stranger_gets_none(report: str, approved: PromotionRequest) -> None:
    with pytest.raises((NotFound, NotAllowed)):
        build(report, about(approved)[report], reader=make.person("stranger"))


@pytest.mark.parametrize("report", [one.name for one in REPORTS])
def test_a_contributor_gets_what_everybody_may_see_and_no_more(
    report: str, approved: PromotionRequest, scientist: User
) -> None:
    if report in {"request", "version", "model"}:
        assert build(report, about(approved)[report], reader=scientist).report == report
    else:
        with pytest.raises(NotAllowed, match="auditor"):
            build(report, about(approved)[report], reader=scientist)


def test_the_inventory_names_only_what_its_reader_may_see(approved: PromotionRequest, scientist: User) -> None:
    other = make.registered_model(scientist, name="hidden-model")
    reader = make.person("auditor-of-one")
    team = access.create_team(name="auditors of one", by=SYSTEM)
    access.add_member(team=team, user=reader, by=SYSTEM)
    access.grant_role(team=team, role=Role.AUDITOR, model=approved.model, by=SYSTEM)
    make.integrate()

    pack = build("sr-26-2-inventory", {}, reader=User.objects.get(pk=reader.pk))

    assert [row["model"] for row in block(pack, "inventory", "models")["rows"]] == [approved.model.name]
    assert other.name.encode() not in pack.content
    assert pack.data["parameters"]["every_model"] is False
    with pytest.raises(NotAllowed, match="every model"):
        build("separation-of-duties", {}, reader=User.objects.get(pk=reader.pk))


@pytest.mark.parametrize(
    ("report", "parameters", "field"),
    [
        ("request", {}, "request"),
        ("model", {"model": " "}, "model"),
        ("version", {"model": "M", "version": "0"}, "version"),
        ("version", {"model": "M", "version": "one"}, "version"),
        ("sr-26-2-inventory", {"tier": "4"}, "tier"),
        ("sr-26-2-inventory", {"view": "dead"}, "view"),
        ("sr-26-2-inventory", {"model": "x"}, "model"),
        ("separation-of-duties", {"since": "yesterday"}, "since"),
        ("separation-of-duties", {"since": "2026-02-02", "until": "2026-01-01"}, "since"),
    ],
)
def test_a_wrong_parameter_is_named(
    report: str, parameters: dict[str, Any], field: str, approved: PromotionRequest, auditor: User
) -> None:
    given = {key: approved.model.name if value == "M" else value for key, value in parameters.items()}
    with pytest.raises(Invalid) as caught:
        build(report, given, reader=auditor)
    assert caught.value.field == field


def test_unknown_reports_requests_models_and_versions_are_not_found(approved: PromotionRequest, auditor: User) -> None:
    for name, parameters in (
        ("no-such", {}), ("request", {"request": "REQ-9999"}), ("model", {"model": "no-such"}),
        ("version", {"model": approved.model.name, "version": 99}),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            build(name, parameters, reader=auditor)


# each named report


def test_the_inventory_has_a_row_and_a_record_for_every_model_and_counts_empty_fields(
    approved: PromotionRequest, auditor: User
) -> None:
    pack = build("sr-26-2-inventory", {}, reader=auditor)

    [row] = block(pack, "inventory", "models")["rows"]
    permit = Permit.objects.get(request=approved)
    assert row["live"] == f"v{approved.version.number}"
    assert row["until"].startswith(f"{permit.expires_at:%Y-%m-%dT%H:%M}")
    record = pack.data["sections"][-1]
    assert record["record"] is True
    facts = {one["key"]: one["value"] for one in record["blocks"][0]["facts"]}
    assert facts["intended_use"] == "Tests."
    wanted = [one.key for one in cards.FIELDS if "SR 26-2" in one.asked_by]
    assert set(wanted) <= set(facts), "a field without content is there all the same"
    assert row["empty"] == sum(facts[key] in (None, "", []) for key in facts if key not in inventory._ORDINARY)


def test_annex_iv_has_all_nine_points_in_its_own_numbers(approved: PromotionRequest, auditor: User) -> None:
    pack = build("ai-act-annex-iv", {"model": approved.model.name}, reader=auditor)

    sources = [one["source"] for one in pack.data["sections"]]
    assert [source.partition(",")[0] for source in sources] == [f"Annex IV {n}" for n in range(1, 10)]
    assert "2 December 2027" in pack.data["sources"][0]["effective"]
    assert fact(pack, "declaration", "declaration_of_conformity")["value"] == ""
    assert "Empty" in words(render(pack.report, pack.data, at=pack.log.at))


ROWS: list[tuple[dict[str, str | None], int, int]] = [
    ({"sex": "Male", "race": "White"}, 500, 250), ({"sex": "Female", "race": "White"}, 400, 160),
    ({"sex": "Female", "race": "Black"}, 300, 105), ({"sex": "Male", "race": "Native"}, 10, 4),
    ({"sex": None, "race": "White"}, 30, 15),
]  # fmt: skip


@pytest.fixture
def audited(approved: PromotionRequest) -> CheckRun:
    """A finished bias audit of the version."""
    result = bias_audit(ROWS)
    run = approved.checks.exclude(result=None).first()
    assert run is not None
    CheckRun.objects.filter(pk=run.pk).update(
        requirement={"use": "fairness.ll144"}, result=result.as_dict(), result_digest=result.digest
    )
    return CheckRun.objects.get(pk=run.pk)


def test_the_bias_audit_summary_has_the_tables_of_the_check(audited: CheckRun, auditor: User) -> None:
    pack = build("ll144-summary", {"model": audited.request.model.name}, reader=auditor)

    by_sex = next(b for s in pack.data["sections"] for b in s["blocks"] if b.get("title") == "Impact ratio by sex")
    female = next(row for row in by_sex["rows"] if row["category"] == "Female")
    result: dict[str, Any] = audited.result or {}
    stored = next(t for t in result["tables"] if t["key"] == "ll144:sex")
    expected = next(
        dict(zip([c[0] for c in stored["columns"]], row, strict=True)) for row in stored["rows"] if row[0] == "Female"
    )
    assert {key: female[key] for key in ("n", "hits", "rate", "ratio")} == {
        key: expected[key] for key in ("n", "hits", "rate", "ratio")
    }
    assert female["n"] == 700
    assert female["rate"] == pytest.approx(265 / 700)
    assert fact(pack, "summary", "people")["value"] == 1240


def test_unknown_categories_and_those_under_two_per_cent_are_told(audited: CheckRun, auditor: User) -> None:
    pack = build("ll144-summary", {"model": audited.request.model.name}, reader=auditor)

    unknown = {row["by"]: row["unknown"] for row in block(pack, "unknown", "unknown")["rows"]}
    assert unknown["sex"] == 30
    assert unknown["race"] == 0
    small = block(pack, "small", "categories")["rows"]
    assert [row["category"] for row in small if row["by"] == "race"] == ["Native"]
    assert fact(pack, "small", "exclusion_reason")["value"] == ""


def test_without_a_bias_audit_there_is_no_figure(approved: PromotionRequest, auditor: User) -> None:
    pack = build("ll144-summary", {"model": approved.model.name}, reader=auditor)

    assert "there is nothing to publish" in pack.answer
    assert fact(pack, "summary", "people")["value"] is None
    assert block(pack, "unknown", "unknown")["rows"] == []


def test_the_inspection_copy_has_the_whole_trail_of_the_record(approved: PromotionRequest, auditor: User) -> None:
    pack = build("part-11-copy", {"request": approved.ref}, reader=auditor)

    rows = block(pack, "trail", "trail")["rows"]
    about_it = Entry.objects.filter(object_type="governance.promotionrequest", object_id=str(approved.pk))
    assert set(about_it.values_list("index", flat=True)) <= {row["index"] for row in rows}
    assert [row["index"] for row in rows] == sorted(row["index"] for row in rows)


def test_the_trail_shows_reasons_and_refused_attempts(ready: PromotionRequest, scientist: User, auditor: User) -> None:
    with pytest.raises(NotAllowed):
        make.sign(ready, scientist)
    make.integrate()

    trail = block(build("part-11-copy", {"request": ready.ref}, reader=auditor), "trail", "trail")["rows"]

    assert any("vote cannot count" in row["reason"] for row in trail)


def test_duties_of_every_role_and_each_decision_are_listed_without_a_conflict(
    approved: PromotionRequest, auditor: User, approvers: list[User], scientist: User
) -> None:
    pack = build("separation-of-duties", {}, reader=auditor)

    people = {row["account"]: row["duties"] for row in block(pack, "people", "people")["rows"]}
    assert people[scientist.username] == ["Data scientist"]
    assert people[approvers[0].username] == ["Compliance officer"]
    [row] = block(pack, "decisions", "decisions")["rows"]
    assert row["asked_by"] == scientist.username
    assert set(row["approved_by"]) == {one.username for one in approvers}
    assert row["conflict"] == "pass"
    assert pack.answer.startswith("No conflicts found in 1 decision;")


def test_a_signature_of_somebody_with_a_part_in_it_is_found(approved: PromotionRequest, auditor: User) -> None:
    """The system refuses such a vote; here the version's author is changed behind its back."""
    signer = approved.decisions.all()[0].person
    ModelVersion.objects.filter(pk=approved.version_id).update(trained_by=signer)

    pack = build("separation-of-duties", {}, reader=auditor)

    [found] = block(pack, "conflicts", "conflicts")["rows"]
    assert found["person"] == signer.username
    assert "trained this version" in found["why"]
    assert pack.verdict == "fail"


def test_duties_held_together_and_refused_attempts_are_told(
    ready: PromotionRequest, scientist: User, auditor: User
) -> None:
    both = make.person("both", Role.CONTRIBUTOR, Role.APPROVER)
    with pytest.raises(NotAllowed):
        make.sign(ready, scientist)
    make.integrate()

    pack = build("separation-of-duties", {}, reader=auditor)

    assert [(row["person"], row["pair"]) for row in block(pack, "held", "held")["rows"]] == [
        (both.username, "Data scientist and compliance officer")
    ]
    [refused] = block(pack, "refused", "refused")["rows"]
    assert refused["who"] == scientist.username


def test_decisions_outside_the_period_are_left_out(approved: PromotionRequest, auditor: User) -> None:
    last_year = (timezone.now() - timedelta(days=400)).date().isoformat()

    pack = build("separation-of-duties", {"until": last_year}, reader=auditor)

    assert block(pack, "decisions", "decisions")["rows"] == []


def test_the_map_has_all_38_controls_and_says_where_there_is_nothing(approved: PromotionRequest, auditor: User) -> None:
    pack = build("iso-42001-map", {}, reader=auditor)

    rows = {row["control"]: row for one in pack.data["sections"] for row in one["blocks"][0]["rows"]}
    assert len(rows) == len(CONTROLS) == 38
    assert len(OBJECTIVES) == 9
    assert rows["A.6.2.4"]["here"] == "yes"
    assert rows["A.9.3"]["evidence"].startswith("No evidence here.")
    assert all((row["here"] == "no") == row["evidence"].startswith("No evidence here.") for row in rows.values())


def test_voided_signatures_do_not_count_in_the_report(
    ready: PromotionRequest, approvers: list[User], auditor: User
) -> None:
    make.sign(ready, approvers[0])
    PromotionRequest.objects.filter(pk=ready.pk).update(round=2)
    make.integrate()

    pack = build("request", {"request": ready.ref}, reader=auditor)

    [one] = block(pack, "signatures", "signatures")["signatures"]
    assert one["void"] == "The evidence changed after it was given."
    assert Decision.objects.count() == 1


# a thousand models


@pytest.fixture
def thousand(scientist: User) -> None:
    """A thousand models with a version each, half of them with a card."""
    card = {"intended_use": "To rank applications. " * 10, "limitations": "Few rows. " * 20}
    made = RegisteredModel.objects.bulk_create(
        RegisteredModel(
            name=f"bulk-{n:04d}",
            owner=scientist,
            use_case=f"Purpose number {n}",
            tier=1 + n % 3,
            card=card if n % 2 else {},
        )
        for n in range(1000)
    )
    versions = ModelVersion.objects.bulk_create(
        ModelVersion(model=one, number=1, registered_by=scientist) for one in made
    )
    vouch(*made, *versions)
    make.integrate()


@pytest.mark.slow
def test_an_inventory_of_a_thousand_models_is_made_within_bounds(thousand: None, auditor: User) -> None:
    """The press ends itself above 3 GiB or 300 seconds of CPU (``press.main``): that there is a document proves the bound."""
    with CaptureQueriesContext(
        connection,
    ) as queries:
        pack = build("sr-26-2-inventory", {}, reader=auditor)

    assert len(queries) < 40, "the number of queries does not grow with the models but by 500"
    pdf = render(pack.report, pack.data, at=pack.log.at, seconds=240)
    assert len(block(pack, "inventory", "models")["rows"]) == 1000
    assert len(pack.data["sections"]) == 1002
    text = squeezed(words(pdf, pages=4))
    assert all(f"bulk-{n:04d}" in text for n in range(0, 50, 7))
    assert attachments(pdf)["pack.json"] == pack.content
