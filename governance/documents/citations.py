"""What the named reports answer to, as data: where it stands, since when it holds, what a reader must know about that.

Rules move. An entry is corrected here and nowhere else, and every report prints the entry it was made under.
"""

from typing import Final

from governance.documents.shape import Source

SR_26_2: Final = Source(
    "Model risk management guidance",
    "SR 26-2, Board of Governors of the Federal Reserve System; OCC Bulletin 2026-13; FDIC",
    "Issued on 17 April 2026; in force since.",
    "Supersedes SR 11-7 (2011) and SR 21-8 (2021). Most relevant to banking organisations with more than $30 billion in "
    "assets; generative and agentic AI are outside its scope. It is guidance: it sets no list of fields. Those used here are "
    "inventory practice under it, and under OSFI E-23 and PRA SS1/23.",
)
ANNEX_IV: Final = Source(
    "Technical documentation of high-risk AI systems",
    "Regulation (EU) 2024/1689 (AI Act), Article 11(1) and Annex IV",
    "Duties for systems of Annex III: from 2 December 2027. For those in products of Annex I: from 2 August 2028.",
    "The dates are those of the Digital Omnibus on AI, adopted by the Council on 29 June 2026; before it, Annex III duties were "
    "to apply from 2 August 2026. Check them against the Official Journal. The points are named by Annex IV's own numbers.",
)
LL_144: Final = Source(
    "Bias audit of automated employment decision tools",
    "New York City Local Law 144 of 2021, Admin. Code § 20-870 ff.; 6 RCNY §§ 5-300 to 5-304",
    "Enforced since 5 July 2023.",
    "§ 5-303(a) says what must be published before use, § 5-301(b) to (d) how the ratios are computed. The summary stays "
    "published for at least six months after the latest use (§ 5-303(c)). An audit is at most one year old (§ 20-871(a)).",
)
PART_11: Final = Source(
    "Electronic records; electronic signatures",
    "21 CFR Part 11, §§ 11.10(b), 11.10(e), 11.50, 11.70, 11.100, 11.200",
    "In force since 20 August 1997.",
    "A copy for inspection in human readable and electronic form (§ 11.10(b)). Whether Part 11 applies to a record follows from "
    "the predicate rule that asks for the record.",
)
DUTIES: Final = Source(
    "Separation of duties",
    "ISO/IEC 27001:2022 Annex A 5.3; ISO/IEC 42001:2023 A.3.2; NIST SP 800-53 Rev. 5 AC-5",
    "Editions as named.",
    "The rules applied are this installation's own: nobody's vote counts on a version they asked for, registered, trained or "
    "wrote the code of, and one person fills one place.",
)
ISO_42001: Final = Source(
    "AI management system, Annex A controls",
    "ISO/IEC 42001:2023, Annex A (A.2.2 to A.10.4, 38 controls)",
    "Published in December 2023.",
    "A map from controls to what this installation holds about them. It is no statement of applicability (6.1.3) and no opinion "
    "on conformity; titles of controls are the standard's, in short.",
)
OWN_RECORD: Final = Source(
    "This installation's record",
    "Policy, evidence, signatures and permit as they stand in the log",
    "As of the checkpoint named at the end.",
)
