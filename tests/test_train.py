"""Training spends its budget as told, repeats itself, and leaves a run that loads."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vaelib import train
from vaelib.config import Experiment
from vaelib.data import FaceSet, to_uint8
from vaelib.loss import LossParts
from vaelib.model import VAE
from vaelib.progress import Watch
from vaelib.train import Run, train_or_load

SMALL = Experiment(latent=4, images=96, batch_size=16)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    """Forty-eight flat faces, each of a brightness of its own, so that it can be told again."""
    images = torch.arange(48, dtype=torch.uint8).view(48, 1, 1, 1).expand(48, 3, 64, 48).clone()
    images[:, :, :, 0] = 255  # a white left edge, to see which are mirrored
    split = torch.tensor([0] * 32 + [1] * 8 + [2] * 8, dtype=torch.uint8)
    return FaceSet("flat", images, None, (), split, "f" * 64, "photos", Path("nowhere"))


@pytest.fixture
def trained(faces: FaceSet, tmp_path: Path) -> Run:
    return train_or_load(SMALL, faces, runs=tmp_path)


def brightness(x: Tensor) -> list[int]:
    return to_uint8(x)[:, 0, 0, 24].tolist()


def test_budget_is_spent_to_the_image(faces: FaceSet) -> None:
    experiment = replace(SMALL, images=75)
    assert sum(len(x) for _, x, _ in train.batches(experiment, faces, CPU)) == 75


def test_every_epoch_sees_every_training_face_once_and_no_other(faces: FaceSet) -> None:
    seen: dict[int, list[int]] = {}
    for epoch, x, _ in train.batches(SMALL, faces, CPU):
        seen.setdefault(epoch, []).extend(brightness(x))
    assert sorted(seen) == [1, 2, 3]
    assert all(sorted(shades) == list(range(32)) for shades in seen.values())
    assert seen[1] != seen[2]


def test_about_half_of_the_faces_are_mirrored(faces: FaceSet) -> None:
    experiment = replace(SMALL, images=960)
    batches = train.batches(experiment, faces, CPU)
    mirrored = sum(int((x[:, 0, 0, -1] == 1).sum()) for _, x, _ in batches)
    assert 400 < mirrored < 560


def test_a_shorter_budget_is_the_beginning_of_a_longer_one(faces: FaceSet) -> None:
    longer = train.batches(SMALL, faces, CPU)
    shorter = train.batches(replace(SMALL, images=48), faces, CPU)
    for (_, x, noise), (_, same_x, same_noise) in zip(shorter, longer, strict=False):
        assert torch.equal(x, same_x)
        assert torch.equal(noise, same_noise)


def test_same_seed_ends_in_the_same_weights_bit_for_bit(
    trained: Run, faces: FaceSet, tmp_path: Path
) -> None:
    again = train_or_load(SMALL, faces, runs=tmp_path / "again")
    assert train.same_weights(trained, again)


def test_another_seed_ends_in_other_weights(trained: Run, faces: FaceSet, tmp_path: Path) -> None:
    other = train_or_load(replace(SMALL, seed=1), faces, runs=tmp_path)
    assert not train.same_weights(trained, other)


def test_adding_one_to_kl_changes_no_weight(trained: Run, faces: FaceSet, tmp_path: Path) -> None:
    literal = train_or_load(replace(SMALL, kl_reading="plus_one"), faces, runs=tmp_path)
    assert literal.folder != trained.folder
    assert train.same_weights(trained, literal)


def test_centre_pull_changes_the_weights(trained: Run, faces: FaceSet, tmp_path: Path) -> None:
    pulled = train_or_load(replace(SMALL, kl_reading="centre_pull"), faces, runs=tmp_path)
    assert not train.same_weights(trained, pulled)


def test_training_does_not_touch_the_global_random_state(faces: FaceSet, tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    train_or_load(SMALL, faces, runs=tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_finished_run_is_loaded_and_not_trained_again(
    trained: Run, faces: FaceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> list[train.Row]:
        raise AssertionError("trained again")

    monkeypatch.setattr(train, "fit", refuse)
    again = train_or_load(SMALL, faces, runs=trained.folder.parent.parent)
    assert again.history == trained.history
    assert train.same_weights(again, trained)


def test_a_run_folder_explains_itself(trained: Run) -> None:
    told = json.loads((trained.folder / "experiment.json").read_text())
    assert Experiment(**told) == SMALL
    machine = json.loads((trained.folder / "environment.json").read_text())
    assert machine["torch"] == torch.__version__
    assert machine["fingerprint"] == "f" * 64
    with (trained.folder / "history.csv").open() as lines:
        assert next(csv.reader(lines)) == list(train.Row._fields)


def test_history_ends_at_the_budget_on_both_splits(trained: Run) -> None:
    assert trained.curve("train")[-1].images_seen == SMALL.images
    assert trained.curve("validation")[-1].images_seen == SMALL.images
    assert trained.curve("validation")[0].images_seen == 0


def test_history_tells_the_error_of_the_model_that_was_saved(trained: Run, faces: FaceSet) -> None:
    now = train.evaluate(trained.model, faces.images[faces.validation])
    last = trained.curve("validation")[-1]
    assert now.reconstruction == pytest.approx(last.reconstruction, rel=1e-5)
    assert now.kl == pytest.approx(last.kl, rel=1e-5)


def test_a_loaded_model_is_ready_to_be_asked(trained: Run) -> None:
    assert not trained.model.training
    assert not any(weight.requires_grad for weight in trained.model.parameters())


def test_a_step_changes_the_weights(faces: FaceSet) -> None:
    model = train.new_model(SMALL)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    _, x, noise = next(train.batches(SMALL, faces, CPU))
    train.step(model, optimizer, SMALL, x, noise)
    assert any(not torch.equal(before[name], now) for name, now in model.state_dict().items())


def test_evaluation_changes_no_weight_and_keeps_the_mode(faces: FaceSet) -> None:
    model = train.new_model(SMALL).train()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    train.evaluate(model, faces.images)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert model.training


def test_evaluation_does_not_depend_on_the_batches(
    faces: FaceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = train.new_model(SMALL)
    whole = train.evaluate(model, faces.images)
    monkeypatch.setattr(train, "EVALUATION_BATCH", 16)
    in_parts = train.evaluate(model, faces.images)
    assert in_parts.kl == pytest.approx(whole.kl, rel=1e-5)
    assert in_parts.reconstruction == pytest.approx(whole.reconstruction, rel=1e-3)


def stop_at(last: int) -> Watch:
    def watch(images: int, epoch: int, loss: float) -> None:
        if images >= last:
            raise KeyboardInterrupt(f"at {images} images of epoch {epoch}, loss {loss}")

    return watch


def test_an_interrupted_run_is_not_taken_for_finished(
    trained: Run, faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = train.fit
    runs = tmp_path / "cut"

    def cut(model: VAE, experiment: Experiment, on: FaceSet, _: object) -> list[train.Row]:
        return fit(model, experiment, on, stop_at(48))

    monkeypatch.setattr(train, "fit", cut)
    with pytest.raises(KeyboardInterrupt):
        train_or_load(SMALL, faces, runs=runs)
    monkeypatch.setattr(train, "fit", fit)
    assert train.same_weights(train_or_load(SMALL, faces, runs=runs), trained)


def test_a_loss_that_is_not_finite_stops_and_saves_nothing(
    faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> LossParts:
        nan = torch.tensor(float("nan"))
        return LossParts(nan, nan, nan)

    monkeypatch.setattr(train, "step", broken)
    with pytest.raises(FloatingPointError, match=r"not finite after 16 images.*learning rate"):
        train_or_load(SMALL, faces, runs=tmp_path)
    assert not list(tmp_path.rglob(train.FINISHED))


def test_half_precision_is_close_to_single(trained: Run, faces: FaceSet, tmp_path: Path) -> None:
    half = train_or_load(replace(SMALL, precision="bfloat16"), faces, runs=tmp_path)
    errors = [run.curve("validation")[-1].reconstruction for run in (trained, half)]
    assert errors[1] == pytest.approx(errors[0], rel=0.2)
    assert half.model.encoder.mu.weight.dtype == torch.float32
