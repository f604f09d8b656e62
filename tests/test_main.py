"""One command line: what it refuses, what its help says, what it imports, and how it stops."""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vaelib import data
from vaelib.__main__ import COMMANDS, command_line, main
from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.explore import app
from vaelib.publishing import notebooks
from vaelib.study import Study
from vaelib.support import paths
from vaelib.support.command_line import INTERRUPTED
from vaelib.training import run_one
from vaelib.training.run_one import train_or_load
from vaelib.training.runs import load, run_folder, same_weights

SMALL = Experiment(latent=4, budget=96, batch_size=16)
SMALL_OPTIONS = ["--latent", "4", "--budget", "96", "--batch-size", "16", "--precision", "float32"]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that cannot be done: the one line that it says, with exit code 2."""

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        printed = capsys.readouterr()
        assert left.value.code == 2
        assert printed.out == ""
        assert printed.err.startswith("error: ")
        assert printed.err.count("\n") == 1
        return printed.err

    return run


def in_a_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vaelib", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=paths.ROOT, check=False)


def train_arguments(faces: FaceSet, runs: Path, *more: str) -> list[str]:
    return ["train", "--data", str(faces.folder), "--runs", str(runs), *SMALL_OPTIONS, *more]


# --- help


def commands() -> dict[str, argparse.ArgumentParser]:
    actions = command_line()._actions
    (choices,) = (a.choices for a in actions if isinstance(a, argparse._SubParsersAction))
    return choices


def test_every_command_has_an_example_that_it_accepts() -> None:
    for name, parser in commands().items():
        example = f"python -m vaelib {COMMANDS[name].EXAMPLE}"
        assert example in parser.format_help()
        assert command_line().parse_args(example.split()[3:]).command == name


def test_every_option_with_a_value_says_its_default() -> None:
    silent = [
        f"{name} {action.option_strings[0]}"
        for name, parser in commands().items()
        for action in parser._actions
        if action.option_strings and action.nargs != 0 and "(default: " not in (action.help or "")
    ]
    assert not silent


def test_help_lists_all_commands_within_a_moment_and_without_torch() -> None:
    code = "import sys; from vaelib.__main__ import main\ntry: main(['--help'])\n"
    code += "finally: assert not {'torch', 'numpy'} & set(sys.modules)"
    seconds = []
    for _ in range(5):
        before = os.times()
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, cwd=paths.ROOT, check=True)
        after = os.times()  # of a processor, so that it counts no other programs at work
        used = after.children_user + after.children_system
        seconds.append(used - before.children_user - before.children_system)
        assert set(COMMANDS) <= set(done.stdout.split())
    assert min(seconds) < 0.3


def test_help_of_every_command_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        with pytest.raises(SystemExit) as left:
            main([name, "--help"])
        assert left.value.code == 0
        assert f"python -m vaelib {name}" in capsys.readouterr().out


# --- refusals


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the following arguments are required: COMMAND; see python -m vaelib --help"),
        (["rep"], "invalid choice: 'rep'"),
        (["report", "--presets", "smoke"], "unrecognized arguments: --presets"),
        (["report", "--pres", "smoke"], "unrecognized arguments: --pres"),
        (["report", "--preset", "fast"], "'fast' is unknown; choose auto, smoke, quick, full"),
        (["report", "--data", "no/such/place"], "no/such/place"),
        (["report", "--seed", "one"], "invalid int value: 'one'; see python -m vaelib report"),
        (["report", "--seed", "-1"], "seed is -1; it must lie between 0 and"),
        (["report", "--budget", "4e4"], "budget is '4e4'; give a number for each seed"),
        (["report", "--side-budget", "-1"], "budget is -1"),
        (
            ["report", "--data", "synthetic", "--preset", "smoke", "--name", "a/b"],
            "name is 'a/b'",
        ),
        (["app", "--port", "80"], "port is 80; it must lie between 1024 and 65535"),
        (["app", "--base-url", "a b?"], "base-url is 'a b?'; give the path of an address"),
        (["report", "--device", "gpu"], "invalid choice: 'gpu'"),
        (["ship", "--data", "photos"], "unrecognized arguments: --data"),
        (["celeba", "--source", "moon"], "invalid choice: 'moon'"),
        (["inspect", "/nowhere"], "there is no /nowhere"),
        (["inspect"], "the following arguments are required: path"),
        (["inspect", "auto", "b"], "unrecognized arguments: b"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str],
    words: str,
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    if arguments[:1] == ["report"]:
        arguments = [*arguments, "--out", str(out)]
    monkeypatch.chdir(tmp_path)
    assert words in refused(*arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--lam", "-1"], "lam is -1.0"),
        (["--latnt", "3"], "unrecognized arguments: --latnt"),
        (["--preset", "fast"], "preset 'fast' is unknown"),
        (["--graphs", "on"], "CUDA graphs need NVIDIA"),
        (["--threads", "-2"], "threads is -2"),
        (["--learning-rate", "1e30"], "the loss is not finite"),
        (["--data", "no/such/folder"], "no/such/folder"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    options: list[str],
    words: str,
    flat_faces: FaceSet,
    refused: Callable[..., str],
    tmp_path: Path,
) -> None:
    assert words in refused(*train_arguments(flat_faces, tmp_path, *options))


def test_a_process_that_is_refused_exits_with_2_and_prints_no_traceback() -> None:
    done = in_a_process("inspect", "/nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no /nowhere")
    assert done.stderr.count("\n") == 1


# --- report


def test_a_place_that_cannot_be_written_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    data.load("synthetic", "smoke")  # drawing faces shows progress
    capsys.readouterr()
    arguments = ["report", "--data", "synthetic", "--preset", "smoke", "--out", "/dev/null/x"]
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert re.fullmatch(r"error: cannot write to /dev/null/x: .*\n", capsys.readouterr().err)


def test_a_folder_without_images_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    refused("report", "--data", str(tmp_path / "empty"), "--out", str(out))
    assert not out.exists()


def test_photos_are_kept_out_of_the_projects_notebooks(
    photo_folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(photo_folder(80)), "--keep-outputs"]
    with pytest.raises(SystemExit) as stopped:
        main(["report", *data, "--preset", "smoke", "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert "would put photos of photos into the project's own notebooks" in capsys.readouterr().err


def test_no_pdf_is_made_from_half_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    def fail_at_the_third(source: Path, *_: object) -> None:
        ran.append(source.stem)
        if len(ran) == 3:
            raise notebooks.NotebookFailed(f"{source.name}, cell 4: ValueError: broken")

    monkeypatch.setattr(notebooks, "run_notebook", fail_at_the_third)
    monkeypatch.setattr(Study, "train_all", lambda *_: None)
    with pytest.raises(SystemExit, match=r"error: 03_lambda_study.ipynb, cell 4.*no PDF was made"):
        main(["report", "--data", "synthetic", "--preset", "smoke", "--out", str(tmp_path)])
    assert ran == ["01_data", "02_training", "03_lambda_study"]
    assert not list(tmp_path.rglob("*.pdf"))


@pytest.mark.slow
def test_ctrl_c_while_a_model_trains_says_in_a_line_how_to_go_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vaelib", "report", "--data", "synthetic"]
    running = subprocess.Popen(
        [*command, "--preset", "smoke", "--seed", "99", "--out", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    while "images/s" not in running.stderr.readline():
        assert running.poll() is None, "the run ended before it trained anything"
    printed = ""
    for _ in range(3):  # a press that falls into a kernel's start can be lost; people press again
        running.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, printed = running.communicate(timeout=20)
            break
    assert running.returncode == INTERRUPTED
    assert printed.endswith("stopped; finished models are kept, the same command goes on\n")
    assert "Traceback" not in printed
    assert not list(tmp_path.rglob("*.pdf"))


# --- train


@pytest.mark.slow
def test_train_needs_torch_numpy_and_safetensors_alone(
    flat_faces: FaceSet,
    tmp_path: Path,
    bare_python: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    arguments = train_arguments(flat_faces, tmp_path / "runs")
    done = bare_python(f"from vaelib.__main__ import main; main({arguments!r})")
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert folder == run_folder(SMALL, flat_faces, tmp_path / "runs")
    assert same_weights(load(folder), train_or_load(SMALL, flat_faces, runs=tmp_path / "here"))


@pytest.mark.slow
def test_of_two_processes_one_trains_and_the_other_waits_and_loads(
    flat_faces: FaceSet, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "vaelib", *train_arguments(flat_faces, tmp_path)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    (first, first_errors), (second, second_errors) = (process.communicate() for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert first == second != ""
    assert f"{first_errors}{second_errors}".count("another process trains") <= 1
    trained = train_or_load(SMALL, flat_faces, runs=tmp_path / "here")
    assert same_weights(load(Path(first.strip())), trained)


def test_ctrl_c_in_training_says_how_to_go_on(
    flat_faces: FaceSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt("stopped after 16 images, which are kept: go on")

    monkeypatch.setattr(run_one, "fit", stop)
    with pytest.raises(SystemExit) as left:
        main(train_arguments(flat_faces, tmp_path))
    assert left.value.code == INTERRUPTED
    assert "stopped after 16 images, which are kept" in capsys.readouterr().err


# --- inspect


def test_inspect_describes_and_prepares_nothing(
    celeba_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = celeba_folder(84)
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    before = sorted(tmp_path.rglob("*"))
    main(["inspect", str(folder)])
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith(
        "CelebA, as torchvision unpacks it\n  images      84 of 202,599\n"
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_inspect_refuses_damaged_prepared_faces(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    for name in ("images.npy", "split.npy", "facts.json"):
        (tmp_path / name).write_text(name)
    assert refused("inspect", str(tmp_path)).startswith(
        f"error: {tmp_path} is damaged: facts.json is not as it was"
    )


# --- app


@pytest.mark.parametrize("data", ["auto", "synthetic", "my/photos"])
def test_a_folder_is_found_from_wherever_the_page_runs(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[str] = []

    def launch(command: list[str], **_: object) -> None:
        served.append(Path(command[0]).read_text(encoding="utf-8"))

    monkeypatch.setattr(app.Page, "launch_instance", launch)
    monkeypatch.chdir(tmp_path)
    main(["app", "--data", data])
    expected = os.fspath(tmp_path / data) if "/" in data else data
    assert f'data = \\"{expected}\\"\\n' in served[0]
