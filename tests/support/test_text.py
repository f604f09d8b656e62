"""Names that come from outside are made fit for one line on any terminal."""

from vaelib.support.errors import InputError
from vaelib.support.text import first_names, printable


def test_letters_of_any_script_and_spaces_stay() -> None:
    for name in (
        "a b.jpg",
        "顔/笑.jpg",
        "e\u0301té.jpg",
        "ف.png",
        "no\u00a0break\u3000wide",
        "\\n",
    ):
        assert printable(name) == name


def test_what_a_terminal_would_obey_becomes_an_escape() -> None:
    cases = {
        "a\nb": r"a\nb",
        "\x1b[31mred\x07": r"\x1b[31mred\x07",
        "a\u202egpj.exe": r"a\u202egpj.exe",
        "\x9b2J": r"\x9b2J",
        "a\u2028b": r"a\u2028b",
    }
    assert {name: printable(name) for name in cases} == cases


def test_bytes_that_are_no_text_become_escapes_that_any_file_can_hold() -> None:
    assert printable("\udcff.jpg").encode() == rb"\udcff.jpg"


def test_an_error_is_one_printable_line_whatever_a_file_is_called() -> None:
    assert str(InputError("there is no \x1b[2J\nx")) == r"there is no \x1b[2J\nx"


def test_three_names_are_given_and_that_there_are_more() -> None:
    assert first_names(["a", "b\n", "c"]) == r"a, b\n, c"
    assert first_names(["a", "b", "c", "d"]) == "a, b, c, ..."
