"""The panels of the explorer, without a browser: what they draw, keep, and say."""

import asyncio
import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vaelib import latent
from vaelib.config import PRESETS, SEVEN
from vaelib.data import FaceSet, load, to_uint8
from vaelib.evaluation import attributes
from vaelib.explore import state
from vaelib.explore.attributes import Attributes
from vaelib.explore.draw import GRID, Compare, Generate
from vaelib.explore.explorer import Explorer
from vaelib.explore.own_photo import OwnPhoto
from vaelib.explore.state import METHODS, WAYS, Desk, open_desk
from vaelib.explore.ways import START, STRIP, Interpolate, Traverse
from vaelib.explore.widgets import Drop, Paced, Words
from vaelib.support import paths
from vaelib.support.errors import InputError
from vaelib.training import launch, run_index

MODELS = ("lam-1e-5", "latent-32", "centred")


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return load("synthetic", "smoke")


@pytest.fixture(scope="module")
def trained(faces: FaceSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models that have seen next to nothing."""
    runs = tmp_path_factory.mktemp("runs")
    some = {name: replace(SEVEN[name], budget=32, batch_size=16) for name in MODELS}
    launch.run(some, faces, runs=runs, jobs=1)
    return runs / faces.name


@pytest.fixture
def desk(faces: FaceSet, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(state, "STUDIED", 100)
    monkeypatch.setattr(state, "USED", 50)
    return Desk(faces, run_index.look(trained, faces.fingerprint))


def shown(faces: Any) -> Tensor:
    images = faces.shown
    assert isinstance(images, Tensor)
    return images


def portrait() -> bytes:
    written = io.BytesIO()
    Image.linear_gradient("L").resize((178, 218)).convert("RGB").save(written, "JPEG")
    return written.getvalue()


# --- the desk


def test_a_kept_face_can_be_chosen_in_every_panel(desk: Desk) -> None:
    ways, traverse, attributes = Interpolate(desk), Traverse(desk), Attributes(desk)
    name = desk.keep(torch.zeros(3, 64, 48), "nowhere")
    lists = [ways.first, ways.last, traverse.start, attributes.face]
    assert all(name in chosen.options for chosen in lists)


def test_keeping_a_face_changes_no_choice(desk: Desk) -> None:
    panel = Interpolate(desk)
    panel.first.value = "held-out 5"
    desk.keep(torch.zeros(3, 64, 48), "nowhere")
    assert (panel.first.value, panel.last.value) == ("held-out 5", "held-out 2")


def test_the_oldest_of_too_many_kept_faces_goes(desk: Desk) -> None:
    for _ in range(state.MOST_KEPT + 2):
        desk.keep(torch.zeros(3, 64, 48), "nowhere")
    assert len(desk.kept) == state.MOST_KEPT
    assert "kept 2, nowhere" not in desk.kept


def test_held_out_faces_are_none_of_training(desk: Desk) -> None:
    train = desk.faces.images[desk.faces.train]
    for face in desk.held_out.values():
        assert not (train == face).flatten(1).all(dim=1).any()


def test_attributes_are_offered_by_the_names_of_the_data(desk: Desk) -> None:
    assert set(desk.attributes) <= set(desk.faces.attribute_names)
    assert {"Smiling", "Eyeglasses", "Male", "Black_Hair"} <= set(desk.attributes)


def test_without_a_run_the_smoke_base_model_is_trained_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = replace(PRESETS["smoke"], budgets=(64,))
    monkeypatch.setitem(PRESETS, "smoke", preset)
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    found = open_desk("synthetic")
    assert found.models.names == ("lam-1e-5",)
    assert found.note.startswith("There was no trained model of synthetic, so lam-1e-5 was trained")
    assert "make report" in found.note


def test_with_some_runs_the_others_are_said_to_be_made_by_make_report(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "RUNS", trained.parent)
    note = open_desk("synthetic", "smoke").note
    assert note.startswith("3 of the seven models and 0 others")
    assert "To make lam-1e-3, lam-1e-4, lam-1e-6, latent-128, run make report" in note


def test_data_that_cannot_be_used_is_said_in_every_panel(tmp_path: Path) -> None:
    explorer = Explorer(str(tmp_path / "nowhere"))
    assert explorer.words.wrong
    assert "nowhere" in explorer.words.words
    assert explorer.generate() is explorer.words


# --- generate and compare


def test_generated_faces_are_those_of_their_seed_and_temperature(desk: Desk) -> None:
    panel = Generate(desk)
    panel.seed.value, panel.temperature.value = 4, 0.5
    model = desk.models.model("lam-1e-5")
    expected = latent.decode(model, latent.noise(GRID, model.latent, 4) * 0.5)
    torch.testing.assert_close(shown(panel.faces), expected)


def test_the_base_model_is_chosen_at_first(desk: Desk) -> None:
    assert Generate(desk).model.value == "lam-1e-5"


def test_a_click_keeps_the_face_that_was_clicked(desk: Desk) -> None:
    panel = Generate(desk)
    panel.faces._heard(None, {"clicked": 7}, [])
    (kept,) = desk.kept.values()
    assert torch.equal(kept, to_uint8(shown(panel.faces)[7]))


@pytest.mark.parametrize("index", [-1, GRID, "2", None])
def test_a_click_on_no_face_keeps_nothing(desk: Desk, index: object) -> None:
    Generate(desk).faces._heard(None, {"clicked": index}, [])
    assert not desk.kept


def test_models_of_one_latent_size_are_compared_by_the_same_noise(desk: Desk) -> None:
    panel = Compare(desk)
    panel.seed.value = 3
    assert panel.faces.labels == list(MODELS)
    for name, drawn in zip(MODELS, shown(panel.faces), strict=True):
        expected = latent.sample(desk.models.model(name), 1, 3)[0]
        torch.testing.assert_close(drawn, expected)


def test_a_model_that_is_lost_is_told_of_and_the_others_drawn(
    faces: FaceSet, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "runs")
    desk = Desk(faces, run_index.look(tmp_path / "runs", faces.fingerprint))
    shutil.rmtree(desk.models.found["centred"].folder)
    panel = Compare(desk)
    assert panel.faces.labels == ["lam-1e-5", "latent-32"]
    assert panel.words.wrong
    assert panel.words.words.startswith("the run centred was deleted")


def test_a_lost_model_is_told_of_and_another_choice_works(
    faces: FaceSet, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "runs")
    desk = Desk(faces, run_index.look(tmp_path / "runs", faces.fingerprint))
    shutil.rmtree(desk.models.found["centred"].folder)
    panel = Generate(desk)
    panel.model.value = "centred"
    assert panel.words.wrong
    panel.model.value = "latent-32"
    assert not panel.words.words


# --- interpolate


def test_the_strip_has_a_row_of_each_model_and_begins_and_ends_with_reconstructions(
    desk: Desk,
) -> None:
    panel = Interpolate(desk)
    labelled_rows = shown(panel.strip).unflatten(0, (len(MODELS), STRIP))
    assert panel.strip.rows == list(MODELS)
    ends = torch.stack([desk.ends["held-out 1"], desk.ends["held-out 2"]])
    for name, strip in zip(MODELS, labelled_rows, strict=True):
        expected = latent.reconstruct(desk.models.model(name), ends)
        torch.testing.assert_close(strip[[0, -1]], expected, rtol=1e-3, atol=1e-4)


def test_the_slider_shows_a_face_of_the_strip(desk: Desk) -> None:
    panel = Interpolate(desk)
    panel.share.value = 0.25
    labelled_rows = shown(panel.strip).unflatten(0, (len(MODELS), STRIP))
    torch.testing.assert_close(shown(panel.here), labelled_rows[:, 2], rtol=1e-3, atol=1e-4)


def test_the_slider_draws_one_face_of_each_model_and_no_strip(desk: Desk) -> None:
    panel = Interpolate(desk)
    before = panel.strip.sheet
    panel.share.value = 0.75
    assert panel.strip.sheet is before
    assert len(shown(panel.here)) == len(MODELS)


def test_a_great_circle_is_another_way(desk: Desk) -> None:
    panel = Interpolate(desk)
    straight = shown(panel.strip)
    panel.way.value = True
    assert not torch.equal(shown(panel.strip)[1:-1], straight[1:-1])


def test_one_model_can_be_looked_at_alone(desk: Desk) -> None:
    panel = Interpolate(desk)
    panel.model.value = "centred"
    assert panel.here.labels == ["centred"]


def test_an_interpolation_is_saved_as_png_and_gif(desk: Desk) -> None:
    panel = Interpolate(desk)
    kinds = [Image.open(io.BytesIO(made())).format for made in (panel.picture, panel.film)]
    assert kinds == ["PNG", "GIF"]


# --- traverse


@pytest.mark.parametrize("kind", WAYS)
def test_sliders_in_the_middle_show_the_face_that_was_started_from(desk: Desk, kind: str) -> None:
    panel = Traverse(desk)
    panel.kind.value, panel.start.value = kind, "held-out 3"
    model = desk.models.model("lam-1e-5")
    expected = latent.reconstruct(model, desk.ends["held-out 3"][None])
    torch.testing.assert_close(shown(panel.faces), expected, rtol=1e-3, atol=1e-4)


def test_a_slider_at_its_end_shows_the_face_that_is_drawn_there(desk: Desk) -> None:
    panel = Traverse(desk)
    panel.sliders[1].value = panel.sliders[1].max
    ends = np.asarray(Image.open(io.BytesIO(panel.sliders[1].ends)))
    drawn = to_uint8(shown(panel.faces))[0].permute(1, 2, 0).numpy()
    assert np.abs(drawn.astype(int) - ends[:, 48:].astype(int)).max() <= 1


def test_all_sliders_go_back_to_the_middle(desk: Desk) -> None:
    panel = Traverse(desk)
    before = shown(panel.faces)
    for slider in panel.sliders:
        slider.value = 1.5
    panel._back()
    assert torch.equal(shown(panel.faces), before)
    assert panel.start.value == START


def test_sliders_follow_the_use_of_their_latents(desk: Desk) -> None:
    nats = [float(s.label.split(", ")[1].split()[0]) for s in Traverse(desk).sliders]
    assert nats == sorted(nats, reverse=True)


# --- attributes


@pytest.mark.parametrize("method", METHODS)
def test_strength_moves_the_face_along_the_direction(desk: Desk, method: str) -> None:
    panel = Attributes(desk)
    panel.method.value, panel.attribute.value, panel.strength.value = method, "Male", 2.0
    way = desk.towards("lam-1e-5", "Male", method)
    z = desk.encoded("lam-1e-5", "held-out 1") + 2 * way
    expected = latent.decode(desk.models.model("lam-1e-5"), z)[0]
    torch.testing.assert_close(shown(panel.faces)[1], expected, rtol=1e-3, atol=1e-4)


def test_an_attribute_that_too_few_faces_have_is_told_of(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = torch.zeros(len(desk.faces.images), dtype=torch.bool)
    monkeypatch.setattr(FaceSet, "where", lambda *_: nobody)
    panel = Attributes(desk)
    panel.strength.value = 1.0
    assert panel.words.wrong
    assert "have this attribute" in panel.words.words


def test_without_attributes_the_panel_says_so(flat_faces: FaceSet, desk: Desk) -> None:
    panel = Attributes(Desk(flat_faces, desk.models))
    assert panel.words.words == "The faces of flat carry none of these attributes."


def test_a_judge_that_is_not_trained_is_not_called(desk: Desk) -> None:
    assert not attributes.is_trained(desk.faces)
    assert Attributes(desk).faces.labels == ["before", "after"]


@pytest.fixture
def judged(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk whose classifier has learnt from next to nothing."""
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    monkeypatch.setattr(attributes, "MAX_IMAGES", 128)
    attributes.classifier_for.cache_clear()
    desk.load_classifier()
    yield desk
    attributes.classifier_for.cache_clear()


def test_the_judges_chance_stands_by_each_face(judged: Desk) -> None:
    labels = Attributes(judged).faces.labels
    assert [label.split(":")[0] for label in labels] == ["before", "after"]
    assert all("Smiling" in label and "% says the classifier" in label for label in labels)


# --- a photo of one's own


def test_a_photo_is_shown_with_the_reconstructions_of_all_models(desk: Desk) -> None:
    panel = OwnPhoto(desk)
    panel.take(portrait())
    assert panel.faces.labels == ["your photo, framed", *MODELS]
    framed = shown(panel.faces)[:1]
    assert framed.dtype == torch.uint8
    expected = latent.reconstruct(desk.models.model("centred"), framed)
    drawn = shown(panel.faces)[-1:]
    assert torch.equal(drawn, to_uint8(expected))


def test_a_framed_photo_becomes_an_end(desk: Desk) -> None:
    panel = OwnPhoto(desk)
    panel.take(portrait())
    panel.keep()
    assert torch.equal(desk.ends["kept 1, your photo"], shown(panel.faces)[0])


def test_what_is_no_photo_is_said_and_leaves_the_last_one(desk: Desk) -> None:
    panel = OwnPhoto(desk)
    panel.drop._heard(None, {"piece": 0, "pieces": 1}, [memoryview(portrait())])
    before = panel.photo
    panel.drop._heard(None, {"piece": 0, "pieces": 1}, [memoryview(b"no photo")])
    assert panel.words.wrong
    assert panel.photo is before


def test_no_photo_is_written_anywhere(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[object] = []
    real = open

    def watched(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if set(mode) & set("wax+"):
            written.append(file)
        return real(file, mode, *rest, **named)

    monkeypatch.setattr("builtins.open", watched)
    monkeypatch.setattr("io.open", watched)
    panel = OwnPhoto(desk)
    panel.take(portrait())
    panel.saved()
    assert written == []


# --- how the controls behave


def test_a_file_comes_in_pieces() -> None:
    taken: list[bytes] = []
    drop = Drop("", Words(), taken.append)
    for piece, part in enumerate((b"one ", b"two ", b"three")):
        drop._heard(None, {"piece": piece, "pieces": 3}, [memoryview(part)])
    assert taken == [b"one two three"]


def test_a_file_that_the_browser_has_refused_is_told_of() -> None:
    words = Words()
    Drop("", words, lambda _: None)._heard(None, {"refused": 23_400_000}, [])
    assert words.words == "the file has 23.4 MB; choose one of at most 20 MB"


def test_pieces_beyond_the_limit_are_not_gathered() -> None:
    taken: list[bytes] = []
    drop = Drop("", Words(), taken.append)
    drop.most = 10
    for piece in range(3):
        drop._heard(None, {"piece": piece, "pieces": 100}, [memoryview(bytes(8))])
    assert [len(content) for content in taken] == [16]
    assert len(drop.pieces) == 1


def test_what_is_asked_for_while_the_loop_is_busy_is_drawn_once() -> None:
    drawn: list[int] = []
    asked = [0]

    async def busy() -> None:
        paced = Paced(Words(), lambda: drawn.append(asked[0]))
        for asked[0] in range(100):
            paced()
        await asyncio.sleep(0.1)

    asyncio.run(busy())
    assert drawn == [99]


def test_what_is_asked_for_last_is_always_drawn() -> None:
    drawn: list[int] = []
    asked = [0]

    async def dragged() -> None:
        paced = Paced(Words(), lambda: drawn.append(asked[0]))
        for asked[0] in range(30):
            paced()
            await asyncio.sleep(0.003)
        await asyncio.sleep(0.1)

    asyncio.run(dragged())
    assert drawn[-1] == 29
    assert len(drawn) < 15


def test_an_error_is_said_until_it_is_over() -> None:
    words = Words()

    def refuse() -> None:
        raise InputError("too large")

    words.spoken(refuse)
    assert (words.words, words.wrong) == ("too large", True)
    words.spoken(lambda: None)
    assert (words.words, words.wrong) == ("", False)
