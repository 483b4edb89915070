"""Samples of the log: planned, with the population counted and the seed committed to, then drawn. Both are logged.

Nobody can choose what is drawn. The auditor commits to a seed before the plan has its place in the log; what decides is
that seed together with the hash of the plan's leaf, which holds 128 random bits of ours and is not known before. So neither
the auditor nor the server can try seeds; whoever gives up a plan and makes another leaves both in the log.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.utils import timezone

from audit.actors import Actor
from audit.canonical import Json
from audit.exports.bundle import checkpoint_of
from audit.selectors import entry_of
from audit.services import append
from config.errors import Conflict, Invalid, NotAllowed
from governance import guards
from governance.bundles.questions import check_auditor, micro, moment, sample_of, stretch
from governance.models import Sample
from governance.sampling import Stratum, allocate, checked

STRATA: Final = {
    "": "''::text",
    "action": "action",
    "actor": "actor_id",
    "month": "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM')",
    "outcome": "coalesce(canon::jsonb #>> '{facts,outcome}', '')",
}
MOST_STRATA: Final = 200
_SECOND: Final = timedelta(seconds=1)
_HEX: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Population:
    """Which entries: of these actions (any), about this kind of object (any), written in this period."""

    since: datetime
    until: datetime
    actions: tuple[str, ...] = ()
    object_type: str = ""
    stratify_by: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """The population in the log: it lies between two positions, of whose entries so many belong to each stratum."""

    begin: int
    end: int
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """How many entries there are to draw from."""
        return sum(self.counts.values())

    @property
    def others(self) -> int:
        """How many entries of the stretch are not of the population: with ``total``, all of them."""
        return self.end - self.begin - self.total


def count(population: Population, *, by: Actor) -> Counted:
    """Count the population as the log has it now. Raises ``NotAllowed`` for whoever is no auditor, and ``Invalid``."""
    check_auditor(guards.person(by))
    if population.stratify_by not in STRATA:
        raise Invalid(f"There are no strata by “{population.stratify_by}”.", code="sample.strata", field="stratify_by")
    if population.since >= population.until:
        raise Invalid("The period ends before it begins.", code="evidence.period", field="until")
    size = checkpoint_of().size
    begin, end = stretch(micro(population.since), micro(population.until), size)
    where, given = _where(_facts(population, begin, end))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {STRATA[population.stratify_by]} AS stratum, count(*) FROM audit_entry WHERE {where} "  # noqa: S608
            f"GROUP BY 1 ORDER BY 1 LIMIT {MOST_STRATA + 1}",
            given,
        )
        counts = {str(name): int(number) for name, number in cursor.fetchall()}
    if not counts:
        raise Invalid("No entry of the log is of this population.", code="sample.empty", field="since")
    if len(counts) > MOST_STRATA:
        raise Invalid(f"That makes more than {MOST_STRATA} strata.", code="sample.strata", field="stratify_by")
    return Counted(begin, end, counts)


@transaction.atomic
def plan(
    *,
    population: Population,
    title: str,
    by: Actor,
    seed_commitment: str,
    size: int = 0,
    sizes: Mapping[str, int] | None = None,
) -> Sample:
    """Fix and log what will be drawn: population with its counts, sizes, and the SHA-256 of a seed that nobody has seen.

    Either ``size``, shared in proportion, or ``sizes`` per stratum. Raises ``NotAllowed`` and ``Invalid``.
    """
    person = guards.person(by)
    counted = count(population, by=by)
    named = guards.text_of(title, field="title")[:200]
    if not _HEX.fullmatch(seed_commitment):
        raise Invalid(
            "The commitment must be a SHA-256, 64 lower-case hexadecimal digits.",
            code="sample.commitment",
            field="seed_commitment",
        )
    if sizes is None:
        strata = allocate(counted.counts, size)
    else:
        if unknown := sorted(set(sizes) - set(counted.counts)):
            raise Invalid(f"There is no stratum “{unknown[0]}”.", code="sample.strata", field="sizes")
        strata = checked([Stratum(name, number, sizes.get(name, 0)) for name, number in counted.counts.items()])
    facts: dict[str, Any] = {
        **_facts(population, counted.begin, counted.end),
        "strata": [{"stratum": one.name, "population": one.population, "size": one.size} for one in strata],
        "seed_commitment": seed_commitment,
        "plans_before": Sample.objects.filter(planned_by=person).count(),
        "title": named,
    }
    made = Sample(id=uuid4(), planned_by=person, title=named, plan=facts)
    made.entry_id = append(action="sample.planned", subject=made, by=by, facts=facts)
    made.save(force_insert=True)
    return made


@transaction.atomic
def draw(*, sample_id: UUID, seed: str, by: Actor) -> Sample:
    """Open the commitment and draw. The order is by SHA-256(SHA-256(seed + leaf hash of the plan) + entry id).

    Raises ``NotAllowed`` for anybody but the planner, ``Conflict`` if it is drawn, or the plan has no place in the log yet,
    and ``Invalid`` for a seed that is not the one committed to.
    """
    person = guards.person(by)
    sample_of(person, sample_id)
    sample = Sample.objects.select_for_update(of=("self",)).get(pk=sample_id)
    if sample.planned_by_id != person.pk:
        raise NotAllowed("Only who planned it knows the seed.", code="sample.not_yours")
    if sample.drawn_at is not None:
        raise Conflict(
            "This sample was drawn already.", code="sample.drawn", remedy="Plan another; both stay in the log."
        )
    if hashlib.sha256(seed.encode()).hexdigest() != sample.plan["seed_commitment"]:
        raise Invalid("This is not the seed that you committed to.", code="sample.seed", field="seed")
    planned = entry_of(sample.entry_id)
    if planned is None:
        raise Conflict(
            "The plan has no place in the log yet.",
            code="sample.not_sequenced",
            remedy="Try again in a second; if this stays, the sequencer is not running.",
        )
    key = hashlib.sha256(seed.encode() + bytes(planned.leaf_hash)).digest()
    items = drawn(sample.plan, key)
    indices = [one["index"] for one in items]
    sample.seed, sample.items, sample.drawn_at = seed, items, timezone.now()
    sample.save(update_fields=["seed", "items", "drawn_at"])
    digest = hashlib.sha256(json.dumps(indices, separators=(",", ":")).encode()).hexdigest()
    facts: dict[str, Json] = {"seed": seed, "items_digest": digest, "count": len(items)}
    append(action="sample.drawn", subject=sample, by=by, facts=facts)
    return sample


def drawn(facts: Mapping[str, Any], key: bytes) -> list[dict[str, Any]]:
    """The entries that the key draws, in the order of the log: of each stratum those with the lowest hashes."""
    where, given = _where(facts)
    strata: Sequence[Mapping[str, Any]] = facts["strata"]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT ranked.index, ranked.stratum FROM (
                SELECT index, stratum, row_number() OVER (PARTITION BY stratum ORDER BY rank) AS place FROM (
                    SELECT index, {STRATA[facts["stratify_by"]]} AS stratum,
                    sha256(%s::bytea || convert_to(entry_id, 'UTF8')) AS rank FROM audit_entry WHERE {where}
                ) AS hashed
            ) AS ranked
            JOIN unnest(%s::text[], %s::int[]) AS wanted (stratum, size) ON wanted.stratum = ranked.stratum
            WHERE ranked.place <= wanted.size ORDER BY ranked.index
            """,  # noqa: S608 - names of columns, from the table above
            [key, *given, [one["stratum"] for one in strata], [one["size"] for one in strata]],
        )
        return [{"index": int(index), "stratum": str(stratum)} for index, stratum in cursor.fetchall()]


def _facts(population: Population, begin: int, end: int) -> dict[str, Any]:
    said = asdict(population)
    return {
        **said,
        "actions": list(population.actions),
        "since": micro(population.since),
        "until": micro(population.until),
        "begin": begin,
        "end": end,
    }


def _where(facts: Mapping[str, Any]) -> tuple[str, list[Any]]:
    # The column is a rounded figure; within a second of the edges the entry's own microseconds decide.
    where = (
        "index >= %s AND index < %s AND (at >= %s AND at < %s OR at >= %s AND at < %s "
        "AND (canon::jsonb ->> 'at')::bigint >= %s AND (canon::jsonb ->> 'at')::bigint < %s)"
    )
    since, until = moment(facts["since"]), moment(facts["until"])
    given: list[Any] = [
        facts["begin"],
        facts["end"],
        since + _SECOND,
        until - _SECOND,
        since - _SECOND,
        until + _SECOND,
    ]
    given += [facts["since"], facts["until"]]
    if facts["actions"]:
        where += " AND action = ANY (%s)"
        given.append(list(facts["actions"]))
    if facts["object_type"]:
        where += " AND object_type = %s"
        given.append(facts["object_type"])
    return where, given
