"""Samples: the population first, the seed committed to, drawn once, drawn again by the verifier."""

import hashlib
import io
import json
import zipfile
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from audit.models import Entry
from config.errors import Conflict, Invalid, NotAllowed
from governance import sampling
from governance.bundles import questions
from governance.models import PromotionRequest, Sample
from governance.services import evidence, samples
from governance.services.samples import Population
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make
from tests.factories.audit import touch
from tests.governance.bundle.conftest import Verify, members_of

pytestmark = pytest.mark.django_db
SEED = "a seed that nobody knows"
COMMITMENT = hashlib.sha256(SEED.encode()).hexdigest()


@pytest.fixture
def auditor(house: object) -> User:
    return make.person("auditor", Role.AUDITOR)


@pytest.fixture
def population(auditor: User) -> Population:
    """Forty touched things, integrated."""
    for number in range(40):
        touch(str(number))
    make.integrate()
    now = timezone.now()
    return Population(now - timedelta(days=1), now + timedelta(seconds=5), actions=("test.touched",))


def planned(population: Population, by: User, size: int = 7, commitment: str = COMMITMENT) -> Sample:
    sample = samples.plan(
        population=population, title="Were they touched?", by=make.actor(by), seed_commitment=commitment, size=size
    )
    make.integrate()
    return sample


def bundle_of(sample: Sample, by: User) -> bytes:
    make.integrate()
    out = io.BytesIO()
    evidence.write(questions.about_sample(by, sample), by=make.actor(by), out=out)
    return out.getvalue()


def test_the_counts_reconcile_to_the_log(population: Population, auditor: User) -> None:
    counted = samples.count(population, by=make.actor(auditor))
    assert counted.total == 40
    assert counted.total + counted.others == counted.end - counted.begin == Entry.objects.count()


def test_anybody_can_draw_it_again_from_the_bundle(population: Population, auditor: User, verify: Verify) -> None:
    sample = planned(population, auditor)
    drawn = samples.draw(sample_id=sample.pk, seed=SEED, by=make.actor(auditor))
    assert drawn.items is not None
    assert len(drawn.items) == 7
    said = verify(bundle_of(drawn, auditor))
    assert "sample drawn again: 7 of 40 entries" in said
    assert "the first sample that person planned" in said
    # By hand, as docs/auditors/sampling.md tells it.
    plan = Entry.objects.get(entry_id=sample.entry_id)
    key = hashlib.sha256(SEED.encode() + bytes(plan.leaf_hash)).digest()
    ranked = sorted(
        (hashlib.sha256(key + str(one.entry_id).encode()).digest(), one.index)
        for one in Entry.objects.filter(action="test.touched")
    )
    assert sorted(index for _, index in ranked[:7]) == [one["index"] for one in drawn.items]


def test_strata_are_drawn_each_for_itself(population: Population, auditor: User, verify: Verify) -> None:
    wide = Population(population.since, population.until, stratify_by="action")
    sample = planned(wide, auditor, size=12)
    drawn = samples.draw(sample_id=sample.pk, seed=SEED, by=make.actor(auditor))
    sizes = {one["stratum"]: one["size"] for one in drawn.plan["strata"]}
    assert drawn.items is not None
    assert {name: sum(one["stratum"] == name for one in drawn.items) for name in sizes} == sizes
    assert min(sizes.values()) >= 1
    assert "stratum test.touched: " in verify(bundle_of(drawn, auditor))


def test_the_evidence_of_what_was_drawn_comes_along(approved: PromotionRequest, auditor: User, verify: Verify) -> None:
    make.integrate()
    now = timezone.now()
    permits = Population(now - timedelta(days=1), now + timedelta(seconds=5), actions=("permit.issued",))
    sample = planned(permits, auditor, size=1)
    drawn = samples.draw(sample_id=sample.pk, seed=SEED, by=make.actor(auditor))
    said = verify(bundle_of(drawn, auditor))
    assert f"permit {approved.permit.pk} for {approved.target}" in said
    assert "sample drawn again: 1 of 1 entries" in said


def test_a_seed_that_was_not_committed_to_is_refused(population: Population, auditor: User) -> None:
    sample = planned(population, auditor)
    with pytest.raises(Invalid, match="not the seed"):
        samples.draw(sample_id=sample.pk, seed="a nicer one", by=make.actor(auditor))
    sample.refresh_from_db()
    assert sample.drawn_at is None


def test_it_is_drawn_once_and_by_its_planner(population: Population, auditor: User) -> None:
    sample = planned(population, auditor)
    other = make.person("auditor", Role.AUDITOR)
    with pytest.raises(NotAllowed):
        samples.draw(sample_id=sample.pk, seed=SEED, by=make.actor(other))
    samples.draw(sample_id=sample.pk, seed=SEED, by=make.actor(auditor))
    with pytest.raises(Conflict, match="drawn already"):
        samples.draw(sample_id=sample.pk, seed=SEED, by=make.actor(auditor))


def test_it_is_not_drawn_before_its_plan_has_a_place_in_the_log(population: Population, auditor: User) -> None:
    sample = samples.plan(
        population=population, title="Too soon", by=make.actor(auditor), seed_commitment=COMMITMENT, size=1
    )
    with pytest.raises(Conflict, match="no place in the log yet"):
        samples.draw(sample_id=sample.pk, seed=SEED, by=make.actor(auditor))


