"""Small packs for tests of what a pack becomes, and ways to read a PDF back."""

import io
import re
from datetime import UTC, datetime
from typing import Any

from pypdf import PdfReader

from governance.documents import File, LogHead, Pack
from governance.documents.shape import Column, Fact, Facts, Section, Signatures, Source, Table, Text

AT = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
HEAD = LogHead("countersign/0123456789abcdef", 31_415, "ab" * 32, AT, "a note\n")


def small(*, title: str = "A small report", text: str = "Some words.", **fields: Any) -> Pack:
    """A pack with one block of each kind, in which ``text`` stands wherever people's words can stand."""
    table = Table(
        "figures",
        (
            Column("name", "Name"),
            Column("verdict", "Verdict", "verdict"),
            Column("measured", "Measured", "estimate"),
            Column("share", "Share", "share"),
            Column("n", "n", "count"),
            Column("digest", "Digest", "digest"),
            Column("room", "Room", "headroom"),
            Column("plot", "Plot", "rate"),
            Column("maybe", "Maybe", optional=True),
        ),
        [
            {
                "name": text,
                "verdict": verdict,
                "measured": {"value": 0.784, "low": 0.772, "high": 0.795},
                "share": 0.655,
                "n": 12_345,
                "digest": "0123456789abcdef" * 4,
                "room": {"room": room, "live": 0.3, "low": -0.5, "high": 0.4, "exact": False},
                "plot": {"value": 0.5, "low": 0.4, "high": 0.6, "line": 0.45, "start": 0.0, "stop": 1.0},
                "maybe": None,
            }
            for verdict, room in (("pass", 0.2), ("fail", -0.9), ("caution", None), ("waived", 0.0), ("error", 2.0))
        ],
        "A table",
    )
    signature = {
        "name": "Ada Lovelace", "account": "ada", "role": "Compliance officer", "stage": "approval",
        "outcome_key": "approve", "outcome": "Approve", "meaning": "Approval: I answer for this decision", "signed_at": AT,
        "authenticated": "session and password", "record_digest": "cd" * 32, "entry": 271, "comment": text,
        "conditions": "", "void": "",
    }  # fmt: skip
    sections = (
        Section("facts", "Facts", "Two are there, one is empty.", [Facts("facts", [
            Fact("said", "Said", text), Fact("none", "Not said", None, why="Nobody said it."), Fact("zero", "Zero", 0, "count"),
        ])]),
        Section("figures", "Figures", "As measured.", [table, Table("nothing", (Column("a", "A"),), [], nothing="Not a row.")]),
        Section("words", "Words", "", [Text("plain", text), Text("bound", text, "A clause", binding=True), Text("empty", "")]),
        Section("signatures", "Signatures", "One.", [Signatures("signatures", [signature]), Signatures("none", [])]),
    )  # fmt: skip
    return Pack(
        report="small", kind="A report for tests", label="T-1", title=title, question="What is it?", answer="It is small.",
        verdict="caution", seal=2, log=HEAD, sections=sections, sources=[Source("A rule", "Its citation", "Since then", "Note")],
        limits=["It is a test."], installation="Countersign in a test", head=[Fact("head", "Head", "ee" * 32, "digest")],
        files=fields.pop("files", [File("policy.yaml", "application/yaml", b"policy: house\n", "The policy")]), **fields,
    )  # fmt: skip


def words(pdf: bytes, *, pages: int | None = None) -> str:
    """What a reader of the PDF (of its first pages) sees as text: white space single, thin spaces and minuses plain."""
    read = PdfReader(io.BytesIO(pdf))
    text = " ".join(page.extract_text() for page in read.pages[:pages])
    return re.sub(r"\s+", " ", text.replace("\u2009", " ").replace("\u2212", "-"))


def squeezed(text: str) -> str:
    """Without any white space: lines break where they must, also within long words."""
    return re.sub(r"\s+", "", text.replace("\u2009", "").replace("\u2212", "-"))


def attachments(pdf: bytes) -> dict[str, bytes]:
    """The attached files by name."""
    return {name: contents[0] for name, contents in PdfReader(io.BytesIO(pdf)).attachments.items()}


def metadata(pdf: bytes) -> str:
    """The XMP packet."""
    catalog = PdfReader(io.BytesIO(pdf)).trailer["/Root"]
    return str(catalog["/Metadata"].get_data().decode())  # type: ignore[index]
