"""Many checks on one screen: what stops the request first, the rest by category, and some of what passes folded."""

from dataclasses import replace

from governance.ui.evidence import Row, _group, long_table

PASS = Row(id="a", category="data", verdict="pass", name="Drifted columns", value=0.0, limit=0.0, ideal=0.0)
ROOM = replace(PASS, id="room", limit=0.3)


def rows(category: str, n: int, row: Row = PASS) -> list[Row]:
    return [replace(row, id=f"{category}-{i}", category=category) for i in range(n)]


def test_a_short_table_shows_all() -> None:
    (group,) = long_table(rows("data", 20))
    assert (len(group.shown), len(group.folded)) == (20, 0)


def test_a_long_table_folds_what_is_kept_exactly_before_what_has_room_to_show() -> None:
    first, second = long_table([*rows("data", 10), *rows("performance", 10), *rows("data", 2, ROOM)])
    assert (first.id, second.id) == ("checks-performance", "checks-data")
    assert [row.limit for row in second.shown] == [0.3, 0.3]
    assert len(second.folded) == 10
    assert second.span == 3
    assert second.words == "12 of 12 pass"


def test_what_fails_or_cannot_be_told_stands_first_and_is_never_folded() -> None:
    given = [*rows("performance", 15), *rows("data", 8)]
    given[17] = replace(given[17], verdict="error")
    given[19] = replace(given[19], verdict="fail")
    given[21] = replace(given[21], verdict="caution")
    first, second = long_table(given)
    assert (first.id, first.verdict) == ("checks-data", "fail")
    assert [row.verdict for row in first.shown] == ["fail", "error", "pass", "pass", "caution"]
    assert {row.verdict for row in (*first.folded, *second.folded)} == {"pass"}


def test_nothing_is_folded_and_nothing_moves_while_checks_run() -> None:
    given = [*rows("performance", 15), *rows("data", 8, replace(PASS, verdict="running"))]
    first, second = long_table(given)
    assert (first.id, second.id) == ("checks-performance", "checks-data")
    assert first.folded == second.folded == ()


def test_a_fold_of_one_line_would_save_nothing() -> None:
    assert _group("data", rows("data", 3), folds=True).folded == ()
    assert len(_group("data", rows("data", 4), folds=True).folded) == 2


def test_figures_of_one_name_say_which_check_they_are_of() -> None:
    same = [replace(PASS, check="Importance"), replace(PASS, check="Shapley values"), replace(ROOM, name="Other")]
    (group,) = long_table(same)
    assert [row.note for row in group.rows] == ["Importance", "Shapley values", ""]
    (alone,) = long_table([replace(PASS, check="Importance"), replace(PASS, check="Importance", id="b")])
    assert [row.note for row in alone.rows] == ["", ""]
