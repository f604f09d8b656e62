"""CelebA is found where it usually is; its terms come before a download, and refusals are plain."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.sources import shapes
from tests.sources.loopback import COUNT, Answer, Loopback, Run, is_whole, part
from vaelib import data
from vaelib.sources import celeba
from vaelib.support import paths

pytestmark = pytest.mark.usefixtures("bare_machine")


# --- looking


@pytest.mark.parametrize(
    ("variable", "value", "place", "shape"),
    [
        ("CELEBA", "my/faces", "my/faces", shapes.kaggle),
        ("CELEBA", "~/faces", "home/faces", shapes.torchvision),
        ("TORCH_HOME", "torch", "torch/datasets/vision/celeba", shapes.torchvision),
        ("", "", "home/.cache/torch/datasets/vision/celeba", shapes.torchvision),
        ("XDG_CACHE_HOME", "xdg", "xdg/torch/datasets/vision/celeba", shapes.zip_in_folder),
        ("HF_HUB_CACHE", "hf", "hf/datasets--flwrlabs--celeba", shapes.hub_cache),
        ("HF_HOME", "hf", "hf/hub/datasets--flwrlabs--celeba", shapes.hub_cache),
        ("", "", "home/.cache/huggingface/hub/datasets--flwrlabs--celeba", shapes.hub_cache),
        ("KAGGLEHUB_CACHE", "k", f"k/datasets/{celeba.KAGGLE}/versions/2", shapes.kaggle),
        ("", "", f"home/.cache/kagglehub/datasets/{celeba.KAGGLE}/versions/2", shapes.kaggle),
    ],
)
def test_a_whole_copy_in_a_usual_place_is_linked_for_make_report(
    variable: str,
    value: str,
    place: str,
    shape: Callable[[shapes.Copy, Path], Path],
    small_celeba: shapes.Copy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
) -> None:
    if variable:
        monkeypatch.setenv(variable, value if value[0] == "~" else str(tmp_path / value))
    shape(small_celeba, tmp_path / place)
    assert f"{tmp_path / place} holds all of CelebA" in run()
    assert paths.CELEBA.readlink() == tmp_path / place
    assert is_whole()


def test_what_is_found_is_described(small_celeba: shapes.Copy, run: Run) -> None:
    shapes.torchvision(small_celeba, paths.CELEBA)
    assert f"{COUNT} of {COUNT}" in run()


def test_all_of_celeba_that_is_prepared_already_counts(
    small_celeba: shapes.Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    prepared = data.load(str(shapes.torchvision(small_celeba, tmp_path / "copy"))).folder
    monkeypatch.setenv("CELEBA", str(prepared))
    assert f"{prepared} holds all of CelebA" in run()


def test_the_newest_version_of_kaggles_copy_is_taken(
    small_celeba: shapes.Copy, tmp_path: Path, run: Run
) -> None:
    versions = tmp_path / "home/.cache/kagglehub/datasets" / celeba.KAGGLE / "versions"
    for number in ("2", "10", "9"):
        shapes.kaggle(small_celeba, versions / number)
    run()
    assert paths.CELEBA.readlink().name == "10"


def test_a_part_of_celeba_is_reported_and_the_search_goes_on(
    small_celeba: shapes.Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("CELEBA", str(shapes.torchvision(small_celeba, tmp_path / "torn")))
    (tmp_path / "torn/img_align_celeba/000001.jpg").unlink()
    shapes.torchvision(small_celeba, tmp_path / "home/.cache/torch/datasets/vision/celeba")
    assert f"{tmp_path / 'torn'}: holds 69 of 70 images\n" in run()
    assert is_whole()


def test_a_place_that_cannot_be_used_is_reported_and_the_search_goes_on(
    small_celeba: shapes.Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("CELEBA", str(tmp_path / "gone"))
    shapes.torchvision(small_celeba, tmp_path / "home/.cache/torch/datasets/vision/celeba")
    assert f"there is no {tmp_path / 'gone'}" in run()
    assert is_whole()


def test_where_links_cannot_be_made_the_command_is_reported_instead(
    small_celeba: shapes.Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("a privilege is not held")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    monkeypatch.setenv("CELEBA", str(shapes.torchvision(small_celeba, tmp_path / "my faces")))
    assert f"make report ARGS=\"--data '{tmp_path / 'my faces'}'\"" in run()


def test_nothing_is_downloaded_where_a_copy_is(
    hub: dict[str, Answer], server: Loopback, small_celeba: shapes.Copy, run: Run
) -> None:
    shapes.torchvision(small_celeba, paths.CELEBA)
    run("--agree")
    assert server.requests == []


# --- terms and refusals


def test_without_agreement_the_terms_are_shown_and_no_server_is_contacted(
    hub: dict[str, Answer], drive: Answer, server: Loopback, run: Run
) -> None:
    output = run(code=2)
    assert celeba.TERMS in output
    assert output.splitlines()[-1].startswith("error: nothing was downloaded;")
    assert server.requests == []
    assert not part().exists()


def test_a_part_in_the_way_is_refused_and_left_as_it_is(
    hub: dict[str, Answer], server: Loopback, small_celeba: shapes.Copy, run: Run
) -> None:
    shapes.torchvision(small_celeba, paths.CELEBA)
    (paths.CELEBA / "img_align_celeba/000001.jpg").unlink()
    output = run("--agree", code=2).splitlines()
    assert "holds 69 of 70 images; move it away first" in output[-1]
    assert server.requests == []
    assert len(list(paths.CELEBA.rglob("*.jpg"))) == 69


def test_a_link_to_a_place_that_is_gone_is_in_the_way(run: Run, tmp_path: Path) -> None:
    paths.CELEBA.parent.mkdir()
    paths.CELEBA.symlink_to(tmp_path / "unplugged")
    assert "move it away first" in run("--agree", code=2)


def test_a_wrong_argument_is_one_line(run: Run) -> None:
    assert run("--source", "moon", code=2).count("\n") == 1


@pytest.mark.parametrize(("source", "module"), [("hub", "huggingface_hub"), ("drive", "gdown")])
def test_a_missing_library_is_named_with_its_installation(
    source: str, module: str, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    output = run("--agree", "--source", source, code=2)
    assert f"{module} is not installed; run pip install 'vaelib[celeba]'" in output


def test_too_little_room_is_reported_in_megabytes_before_any_request(
    hub: dict[str, Answer], server: Loopback, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(celeba, "DOWNLOAD_BYTES", 1_500_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=7_000_000))
    assert "has 7 MB free, but the download needs 1,500 MB" in run("--agree", code=2)
    assert server.requests == []
