"""ISO/IEC 42001:2023 Annex A as data: every control with what this product may hold about it, and what it cannot.

Titles are the standard's, in short. ``evidence`` writes a sentence from what is held, or nothing if nothing is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from governance.selectors.holdings import Holdings

OBJECTIVES: Final[Mapping[str, str]] = {
    "A.2": "Policies related to AI",
    "A.3": "Internal organization",
    "A.4": "Resources for AI systems",
    "A.5": "Assessing impacts of AI systems",
    "A.6": "AI system life cycle",
    "A.7": "Data for AI systems",
    "A.8": "Information for interested parties",
    "A.9": "Use of AI systems",
    "A.10": "Third-party and customer relationships",
}


@dataclass(frozen=True, slots=True)
class Control:
    """One control. ``partial`` says what the evidence does not cover, ``elsewhere`` where evidence would be instead."""

    number: str
    title: str
    evidence: Callable[[Holdings], str]
    where: str = ""
    partial: str = ""
    elsewhere: str = ""


def _nothing(_: Holdings) -> str:
    return ""


def _card(*keys: str) -> Callable[[Holdings], str]:
    def said(held: Holdings) -> str:
        n = max((held.card.get(key, 0) for key in keys), default=0)
        return f"On model cards: {n} of {held.models}." if n else ""

    return said


def _count(read: Callable[[Holdings], int], words: str) -> Callable[[Holdings], str]:
    return lambda held: words.format(n=read(held), models=held.models) if read(held) else ""


def _checks(*uses: str, words: str) -> Callable[[Holdings], str]:
    def said(held: Holdings) -> str:
        n = sum(count for use, count in held.checks.items() if use.startswith(uses))
        return words.format(n=n) if n else ""

    return said


CONTROLS: Final = (
    Control(
        "A.2.2",
        "AI policy",
        _count(lambda h: h.policies, "Promotion policies in force: {n}; adopted versions are kept."),
        "Policies",
        "The organisation's AI policy itself is not kept here.",
    ),
    Control(
        "A.2.3", "Alignment with other organizational policies", _nothing, elsewhere="A document of the organisation."
    ),
    Control(
        "A.2.4",
        "Review of the AI policy",
        _count(lambda h: h.policy_versions, "Adopted versions with dates and adopters: {n}."),
        "Policies, log",
        "Of promotion policies only.",
    ),
    Control(
        "A.3.2",
        "AI roles and responsibilities",
        _count(lambda h: h.duties, "People who hold roles: {n}; each model has an owner."),
        "Separation-of-duties report",
    ),
    Control(
        "A.3.3",
        "Reporting of concerns",
        _card("incident_contact"),
        "Model cards",
        "A contact only; concerns are not tracked here.",
    ),
    Control(
        "A.4.2",
        "Resource documentation",
        _count(lambda h: h.models, "Models with versions, data, code and environment: {n}."),
        "Inventory, lineage",
    ),
    Control(
        "A.4.3", "Data resources", _count(lambda h: h.datasets, "Data set versions sealed by content: {n}."), "Lineage"
    ),
    Control(
        "A.4.4",
        "Tooling resources",
        _count(lambda h: h.environments, "Environments recorded with the digest of their lock: {n}."),
        "Lineage",
    ),
    Control("A.4.5", "System and computing resources", _card("compute", "hardware"), "Model cards"),
    Control("A.4.6", "Human resources", _nothing, elsewhere="Competence records are the organisation's."),
    Control(
        "A.5.2",
        "AI system impact assessment process",
        _card("risk_management"),
        "Model cards",
        "What cards say of it; the process is not kept here.",
    ),
    Control(
        "A.5.3",
        "Documentation of impact assessments",
        _card("risk_management"),
        "Model cards",
        "Where owners wrote it.",
    ),
    Control(
        "A.5.4",
        "Impact on individuals and groups",
        _checks("fairness.", words="Comparisons of groups of people: {n}."),
        "Request reports, section 4",
    ),
    Control("A.5.5", "Societal impacts", _card("societal_impact"), "Model cards"),
    Control("A.6.1.2", "Objectives for responsible development", _nothing, elsewhere="A document of the organisation."),
    Control(
        "A.6.1.3",
        "Processes for responsible design and development",
        _count(lambda h: h.requests, "Promotions through the defined review: {n}."),
        "Requests",
        "From promotion on; design before it is not kept here.",
    ),
    Control(
        "A.6.2.2",
        "Requirements and specification",
        _count(lambda h: h.policies, "Policies with measurable requirements: {n}."),
        "Policies",
        "Requirements for promotion; others are not kept here.",
    ),
    Control(
        "A.6.2.3", "Documentation of design and development", _card("architecture", "methods"), "Model cards, lineage"
    ),
    Control(
        "A.6.2.4",
        "Verification and validation",
        _count(lambda h: h.finished, "Checks run, their results kept by digest: {n}."),
        "Request reports, section 3",
    ),
    Control(
        "A.6.2.5",
        "Deployment",
        _count(lambda h: h.permits, "Signed permits: {n}; a governed name moves only with one."),
        "Permits",
    ),
    Control(
        "A.6.2.6",
        "Operation and monitoring",
        _card("monitoring_plan"),
        "Model cards",
        "Plans only; results of monitoring are not kept here yet.",
    ),
    Control(
        "A.6.2.7",
        "Technical documentation",
        _count(lambda h: sum(bool(n) for n in h.card.values()), "Kinds of card fields in use: {n}."),
        "Annex IV dossier",
    ),
    Control(
        "A.6.2.8",
        "Recording of event logs",
        _count(lambda h: h.entries, "A log of {n} entries with proofs and signed checkpoints."),
        "Audit log",
        "Of the registry and its decisions; events of running AI systems are not logged here.",
    ),
    Control(
        "A.7.2",
        "Data for development and enhancement",
        _count(lambda h: h.datasets, "Data set versions with schema and roles: {n}."),
        "Lineage",
    ),
    Control("A.7.3", "Acquisition of data", _card("data_provenance", "legal_basis"), "Model cards"),
    Control(
        "A.7.4", "Quality of data", _checks("data.", words="Checks of data quality: {n}."), "Request reports, section 3"
    ),
    Control(
        "A.7.5",
        "Data provenance",
        _count(lambda h: h.edges, "Recorded steps from data to product (W3C PROV): {n}."),
        "Lineage",
    ),
    Control("A.7.6", "Data preparation", _card("data_preparation"), "Model cards"),
    Control(
        "A.8.2",
        "System documentation and information for users",
        _card("instructions_for_use", "intended_use", "limitations"),
        "Model cards",
    ),
    Control("A.8.3", "External reporting", _nothing, elsewhere="Reports of outsiders do not reach this system."),
    Control("A.8.4", "Communication of incidents", _card("incident_contact"), "Model cards", "A contact only."),
    Control(
        "A.8.5",
        "Information for interested parties",
        _count(lambda h: h.exports, "Bundles and reports handed out, each logged: {n}."),
        "Log, reports",
    ),
    Control("A.9.2", "Processes for responsible use", _card("prohibited_uses", "human_oversight"), "Model cards"),
    Control("A.9.3", "Objectives for responsible use", _nothing, elsewhere="A document of the organisation."),
    Control(
        "A.9.4",
        "Intended use",
        _count(lambda h: h.intended, "Requests that state the intended use that was signed for: {n}."),
        "Requests, permits",
    ),
    Control(
        "A.10.2",
        "Allocating responsibilities",
        _count(lambda h: h.models, "Models with an owner who is named: {n}."),
        "Inventory",
        "Inside the organisation; contracts with others are not kept here.",
    ),
    Control("A.10.3", "Suppliers", _card("suppliers"), "Model cards"),
    Control("A.10.4", "Customers", _nothing, elsewhere="Agreements with customers are not kept here."),
)
