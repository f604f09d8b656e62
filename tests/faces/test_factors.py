"""What depends on what; each factor changes what it names; nothing of a face is cut off."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import Tensor

from vaelib.config import IMAGE_SHAPE
from vaelib.faces import features, hair_and_hats, render
from vaelib.faces.factors import CODES, CURLY, TIED
from vaelib.faces.render import RANGES, Factors

# Which factor is drawn in the light of which others; what is not named is drawn alone.
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
STILL = (
    "yaw", "pitch", "roll", "shift_x", "shift_y", "light_azimuth", "glasses", "hat", "parting",
    "earrings", "noise", "gaze", "back_slope", "back_clutter",
)  # fmt: skip


@pytest.fixture(scope="module")
def many() -> Factors:
    return render.sample(50_000, seed=1)


def given(factors: Factors, **told: float) -> Factors:
    """The same faces but for these factors."""
    n = len(factors)
    return replace(factors, **{name: torch.full((n,), float(v)) for name, v in told.items()})


def facing(n: int, **told: float) -> Factors:
    """People who look at us, bareheaded and lit from the front, before a plain wall."""
    return given(render.sample(n, seed=1), **{**dict.fromkeys(STILL, 0.0), "size": 1.0, **told})


def change(one: Factors, **told: float) -> Tensor:
    """How far each pixel (64, 48) changes at most, over faces and colours, in levels of grey."""
    drawn = render.render(one).int(), render.render(given(one, **told)).int()
    return (drawn[0] - drawn[1]).abs().amax(dim=(0, 1))


def anywhere(n: int) -> Factors:
    """Factors from all over their ranges, as sliders may set them, with all that can be worn."""
    dice = torch.Generator().manual_seed(0)
    even = {k: torch.rand(n, generator=dice) * (b - a) + a for k, (a, b) in RANGES.items()}
    return Factors(**{k: v.round() if k in CODES else v for k, v in even.items()})


# --- what depends on what


def ancestors(name: str) -> set[str]:
    return {name}.union(*(ancestors(parent) for parent in PARENTS.get(name, [])))


def test_factors_that_share_no_cause_do_not_correlate(many: Factors) -> None:
    correlation = torch.corrcoef(torch.stack([getattr(many, name) for name in RANGES])).abs()
    told = {
        (a, b): round(float(correlation[i, j]), 3)
        for (i, a), (j, b) in combinations(enumerate(RANGES), 2)
        if not ancestors(a) & ancestors(b)
    }
    assert {pair: value for pair, value in told.items() if value > 0.025} == {}


@pytest.mark.parametrize("name", ["stubble", "beard", "moustache", "bald", "tie"])
def test_what_only_men_have(many: Factors, name: str) -> None:
    assert many.male[getattr(many, name) > 0].unique().tolist() == [1]


@pytest.mark.parametrize("name", ["lipstick", "rouge"])
def test_what_only_women_have(many: Factors, name: str) -> None:
    assert many.male[getattr(many, name) > 0].unique().tolist() == [0]


def test_only_women_tie_their_hair(many: Factors) -> None:
    assert many.male[many.hair_style == TIED].unique().tolist() == [0]


@pytest.mark.parametrize(
    "name",
    ["face_width", "jaw_width", "brow_weight", "nose_length", "nose_width", "glasses", "hat"],
)
def test_what_men_have_more_of(many: Factors, name: str) -> None:
    value = getattr(many, name)
    assert value[many.male == 1].mean() > value[many.male == 0].mean() * 1.01


@pytest.mark.parametrize("name", ["hair_length", "fringe", "earrings", "brow_arch"])
def test_what_women_have_more_of(many: Factors, name: str) -> None:
    value = getattr(many, name)
    assert value[many.male == 0].mean() > 1.5 * value[many.male == 1].mean()


@pytest.mark.parametrize("name", ["gray", "glasses", "bald"])
def test_what_comes_with_age(many: Factors, name: str) -> None:
    has = (getattr(many, name) > 0).float()
    assert has[many.age > 0.8].mean() > 1.2 * has[many.age < 0.4].mean()


def test_hairlines_recede_with_age(many: Factors) -> None:
    line = many.hairline[many.male == 1], many.age[many.male == 1]
    assert line[0][line[1] > 0.8].mean() < line[0][line[1] < 0.6].mean() - 0.01


def test_the_young_are_not_gray(many: Factors) -> None:
    assert many.gray[many.age < 0.6].max() == 0


def test_gray_hair_is_not_red(many: Factors) -> None:
    assert many.red[many.gray > 0.5].max() == 0


def test_the_bald_have_no_long_hair(many: Factors) -> None:
    assert many.hair_length[many.bald > 0].max() == 0


def test_the_bald_have_no_fringe(many: Factors) -> None:
    assert many.fringe[many.bald > 0].max() == 0


def test_dark_skin_has_dark_hair(many: Factors) -> None:
    assert many.melanin[many.skin_tone > 0.55].min() >= 0.75


def test_dark_skin_has_brown_eyes(many: Factors) -> None:
    assert many.iris[many.skin_tone > 0.55].max() <= 0.2


@pytest.mark.parametrize("name", ["nose_width", "lip_fullness"])
def test_features_are_broader_with_dark_skin(many: Factors, name: str) -> None:
    value = getattr(many, name)
    assert value[many.skin_tone > 0.7].mean() > value[many.skin_tone < 0.4].mean() + 0.03


def test_dark_skin_has_curls_more_often(many: Factors) -> None:
    curly = (many.hair_style == CURLY).float()
    assert curly[many.skin_tone > 0.65].mean() > 2 * curly[many.skin_tone < 0.55].mean()


def test_who_smiles_opens_the_mouth(many: Factors) -> None:
    assert torch.corrcoef(torch.stack([many.smile, many.mouth_open]))[0, 1] > 0.5


# --- a factor changes what it names, and nothing else


@pytest.mark.parametrize(
    ("name", "low", "high", "rows"),
    [
        ("glasses", 0, 1, (28, 39)),
        ("glasses", 0, 2, (28, 39)),
        ("eye_open", 0.1, 1, (28, 36)),
        ("gaze", -1, 1, (30, 35)),
        ("iris", 0, 1, (30, 35)),
        ("brow_weight", 0, 1, (27, 33)),
        ("nose_length", 6, 8.5, (34, 48)),
        ("smile", -0.3, 1, (28, 52)),
        ("mouth_open", 0, 1, (41, 53)),
        ("lipstick", 0, 1, (41, 51)),
        ("rouge", 0, 1, (34, 46)),
        ("moustache", 0, 1, (38, 47)),
        ("beard", 0, 1, (39, 57)),
        ("earrings", 0, 1, (38, 44)),
        ("hat", 0, 1, (0, 36)),
        ("hat", 0, 2, (0, 36)),
        ("hat", 0, 3, (0, 36)),
        ("jaw_length", -2, 2, (32, 61)),
        ("jaw_width", -0.25, 0.25, (32, 58)),
        ("cloth_hue", 0, 0.5, (53, 64)),
        ("cloth_value", 0, 1, (53, 64)),
        ("neckline", 0, 1, (53, 64)),
        ("tie", 0, 1, (53, 64)),
    ],
)
def test_a_factor_changes_its_own_rows_alone(
    name: str, low: float, high: float, rows: tuple[int, int]
) -> None:
    short = {"hair_length": 0.0} if name in ("earrings", "tie") else {}
    shown = facing(64, **{"cloth_saturation": 0.8, **short, name: low})
    changed = change(shown, **{name: high}).amax(dim=1)
    assert changed[slice(*rows)].max() > 20
    changed[slice(*rows)] = 0
    assert changed.max() == 0


@pytest.mark.parametrize("name", [name for name in RANGES if name.startswith("back_")])
def test_the_background_changes_nothing_in_the_face(name: str) -> None:
    shown = {"back_saturation": 0.6, "back_slope": 1.0, "back_clutter": 1.0, name: 0.0}
    changed = change(facing(64, **shown), **{name: 0.6})
    assert changed[:8].max() > 20
    assert changed[26:46, 18:30].max() == 0


def test_noise_changes_no_mean() -> None:
    without = facing(64, back_value=0.5)
    noisy = given(without, noise=0.02)
    drawn = render.render(noisy).float() - render.render(without).float()
    assert drawn.std() > 3
    assert drawn.mean().abs() < 0.1


def test_darker_skin_is_darker() -> None:
    people = facing(8)
    tones = [given(people, skin_tone=float(tone)) for tone in torch.linspace(0, 1, 9)]
    bright = [float(render.render(p)[:, :, 22:52, 18:30].float().mean()) for p in tones]
    assert bright == sorted(bright, reverse=True)


# --- a head that turns, in light from a side


def middle(people: Factors, columns: slice, **told: float) -> Tensor:
    """The column about which each face changes, within these columns."""
    drawn = render.render(people).float() - render.render(given(people, **told)).float()
    weight = drawn.abs().sum(dim=(1, 2))[:, columns]
    place = torch.arange(48.0)[columns]
    return (weight * place).sum(dim=1) / weight.sum(dim=1)


@pytest.mark.parametrize("turn", [-35.0, -20.0, 20.0, 35.0])
def test_the_far_half_of_a_turned_face_is_narrower(turn: float) -> None:
    people = facing(32, hair_length=0, fringe=0, eye_open=0.1, yaw=turn, nose_width=0.8)
    nose = middle(people, slice(0, 48), nose_width=1.4)
    at = int(nose.mean())
    left = nose - middle(people, slice(0, at), eye_open=1.0)
    right = middle(people, slice(at, 48), eye_open=1.0) - nose
    near, far = (left, right) if turn > 0 else (right, left)
    assert (far < 0.8 * near).all()


@pytest.mark.parametrize("turn", [15.0, 30.0, 45.0])
def test_a_turned_head_is_the_mirror_of_one_turned_the_other_way(turn: float) -> None:
    right = render.render(facing(16, yaw=turn)).float()
    left = render.render(facing(16, yaw=-turn)).float()
    assert (right - left.flip(-1)).abs().mean() < 0.25 * (right - left).abs().mean()


def test_faces_are_less_symmetrical_the_further_they_turn() -> None:
    uneven = []
    for turn in (0.0, 15.0, 30.0, 45.0):
        mean = render.render(facing(32, yaw=turn)).float().mean(dim=0)
        uneven.append(float((mean - mean.flip(-1)).abs().mean()))
    assert uneven == sorted(uneven)
    assert uneven[-1] > 3 * uneven[0]


@pytest.mark.parametrize("strength", [0.25, 0.75])
def test_the_side_towards_the_light_is_brighter(strength: float) -> None:
    slope = []
    for azimuth in (-60, -30, 0, 30, 60):
        people = facing(32, light_azimuth=azimuth, light_strength=strength)
        face = render.render(people)[:, :, 34:46].float().mean(dim=(0, 1, 2))
        slope.append(float(face[25:33].mean() - face[15:23].mean()))
    assert slope == sorted(slope)
    assert slope[-1] > 10 * strength > -10 * strength > slope[0]


# --- nothing is cut off


@pytest.fixture(scope="module")
def extreme() -> tuple[Factors, Tensor]:
    factors = anywhere(576)
    return factors, render.render(factors)


@pytest.mark.parametrize("window", ["EARS", "BODY", "FALL", "CROWN", "HATS"])
def test_nothing_is_cut_off_by_the_rows_it_is_drawn_in(
    extreme: tuple[Factors, Tensor], window: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors, drawn = extreme
    module = features if hasattr(features, window) else hair_and_hats
    monkeypatch.setattr(module, window, slice(0, IMAGE_SHAPE[1]))
    assert (render.render(factors).int() - drawn.int()).abs().max() <= 2


@pytest.mark.parametrize("name", ["draw_ear", "draw_beard", "draw_eyes", "draw_mouth"])
def test_nothing_is_cut_off_where_a_part_of_the_head_is_drawn(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part is drawn on the whole head: where it is not drawn otherwise, nothing changes."""
    heads: list[tuple[features.Skull, Tensor]] = []
    beyond: list[float] = []
    some, draw = features.Skull.some, getattr(features, name)

    def noted(head: features.Skull, where: Tensor) -> features.Skull:
        heads.append((head, where))
        return some(head, where)

    def everywhere(s: features.Skull, albedo: Tensor, skin: Tensor, hair: Tensor) -> None:
        head, where = heads[-1]
        before = torch.full((3, len(head.x)), 0.5)
        after = before.clone()
        draw(head, after, before, hair)
        changed = (after - before).abs().amax(dim=0)
        changed[where] = 0
        changed[head.z < 0] *= name == "draw_ear"  # the back of the head is hidden
        beyond.append(float(changed.max()))
        draw(s, albedo, skin, hair)

    monkeypatch.setattr(features.Skull, "some", noted)
    monkeypatch.setattr(features, name, everywhere)
    render.draw(anywhere(192))
    assert max(beyond) < 0.01
