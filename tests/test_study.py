"""A study binds faces, preset and seed together, and trains what it is asked for."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from conftest import refusal

from vaelib import study as studies
from vaelib.config import PRESETS, SEVEN, Experiment, KLReading
from vaelib.data import FaceSet
from vaelib.errors import InputError
from vaelib.results import Origin, Results
from vaelib.runs import MODEL, Run, is_finished, same_weights
from vaelib.steps import Speed
from vaelib.study import Study, open_study

SMALL = Experiment(latent=4, images=96, batch_size=16)
OTHER = replace(SMALL, lam=1e-3)


def a_study(out: Path, held_out: int = 12, seed: int = 3) -> Study:
    """A smoke study of flat faces; the brightness of a face is its position."""
    images = torch.arange(40, dtype=torch.uint8).view(40, 1, 1, 1).expand(40, 3, 64, 48).clone()
    split = torch.zeros(40, dtype=torch.uint8)
    split[40 - held_out :] = 2
    faces = FaceSet("flat", images, None, (), split, "f" * 64, "photos", Path("nowhere"))
    return Study(faces, "smoke", seed, Results(out, Origin("flat", "f" * 64, "smoke", seed)))


def test_every_model_gets_the_budget_and_the_seed_of_the_study(tmp_path: Path) -> None:
    study = a_study(tmp_path)
    for name, wanted in SEVEN.items():
        experiment = study.experiment(name)
        assert (experiment.lam, experiment.latent) == (wanted.lam, wanted.latent)
        assert experiment.kl_reading == wanted.kl_reading
        assert experiment.images == PRESETS["smoke"].images
        assert experiment.seed == 3


def test_interpolations_run_between_different_held_out_faces(tmp_path: Path) -> None:
    first, last = a_study(tmp_path).interpolation_ends()
    assert first[:, 0, 0, 0].tolist() == [28, 30, 31, 33]
    assert last[:, 0, 0, 0].tolist() == [34, 36, 37, 39]


def test_with_few_held_out_faces_there_are_fewer_interpolations(tmp_path: Path) -> None:
    first, last = a_study(tmp_path, held_out=5).interpolation_ends()
    assert len(first) == len(last) == 2


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Experiment]]:
    """What is to be trained, instead of training it."""
    calls: list[dict[str, Experiment]] = []

    def note(experiments: dict[str, Experiment], faces: FaceSet, **_: object) -> dict[str, str]:
        calls.append(experiments)
        return dict.fromkeys(experiments, "run")

    monkeypatch.setattr(studies, "run", note)
    return calls


def test_models_come_in_the_order_they_are_asked_for(
    tmp_path: Path, asked: list[dict[str, Experiment]]
) -> None:
    a_study(tmp_path).runs(("latent-128", "lam-1e-3"))
    assert list(asked[0]) == ["latent-128", "lam-1e-3"]
    assert [experiment.latent for experiment in asked[0].values()] == [128, 64]


def test_a_proof_is_short_and_differs_in_the_reading_alone(
    tmp_path: Path, asked: list[dict[str, Experiment]]
) -> None:
    study = a_study(tmp_path)
    study.proof("standard")
    study.proof("plus_one")
    plain, literal = asked[0]["proof standard"], asked[1]["proof plus_one"]
    assert plain.images == studies.PROOF_IMAGES
    assert literal.kl_reading == "plus_one"
    assert {**vars(plain), "kl_reading": ""} == {**vars(literal), "kl_reading": ""}


def together(calls: list[dict[str, Experiment]]) -> dict[str, Experiment]:
    every = {label: one for some in calls for label, one in some.items()}
    calls.clear()
    return every


def test_all_at_once_is_all_that_is_asked_for_one_by_one(
    tmp_path: Path, asked: list[dict[str, Experiment]]
) -> None:
    study = a_study(tmp_path)
    study.train_all()
    every = together(asked)
    study.runs(SEVEN)
    for reading in get_args(KLReading):
        study.proof(reading)
    study.again()
    for share in studies.EARLY:
        study.early(share)
    assert every == together(asked)
    assert every["lam-1e-5 first 1/16"].images == PRESETS["smoke"].images // 16
    assert len(every) == len(set(every.values())) + 1 == 13
    assert every["proof again"] == every["proof standard"]


def test_only_proofs_ask_for_the_same_bits_on_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Speed | None] = {}

    def note(
        experiments: dict[str, Experiment], faces: FaceSet, speed: Speed | None = None, **_: object
    ) -> dict[str, str]:
        asked.update(dict.fromkeys(experiments, speed))
        return dict.fromkeys(experiments, "run")

    monkeypatch.setattr(studies, "run", note)
    a_study(tmp_path).train_all()
    exact = {label for label, speed in asked.items() if speed and speed.deterministic}
    assert exact == {f"proof {reading}" for reading in get_args(KLReading)}


# --- run


@pytest.fixture(scope="module")
def trained(flat_faces: FaceSet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Two models, trained one after another in this process; the second has two names."""
    runs = tmp_path_factory.mktemp("runs")
    some = {"one": SMALL, "other": OTHER, "one again": SMALL}
    return studies.run(some, flat_faces, runs=runs, jobs=1)


