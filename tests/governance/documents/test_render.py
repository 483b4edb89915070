"""Packs become PDF/A-3a and PDF/UA-1 with their data attached, the same bytes each time, whatever people wrote."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.documents import File, NotRendered, render
from governance.documents.display import shown, tables
from governance.documents.press import visible
from governance.documents.rendering import render_pages
from governance.documents.shape import Column, Pack, Section, Table
from tests.governance.documents.packs import AT, HEAD, attachments, metadata, small, squeezed, words

ROOT = Path(__file__).resolve().parents[3]


def made(pack: Pack) -> bytes:
    return render(pack.report, pack.data, at=AT, files=pack.files)


def test_the_document_says_of_itself_that_it_is_pdf_a_3a_and_pdf_ua_1() -> None:
    told = metadata(made(small()))

    assert "<pdfaid:part>3</pdfaid:part>" in told
    assert "<pdfaid:conformance>A</pdfaid:conformance>" in told
    assert "<pdfuaid:part>1</pdfuaid:part>" in told
    assert '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">A small report</rdf:li>' in told


def test_its_time_stamp_is_that_of_the_checkpoint() -> None:
    assert "<xmp:CreateDate>2026-03-14T09:26:53+00:00</xmp:CreateDate>" in metadata(made(small()))


def test_the_pack_and_every_file_are_attached_byte_for_byte() -> None:
    pack = small(files=[
        File("policy.yaml", "application/yaml", b"policy: house\n", "The policy"),
        File("bytes.bin", "application/octet-stream", bytes(range(256)), "Not text"),
    ])  # fmt: skip

    found = attachments(made(pack))

    assert found == {"pack.json": pack.content, "policy.yaml": b"policy: house\n", "bytes.bin": bytes(range(256))}


def test_what_is_read_in_the_document_is_what_the_pack_holds() -> None:
    pack = small()
    text = words(made(pack))

    for expected in (
        "A small report", "What is it?", "It is small.", "Some words.", "Empty · Nobody said it.", "0.784", "0.772 to 0.795",
        "65.5 %", "12 345", "0123 4567 89ab cdef …", "Not a row.", "Nobody has signed.", "Ada Lovelace", "Approve",
        "Approval: I answer for this decision", "14 Mar 2026, 09:26:53 UTC", "log entry 271", "31 415 entries", "Its citation",
        "It is a test.", "Cannot tell",
    ):  # fmt: skip
        assert expected in text, expected
    digest = hashlib.sha256(pack.content).hexdigest()
    assert digest in squeezed(text)
    assert "cd" * 32 in squeezed(text)


def test_the_same_pack_gives_the_same_bytes_in_every_process() -> None:
    pack = small()
    here = made(pack)
    script = (
        "import django, sys; django.setup()\n"
        "from tests.governance.documents.packs import AT, small\n"
        "from governance.documents import render\n"
        "pack = small()\n"
        "sys.stdout.buffer.write(render(pack.report, pack.data, at=AT, files=pack.files))\n"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "config.settings.test", "PATH": "/usr/bin:/bin", "TZ": "Asia/Kolkata"}
    for seed in ("1", "2"):
        other = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=environment | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        )  # fmt: skip
        assert hashlib.sha256(other.stdout).hexdigest() == hashlib.sha256(here).hexdigest()


def test_another_value_gives_other_bytes() -> None:
    assert made(small(text="Some words.")) != made(small(text="Other words."))


HOSTILE = {
    "markup": '#eval("1+1") #panic("x") #read("/etc/passwd") = Heading *bold* _it_ $x^2$ `raw` <label> @ref // gone /* gone */',
    "import": '#import "@preview/evil:1.0.0": * #include "report.typ" #set page(width: 1pt) #[#sys.inputs] \\u{202e}',
    "html": "<script>alert(1)</script> {{ 7*7 }} {% now 'Y' %} &amp; ]]> \"quoted\" 'quoted'",
    "long word": "x" * 20_000,
    "long path": "/a/very-long.path_" * 400,
    "many lines": "\n".join(f"line {number}" for number in range(500)),
    "spreadsheet": '=HYPERLINK("http://x","y")',
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_people_wrote_is_shown_as_they_wrote_it_and_nothing_of_it_is_run(kind: str) -> None:
    text = HOSTILE[kind]
    pack = small(text=text, title=f"A report with {kind}")

    pdf = made(pack)

    assert squeezed(text) in squeezed(words(pdf))
    assert attachments(pdf)["pack.json"] == pack.content


UNSEEN = {
    "control": ("bell\x07 escape\x1b[31m", "bell<U+0007>", "escape<U+001B>[31m"),
    "override": ("pay \u202eelba\u202c now", "<U+202E>elba<U+202C>"),
    "zero width": ("ad\u200bmin\ufeff", "ad<U+200B>min<U+FEFF>"),
    "private use": ("\ue000", "<U+E000>"),
    "no font has it": ("漢字 \U0001f994", "<U+6F22><U+5B57>", "<U+1F994>"),
    "a mark without a letter": ("\u0301 a\u0323\u0302\u0345", "a"),
}


@pytest.mark.parametrize("kind", UNSEEN)
def test_what_cannot_be_seen_is_written_as_its_number(kind: str) -> None:
    text, *expected = UNSEEN[kind]
    pack = small(text=text)

    pdf = made(pack)

    for part in expected:
        assert squeezed(part) in squeezed(words(pdf)), words(pdf)[:500]
    assert attachments(pdf)["pack.json"] == pack.content, "the data keeps what was written"


@pytest.mark.parametrize(
    "text", ["Ærøskøbing, Łódź, Ήπειρος, Москва, Հայաստան", "שלום עולם", "مرحبا بالعالم", "x\u00a0y≥0 ≠ ∞ €"]
)
def test_many_scripts_are_set_as_they_are(text: str) -> None:
    assert "<U+" not in words(made(small(text=text)))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=200))
def test_any_text_can_be_set(text: str) -> None:
    assert attachments(made(small(text=text)))["pack.json"] == small(text=text).content


def test_a_pack_of_another_report_is_refused() -> None:
    with pytest.raises(ValueError, match="no pack of 'request'"):
        render("request", small().data, at=AT)


def test_a_document_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(NotRendered, match=r"within 0 seconds"):
        render("small", small().data, at=AT, seconds=0.001)


def test_the_press_says_why_it_could_not() -> None:
    broken = small().data | {"verdict": "no such verdict", "sections": "not a list"}

    with pytest.raises((NotRendered, TypeError)):
        render("small", broken, at=AT)


def test_pages_can_be_looked_at() -> None:
    pages = render_pages(small().data, ppi=40)

    assert pages
    assert all(page.startswith(b"\x89PNG") for page in pages)


def test_only_what_cannot_be_seen_or_set_is_replaced() -> None:
    assert visible({"a": ["x\x00", 1, None, True]}, lambda _: True) == {"a": ["x<U+0000>", 1, None, True]}
    assert visible("tab\there", lambda _: False) == "tab here"


def test_tables_are_csv_that_no_spreadsheet_runs() -> None:
    columns = (Column("name", "Name"), Column("measured", "Measured", "estimate"), Column("ok", "Ok", "yesno"))
    rows: list[dict[str, Any]] = [
        {"name": "=1+1", "measured": {"value": 0.5, "low": None, "high": None}, "ok": True},
        {"name": 'comma, "quote"\nline', "measured": None, "ok": None},
    ]
    section = Section("one", "One", "", [Table("two", columns, rows)])
    pack = Pack("small", "k", "l", "t", "a", HEAD, [section])

    [(name, content)] = tables(pack.data)

    assert name == "01-one-two.csv"
    assert content.decode().splitlines()[0] == "name,measured,ok"
    assert content.decode().splitlines()[1].startswith("'=1+1,")
    assert '"comma, ""quote""\nline",,' in content.decode()


def test_page_and_document_are_made_of_the_same_words() -> None:
    told = json.dumps(shown(small().data), ensure_ascii=False)

    for expected in ("0.784", "0.772 to 0.795", "14 Mar 2026, 09:26:53 UTC", "Empty"):
        assert expected in told
