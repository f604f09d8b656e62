"""A study binds faces, preset and seed together, and trains what it is asked for."""

from pathlib import Path

import pytest
import torch

from vaelib import study as studies
from vaelib.config import PRESETS, SEVEN, Experiment
from vaelib.data import FaceSet
from vaelib.errors import InputError
from vaelib.results import Origin, Results
from vaelib.study import Study, open_study


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


def test_models_come_in_the_order_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[str, Experiment]] = []
    monkeypatch.setattr(
        studies, "train_or_load", lambda experiment, _, label: trained.append((label, experiment))
    )
    runs = a_study(tmp_path).runs(("latent-128", "lam-1e-3"))
    assert list(runs) == [label for label, _ in trained] == ["latent-128", "lam-1e-3"]
    assert [experiment.latent for _, experiment in trained] == [128, 64]


def test_a_proof_is_short_and_differs_in_the_reading_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Experiment] = []
    monkeypatch.setattr(
        studies, "train_or_load", lambda experiment, _, label: trained.append(experiment)
    )
    study = a_study(tmp_path)
    study.proof("standard")
    study.proof("plus_one")
    plain, literal = trained
    assert plain.images == studies.PROOF_IMAGES
    assert literal.kl_reading == "plus_one"
    assert {**vars(plain), "kl_reading": ""} == {**vars(literal), "kl_reading": ""}


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