def test_only_auditors_of_everything_sample(population: Population, scientist: User) -> None:
    with pytest.raises(NotAllowed):
        samples.count(population, by=make.actor(scientist))
    with pytest.raises(NotAllowed):
        planned(population, scientist)
    assert not Sample.objects.exists()


def test_a_second_plan_is_seen_to_be_one(population: Population, auditor: User, verify: Verify) -> None:
    planned(population, auditor)
    sample = planned(population, auditor)
    drawn = samples.draw(sample_id=sample.pk, seed=SEED, by=make.actor(auditor))
    assert "1 other samples were planned by the same person before" in verify(bundle_of(drawn, auditor))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"items": [{"index": 3, "stratum": ""}]}, "sample.json lists other entries than the seed draws"),
        ({"items": []}, "sample.json lists other entries than the seed draws"),
    ],
)
def test_another_choice_is_refused(
    population: Population, auditor: User, verify: Verify, change: dict[str, object], complaint: str
) -> None:
    sample = planned(population, auditor)
    drawn = samples.draw(sample_id=sample.pk, seed=SEED, by=make.actor(auditor))
    members = members_of(bundle_of(drawn, auditor))
    members["sample.json"] = json.dumps({**json.loads(members["sample.json"]), **change}).encode()
    assert complaint in verify(packed(members), code=1)


def test_a_population_that_is_not_all_there_is_refused(population: Population, auditor: User, verify: Verify) -> None:
    sample = planned(population, auditor)
    drawn = samples.draw(sample_id=sample.pk, seed=SEED, by=make.actor(auditor))
    members = members_of(bundle_of(drawn, auditor))
    lines = members["log/entries/000000.txt"].split(b"\n")
    chosen = {one["index"] for one in drawn.items or []}
    victim = next(n for n, line in enumerate(lines) if b"test.touched" in line and n not in chosen)
    leaf = lines[victim].split(b" ", 2)[2]
    lines[victim] = b"^ 0 %d %s" % (victim, hashlib.sha256(b"\x00" + leaf).hexdigest().encode())
    members["log/entries/000000.txt"] = b"\n".join(lines)
    assert "of which the sample was drawn, are not all here" in verify(packed(members), code=1)


def packed(members: dict[str, bytes]) -> bytes:
    """Packed again, with a manifest that agrees."""
    manifest = json.loads(members.pop("manifest.json"))
    manifest["members"] = {n: {"sha256": hashlib.sha256(d).hexdigest(), "size": len(d)} for n, d in members.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in {**members, "manifest.json": json.dumps(manifest).encode()}.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"since": timezone.now(), "until": timezone.now() - timedelta(days=1)}, "until"),
        ({"stratify_by": "mood"}, "stratify_by"),
        ({"actions": ("nobody.did",)}, "since"),
    ],
)
def test_a_population_that_cannot_be_is_refused(
    population: Population, auditor: User, changes: dict[str, object], field: str
) -> None:
    fields = {name: getattr(population, name) for name in ("since", "until", "actions", "object_type", "stratify_by")}
    with pytest.raises(Invalid) as caught:
        samples.count(Population(**{**fields, **changes}), by=make.actor(auditor))
    assert caught.value.field == field


# How many. The first row is that of the tables everybody uses: 95 % confidence, 5 % tolerable, none expected, large
# population: 59 (AICPA Audit Sampling, table A-1); one expected: 93; 90 % and 10 %: 22.


@pytest.mark.parametrize(
    ("confidence", "tolerable", "expected", "size"), [(0.95, 0.05, 0, 59), (0.95, 0.05, 1, 93), (0.90, 0.10, 0, 22)]
)
def test_sizes_are_those_of_the_tables(confidence: float, tolerable: float, expected: int, size: int) -> None:
    found = sampling.attribute_size(1_000_000, confidence=confidence, tolerable=tolerable, expected=expected)
    assert abs(found - size) <= 1


@given(st.integers(2, 3000), st.sampled_from([0.8, 0.9, 0.95, 0.99]), st.floats(0.02, 0.4), st.integers(0, 3))
def test_a_size_suffices_and_one_less_does_not(
    population: int, confidence: float, tolerable: float, expected: int
) -> None:
    size = sampling.attribute_size(population, confidence=confidence, tolerable=tolerable, expected=expected)
    deviating = max(1, -int(-tolerable * population // 1))

    def risk(n: int) -> float:
        return sampling.chance_of_at_most(expected, population=population, deviating=deviating, size=n)

    assert size == population or risk(size) <= 1 - confidence + 1e-9
    if size > expected + 1:
        assert risk(size - 1) > 1 - confidence - 1e-9


@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.integers(1, 500), min_size=1, max_size=12), st.integers(1, 400)
)
def test_shares_add_up_and_leave_nobody_out(counts: dict[str, int], size: int) -> None:
    if size < min(len(counts), sum(counts.values())):
        with pytest.raises(Invalid):
            sampling.allocate(counts, size)
        return
    strata = sampling.allocate(counts, size)
    assert sum(one.size for one in strata) == min(size, sum(counts.values()))
    assert all(1 <= one.size <= one.population == counts[one.name] for one in strata)


def test_the_result_says_what_it_rules_out() -> None:
    assert sampling.upper_limit(10_000, size=59, found=0) == pytest.approx(0.05, abs=0.002)
    assert sampling.upper_limit(100, size=100, found=3) == 0.03
