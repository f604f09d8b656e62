"""Age, sex and persons are read from names that follow a data set's convention, and no others."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.sources import trees
from vaelib import data
from vaelib.sources import annotations, conventions, inspect, layouts, prepare


def utkface(count: int) -> list[str]:
    """Names as in UTKFace: ages from 1 to 99, both sexes."""
    return [f"{n % 99 + 1}_{n % 2}_{n % 5}_2017011618{n:07}.jpg.chip.jpg" for n in range(count)]


# --- attributes


@pytest.mark.parametrize("folder", ["", "part1/"])
def test_utkfaces_names_say_age_and_sex(folder: str) -> None:
    names = [
        "39_1_0_20170116174525125.jpg",
        "40_0_4_20170116174525125.jpg",
        "1_0_2_20161219140623097.jpg.chip.jpg",
    ]
    found = conventions.attributes_in([folder + name for name in names])
    assert found is not None
    assert (found.convention, found.names) == ("file names as in UTKFace", ("Male", "Young"))
    assert found.table.tolist() == [[False, True], [True, False], [True, True]]


def test_a_name_that_lacks_only_the_race_still_says_age_and_sex() -> None:
    found = conventions.attributes_in(["61_1_20170109142408075.jpg"])
    assert found is not None
    assert found.table.tolist() == [[False, False]]


def test_agedbs_and_morphs_names_say_age_and_sex() -> None:
    for names in (
        ["0_MariaCallas_35_f.jpg", "7_BoHopkins_70_m.jpg"],
        ["0090_1F35.JPG", "12345_10M70.jpg"],
    ):
        found = conventions.attributes_in(names)
        assert found is not None, names
        assert found.table.tolist() == [[False, True], [True, False]], names


def test_folders_of_men_and_of_women_say_the_sex() -> None:
    for men, women in (("male", "female"), ("train/Men", "val/Women"), ("man/a", "woman/b")):
        found = conventions.attributes_in([f"{men}/1.jpg", f"{women}/1.jpg"])
        assert found is not None, men
        assert (found.names, found.table.tolist()) == (("Male",), [[True], [False]]), men


def test_other_names_say_nothing() -> None:
    for names in (
        ["000001.jpg", "000002.jpg"],
        ["1_2.jpg", "3_1_2.jpg"],
        ["39_2_0_20170116174525125.jpg"],
        ["male/1.jpg", "male/2.jpg"],
        ["male/1.jpg", "female/1.jpg", "3.jpg"],
        ["male/female/1.jpg", "male/2.jpg"],
        ["malefactors/1.jpg", "females/1.jpg"],
        [],
    ):
        assert conventions.attributes_in(names) is None, names


def test_photos_whose_names_are_wrong_are_left_aside_and_named(tmp_path: Path) -> None:
    names = [*utkface(80), "53__0_20170116184028385.jpg", "61_3_20170109150557335.jpg"]
    source = layouts.find(str(trees.written(tmp_path, trees.photos(names))))
    assert source.count == 80
    assert source.aside == (
        "2 photos without age or sex in their names (53__0_20170116184028385.jpg, "
        "61_3_20170109150557335.jpg): correct the names",
    )


def test_too_many_names_that_say_nothing_make_it_no_convention() -> None:
    names = utkface(80) + [f"{n}.jpg" for n in range(10)]
    assert conventions.attributes_in(names) is None


def test_faces_get_the_attributes_of_their_own_names(tmp_path: Path) -> None:
    names = utkface(64)
    faces = data.load(str(trees.written(tmp_path / "utk", trees.photos(names))))
    expected = [int(name.split("_")[0]) < 40 for name in sorted(names)]
    assert faces.where("Young").tolist() == expected
    assert faces.where("Male").tolist() == [name.split("_")[1] == "0" for name in sorted(names)]


def test_a_list_of_attributes_comes_before_names(tmp_path: Path) -> None:
    names = [*utkface(80), "mine.jpg"]
    rows = [f"{name},{n % 2}" for n, name in enumerate(names)]
    trees.written(tmp_path, trees.photos(names))
    (tmp_path / "attributes.csv").write_text("\n".join(["file,odd", *rows]))
    source = layouts.find(str(tmp_path))
    assert (source.count, source.read_attributes()[1], source.aside) == (81, ("odd",), ())


def test_where_attributes_come_from_is_described(tmp_path: Path) -> None:
    source = layouts.find(str(trees.written(tmp_path, trees.photos(utkface(64)))))
    assert "  attributes  Male, Young, from file names as in UTKFace" in inspect.describe(source)


# --- persons


def split_of(path: Path) -> dict[str, int]:
    source = layouts.find(str(path))
    split = source.split_by_hash(np.arange(source.count))
    return dict(zip(source.files, split.tolist(), strict=True))


def test_no_person_of_lfw_is_in_two_parts_of_the_split(tmp_path: Path) -> None:
    split = split_of(trees.written(tmp_path, trees.lfw()))
    parts = {(file.split("/")[0], part) for file, part in split.items()}
    assert len(parts) == len(trees.PEOPLE)
    assert {part for _, part in parts} == {0, 1, 2}


def test_faces_are_prepared_in_the_split_by_persons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trees.written(tmp_path / "lfw", trees.lfw())
    assert data.load(str(folder)).split.tolist() == list(split_of(folder).values())
    assert "by a hash of the persons' names" in capsys.readouterr().err


def test_persons_are_known_by_their_folders_or_by_names_of_photos() -> None:
    people = trees.PEOPLE
    forms: list[Callable[[str, int], str]] = [
        lambda person, n: f"{person}/{person}_{n:04}.jpg",
        lambda person, n: f"a/{person}/{person}_{n:04}.jpg",
        lambda person, n: f"pins_{person.replace('_', ' ')}/{person.replace('_', ' ')}{n}_{n}.jpg",
        lambda person, n: f"n{people.index(person):06}/{n:04}_01.jpg",
        lambda person, n: f"{n}_{person.replace('_', '')}_35_m.jpg",
        lambda person, n: f"{people.index(person):05}_{n}M35.JPG",
    ]
    for number, form in enumerate(forms):
        files = [form(person, n) for person in people for n in range(3)]
        persons = conventions.persons_in(files)
        assert persons is not None, number
        assert len({*persons}) == len(people), number
        assert [persons.index(person) // 3 for person in persons] == [n // 3 for n in range(75)]


def test_other_folders_are_no_persons() -> None:
    for form in (
        "{0:05}/{1:05}.png",
        "{0:03}/{0:03}_{1}.jpg",
        "part{0}/part{0}_{1}.jpg",
        "Ada_{0}/{1}.jpg",
        "{1}.jpg",
    ):
        files = [form.format(n, k) for n in range(30) for k in range(4)]
        assert conventions.persons_in(files) is None, form
    classes = [f"{mood}/{mood}_{n}.jpg" for mood in ("happy", "sad") for n in range(50)]
    assert conventions.persons_in(classes) is None


def test_a_photo_of_nobody_known_is_split_by_its_own_name() -> None:
    files = [f"{person}/{person}_{n}.jpg" for person in trees.PEOPLE for n in range(4)]
    persons = conventions.persons_in([*files, "group.jpg"])
    assert persons is not None
    assert persons[-1] == "group.jpg"


def test_the_split_of_other_folders_is_that_of_their_file_names(tmp_path: Path) -> None:
    names = [f"{n // 8:05}/{n:05}.jpg" for n in range(80)]
    split = split_of(trees.written(tmp_path, trees.photos(names)))
    assert list(split.values()) == annotations.split_by_hash(sorted(names)).tolist()


def test_a_cache_from_before_a_convention_was_known_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, tree in enumerate((trees.lfw(), trees.photos(utkface(64)))):
        source = layouts.find(str(trees.written(tmp_path / str(number), tree)))
        known = prepare.cache_key(source, source.count)
        with monkeypatch.context() as before:
            before.setattr(conventions, "attributes_in", lambda _: None)
            before.setattr(conventions, "persons_in", lambda _: None)
            source = layouts.find(str(tmp_path / str(number)))
            assert prepare.cache_key(source, source.count) != known, number
