"""`python -m vaelib lambda` trains two calibrated models and says what lambda they find."""

import re
from pathlib import Path

import pytest

from vaelib.__main__ import main
from vaelib.commands.kl_weight import in_words
from vaelib.data import FaceSet
from vaelib.evaluation.lambda_optimum import LambdaEstimate
from vaelib.support import paths

OPTIONS = ["--images", "96", "--batch-size", "16", "--latent", "4"]


def test_it_prints_the_lambda_of_its_models_and_loads_them_the_second_time(
    flat_faces: FaceSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    main(["lambda", str(flat_faces.folder), *OPTIONS])
    first = capfd.readouterr()
    main(["lambda", str(flat_faces.folder), *OPTIONS])
    second = capfd.readouterr()
    assert first.out.startswith("2 models of 4 latents saw 96 images each of flat\n\nlambda ")
    assert second.out == first.out
    assert "seed 1 · 96 images" in first.err
    assert "seed 1" not in second.err


def test_no_images_are_refused_by_the_name_of_the_option(
    flat_faces: FaceSet, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["lambda", str(flat_faces.folder), "--images", "0"])
    assert left.value.code == 2
    assert capsys.readouterr().err == "error: images is 0; it must be positive\n"


def test_lambda_is_said_for_us_for_other_programs_and_for_other_sizes() -> None:
    text = in_words(LambdaEstimate(error=0.0461, per_seed=[9.8e-6, 1.02e-5], change=-0.12))
    assert (
        "lambda   1e-05: 2 MSE / 9216 for an error of 0.0461; by seed 9.8e-06 and 1.02e-05" in text
    )
    assert "settled  -12% over the second half of training; give more --images" in text
    assert re.search(r"^pythae +SSE/2 \+ 0\.012 KL$", text, re.MULTILINE)
    assert re.search(r"^64 x 64 +7\.5e-06$", text, re.MULTILINE)


def test_a_settled_lambda_asks_for_nothing() -> None:
    assert "more" not in in_words(LambdaEstimate(error=0.05, per_seed=[1.1e-5], change=-0.01))
