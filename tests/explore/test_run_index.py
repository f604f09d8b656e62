"""Whatever finished runs there are can be used; of the others the user is told why not."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import torch

from tests.conftest import refusal
from vaelib.config import SEVEN, Experiment
from vaelib.explore.run_index import find_runs
from vaelib.model import new_model
from vaelib.training import runs

FACES = "faces of the test"


def finished(
    folder: Path, key: str, experiment: Experiment, faces: str = FACES, seen: int = 640
) -> Path:
    """A run as training leaves it, untrained."""
    experiment = replace(experiment, budget=seen)
    weights = new_model(experiment).state_dict()
    runs.finish(folder / key, experiment, [], {"fingerprint": faces}, weights)
    return folder / key


def test_models_of_the_report_have_its_names_and_order(tmp_path: Path) -> None:
    for number, name in enumerate(reversed(SEVEN)):
        finished(tmp_path, f"run{number}", SEVEN[name])
    index = find_runs(tmp_path, FACES)
    assert index.names == index.seven == tuple(SEVEN)


def test_without_a_run_the_index_is_empty(tmp_path: Path) -> None:
    assert find_runs(tmp_path / "none", FACES).names == ()


def test_of_two_runs_the_longer_trained_is_preferred(tmp_path: Path) -> None:
    finished(tmp_path, "long", SEVEN["centred"], seen=900)
    finished(tmp_path, "short", SEVEN["centred"], seen=80)
    assert find_runs(tmp_path, FACES).entries["centred"].experiment.budget == 900


def test_a_run_on_the_faces_shown_is_preferred_to_one_on_others(tmp_path: Path) -> None:
    finished(tmp_path, "same", SEVEN["centred"], seen=80)
    finished(tmp_path, "other", SEVEN["centred"], "other faces", seen=900)
    assert find_runs(tmp_path, FACES).entries["centred"].folder.name == "same"


def test_what_came_with_the_program_is_shown_where_there_is_no_run_of_ones_own(
    tmp_path: Path,
) -> None:
    for name in ("lam-1e-4", "lam-1e-6"):
        finished(tmp_path / "shipped", name, SEVEN[name], seen=900)
    finished(tmp_path / "own", "run", replace(SEVEN["lam-1e-4"], seed=7), seen=80)
    entries = find_runs(tmp_path / "own", FACES, tmp_path / "shipped").entries
    assert list(entries) == ["lam-1e-4", "lam-1e-6"]
    assert [entry.is_shipped for entry in entries.values()] == [False, True]


def test_precision_and_batch_size_make_no_other_name(tmp_path: Path) -> None:
    finished(tmp_path, "run", replace(SEVEN["latent-32"], precision="bfloat16", batch_size=32))
    assert find_runs(tmp_path, FACES).names == ("latent-32",)


def test_other_seeds_and_settings_are_named_by_what_is_different(tmp_path: Path) -> None:
    base = SEVEN["lam-1e-5"]
    finished(tmp_path, "a", base)
    finished(tmp_path, "b", replace(base, seed=1), seen=320)
    finished(tmp_path, "c", replace(base, norm="batch"))
    finished(tmp_path, "d", replace(base, lam=0.5, latent=16))
    finished(tmp_path, "e", replace(base, weighting="calibrated"))
    finished(tmp_path, "f", replace(base, lam=1.2e-5))
    assert set(find_runs(tmp_path, FACES).names) == {
        "lam-1e-5",
        "lam-1e-5, seed 1",
        "lam-1e-5, batch norm",
        "lam-5e-1, 16 latents",
        "calibrated lambda",
        "lam-1.2e-5",
    }


def test_models_have_labels_as_the_field_writes_them(tmp_path: Path) -> None:
    base = SEVEN["lam-1e-5"]
    finished(tmp_path, "a", base)
    finished(tmp_path, "b", replace(base, seed=1), seen=320)
    finished(tmp_path, "c", replace(base, lam=1.2e-5))
    finished(tmp_path, "d", replace(base, weighting="calibrated"))
    index = find_runs(tmp_path, FACES)
    assert {index.label(name) for name in index.names} == {
        "λ = 10⁻⁵",
        "λ = 10⁻⁵, seed 1",
        "λ = 1.2 × 10⁻⁵",
        "calibrated lambda",
    }


def test_a_model_that_only_proves_something_is_left_out(tmp_path: Path) -> None:
    finished(tmp_path, "run", replace(SEVEN["lam-1e-5"], kl_reading="plus_one"))
    assert find_runs(tmp_path, FACES).names == ()


def test_a_run_that_is_not_finished_is_left_out(tmp_path: Path) -> None:
    (finished(tmp_path, "run", SEVEN["centred"]) / runs.FINISHED).unlink()
    assert find_runs(tmp_path, FACES).names == ()


def test_a_run_with_an_unknown_setting_is_left_out_with_the_reason(
    tmp_path: Path,
) -> None:
    run = finished(tmp_path, "run", SEVEN["centred"])
    settings = {**asdict(SEVEN["centred"]), "dropout": 0.5}
    (run / runs.EXPERIMENT).write_text(json.dumps(settings))
    index = find_runs(tmp_path, FACES)
    assert index.names == ()
    assert "run/experiment.json is damaged: it has an unknown setting" in index.unreadable[0]


def test_a_run_with_weights_of_an_older_format_is_left_out_with_the_reason(tmp_path: Path) -> None:
    run = finished(tmp_path, "run", SEVEN["centred"])
    (run / runs.MODEL).rename(run / "model.npz")
    index = find_runs(tmp_path, FACES)
    assert index.names == ()
    assert "model.safetensors" in index.unreadable[0]


def test_a_model_is_the_one_that_was_trained(tmp_path: Path) -> None:
    finished(tmp_path, "run", SEVEN["latent-32"])
    model = find_runs(tmp_path, FACES).model("latent-32")
    expected = new_model(SEVEN["latent-32"]).state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in model.state_dict().items())
    assert not model.training


def test_a_model_is_loaded_once(tmp_path: Path) -> None:
    finished(tmp_path, "run", SEVEN["latent-32"])
    index = find_runs(tmp_path, FACES)
    assert index.model("latent-32") is index.model("latent-32")


def test_a_run_deleted_meanwhile_is_refused(tmp_path: Path) -> None:
    run = finished(tmp_path, "run", SEVEN["centred"])
    index = find_runs(tmp_path, FACES)
    shutil.rmtree(run)
    message = refusal(lambda: index.model("centred"))
    assert message.startswith("the run centred was deleted after this page was opened;")


def test_a_run_deleted_after_it_was_loaded_still_works(tmp_path: Path) -> None:
    run = finished(tmp_path, "run", SEVEN["centred"])
    index = find_runs(tmp_path, FACES)
    before = index.model("centred")
    shutil.rmtree(run)
    assert index.model("centred") is before


def test_a_run_damaged_meanwhile_is_refused(tmp_path: Path) -> None:
    run = finished(tmp_path, "run", SEVEN["centred"])
    index = find_runs(tmp_path, FACES)
    (run / runs.MODEL).write_bytes(b"damaged")
    message = refusal(lambda: index.model("centred"))
    assert message.startswith("the run centred cannot be used:")


def test_a_bad_run_is_left_out_with_the_reason_and_the_others_are_shown(tmp_path: Path) -> None:
    finished(tmp_path, "good", SEVEN["latent-32"])
    experiment = SEVEN["centred"]
    weights = new_model(experiment).state_dict()
    smaller = {name: weight[:1] for name, weight in weights.items()}
    runs.finish(tmp_path / "run", experiment, [], {"fingerprint": FACES}, smaller)
    index = find_runs(tmp_path, FACES)
    assert index.names == ("latent-32",)
    (reason,) = index.unreadable
    assert "encoder.convolutions.0.weight is [1, 3, 4, 4], not [32," in reason
