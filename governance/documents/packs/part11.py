"""The copy of one record for inspection under 21 CFR Part 11: the record, its signatures as they show, its audit trail."""

from typing import Final

from governance.documents.citations import PART_11
from governance.documents.packs.common import (
    NOT_PROOF,
    entry_indexes,
    installation,
    json_file,
    log_head,
    name_of,
    role_words,
    signature,
    target_words,
    trail,
)
from governance.documents.shape import Column, Fact, Facts, Pack, Section, Signatures, Table, Text
from governance.models import EvidenceSnapshot, Permit, PromotionRequest
from governance.standing import standing_of

NAME: Final = "part-11-copy"

_CONTROLS: Final = (
    Column("section", "§", weight=0.6),
    Column("asks", "Asks for", weight=2.2),
    Column("here", "How this copy shows it", weight=3.4),
)


def build(request: PromotionRequest) -> Pack:
    """The inspection copy of a request and everything that was decided on it."""
    log = log_head()
    standing = standing_of(request, at=log.at)
    decisions = list(request.decisions.order_by("signed_at", "pk").select_related("person"))
    permit = Permit.objects.filter(request=request).first()
    waivers = sorted(request.waivers.all(), key=lambda one: (one.asked_at, str(one.pk)))
    indexes = entry_indexes([one.entry_id for one in decisions], log.size)
    voids = {fact.id: (fact.void, fact.stage) for fact in standing.facts.signatures}
    signed = [
        signature(one, stage=voids[str(one.pk)][1], void=voids[str(one.pk)][0], indexes=indexes) for one in decisions
    ]
    subjects = [("governance.promotionrequest", str(request.pk))]
    subjects += [("governance.decision", str(one.pk)) for one in decisions]
    subjects += [("governance.checkrun", str(run.pk)) for run in request.checks.all()]
    subjects += [("governance.waiver", str(one.pk)) for one in waivers]
    subjects += [("governance.permit", str(permit.pk))] if permit else []
    table = trail(subjects, log.size)
    placed = sum(one["entry"] is not None for one in signed)
    sections = [
        Section(
            "record",
            "The record",
            f"{request.ref}, {request.get_state_display().lower()}.",
            [
                Facts(
                    "record",
                    [
                        Fact("ref", "Record", request.ref),
                        Fact("id", "Identifier", str(request.pk), "code"),
                        Fact(
                            "about",
                            "About",
                            f"{request.model.name} v{request.version.number}, to be called {target_words(request.target)}",
                        ),
                        Fact("state", "State", request.get_state_display()),
                        Fact("asked_by", "Created by", name_of(request.requested_by)),
                        Fact("created_at", "Created", request.created_at, "moment"),
                        Fact("closed_at", "Closed", request.closed_at, "moment", why="It is open."),
                        Fact("manifest_digest", "Files decided on", request.manifest_digest, "digest"),
                        Fact("policy_digest", "Policy decided under", request.policy_version.digest, "digest"),
                        Fact(
                            "evidence_digest",
                            "Evidence decided on",
                            request.evidence_digest,
                            "digest",
                            why="The checks have not finished.",
                        ),
                        Fact(
                            "permit",
                            "Resulting permit",
                            str(permit.pk) if permit else None,
                            "code",
                            why="There is none.",
                        ),
                    ],
                ),
                Text("intended_use", request.intended_use, "Intended use"),
            ],
        ),
        Section(
            "signatures",
            "Signature manifestations",
            f"{len(signed)} signatures, {placed} with their entry in the log.",
            [
                Signatures("signatures", signed, nothing="Nobody has signed this record."),
                Table(
                    "waivers",
                    (
                        Column("check", "Waiver of", weight=1.5),
                        Column("name", "Printed name", weight=1.5),
                        Column("at", "Signed", "moment", weight=1.2),
                        Column("meaning", "Meaning", weight=2),
                    ),
                    [
                        {
                            "check": one.check_run.title,
                            "name": name_of(each.person),
                            "at": each.signed_at,
                            "meaning": "Agreement to the waiver, until its date",
                        }
                        for one in waivers
                        for each in one.signatures.all()
                    ],
                    "Signatures on waivers",
                    nothing="Nothing was waived.",
                ),
            ],
            source="21 CFR 11.50",
        ),
        Section(
            "trail",
            "Audit trail",
            f"{len(table.rows)} entries, written by the system at the time of each change, in the log's "
            "order. Entries cannot be changed or removed without the log's proofs failing.",
            [table],
            source="21 CFR 11.10(e)",
        ),
        Section("controls", "Where Part 11 finds it", "", [Table("controls", _CONTROLS, _CONTROL_ROWS)]),
    ]
    files = [json_file("policy.yaml", request.policy_version.document, "The policy decided under", "application/yaml")]
    snapshot = EvidenceSnapshot.objects.filter(digest=request.evidence_digest).first()
    if snapshot is not None:
        files.append(json_file("evidence.json", snapshot.document, "The evidence that was signed on"))
    for place, one in enumerate(decisions, 1):
        about = f"What {one.person.get_username()} signed as {role_words(one.role).lower()}, canonical JSON"
        files.append(json_file(f"signature-{place}.json", one.record, about))
    return Pack(
        report=NAME,
        kind="Inspection copy",
        label=f"21 CFR Part 11 · {request.ref}",
        title=f"{request.ref}: copy for inspection",
        question="A copy of the record in human readable form, with the machine readable one attached.",
        answer=f"{len(signed)} signatures and {len(table.rows)} entries of the audit trail, of a log of {log.size} entries.",
        seal=2 if signed and placed == len(signed) else 0,
        log=log,
        sections=sections,
        sources=(PART_11,),
        subject={"type": "governance.promotionrequest", "id": str(request.pk), "ref": request.ref},
        parameters={"request": request.ref},
        limits=NOT_PROOF,
        files=files,
        installation=installation(),
    )


_CONTROL_ROWS: Final = [
    {"section": section, "asks": asks, "here": here}
    for section, asks, here in (
        (
            "11.10(b)",
            "Accurate and complete copies, human readable and electronic",
            "This document, and pack.json with the signed records attached to it; the evidence bundle has the proofs.",
        ),
        (
            "11.10(c)",
            "Protection of records for accurate retrieval",
            "Records are in an append-only log; the root named at the end commits to every entry.",
        ),
        (
            "11.10(d)",
            "Access limited to authorised individuals",
            "Each entry names the account and how it was identified; roles are in the separation-of-duties report.",
        ),
        (
            "11.10(e)",
            "Secure, computer-generated, time-stamped audit trail that keeps earlier values",
            "Section 3. Entries are written in the transaction of the change.",
        ),
        ("11.10(g)", "Authority checks", "Refused attempts to sign are entries of the trail themselves."),
        ("11.50(a)", "Printed name, date and time, meaning of each signature", "Section 2."),
        (
            "11.50(b)",
            "The same in any human readable form",
            "This document and the page of the record are made of one data pack.",
        ),
        (
            "11.70",
            "Signatures linked to their records",
            "Each signed record names the digests of files, evidence and policy; its own digest stands in the log.",
        ),
        ("11.100(a)", "Signatures unique to one individual", "Accounts are personal; service accounts cannot sign."),
        (
            "11.200(a)(1)",
            "Two components when signing",
            "“Identified by” in section 2: session and password, or stronger.",
        ),
        (
            "11.100(c)",
            "Certification to the agency that signatures are binding",
            "Not in this system: a letter of the organisation.",
        ),
        ("11.10(i), (j)", "Training, and policies that hold people accountable", "Not in this system."),
    )
]
