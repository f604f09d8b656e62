"""Lists are read alike in every form, and refused where they are malformed or do not fit."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tests.conftest import refusal
from tests.sources import shapes
from tests.sources.conftest import message_of
from vaelib.sources import annotations

FILES = ("a.jpg", "b.jpg", "c.jpg")
TRUTHS = [[True, False], [False, False], [False, True]]
OWN = "3\nBald Young \na.jpg  1 -1\nb.jpg -1 -1\nc.jpg -1  1\n"
TABLE = "image_id,Bald,Young\na.jpg,1,-1\nb.jpg,-1,-1\nc.jpg,-1,1\n"
OWN_SPLIT = "a.jpg 0\nb.jpg 1\nc.jpg 2\n"
SPLIT_TABLE = "image_id,partition\na.jpg,0\nb.jpg,1\nc.jpg,2\n"


def read(text: str, files: tuple[str, ...] = FILES) -> tuple[list[list[bool]], tuple[str, ...]]:
    table, names = annotations.read_attributes(text, "list.csv", files)
    return table.tolist(), names


def split_of(text: str, files: tuple[str, ...] = FILES) -> list[int]:
    return list(map(int, annotations.read_split(text, "list.csv", files)))


def edited(text: str, line: int, new: str | None) -> str:
    """The text with a line, counted from 1, replaced or removed."""
    lines = text.splitlines()
    lines[line - 1 : line] = [] if new is None else [new]
    return "\n".join(lines) + "\n"


def with_row_of(text: str, file: str) -> str:
    """The list with another row like its last, of another file."""
    last = text.splitlines()[-1].replace("c.jpg", file) + "\n"
    return text.replace("3\nBald", "4\nBald") + last


def numbered(count: int) -> list[str]:
    return [f"{number:04}.jpg" for number in range(count)]


# --- names of attributes


def test_a_name_is_the_same_whatever_its_case_hyphens_and_underscores() -> None:
    names = ["5_o_Clock_Shadow", "5-o-clock-shadow", "5 O CLOCK shadow"]
    assert {annotations.normalise_name(name) for name in names} == {"5oclockshadow"}


def test_names_are_put_in_celebas_spelling_and_order_and_others_stay_behind() -> None:
    names, order = annotations.celeba_order(["young", "Zeal", "no-beard", "aura", "BALD"], "list")
    assert names == ("Bald", "No_Beard", "Young", "Zeal", "aura")
    assert order == [4, 2, 0, 1, 3]


def test_an_attribute_called_twice_is_refused() -> None:
    message = refusal(lambda: annotations.celeba_order(["Young", "Bald", "young"], "list.csv"))
    assert message == "list.csv: the attribute 'young' is there twice; remove one"


def test_columns_move_with_their_names() -> None:
    text = "file,young,Odd,bald\na.jpg,0,0,1\nb.jpg,0,1,0\nc.jpg,1,0,0\n"
    table = [[True, False, False], [False, False, True], [False, True, False]]
    assert read(text) == (table, ("Bald", "Young", "Odd"))


def test_celebas_names_are_forty_different_ones_in_the_order_of_its_list() -> None:
    assert len(annotations.CELEBA_ATTRIBUTES) == 40
    assert annotations.celeba_order(annotations.CELEBA_ATTRIBUTES, "")[1] == list(range(40))


# --- forms of the lists


def test_the_form_of_an_attribute_list_makes_no_difference() -> None:
    forms = [
        OWN,
        TABLE,
        TABLE.replace("-1", "0"),
        TABLE.replace(",1", ",True").replace(",-1", ",False"),
        TABLE.replace(",1", ",true").replace(",-1", ",FALSE"),
        TABLE.replace(",1", ",1.0").replace(",-1", ",0.0"),
        TABLE.replace(",1", ",1.0").replace(",-1", ",-1.0"),
        TABLE.replace(",1", ",yes").replace(",-1", ",No"),
        TABLE.replace(",", ";"),
        TABLE.replace(",", "\t"),
        TABLE.replace(",", ", "),
        TABLE.replace("a.jpg,1", '"a.jpg", "1"'),
        TABLE.replace("\n", ",,\n"),
        "\n  \n" + TABLE,
        TABLE + ",,\n\n",
        TABLE.replace("\n", "\n\n"),
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("\n", "\r"),
        TABLE.rstrip("\n"),
        "\n" + OWN,
        OWN.replace("\n", "\r\n"),
        OWN.replace("\n", "\r"),
        OWN.replace(" ", "\t"),
        OWN.replace("\n", " \n\n"),
        OWN.rstrip("\n"),
    ]
    assert [form for form in forms if read(form) != (TRUTHS, ("Bald", "Young"))] == []


def test_the_form_of_a_partition_list_makes_no_difference() -> None:
    forms = [
        OWN_SPLIT,
        SPLIT_TABLE,
        SPLIT_TABLE.replace(",", "; "),
        SPLIT_TABLE.replace("\n", "\r\n\r\n"),
        SPLIT_TABLE.replace("a.jpg,0", '"a.jpg","0",'),
        OWN_SPLIT.replace(" ", ","),
        OWN_SPLIT.replace(" ", "\t"),
        OWN_SPLIT.replace("\n", " \r\n\n"),
    ]
    assert [form for form in forms if split_of(form) != [0, 1, 2]] == []


def test_celebas_own_lists_and_kaggles_are_read_the_same() -> None:
    copy = shapes.procedural(10, (8, 8))
    files = list(copy.photos)
    own = annotations.read_attributes(copy.attribute_text(), "", files)
    table = annotations.read_attributes(copy.attribute_table(), "", files)
    np.testing.assert_array_equal(own[0], copy.attributes)
    np.testing.assert_array_equal(table[0], copy.attributes)
    assert own[1] == table[1] == copy.names
    assert annotations.read_split(copy.partition_text(), "", files).tolist() == copy.split
    assert annotations.read_split(copy.partition_table(), "", files).tolist() == copy.split


def test_a_quoted_cell_may_hold_the_separator() -> None:
    assert read('file,Bald\n"a, b.jpg",1\n', ("a, b.jpg",)) == ([[True]], ("Bald",))


def test_a_quote_that_nobody_closes_spoils_only_its_own_line() -> None:
    message = refusal(lambda: read(edited(TABLE, 2, '"a.jpg,1,1')))
    assert message == "list.csv, line 2: 0 values for 2 attributes; correct it"


def test_a_cell_without_end_is_refused() -> None:
    assert "list.csv, line 2: field larger" in refusal(
        lambda: read(f"file,Bald\n{'a' * 150_000},1")
    )


def test_row_numbers_that_pandas_wrote_are_no_attribute() -> None:
    head, *rows = TABLE.splitlines()
    for start in ("", "Unnamed: 0"):
        numbered_rows = [f"{number},{row}" for number, row in enumerate(rows)]
        text = "\n".join([f"{start},{head}", *numbered_rows])
        assert read(text) == (TRUTHS, ("Bald", "Young")), start


def test_the_index_of_pandas_may_be_the_file_names() -> None:
    assert read(TABLE.replace("image_id", "")) == (TRUTHS, ("Bald", "Young"))


def test_file_names_may_stand_in_any_column() -> None:
    text = "Bald,Young,file\n1,0,a.jpg\n0,0,b.jpg\n0,1,c.jpg\n"
    assert read(text) == (TRUTHS, ("Bald", "Young"))


def test_row_numbers_are_not_taken_for_photos_that_are_called_by_numbers() -> None:
    files = ("0.jpg", "1.jpg", "2.jpg")
    for photo in ("{}.jpg", "{}"):
        rows = [f"{n},{photo.format(2 - n)},{int(n == 0)}" for n in range(3)]
        text = "\n".join([",file,Bald", *rows])
        assert read(text, files)[0] == [[False], [False], [True]], photo


def test_one_attribute_is_enough() -> None:
    assert read("file,Bald\na.jpg,1\n", ("a.jpg",)) == ([[True]], ("Bald",))


# --- what rows call their photos


def test_rows_may_come_in_any_order() -> None:
    rows = OWN.splitlines(keepends=True)
    assert read("".join(rows[:2] + rows[:1:-1])) == read(OWN)
    assert split_of("c.jpg 2\na.jpg 0\nb.jpg 1\n") == [0, 1, 2]


def test_a_row_finds_its_photo() -> None:
    cases = [
        (("1/a.jpg", "2/b.jpg"), ("a.jpg", "b.jpg")),
        (("1/a.jpg", "2/a.jpg"), ("faces/1/a.jpg", "faces/2/a.jpg")),
        (("x/1/a.jpg", "x/2/a.jpg"), ("1/a.jpg", "2/a.jpg")),
        (("1/a.jpg", "2/a.jpg"), ("1\\a.jpg", "2\\a.jpg")),
        (("a.jpg", "b.jpg"), ("./a.jpg", "./b.jpg")),
        (("a.jpg", "b.jpg"), ("C:\\faces\\a.jpg", "C:\\faces\\b.jpg")),
        (("a.png", "b.png"), ("a.jpg", "b.jpg")),
        (("a.JPG", "b.JPG"), ("a.jpg", "b.jpg")),
        (("a.jpg", "b.jpg"), ("a", "b")),
        (("a.v2.jpg", "b.v2.jpg"), ("a.v2", "b.v2")),
        (("IMG_a.JPG", "x/b.jpg"), ("img_A.jpg", "X/B.jpg")),
        (("A.jpg", "a.jpg"), ("A.jpg", "a.jpg")),
        (("a.jpg", "a.png"), ("a.jpg", "a.png")),
        (("e\u0301.jpg", "b.jpg"), ("\u00e9.jpg", "b.jpg")),
        (("\u00e9.jpg", "b.jpg"), ("e\u0301.jpg", "b.jpg")),
    ]
    offenders = [
        (files, rows)
        for files, rows in cases
        if split_of(f"file,part\n{rows[1]},2\n{rows[0]},1\n", files) != [1, 2]
        or read(f"file,Bald\n{rows[1]},1\n{rows[0]},0\n", files)[0] != [[False], [True]]
    ]
    assert offenders == []


def test_a_row_that_may_be_of_another_photo_finds_none() -> None:
    cases = [
        (("1/a.jpg", "2/a.jpg"), "a.jpg"),
        (("1/a.jpg", "2/b.jpg"), "3/a.jpg"),
        (("a.jpg", "a.png"), "a"),
        (("aa.jpg", "b.jpg"), "a.jpg"),
        (("Aa.jpg", "aA.jpg"), "aa.jpg"),
    ]
    for files, row in cases:
        message = message_of(split_of, f"{row} 1\n{files[1]} 2\n", files)
        expected = f"list.csv: no row for {files[0]}, one of 1 such photos of 2;"
        assert message.startswith(expected), row


def test_a_second_row_for_a_photo_is_refused() -> None:
    for again in ("c.jpg", "faces/c.jpg", "c"):
        for text, line in ((OWN, 6), (TABLE, 5)):
            message = message_of(read, with_row_of(text, again))
            fault = f"list.csv, line {line}: a second row for {again}; remove one of the two"
            assert message == fault


# --- rows that do not fit the photos


def test_a_list_that_names_an_absent_photo_is_refused() -> None:
    readers = [(read, OWN), (read, TABLE), (split_of, OWN_SPLIT), (split_of, SPLIT_TABLE)]
    for reader, text in readers:
        message = message_of(reader, with_row_of(text, "gone.jpg"))
        assert message.startswith("list.csv names gone.jpg, which is not among the 3 photos;"), text


def test_the_attributes_of_all_of_celeba_do_for_a_part_of_its_photos(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(annotations, "CELEBA_SIZE", 3)
    for text in (OWN, TABLE):
        assert read(text, FILES[1:])[0] == TRUTHS[1:]
        assert read(text, FILES[:1])[0] == TRUTHS[:1]
        assert read(text, ("x/b.jpg",))[0] == read(text, ("b.png",))[0] == [TRUTHS[1]]


def test_the_split_of_all_of_celeba_does_for_a_part_of_its_photos(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(annotations, "CELEBA_SIZE", 3)
    for text in (OWN_SPLIT, SPLIT_TABLE):
        assert split_of(text, ("a.jpg", "c.jpg")) == [0, 2]


def test_all_of_celebas_rows_are_read_once_each_even_if_photos_are_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(annotations, "CELEBA_SIZE", 3)
    text = "a.jpg 0\nb.jpg 1\nb.jpg 1\nc.jpg 2\n"
    message = refusal(lambda: split_of(text, ("a.jpg",)))
    assert message == "list.csv, line 3: a second row for b.jpg; remove one of the two"


def test_the_attributes_of_all_of_celeba_hq_do_for_a_part_of_its_photos(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(annotations, "CELEBA_HQ_SIZE", 3)
    assert read(OWN, FILES[1:])[0] == TRUTHS[1:]


def test_a_photo_without_attributes_is_refused_by_name() -> None:
    for text in (edited(edited(OWN, 4, None), 1, "2"), edited(TABLE, 3, None)):
        message = message_of(read, text)
        assert message.startswith("list.csv: no row for b.jpg, one of 1 such photos of 3;"), text


def test_a_photo_that_even_all_of_celebas_rows_lack_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(annotations, "CELEBA_SIZE", 3)
    message = refusal(lambda: read(TABLE, (*FILES, "d.jpg", "e.jpg")))
    assert message.startswith("list.csv: no row for d.jpg, one of 2 such photos of 5;")


def test_names_in_any_script_are_read_and_reported() -> None:
    assert split_of("顔.jpg 1\n", ("顔.jpg",)) == [1]
    assert "no row for 顔.jpg" in refusal(lambda: split_of("脸.jpg 1\n", ("顔.jpg",)))


# --- malformed lists


def offending_edits(
    reader: Callable[[str], object], text: str, edits: Sequence[tuple[int, str | None, str]]
) -> dict[str, str]:
    """The messages that do not name the list and the fault, by edited line and its new content."""
    messages = {}
    for line, new, fault in edits:
        message = message_of(reader, edited(text, line, new))
        if not message.startswith("list.csv") or fault not in message:
            messages[f"line {line}: {new}"] = message
    return messages


def test_an_attribute_list_of_celebas_form_is_refused_where_it_is_wrong() -> None:
    edits = [
        (1, "eight", "line 1: 'eight' is not the number of rows"),
        (1, "3 rows", "line 1: '3 rows' is not the number of rows"),
        (1, "-3", "line 1: '-3' is not the number of rows"),
        (1, "9" * 5000, "line 1: '9999"),
        (1, None, "line 1: 'Bald Young' is not the number of rows"),
        (1, "4", "line 1 says 4 rows, but 3 follow; is the file cut short?"),
        (1, "2", "line 1 says 2 rows, but 3 follow"),
        (2, None, "line 2: 'file a.jpg 1 -1' names no attributes"),
        (2, "Bald bald", "the attribute 'bald' is there twice"),
        (4, "b.jpg 1", "line 4: 1 values for 2 attributes"),
        (4, "b.jpg 1 1 1", "line 4: 3 values for 2 attributes"),
        (4, "b.jpg 1 0", "line 4: the value '0' is none of -1, 1"),
        (4, "b.jpg 1 2", "line 4: the value '2' is none of -1, 1"),
    ]
    assert offending_edits(read, OWN, edits) == {}


def test_a_table_of_attributes_is_refused_where_it_is_wrong() -> None:
    edits = [
        (1, "image_id,Bald,bald", "the attribute 'bald' is there twice"),
        (1, "image_id,,Young", "line 1: 'image_id  Young' names no attributes, or not each"),
        (1, None, "line 1: 'a.jpg 1 -1' names no attributes"),
        (3, "b.jpg,1", "line 3: 1 values for 2 attributes"),
        (3, "b.jpg,1,1,1", "line 3: 3 values for 2 attributes"),
        (3, "b.jpg,1,", "line 3: 1 values for 2 attributes"),
        (3, "b.jpg,,1", "line 3: the value '' is none of -1, 0, 1, false, true"),
        (3, "b.jpg,1,2", "line 3: the value '2' is none of -1, 0, 1, false, true; correct it, or"),
        (3, "b.jpg,1,2", "or remove the column 'Young'"),
        (3, "b.jpg,1,0.5", "line 3: the value '0.5' is none of -1, 0, 1, false, true"),
        (3, "1,b.jpg,1", "line 3: the value 'b.jpg' is none of -1, 0, 1, false, true"),
    ]
    assert offending_edits(read, TABLE, edits) == {}


def test_a_partition_list_is_refused_where_it_is_wrong() -> None:
    lines = ["b.jpg 3", "b.jpg -1", "b.jpg", "b.jpg 1 1", "b.jpg train"]
    fault = "line 2: {!r} is not a file name and 0, 1 or 2; correct it"
    assert (
        offending_edits(split_of, OWN_SPLIT, [(2, line, fault.format(line)) for line in lines])
        == {}
    )
    table = SPLIT_TABLE.replace("image_id,partition\n", "")
    edits = [(2, line.replace(" ", ","), fault.format(line)) for line in lines]
    assert offending_edits(split_of, table, edits) == {}


def test_a_wrong_first_row_is_not_taken_for_a_header() -> None:
    assert "line 1: 'a.jpg 3'" in refusal(lambda: split_of("a.jpg,3\nb.jpg,1\nc.jpg,2\n"))


def test_an_empty_list_is_refused() -> None:
    for text in ("", "\n", " \r\n\t\n"):
        assert message_of(read, text) == "list.csv is empty; get it again"
    for text in ("", "\n", "image_id,partition\n"):
        message = message_of(split_of, text)
        assert "no row for a.jpg, one of 3 such photos of 3" in message


def test_a_web_page_is_no_list() -> None:
    page = "\n<!DOCTYPE html><html><head><title>Quota exceeded, sorry</title>\n"
    messages = {message_of(read, page), message_of(split_of, page)}
    assert messages == {"list.csv is a web page and not a list; get it again"}


def test_only_a_part_of_a_wrong_line_is_quoted() -> None:
    assert len(refusal(lambda: split_of("x" * 10_000))) < 200
    assert len(refusal(lambda: read(edited(TABLE, 2, f"a.jpg,1,{'x' * 10_000}")))) < 200


# --- splitting by name


def test_about_80_10_10_go_to_train_validation_and_test() -> None:
    split = annotations.split_by_hash(numbered(10_000))
    np.testing.assert_allclose(np.bincount(split) / 10_000, [0.8, 0.1, 0.1], atol=0.01)


def test_adding_photos_moves_none_to_another_split() -> None:
    before = annotations.split_by_hash(numbered(1_000))
    after = annotations.split_by_hash(sorted(numbered(1_000) + [f"new/{n}" for n in numbered(500)]))
    np.testing.assert_array_equal(after[:1_000], before)


def test_the_split_is_the_same_on_every_machine_and_in_every_release() -> None:
    assert "".join(map(str, annotations.split_by_hash(numbered(400))[:40])) == (
        "0000100000000000000100000002110200000000"
    )


def test_the_smallest_folder_still_has_8_test_and_4_validation_faces() -> None:
    for series in range(20):
        split = annotations.split_by_hash([f"{series}-{n}.jpg" for n in range(64)])
        train, validation, test = np.bincount(split, minlength=3)
        assert (test >= 8, validation >= 4, train >= 32) == (True, True, True), series


def test_topping_up_takes_from_train_only_and_gives_back_later() -> None:
    small = annotations.split_by_hash(numbered(64))
    grown = annotations.split_by_hash(numbered(1_000))[:64]
    assert (small != grown).any()  # otherwise this folder needed no topping up
    assert (grown[small != grown] == annotations.TRAIN).all()


def test_faces_of_one_name_stay_together_in_small_folders_too() -> None:
    for series in range(20):
        persons = [f"{series}-{n // 4}" for n in range(64)]
        split = annotations.split_by_hash(persons)
        train, validation, test = np.bincount(split, minlength=3)
        assert (test >= 8, validation >= 4, train >= 32) == (True, True, True), series
        assert len({*zip(persons, split.tolist(), strict=True)}) == 16, series


def test_names_that_no_text_could_hold_are_split_too() -> None:
    assert annotations.split_by_hash(["\udcff.jpg"] * 3).shape == (3,)
