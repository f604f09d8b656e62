"""Faces are loaded as `vaelib.data` says, and batches follow from the seed and the position."""

import shutil
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.conftest import real, refusal
from tests.sources.conftest import message_of
from vaelib import data
from vaelib.config import PRESETS, Experiment, Preset
from vaelib.data import Batch, FaceSet, batches
from vaelib.faces import render
from vaelib.faces.attributes import ATTRIBUTE_NAMES
from vaelib.support import paths

Make = Callable[..., Path]
Run = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Stand noise in for procedural faces, which take longer; lists the requests."""
    requests = []

    def generate(
        n: int, seed: int, watch: object = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        requests.append((n, seed))
        random = np.random.default_rng(seed)
        pixels = random.integers(0, 256, (n, 3, 64, 48), dtype=np.uint8)
        return pixels, random.random((n, len(ATTRIBUTE_NAMES))) < 0.5

    monkeypatch.setattr(render, "generate", generate)
    return requests


# --- what load returns


def test_faces_of_a_plain_folder_have_a_split_and_no_attributes(photo_folder: Make) -> None:
    faces = data.load(str(photo_folder(70)))
    assert (faces.kind, faces.name, faces.attribute_names) == ("photos", "photos", ())
    assert faces.attributes is None
    assert (faces.images.dtype, tuple(faces.images.shape)) == (torch.uint8, (70, 3, 64, 48))
    assert (faces.split.dtype, faces.broken) == (torch.uint8, ())


def test_faces_of_celeba_have_its_attributes_and_its_split(celeba_folder: Make) -> None:
    faces = data.load(str(celeba_folder(84)))
    assert (faces.kind, faces.attribute_names) == ("celeba", ("Eyeglasses", "Smiling", "Young"))
    assert faces.where("Smiling").tolist() == [False, True] * 42
    assert faces.validation.tolist() == list(range(64, 84, 2))


def test_no_face_is_in_two_splits_and_none_is_in_no_split(photo_folder: Make) -> None:
    faces = data.load(str(photo_folder(100, size=(24, 29))))
    together = torch.cat([faces.train, faces.validation, faces.test])
    assert together.dtype == torch.int64
    assert together.sort().values.tolist() == list(range(100))


def drawing(count: int) -> Preset:
    """The smoke preset with so many procedural faces."""
    return replace(PRESETS["smoke"], synthetic_faces=count)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_preset_decides_how_many_faces_are_drawn(
    preset: str, drawn: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, preset, drawing(70 + len(preset)))
    faces_drawn = data.load("synthetic", preset)
    assert drawn == [(70 + len(preset), 0)]
    assert len(faces_drawn.images) == 70 + len(preset)


def test_drawn_faces_carry_their_attributes(drawn: list[tuple[int, int]]) -> None:
    found = data.load("synthetic", "smoke")
    images, attributes = render.generate(PRESETS["smoke"].synthetic_faces, 0)
    assert (found.kind, found.name) == ("synthetic", "synthetic")
    assert found.attribute_names == ATTRIBUTE_NAMES
    assert found.attributes is not None
    np.testing.assert_array_equal(found.attributes.numpy(), attributes)
    np.testing.assert_array_equal(found.images.numpy(), images)


def test_procedural_faces_as_really_drawn_load_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "smoke", drawing(100))
    found = data.load("synthetic", "smoke")
    assert tuple(found.images.shape) == (100, 3, 64, 48)
    assert found.where(ATTRIBUTE_NAMES[0]).shape == (100,)


def test_the_preset_leaves_photos_alone(photo_folder: Make) -> None:
    folder = str(photo_folder(64))
    assert data.load(folder, "smoke").fingerprint == data.load(folder, "full").fingerprint


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    message = refusal(lambda: data.load("synthetic", "qiuck"))
    assert "'qiuck'" in message
    assert "smoke, quick, full" in message


def test_the_caller_may_name_the_data(photo_folder: Make) -> None:
    faces = data.load(str(photo_folder(64)), name="family")
    assert faces.name == "family"


def test_a_name_unfit_for_a_folder_is_refused() -> None:
    for name in ("a/b", "..", "my faces", "-x"):
        assert repr(name) in message_of(data.load, "synthetic", "quick", name)


def test_an_unknown_attribute_is_refused_with_the_known_ones(celeba_folder: Make) -> None:
    faces = data.load(str(celeba_folder(64)))
    message = refusal(lambda: faces.where("Glasses"))
    assert "'Glasses'" in message
    assert "Eyeglasses, Smiling, Young" in message


def test_an_attribute_is_found_whatever_its_case_hyphens_and_underscores(
    celeba_folder: Make,
) -> None:
    faces = data.load(str(celeba_folder(64)))
    for name in ("Smiling", "smiling", "SMILING", "smi-ling", "S_m_i_ling"):
        assert faces.where(name).tolist() == [False, True] * 32, name


def test_asking_plain_photos_for_an_attribute_is_refused(photo_folder: Make) -> None:
    faces = data.load(str(photo_folder(64)))
    assert "carry no attributes" in refusal(lambda: faces.where("Smiling"))


# --- the cache


def caches(cache: Path) -> list[Path]:
    """All that lies in the folder of caches, but for the lock."""
    return sorted(path for path in cache.iterdir() if path.name != ".lock")


def test_another_name_for_the_same_faces_shares_their_cache(
    photo_folder: Make, own_cache: Path
) -> None:
    folder = str(photo_folder(64))
    data.load(folder)
    data.load(folder, name="family")
    assert len(caches(own_cache)) == 1


def test_writing_to_the_images_changes_no_file(photo_folder: Make) -> None:
    folder = str(photo_folder(64))
    with warnings.catch_warnings(action="error"):
        images = data.load(folder).images
    kept = images.clone()
    images.zero_()
    assert torch.equal(data.load(folder).images, kept)


# --- prepared faces that are given as the data


@pytest.fixture
def copied(celeba_folder: Make, tmp_path: Path) -> tuple[data.FaceSet, Path]:
    """Faces as they were prepared, and a copy of their cache; their photos are gone since."""
    folder = celeba_folder(84, name="portraits")
    home = data.load(str(folder))
    shutil.rmtree(folder)
    return home, Path(shutil.copytree(home.folder, tmp_path / "copied"))


def test_faces_know_the_folder_where_they_lie_prepared(photo_folder: Make, own_cache: Path) -> None:
    faces = data.load(str(photo_folder(64)))
    assert [faces.folder] == caches(own_cache)


def test_a_copied_cache_has_the_same_faces(copied: tuple[data.FaceSet, Path]) -> None:
    home, copy = copied
    away = data.load(str(copy))
    assert torch.equal(away.images, home.images)
    assert torch.equal(away.where("Smiling"), home.where("Smiling"))
    assert torch.equal(away.split, home.split)


def test_a_copied_cache_has_the_name_and_fingerprint_that_it_had_at_home(
    copied: tuple[data.FaceSet, Path],
) -> None:
    home, copy = copied
    away = data.load(str(copy))
    assert (home.name, home.kind) == ("portraits", "celeba")
    assert (away.name, away.kind, away.fingerprint) == (home.name, home.kind, home.fingerprint)


def test_a_copied_cache_is_opened_where_it_lies(
    copied: tuple[data.FaceSet, Path], own_cache: Path
) -> None:
    before = caches(own_cache)
    assert data.load(str(copied[1])).folder == copied[1]
    assert caches(own_cache) == before


def test_a_copied_cache_may_be_named_by_the_caller(copied: tuple[data.FaceSet, Path]) -> None:
    assert data.load(str(copied[1]), name="family").name == "family"


def test_a_damaged_copy_of_a_cache_is_refused_and_left_alone(
    copied: tuple[data.FaceSet, Path],
) -> None:
    _, copy = copied
    (copy / "split.npy").write_bytes(b"")
    files = sorted(copy.iterdir())
    message = refusal(lambda: data.load(str(copy)))
    assert message.startswith(f"{copy} is damaged: split.npy is not as it was written; copy it")
    assert sorted(copy.iterdir()) == files


def test_opening_a_folder_without_prepared_faces_is_refused(tmp_path: Path) -> None:
    assert "has no facts.json" in refusal(lambda: data.open_prepared(tmp_path))


def test_prepared_faces_are_opened_under_their_own_name_or_another(
    copied: tuple[data.FaceSet, Path],
) -> None:
    names = [data.open_prepared(copied[1]).name, data.open_prepared(copied[1], "family").name]
    assert names == ["portraits", "family"]


# --- a machine that only trains


@pytest.mark.slow
def test_prepared_faces_are_opened_where_only_torch_and_numpy_are_installed(
    copied: tuple[data.FaceSet, Path], bare_python: Run
) -> None:
    home, copy = copied
    done = bare_python(f"from vaelib import data; print(data.load({str(copy)!r}).fingerprint)")
    assert (done.stdout, done.stderr) == (f"{home.fingerprint}\n", "")


@pytest.mark.slow
def test_faces_are_drawn_where_only_torch_and_numpy_are_installed(
    bare_python: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = drawing(70)
    monkeypatch.setitem(PRESETS, "smoke", small)
    done = bare_python(
        "from vaelib import config, data\n"
        f"config.PRESETS['smoke'] = config.{small!r}\n"
        "print(data.load('synthetic', 'smoke').fingerprint)"
    )
    expected = data.load("synthetic", "smoke").fingerprint
    assert done.stdout == f"{expected}\n"
    assert "Error" not in done.stderr


# --- from bytes to the network's range and back


def test_all_256_greys_survive_the_way_to_float_and_back() -> None:
    greys = torch.arange(256, dtype=torch.uint8).repeat(1, 3, 2, 1)
    floats = data.to_float(greys)
    assert (floats.dtype, floats.min().item(), floats.max().item()) == (torch.float32, -1.0, 1.0)
    assert torch.equal(data.to_uint8(floats), greys)


def test_values_out_of_range_are_clamped_and_others_rounded() -> None:
    images = torch.tensor([-1.5, -1 + 0.6 / 127.5, -1 + 0.4 / 127.5, 7.0])
    assert data.to_uint8(images).tolist() == [0, 1, 0, 255]


def test_conversions_leave_their_input_alone() -> None:
    images = torch.tensor([[0.25, -0.5]])
    data.to_uint8(images)
    assert images.tolist() == [[0.25, -0.5]]


def test_flip_mirrors_exactly_the_images_that_the_mask_names() -> None:
    batch = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    flipped = data.flip(batch, torch.tensor([False, True]))
    assert torch.equal(flipped[0], batch[0])
    assert torch.equal(flipped[1], batch[1, :, :, [4, 3, 2, 1, 0]])


# --- real photos, where they are at hand


@pytest.mark.slow
def test_celeba8k_has_8000_faces_in_its_own_split_with_40_attributes() -> None:
    faces = data.load(real("celeba8k"))
    assert (faces.kind, len(faces.images), faces.broken) == ("celeba", 8_000, ())
    assert [len(part) for part in (faces.train, faces.validation, faces.test)] == [7_000, 500, 500]
    assert len(faces.attribute_names) == 40
    assert faces.where("Eyeglasses").float().mean().item() == pytest.approx(0.065, abs=0.005)


@pytest.mark.slow
def test_openfaces_has_2381_faces_without_attributes() -> None:
    faces = data.load(real("openfaces"))
    assert (faces.kind, faces.name, len(faces.images)) == ("photos", "openfaces", 2_381)
    assert faces.attributes is None
    assert faces.broken == ()


def test_faces_are_taken_evenly_from_the_whole_set() -> None:
    positions = torch.arange(100, 200)
    assert data.evenly_spaced(positions, 4).tolist() == [100, 133, 166, 199]


def test_no_face_is_taken_twice_where_there_are_few() -> None:
    positions = torch.arange(5)
    assert torch.equal(data.evenly_spaced(positions, 8), positions)
    assert data.evenly_spaced(torch.arange(9), 8).unique().numel() == 8


# --- batches

BATCHES = Experiment(latent=4, budget=96, batch_size=16)
CPU = torch.device("cpu")


def brightness(images: Tensor) -> list[int]:
    return images[:, 0, 0, 24].tolist()


def test_budget_is_spent_to_the_image(flat_faces: FaceSet) -> None:
    experiment = replace(BATCHES, budget=75)
    assert sum(len(batch.images) for batch in batches(experiment, flat_faces, CPU)) == 75


def test_every_epoch_sees_every_training_face_once_and_no_other(flat_faces: FaceSet) -> None:
    seen: dict[int, list[int]] = {}
    for batch in batches(BATCHES, flat_faces, CPU):
        seen.setdefault(batch.epoch, []).extend(brightness(batch.images))
    assert sorted(seen) == [1, 2, 3]
    assert all(sorted(shades) == list(range(32)) for shades in seen.values())
    assert seen[1] != seen[2]


def test_a_batch_tells_whether_its_epoch_ends(flat_faces: FaceSet) -> None:
    ends = [batch.ends_epoch for batch in batches(replace(BATCHES, budget=80), flat_faces, CPU)]
    assert ends == [False, True, False, True, False]


def test_about_half_of_the_faces_are_mirrored(flat_faces: FaceSet) -> None:
    experiment = replace(BATCHES, budget=960)
    mirrored = sum(int(batch.mirrored.sum()) for batch in batches(experiment, flat_faces, CPU))
    assert 400 < mirrored < 560


def test_noise_is_standard_normal_and_never_the_same(flat_faces: FaceSet) -> None:
    experiment = replace(BATCHES, budget=3200, latent=64)
    noise = torch.cat([batch.noise for batch in batches(experiment, flat_faces, CPU)])
    assert noise.mean().abs() < 0.01
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert len(noise.unique(dim=0)) == len(noise)


def test_a_shorter_budget_is_the_beginning_of_a_longer_one(flat_faces: FaceSet) -> None:
    longer = batches(BATCHES, flat_faces, CPU)
    shorter = batches(replace(BATCHES, budget=48), flat_faces, CPU)
    for one, other in zip(longer, shorter, strict=False):
        assert same(one, other)


@pytest.mark.parametrize("seen", [16, 32, 48, 80])
def test_a_run_goes_on_where_it_was(flat_faces: FaceSet, seen: int) -> None:
    whole = list(batches(BATCHES, flat_faces, CPU))
    rest = list(batches(BATCHES, flat_faces, CPU, seen))
    assert len(rest) == (96 - seen) // 16
    assert all(map(same, rest, whole[-len(rest) :]))


def same(one: Batch, other: Batch) -> bool:
    return all(
        torch.equal(first, second)
        for first, second in zip(one[1:4], other[1:4], strict=True)
        if isinstance(first, Tensor) and isinstance(second, Tensor)
    )
