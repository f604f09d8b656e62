"""What would leave a gap on a page is found from where everything lies."""

from vaelib.publishing.typesetting import GAP, PAGE_BOTTOM, Place, gaps, that_leaves_a_gap


def text(page: int, y: float) -> Place:
    return Place("end of text", None, page, y)


def figure(name: str, page: int, kind: str = "image", y: float = 2.9) -> list[Place]:
    """A figure or table that begins here; its own place is on the page where its text stands."""
    start = Place("figure", name, page - 1, 20.0)
    return [start, Place(kind, None, page, y), Place("end of figure", None, page, y + 5)]


LOW, HIGH = PAGE_BOTTOM - GAP / 2, PAGE_BOTTOM - 2 * GAP  # of a page: nearly full, and not
LAST = text(9, 10.0)


def test_a_page_is_as_full_as_the_lowest_thing_on_it() -> None:
    assert gaps([text(1, LOW), text(1, HIGH), LAST]) == {}
    assert gaps([text(1, HIGH), LAST]) == {1: 2 * GAP}
    assert gaps([text(1, LOW), *figure("fig-1", 2), LAST]).keys() == {2}


def test_the_last_page_may_end_anywhere() -> None:
    assert gaps([text(1, LOW), text(2, 3.0)]) == {}


def test_what_begins_a_page_leaves_a_gap_where_the_one_before_is_not_full() -> None:
    assert that_leaves_a_gap([text(1, LOW), *figure("fig-1", 2), text(2, LOW)], set()) is None
    for kind in ("image", "table"):
        places = [text(1, HIGH), *figure("fig-1", 2, kind), LAST]
        assert that_leaves_a_gap(places, set()) == "fig-1"


def test_what_floats_leaves_no_gap_but_what_comes_after_it_may() -> None:
    places = [text(1, HIGH), *figure("fig-1", 2), *figure("fig-2", 3), LAST]
    assert that_leaves_a_gap(places, {"fig-1"}) == "fig-2"


def test_what_does_not_fit_below_others_that_float_leaves_a_gap_there() -> None:
    places = [*figure("fig-1", 2), text(1, LOW), *figure("fig-2", 3), LAST]
    assert that_leaves_a_gap(places, {"fig-1"}) == "fig-2"


def test_a_gap_that_text_leaves_is_left_to_the_text() -> None:
    places = [text(1, HIGH), text(2, LOW), *figure("fig-1", 3), text(3, LOW), LAST]
    assert that_leaves_a_gap(places, set()) is None


def test_what_stands_to_the_right_of_another_floats_with_it() -> None:
    pair = [*figure("fig-1", 2), *figure("fig-2", 2)]
    assert that_leaves_a_gap([text(1, HIGH), *pair, LAST], set()) == "fig-1"
    assert that_leaves_a_gap([text(1, HIGH), *pair, LAST], {"fig-1"}) is None


def test_what_has_no_name_cannot_float() -> None:
    unnamed = [Place("figure", None, 1, 20.0), Place("table", None, 2, 2.9)]
    assert that_leaves_a_gap([text(1, HIGH), *unnamed, LAST], set()) is None
