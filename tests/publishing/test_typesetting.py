"""What would leave a gap on a page is found from where everything lies."""

from vaelib.publishing.typesetting import GAP, PAGE_BOTTOM, Place, that_leave_gaps


def end(page: int, y: float) -> Place:
    return Place("metadata", None, page, y)


def figure(name: str, page: int, kind: str = "image") -> list[Place]:
    return [Place("figure", name, page - 1, 20.0), Place(kind, None, page, 2.9)]


LOW, HIGH = PAGE_BOTTOM - GAP / 2, PAGE_BOTTOM - 2 * GAP  # of a page: nearly full, and not


def test_what_follows_on_the_same_page_leaves_no_gap() -> None:
    assert that_leave_gaps([end(1, HIGH), *figure("fig-1", 1)]) == []


def test_what_begins_a_page_leaves_a_gap_where_the_one_before_is_not_full() -> None:
    assert that_leave_gaps([end(1, LOW), *figure("fig-1", 2)]) == []
    assert that_leave_gaps([end(1, HIGH), *figure("fig-1", 2)]) == ["fig-1"]
    assert that_leave_gaps([end(1, HIGH), *figure("tbl-1", 2, "table")]) == ["tbl-1"]


def test_the_last_end_before_it_counts() -> None:
    places = [end(1, HIGH), end(1, LOW), *figure("fig-1", 2), end(2, 20.0), *figure("fig-2", 3)]
    assert that_leave_gaps(places) == ["fig-2"]


def test_what_has_no_name_cannot_float() -> None:
    unnamed = [Place("figure", None, 1, 20.0), Place("table", None, 2, 2.9)]
    assert that_leave_gaps([end(1, HIGH), *unnamed]) == []
