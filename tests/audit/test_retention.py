"""How long entries are kept, and what holds them longer."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from audit import keeping, retention
from audit.actors import SYSTEM, Actor
from audit.models import Entry
from audit.retention import DEFAULT_DAYS, LegalHold, RetentionRule, Rules
from config.errors import Conflict, Invalid, NotAllowed, NotFound
from tests.factories.audit import integrate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = st.sampled_from(["user.", "user.signed_in", "check.", "c", "registry.user", "registry.", "permit.issued"])
RULES = st.builds(
    Rules,
    st.lists(st.tuples(NAMES, st.integers(0, 4000))).map(tuple),
    st.lists(st.tuples(NAMES, st.integers(0, 4000))).map(tuple),
)


@given(RULES, NAMES, NAMES)
def test_the_longest_rule_that_fits_holds(rules: Rules, action: str, kind: str) -> None:
    fitting = [days for prefix, days in rules.actions if action.startswith(prefix)]
    fitting += [days for prefix, days in rules.objects if kind.startswith(prefix)]
    days = rules.days(action, kind)

    assert days == (DEFAULT_DAYS if not fitting else 0 if 0 in fitting else max(fitting))
    assert rules.ends(action, kind, NOW) == (NOW + timedelta(days=days) if days else None)


@given(RULES, NAMES, NAMES, st.tuples(NAMES, st.integers(0, 4000)))
def test_one_more_rule_beside_another_that_fits_never_shortens(
    rules: Rules, action: str, kind: str, more: tuple[str, int]
) -> None:
    if not any(action.startswith(prefix) for prefix, _ in rules.actions):
        return
    before = rules.days(action, kind)
    after = Rules((*rules.actions, more), rules.objects).days(action, kind)
    assert after == 0 or (before != 0 and after >= before)


@pytest.mark.django_db
def test_a_rule_is_set_replaced_and_taken_away_with_an_entry_each() -> None:
    rule = keeping.set_rule(of="action", prefix="check.", days=400, basis="House rule 7", by=SYSTEM)
    again = keeping.set_rule(of="action", prefix="check.", days=0, basis="Litigation", by=SYSTEM)
    assert (again.pk, retention.rules().days("check.started", "x.y")) == (rule.pk, 0)
    keeping.drop_rule(rule_id=rule.pk, by=SYSTEM)
    assert retention.rules().days("check.started", "x.y") == DEFAULT_DAYS
    integrate()
    assert list(Entry.objects.order_by("index").values_list("action", flat=True)) == [
        "retention.set",
        "retention.set",
        "retention.dropped",
    ]
    assert Entry.objects.order_by("index")[1].diff == {"days": [400, 0]}
    with pytest.raises(NotFound):
        keeping.drop_rule(rule_id=rule.pk, by=SYSTEM)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"of": "team"}, "of"), ({"prefix": "Check"}, "prefix"), ({"prefix": ""}, "prefix"), ({"days": -1}, "days"),
     ({"days": 36526}, "days"), ({"basis": " "}, "basis"), ({"basis": "x" * 401}, "basis")],
)  # fmt: skip
def test_a_rule_that_is_none_is_refused(wrong: dict[str, object], field: str) -> None:
    given: dict[str, object] = {"of": "action", "prefix": "check.", "days": 400, "basis": "House rule", **wrong}
    with pytest.raises(Invalid) as refused:
        keeping.set_rule(by=SYSTEM, **given)  # type: ignore[arg-type]
    assert refused.value.field == field
    assert not RetentionRule.objects.exists()


@pytest.mark.django_db
def test_a_hold_is_set_and_released_once_with_reasons_on_record() -> None:
    hold = keeping.set_hold(
        of="object", object_type="registry.modelversion", object_id="7", reason="Case 12", by=SYSTEM
    )
    assert list(retention.standing_holds()) == [hold]
    keeping.release_hold(hold_id=hold.pk, reason="Settled", by=SYSTEM)
    assert list(retention.standing_holds()) == []
    with pytest.raises(Conflict):
        keeping.release_hold(hold_id=hold.pk, reason="Again", by=SYSTEM)
    with pytest.raises(NotFound):
        keeping.release_hold(hold_id=hold.pk + 1, reason="None", by=SYSTEM)
    integrate()
    told = [(entry.action, entry.reason) for entry in Entry.objects.order_by("index")]
    assert told == [("hold.set", "Case 12"), ("hold.released", "Settled")]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"of": "model"}, "of"), ({"object_type": ""}, "object_type"), ({"object_id": " "}, "object_id"),
     ({"object_id": "x\x00"}, "object_id"), ({"object_id": "x" * 256}, "object_id"), ({"reason": ""}, "reason"),
     ({"reason": "x" * 2001}, "reason"), ({"of": "person", "object_id": "ada"}, "object_id"),
     ({"of": "period"}, "until"), ({"of": "period", "since": NOW, "until": NOW}, "until")],
)  # fmt: skip
def test_a_hold_that_covers_nothing_is_refused(wrong: dict[str, object], field: str) -> None:
    given: dict[str, object] = {"of": "object", "object_type": "a.b", "object_id": "7", "reason": "Case", **wrong}
    with pytest.raises(Invalid) as refused:
        keeping.set_hold(by=SYSTEM, **given)  # type: ignore[arg-type]
    assert refused.value.field == field
    assert not LegalHold.objects.exists()


@pytest.mark.usefixtures("by_hand")
def test_only_administrators_keep_and_release() -> None:
    somebody = Actor.person(get_user_model().objects.create_user("eve"))
    hold = keeping.set_hold(of="person", object_id="user:7", reason="Case", by=SYSTEM)
    for act in (
        lambda: keeping.set_hold(of="person", object_id="user:7", reason="Case", by=somebody),
        lambda: keeping.release_hold(hold_id=hold.pk, reason="Why not", by=somebody),
        lambda: keeping.set_rule(of="action", prefix="a", days=1, basis="b", by=somebody),
        lambda: keeping.drop_rule(rule_id=1, by=Actor(id="service:visitor", name="visitor", kind="service")),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert [one.pk for one in retention.standing_holds()] == [hold.pk]


@pytest.mark.django_db
def test_postgresql_holds_what_a_hold_is() -> None:
    for fields in ({"of": "person", "object_type": "a.b", "object_id": "1"}, {"of": "period"}, {"of": "object"}):
        with pytest.raises(IntegrityError, match="legalhold_covers"), transaction.atomic():
            LegalHold.objects.create(reason="r", set_by="system", set_at=NOW, **fields)
    with pytest.raises(IntegrityError, match="legalhold_release"), transaction.atomic():
        LegalHold.objects.create(
            of="person", object_id="user:1", reason="r", set_by="system", set_at=NOW, released_at=NOW
        )