def test_runs_come_in_the_order_asked_and_by_every_name(trained: dict[str, Run]) -> None:
    assert [run.experiment for run in trained.values()] == [SMALL, OTHER, SMALL]
    assert trained["one"].folder == trained["one again"].folder


def test_finished_runs_are_loaded_wherever_they_would_be_trained(
    trained: dict[str, Run], flat_faces: FaceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [trained[name].folder for name in ("other", "one")]
    files = [file for folder in folders for file in folder.iterdir()]
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    monkeypatch.setattr("vaelib.workers.train", None)
    some = {"b": OTHER, "a": SMALL}
    again = studies.run(some, flat_faces, runs=folders[0].parent.parent, cluster="tcp://no:1")
    assert [run.folder for run in again.values()] == folders
    assert before == [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]


def test_a_damaged_run_is_trained_again(
    trained: dict[str, Run], flat_faces: FaceSet, tmp_path: Path
) -> None:
    folder = shutil.copytree(trained["one"].folder.parent, tmp_path / "flat") / trained["one"].key
    (folder / MODEL).write_bytes(b"damaged")
    again = studies.run({"one": SMALL}, flat_faces, runs=tmp_path)
    assert same_weights(again["one"], trained["one"])


def test_an_error_is_raised_when_the_others_are_trained(
    flat_faces: FaceSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = {"wild": replace(SMALL, learning_rate=1e30), "tame": SMALL}
    with pytest.raises(FloatingPointError, match=r"^wild: the loss is not finite"):
        studies.run(some, flat_faces, runs=tmp_path, jobs=1)
    assert is_finished(SMALL, flat_faces, tmp_path)
    assert "wild failed: FloatingPointError: the loss is not finite" in capsys.readouterr().err


def test_no_model_at_a_time_is_refused(flat_faces: FaceSet, tmp_path: Path) -> None:
    told = refusal(lambda: studies.run({"one": SMALL}, flat_faces, runs=tmp_path, jobs=0))
    assert told == "jobs is 0; at least 1 model must be trained at a time"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"preset": "fast"}, "preset 'fast' is unknown"),
        ({"preset": "smoke", "seed": -1}, "seed is -1"),
        ({"preset": "smoke", "data": "no/such/folder"}, "no/such/folder"),
    ],
)
def test_what_cannot_be_opened_is_refused(arguments: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_study(**arguments)  # type: ignore[arg-type]


def test_a_study_of_procedural_faces_opens_by_itself(tmp_path: Path) -> None:
    study = open_study("synthetic", "smoke", name="drawn", out=str(tmp_path))
    assert len(study.faces.images) == PRESETS["smoke"].synthetic_faces
    assert study.results.folder == tmp_path / "figures" / "drawn"
    assert study.results.origin.fingerprint == study.faces.fingerprint
