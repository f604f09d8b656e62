"""Which factors depend on which, and random numbers that are the same on every machine."""

from itertools import combinations

import pytest
import torch
from torch import Tensor

from tests.conftest import refusal
from vaelib.faces.factors import CODES, CURLY, RANGES, TIED, Factors
from vaelib.faces.sampling import RandomStreams, sample

# Which factors the chances of a factor depend on; what is not named depends on nothing.
PARENTS = {
    "face_width": ["male"],
    "jaw_width": ["male"],
    "rouge": ["male"],
    "brow_weight": ["male"],
    "brow_arch": ["male"],
    "nose_length": ["male"],
    "nose_width": ["male", "skin_tone"],
    "stubble": ["male"],
    "beard": ["male"],
    "moustache": ["male"],
    "bald": ["male", "age"],
    "hairline": ["male", "age"],
    "hair_style": ["male", "skin_tone"],
    "hair_length": ["male", "bald"],
    "hair_volume": ["male"],
    "fringe": ["male", "bald"],
    "gray": ["age"],
    "melanin": ["skin_tone"],
    "red": ["melanin", "gray"],
    "iris": ["skin_tone"],
    "lip_fullness": ["skin_tone"],
    "lipstick": ["male"],
    "glasses": ["male", "age"],
    "hat": ["male"],
    "earrings": ["male"],
    "tie": ["male"],
    "mouth_open": ["smile"],
}


@pytest.fixture(scope="module")
def many() -> Factors:
    return sample(50_000, seed=1)


def mean_of(factors: Factors, name: str, mask: Tensor) -> float:
    values: Tensor = getattr(factors, name)
    return float(values[mask].mean())


# --- what depends on what


def ancestors(name: str) -> set[str]:
    return {name}.union(*(ancestors(parent) for parent in PARENTS.get(name, [])))


def test_factors_that_share_no_cause_do_not_correlate(many: Factors) -> None:
    correlation = torch.corrcoef(torch.stack([getattr(many, name) for name in RANGES])).abs()
    offenders = {
        (a, b): round(float(correlation[i, j]), 3)
        for (i, a), (j, b) in combinations(enumerate(RANGES), 2)
        if correlation[i, j] > 0.025 and not ancestors(a) & ancestors(b)
    }
    assert not offenders


def test_what_only_men_have(many: Factors) -> None:
    for name in ("stubble", "beard", "moustache", "bald", "tie"):
        assert many.male[getattr(many, name) > 0].unique().tolist() == [1], name


def test_what_only_women_have(many: Factors) -> None:
    for name in ("lipstick", "rouge"):
        assert many.male[getattr(many, name) > 0].unique().tolist() == [0], name
    assert many.male[many.hair_style == TIED].unique().tolist() == [0]


def test_what_men_have_more_of(many: Factors) -> None:
    names = (
        "face_width",
        "jaw_width",
        "brow_weight",
        "nose_length",
        "nose_width",
        "glasses",
        "hat",
    )
    men, women = many.male == 1, many.male == 0
    offenders = [n for n in names if mean_of(many, n, men) <= 1.01 * mean_of(many, n, women)]
    assert not offenders


def test_what_women_have_more_of(many: Factors) -> None:
    names = ("hair_length", "fringe", "earrings", "brow_arch")
    men, women = many.male == 1, many.male == 0
    offenders = [n for n in names if mean_of(many, n, women) <= 1.5 * mean_of(many, n, men)]
    assert not offenders


def test_what_comes_with_age(many: Factors) -> None:
    for name in ("gray", "glasses", "bald"):
        present = (getattr(many, name) > 0).float()
        assert present[many.age > 0.8].mean() > 1.2 * present[many.age < 0.4].mean(), name


def test_hairlines_recede_with_age(many: Factors) -> None:
    old = mean_of(many, "hairline", (many.male == 1) & (many.age > 0.8))
    assert old < mean_of(many, "hairline", (many.male == 1) & (many.age < 0.6)) - 0.01


def test_the_young_are_not_gray(many: Factors) -> None:
    assert many.gray[many.age < 0.6].max() == 0


def test_gray_hair_is_not_red(many: Factors) -> None:
    assert many.red[many.gray > 0.5].max() == 0


def test_the_bald_have_neither_long_hair_nor_a_fringe(many: Factors) -> None:
    assert many.hair_length[many.bald > 0].max() == 0
    assert many.fringe[many.bald > 0].max() == 0


def test_dark_skin_has_dark_hair_and_brown_eyes(many: Factors) -> None:
    assert many.melanin[many.skin_tone > 0.55].min() >= 0.75
    assert many.iris[many.skin_tone > 0.55].max() <= 0.2


def test_features_are_broader_with_dark_skin(many: Factors) -> None:
    for name in ("nose_width", "lip_fullness"):
        dark = mean_of(many, name, many.skin_tone > 0.7)
        assert dark > mean_of(many, name, many.skin_tone < 0.4) + 0.03, name


def test_dark_skin_has_curls_more_often(many: Factors) -> None:
    curly = (many.hair_style == CURLY).float()
    assert curly[many.skin_tone > 0.65].mean() > 2 * curly[many.skin_tone < 0.55].mean()


def test_who_smiles_opens_the_mouth(many: Factors) -> None:
    assert torch.corrcoef(torch.stack([many.smile, many.mouth_open]))[0, 1] > 0.5


# --- ranges


def test_what_is_sampled_lies_within_its_range_and_uses_it(many: Factors) -> None:
    for name, (low, high) in RANGES.items():
        value = getattr(many, name)
        assert low <= value.min() < value.max() <= high, name
        share = 0.3 if name == "noise" else 0.45  # sliders go further than photographs do
        assert value.max() - value.min() > share * (high - low), name


def test_every_whole_number_of_a_code_is_sampled(many: Factors) -> None:
    for name in CODES:
        codes = list(range(int(RANGES[name][1]) + 1))
        assert getattr(many, name).unique().tolist() == codes, name


@pytest.mark.parametrize("argument", ["n", "seed"])
def test_a_number_out_of_range_is_refused(argument: str) -> None:
    for value in (-1, 2**62):
        arguments = {"n": 1, "seed": 0, argument: value}
        message = refusal(lambda arguments=arguments: sample(**arguments))  # type: ignore[misc]
        assert f"{argument} is {value}; it must lie between 0 and 2^62 - 1" in message


# --- random streams


def test_the_first_uniforms_are_those_of_every_machine() -> None:
    exact = (sample(3, seed=5).age * 2**24).long()  # computed in Python integers as well
    assert exact.tolist() == [733350, 4969662, 6693046]


def test_the_numbers_of_an_image_do_not_depend_on_how_many_there_are() -> None:
    assert torch.equal(
        RandomStreams(5, seed=9).uniform("any")[:3], RandomStreams(3, seed=9).uniform("any")
    )
