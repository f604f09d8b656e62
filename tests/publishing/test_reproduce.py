"""The one command: what it refuses, what it announces, and how it stops."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vaelib.publishing import notebooks, reproduce
from vaelib.study import Study
from vaelib.support import paths
from vaelib.support.errors import INTERRUPTED


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--presets", "smoke"], "unrecognized arguments: --presets"),
        (["--pres", "smoke"], "unrecognized arguments: --pres"),
        (["--preset", "fast"], "preset 'fast' is unknown; choose auto, smoke, quick, full"),
        (["--data", "no/such/place"], "no/such/place"),
        (["--seed", "one"], "invalid int value: 'one'"),
        (["--seed", "-1"], "seed is -1; it must lie between 0 and"),
        (["--images", "4e4"], "images is '4e4'; give a number for each seed"),
        (["--side-budget", "-1"], "images is -1"),
        (["--data", "synthetic", "--preset", "smoke", "--out", "/dev/null/x"], "cannot write to"),
        (["--data", "synthetic", "--name", "a/b"], "name is 'a/b'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_two(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stopped:
        reproduce.main(["--out", str(out), *arguments])
    told = capsys.readouterr().err
    assert stopped.value.code == 2
    assert words in told
    assert told.count("\n") == 1
    assert "Traceback" not in told
    assert not out.exists()


def test_a_folder_without_images_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as stopped:
        reproduce.main(["--data", str(tmp_path / "empty"), "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_photos_are_kept_out_of_the_projects_notebooks(
    photo_folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(photo_folder(80)), "--keep-outputs"]
    with pytest.raises(SystemExit) as stopped:
        reproduce.main([*data, "--preset", "smoke", "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert "would put photos of photos into the project's own notebooks" in capsys.readouterr().err


def test_no_pdf_is_made_from_half_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = []

    def fail_at_the_third(source: Path, *_: object) -> None:
        ran.append(source.stem)
        if len(ran) == 3:
            raise notebooks.NotebookFailed(f"{source.name}, cell 4: ValueError: broken")

    monkeypatch.setattr(reproduce, "run_notebook", fail_at_the_third)
    monkeypatch.setattr(Study, "train_all", lambda *_: None)
    with pytest.raises(SystemExit, match=r"error: 03_lambda_study.ipynb, cell 4.*no PDF was made"):
        reproduce.main(["--data", "synthetic", "--preset", "smoke", "--out", str(tmp_path)])
    assert ran == ["01_data", "02_training", "03_lambda_study"]
    assert not list(tmp_path.rglob("*.pdf"))


def test_ctrl_c_while_a_model_trains_says_in_a_line_how_to_go_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vaelib.publishing.reproduce", "--data", "synthetic"]
    running = subprocess.Popen(
        [*command, "--preset", "smoke", "--seed", "99", "--out", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    while "images/s" not in running.stderr.readline():
        assert running.poll() is None, "the run ended before it trained anything"
    told = ""
    for _ in range(3):  # a press that falls into a kernel's start can be lost; people press again
        running.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, told = running.communicate(timeout=20)
            break
    assert running.returncode == INTERRUPTED
    assert told.endswith("stopped; finished models are kept, the same command goes on\n")
    assert "Traceback" not in told
    assert not list(tmp_path.rglob("*.pdf"))


@pytest.mark.parametrize("name", reproduce.NOTEBOOKS)
def test_every_notebook_takes_the_same_parameters(name: str) -> None:
    names = ("data", "preset", "name", "out", "seed", "images", "side_budget")
    parameters: notebooks.Parameters = dict.fromkeys(names, "")
    notebooks.check_parameters(paths.NOTEBOOKS / f"{name}.ipynb", parameters)
    cells = json.loads((paths.NOTEBOOKS / f"{name}.ipynb").read_text())["cells"]
    tagged = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    assert len(tagged) == 1
