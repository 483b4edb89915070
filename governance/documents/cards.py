"""The fields of a model's card that reports read, as data: key, label, and which rule or practice asks for each.

A card may hold any field; those listed here have a place in a report, empty or not. Sources: Annex IV of Regulation (EU)
2024/1689, ISO/IEC 42001:2023 Annex A, model inventory practice under SR 26-2, OSFI E-23 and SS1/23, NIST AI RMF 1.0, and
6 RCNY 5-303.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from governance.documents.shape import Fact


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``asked_by``: short names of its sources."""

    key: str
    label: str
    asked_by: tuple[str, ...] = ()


FIELDS: Final = (
    Field("intended_use", "Intended use", ("Annex IV 1(a)", "SR 26-2", "A.9.4", "MAP 1.1")),
    Field("users", "Who uses it", ("Annex IV 2(b)", "SR 26-2", "MAP 1.1")),
    Field("affected_groups", "Who is affected", ("Annex IV 2(b)", "A.5.4")),
    Field("prohibited_uses", "What it must not be used for", ("Annex IV 3", "A.9.2")),
    Field("limitations", "Limitations and failure modes", ("Annex IV 3", "SR 26-2")),
    Field("legal_entity", "Legal entity that answers for it", ("Annex IV 1(a)", "SR 26-2")),
    Field("accountable_manager", "Accountable manager", ("A.3.2", "SS1/23")),
    Field("suppliers", "Suppliers and bought parts", ("Annex IV 2(a)", "A.10.3", "SR 26-2")),
    Field("materiality", "Materiality: exposure and purpose", ("SR 26-2", "E-23")),
    Field("autonomy", "How far it acts by itself", ("E-23", "A.6.2.2")),
    Field("human_oversight", "Human oversight", ("Annex IV 2(e)", "Annex IV 3", "A.9.2")),
    Field("ai_act_class", "Class under the AI Act", ("AI Act Art. 6",)),
    Field("ai_act_registration", "Registration in the EU database", ("AI Act Art. 49",)),
    Field("methods", "Methods and steps of development", ("Annex IV 2(a)", "SR 26-2")),
    Field("architecture", "Design, architecture and key choices", ("Annex IV 2(b)", "Annex IV 2(c)", "A.6.2.3")),
    Field("assumptions", "Assumptions", ("Annex IV 2(b)", "SR 26-2")),
    Field("inputs", "Inputs", ("Annex IV 3", "SR 26-2")),
    Field("outputs", "Outputs and cut-offs", ("Annex IV 2(b)", "SR 26-2")),
    Field("dependencies", "Dependencies on other models and systems", ("Annex IV 1(b)", "SR 26-2")),
    Field("data_provenance", "Origin, selection and labelling of data", ("Annex IV 2(d)", "A.7.3", "A.7.5")),
    Field("data_preparation", "Cleaning and preparation of data", ("Annex IV 2(d)", "A.7.6")),
    Field("legal_basis", "Legal basis of the data", ("A.7.3",)),
    Field("representativeness", "Representativeness and gaps of the data", ("Annex IV 2(g)", "A.7.4")),
    Field("compute", "Computational resources", ("Annex IV 2(c)", "A.4.5")),
    Field("metrics_rationale", "Why these metrics", ("Annex IV 4",)),
    Field("validation", "How it was validated", ("Annex IV 2(g)", "SR 26-2", "A.6.2.4")),
    Field("security", "Cybersecurity measures", ("Annex IV 2(h)",)),
    Field("risk_management", "Risks and how they are managed", ("Annex IV 5", "A.5.2", "A.5.3")),
    Field("societal_impact", "Impact on society", ("A.5.5",)),
    Field("predetermined_changes", "Changes decided in advance", ("Annex IV 2(f)",)),
    Field("monitoring_plan", "Monitoring plan", ("Annex IV 9", "SR 26-2", "A.6.2.6")),
    Field("logging_retention", "Logging and retention", ("AI Act Art. 12", "A.6.2.8")),
    Field("instructions_for_use", "Instructions for use", ("Annex IV 1(h)", "A.8.2")),
    Field("user_interface", "User interface", ("Annex IV 1(g)",)),
    Field("hardware", "Hardware it is meant to run on", ("Annex IV 1(e)",)),
    Field("distribution_forms", "Forms in which it is supplied", ("Annex IV 1(d)",)),
    Field("standards_applied", "Standards applied", ("Annex IV 7",)),
    Field("declaration_of_conformity", "EU declaration of conformity", ("Annex IV 8",)),
    Field("incident_contact", "Where concerns and incidents go", ("A.3.3", "A.8.4")),
    Field("last_review", "Last review", ("SR 26-2", "SS1/23")),
    Field("next_review", "Next review", ("SR 26-2", "SS1/23")),
    Field("retirement", "Retirement", ("SR 26-2", "A.6.2.6")),
    Field("independent_auditor", "Independent auditor of the bias audit", ("6 RCNY 5-301",)),
    Field("distribution_date", "Distribution date of the tool", ("6 RCNY 5-303(a)(2)",)),
    Field("data_explanation", "Source and explanation of the audit's data", ("6 RCNY 5-303(a)(1)",)),
    Field("exclusion_reason", "Why small categories were left out of the ratios", ("6 RCNY 5-301(d)",)),
)
BY_KEY: Final[Mapping[str, Field]] = {field.key: field for field in FIELDS}
NOT_ON_CARD: Final = "Nothing on the model's card."


def label_of(key: str) -> str:
    """What people read for a field of a card, listed or not."""
    return BY_KEY[key].label if key in BY_KEY else key.replace("_", " ").capitalize()


def field_fact(card: Mapping[str, Any], key: str, *, label: str = "", source: str = "") -> Fact:
    """One field of the card, empty or not."""
    return Fact(key, label or label_of(key), _text(card, key), source=source, why=NOT_ON_CARD)


def card_facts(card: Mapping[str, Any], required: Collection[str] = ()) -> list[Fact]:
    """Every field with content, and those that the policy requires whether they have any or not, in the list's order."""
    wanted = {key for key in card if _text(card, key)} | set(required)
    order = [field.key for field in FIELDS if field.key in wanted] + sorted(wanted - set(BY_KEY))
    return [
        Fact(key, label_of(key), _text(card, key), why=NOT_ON_CARD, source="required" if key in required else "")
        for key in order
    ]


def _text(card: Mapping[str, Any], key: str) -> str:
    return str(card.get(key, "")).strip()
