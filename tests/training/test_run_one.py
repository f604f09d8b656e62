"""Training repeats itself, trains nothing twice, and can be asked for on a command line."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.conftest import refusal
from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.support.errors import INTERRUPTED
from vaelib.training import run_one
from vaelib.training.run_one import train_or_load
from vaelib.training.runs import FINISHED, Run, load, run_folder, same_weights
from vaelib.training.step import Execution

SMALL = Experiment(latent=4, budget=96, batch_size=16)
OPTIONS = ["--latent", "4", "--images", "96", "--batch-size", "16", "--precision", "float32"]


@pytest.fixture(scope="module")
def trained(flat_faces: FaceSet, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train_or_load(SMALL, flat_faces, runs=tmp_path_factory.mktemp("runs"))


def command(faces: FaceSet, runs: Path, *more: str) -> list[str]:
    where = ["--data", str(faces.folder), "--runs", str(runs)]
    return [sys.executable, "-m", "vaelib.training.run_one", *where, *OPTIONS, *more]


def test_same_seed_ends_in_the_same_weights_bit_for_bit(
    trained: Run, flat_faces: FaceSet, tmp_path: Path
) -> None:
    assert same_weights(trained, train_or_load(SMALL, flat_faces, runs=tmp_path))


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_cores_changes_neither_the_key_nor_a_bit(
    trained: Run, flat_faces: FaceSet, tmp_path: Path, threads: int
) -> None:
    other = train_or_load(SMALL, flat_faces, runs=tmp_path, execution=Execution(threads=threads))
    assert other.key == trained.key
    assert same_weights(trained, other)


def test_another_seed_ends_in_other_weights(
    trained: Run, flat_faces: FaceSet, tmp_path: Path
) -> None:
    other = train_or_load(replace(SMALL, seed=1), flat_faces, runs=tmp_path)
    assert not same_weights(trained, other)


def test_adding_one_to_kl_changes_no_weight(
    trained: Run, flat_faces: FaceSet, tmp_path: Path
) -> None:
    literal = train_or_load(replace(SMALL, kl_reading="plus_one"), flat_faces, runs=tmp_path)
    assert literal.key != trained.key
    assert same_weights(trained, literal)


def test_centre_pull_changes_the_weights(trained: Run, flat_faces: FaceSet, tmp_path: Path) -> None:
    pulled = train_or_load(replace(SMALL, kl_reading="centre_pull"), flat_faces, runs=tmp_path)
    assert not same_weights(trained, pulled)


def test_training_does_not_touch_the_global_random_state(
    flat_faces: FaceSet, tmp_path: Path
) -> None:
    before = torch.random.get_rng_state()
    train_or_load(SMALL, flat_faces, runs=tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_finished_run_is_loaded_and_not_trained_again(
    trained: Run, flat_faces: FaceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(run_one, "fit", refuse)
    again = train_or_load(SMALL, flat_faces, runs=trained.folder.parent.parent)
    assert again.history == trained.history
    assert same_weights(again, trained)


def test_half_precision_is_close_to_single(
    trained: Run, flat_faces: FaceSet, tmp_path: Path
) -> None:
    half = train_or_load(replace(SMALL, precision="bfloat16"), flat_faces, runs=tmp_path)
    errors = [run.curve("validation")[-1].reconstruction for run in (trained, half)]
    assert errors[1] == pytest.approx(errors[0], rel=0.2)
    assert half.model.encoder.mu.weight.dtype == torch.float32


def test_nothing_bad_is_saved_as_finished(
    flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot = replace(SMALL, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match=r"not finite at step \d"):
        train_or_load(hot, flat_faces, runs=tmp_path)
    assert not list(tmp_path.rglob(FINISHED))


def test_of_two_processes_one_trains_and_the_other_waits_and_loads(
    trained: Run, flat_faces: FaceSet, tmp_path: Path
) -> None:
    both = [
        subprocess.Popen(
            command(flat_faces, tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    told = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert told[0][0] == told[1][0] != ""
    assert sum("another process trains" in errors for _, errors in told) <= 1
    assert same_weights(load(Path(told[0][0].strip())), trained)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused_by_permission(flat_faces: FaceSet, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot write" in refusal(lambda: train_or_load(SMALL, flat_faces, runs=tmp_path))


def test_a_folder_that_cannot_be_written_is_refused(flat_faces: FaceSet, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("in the way")
    told = refusal(lambda: train_or_load(SMALL, flat_faces, runs=tmp_path / "a file"))
    assert "cannot write to" in told
    assert "VAELIB_RUNS" in told


def test_a_full_disk_at_the_end_keeps_the_checkpoints(
    trained: Run, flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(run_one, "finish", full)
        told = refusal(lambda: train_or_load(SMALL, flat_faces, runs=tmp_path))
    assert "No space left on device; make room" in told
    assert list(run_folder(SMALL, flat_faces, tmp_path).glob("checkpoint-*"))
    assert same_weights(train_or_load(SMALL, flat_faces, runs=tmp_path), trained)


def test_the_command_line_trains_with_torch_and_numpy_alone(
    trained: Run,
    flat_faces: FaceSet,
    tmp_path: Path,
    bare_python: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    arguments = command(flat_faces, tmp_path / "runs")[2:]
    done = bare_python(
        f"import sys; sys.argv = {arguments!r}\nfrom vaelib import train; train.main()"
    )
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert folder == run_folder(SMALL, flat_faces, tmp_path / "runs")
    assert same_weights(load(folder), trained)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--lam", "-1"], "lam is -1.0"),
        (["--latnt", "3"], "unrecognized arguments: --latnt"),
        (["--preset", "fast"], "preset 'fast' is unknown"),
        (["--graphs", "on"], "CUDA graphs need a GPU"),
        (["--threads", "-2"], "threads is -2"),
        (["--learning-rate", "1e30"], "the loss is not finite"),
        (["--data", "no/such/folder"], "no/such/folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    options: list[str],
    words: str,
    flat_faces: FaceSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VAELIB_PROGRESS", str(tmp_path / "progress"))
    monkeypatch.setattr(sys, "argv", command(flat_faces, tmp_path, *options)[2:])
    with pytest.raises(SystemExit) as left:
        run_one.main()
    assert left.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert words in told.err


def test_ctrl_c_on_the_command_line_says_how_to_go_on(
    flat_faces: FaceSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt("stopped after 16 images, which are kept: go on")

    monkeypatch.setattr(run_one, "fit", stop)
    monkeypatch.setattr(sys, "argv", command(flat_faces, tmp_path)[2:])
    with pytest.raises(SystemExit) as left:
        run_one.main()
    assert left.value.code == INTERRUPTED
    assert "stopped after 16 images, which are kept" in capsys.readouterr().err
