"""CelebA is downloaded whole or not at all, however the servers behave."""

import errno
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants, file_download

from tests.sources import loopback
from tests.sources.loopback import ABOUT, ZIP, Answer, Loopback, Run, is_whole, part
from vaelib.sources import downloads
from vaelib.support import paths

QUOTA = b"""<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>
<p class="uc-error-caption">Sorry, you can't view or download this file at this time.</p>
<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p>
</body></html>"""
CONFIRM = """<!DOCTYPE html><html><body><p>Google Drive can't scan this file for viruses.</p>
<form id="download-form" action="{url}/download" method="get">\
<input type="hidden" name="id" value="the-zip">\
<input type="hidden" name="confirm" value="t"></form>
</body></html>"""
HTML = {"Content-Type": "text/html; charset=utf-8"}


pytestmark = [pytest.mark.usefixtures("bare_machine"), pytest.mark.slow]


# --- Hugging Face


def test_the_copy_of_hugging_face_arrives_whole(hub: dict[str, Answer], run: Run) -> None:
    assert "CelebA, in parquet shards" in run("--agree")
    assert is_whole()


def test_nothing_but_the_copy_is_left(hub: dict[str, Answer], run: Run) -> None:
    run("--agree")
    files = [path for path in paths.CELEBA.parent.rglob("*") if path.is_file()]
    assert len(files) == len(hub)


def test_an_empty_folder_is_not_in_the_way(hub: dict[str, Answer], run: Run) -> None:
    paths.CELEBA.mkdir(parents=True)
    run("--agree")
    assert is_whole()


def test_a_hub_that_breaks_off_sends_only_the_rest(
    hub: dict[str, Answer], server: Loopback, run: Run
) -> None:
    first, answer = next(iter(hub.items()))
    answer.cuts = [5000, 3000]
    run("--agree", "--source", "hub")
    assert server.ranges(first) == ["", "bytes=5000-", "bytes=8000-"]
    assert is_whole()


def test_files_of_the_hub_that_came_are_not_downloaded_again(
    hub: dict[str, Answer], server: Loopback, run: Run
) -> None:
    first, *_, last = hub
    hub[last].status = 404
    run("--agree", "--source", "hub", code=2)
    hub[last].status = 200
    run("--agree", "--source", "hub")
    assert server.ranges(first) == [""]
    assert is_whole()


def test_a_wrong_checksum_of_the_hub_is_reported_and_mended_by_the_next_run(
    hub: dict[str, Answer], run: Run
) -> None:
    answer = list(hub.values())[1]
    right, answer.body = answer.body, bytes(len(answer.body))
    assert "came with a wrong checksum" in run("--agree", "--source", "hub", code=2)
    assert not paths.CELEBA.exists()
    answer.body = right
    run("--agree", "--source", "hub")
    assert is_whole()


def test_files_that_the_hub_has_no_longer_are_not_kept(hub: dict[str, Answer], run: Run) -> None:
    old = part() / "hub/img_align+identity+attr/old-00000-of-00001.parquet"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"older")
    run("--agree", "--source", "hub")
    assert is_whole()


def test_a_slow_hub_is_waited_for(
    hub: dict[str, Answer], server: Loopback, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    first, answer = next(iter(hub.items()))
    answer.pause = 0.1
    run("--agree", "--source", "hub")
    assert server.ranges(first) == [""]


# --- Google Drive


def test_google_drive_is_tried_where_the_hub_fails(
    hub: dict[str, Answer], drive: Answer, server: Loopback, run: Run
) -> None:
    server.answers[ABOUT].status = 500
    output = run("--agree")
    assert "Hugging Face: the server answers 500 instead of sending the file\n" in output
    assert is_whole()


def test_only_the_source_that_was_chosen_is_tried(
    hub: dict[str, Answer], drive: Answer, server: Loopback, run: Run
) -> None:
    run("--agree", "--source", "drive")
    assert {path.split("=")[0] for _, path, _ in server.requests} == {"/uc?id"}
    assert is_whole()


def test_the_page_that_asks_for_confirmation_is_followed(
    drive: Answer, server: Loopback, run: Run
) -> None:
    server.answers["/download?id=the-zip&confirm=t"] = drive
    server.answers[ZIP] = Answer(CONFIRM.format(url=server.url).encode(), headers=HTML)
    run("--agree", "--source", "drive")
    assert is_whole()


@pytest.mark.parametrize("name", [{}, {"Content-Disposition": 'attachment; filename="x.zip"'}])
def test_a_page_instead_of_the_zip_is_reported_as_the_quota_and_not_kept(
    name: dict[str, str], drive: Answer, server: Loopback, run: Run
) -> None:
    server.answers[ZIP] = Answer(b"\xef\xbb\xbf\n" + QUOTA, headers=HTML | name)
    output = run("--agree", "--source", "drive", code=2)
    assert "Google Drive: sent a web page instead of img_align_celeba.zip" in output
    assert not list(part().rglob("*.zip*"))
    assert not paths.CELEBA.exists()


def test_wrong_bytes_of_google_drive_are_reported_and_mended_by_the_next_run(
    drive: Answer, run: Run
) -> None:
    right, drive.body = drive.body, bytes(len(drive.body))
    output = run("--agree", "--source", "drive", code=2)
    assert "img_align_celeba.zip came with a wrong checksum" in output
    assert not paths.CELEBA.exists()
    drive.body = right
    run("--agree", "--source", "drive")
    assert is_whole()


def test_a_drive_that_breaks_off_sends_only_the_rest(
    drive: Answer, server: Loopback, run: Run
) -> None:
    drive.cuts = [5000, 3000]
    run("--agree", "--source", "drive")
    assert server.ranges(ZIP) == ["", "bytes=5000-", "bytes=8000-"]
    assert is_whole()


def test_the_next_run_goes_on_where_the_drive_broke_off(
    drive: Answer, server: Loopback, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(downloads, "RETRIES", 0)
    drive.cuts = [5000]
    output = run("--agree", "--source", "drive", code=2)
    assert "Google Drive: the connection broke off\n" in output
    assert not paths.CELEBA.exists()
    run("--agree", "--source", "drive")
    assert server.ranges(ZIP)[-1] == "bytes=5000-"
    assert is_whole()


def test_a_download_that_was_stopped_after_its_last_byte_is_not_repeated(
    drive: Answer, server: Loopback, run: Run
) -> None:
    begun = part() / "drive/img_align_celeba.zip12345678.part"
    begun.parent.mkdir(parents=True)
    begun.write_bytes(drive.body)
    run("--agree", "--source", "drive")
    assert not server.ranges(ZIP)
    assert is_whole()


def test_a_part_that_does_not_fit_is_named_and_kept(drive: Answer, run: Run) -> None:
    begun = part() / "drive/img_align_celeba.zip12345678.part"
    begun.parent.mkdir(parents=True)
    begun.write_bytes(bytes(len(drive.body)))
    assert f"delete {begun} to start over" in run("--agree", "--source", "drive", code=2)
    assert begun.exists()


def test_a_file_that_was_damaged_since_it_came_is_downloaded_again(drive: Answer, run: Run) -> None:
    damaged = part() / "drive/img_align_celeba.zip"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(bytes(len(drive.body)))
    run("--agree", "--source", "drive")
    assert is_whole()


def test_a_slow_drive_is_waited_for(
    drive: Answer, server: Loopback, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(downloads, "TIMEOUT", 0.5)
    drive.pause = 0.1
    run("--agree", "--source", "drive")
    assert server.ranges(ZIP) == [""]


# --- servers that do not answer, either of them


@pytest.mark.parametrize("source", ["hub", "drive"])
@pytest.mark.parametrize("status", [404, 500])
def test_a_server_that_has_nothing_is_reported_in_a_line(
    source: str, status: int, hub: dict[str, Answer], drive: Answer, server: Loopback, run: Run
) -> None:
    for answer in (drive, *hub.values()):
        answer.status, answer.headers = status, HTML | {"X-Repo-Commit": loopback.COMMIT}
    output = run("--agree", "--source", source, code=2)
    reason = f"the server answers {status}" if source == "hub" else "sent a web page instead"
    assert reason in output
    assert not paths.CELEBA.exists()


@pytest.mark.parametrize("source", ["hub", "drive"])
def test_a_server_that_falls_silent_is_given_up(
    source: str,
    hub: dict[str, Answer],
    drive: Answer,
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.1)
    monkeypatch.setattr(downloads, "TIMEOUT", 0.1)
    for answer in (drive, *hub.values()):
        answer.silent = True
    assert "the server fell silent\n" in run("--agree", "--source", source, code=2)


@pytest.mark.parametrize("source", ["hub", "drive"])
def test_a_machine_without_network_is_reported_in_a_line(source: str, run: Run) -> None:
    output = run("--agree", "--source", source, code=2)
    assert "the server's address cannot be looked up; is this machine online?\n" in output
    assert "Traceback" not in output


def test_a_page_that_asks_to_sign_in_is_reported_in_a_line(
    hub: dict[str, Answer], server: Loopback, run: Run
) -> None:
    server.answers[ABOUT] = Answer(b"<html>Welcome to our hotel</html>", headers=HTML)
    output = run("--agree", "--source", "hub", code=2)
    assert "Hugging Face: something else answers; does this network want a sign-in first?" in output


def test_a_server_that_refuses_is_reported_in_a_line(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
    output = run("--agree", "--source", "hub", code=2)
    assert "Hugging Face: the server refuses the connection\n" in output


# --- full disks and Ctrl-C


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_disk_that_fills_up_is_reported_and_what_came_is_kept(drive: Answer, run: Run) -> None:
    begun = part() / "drive/img_align_celeba.zip12345678.part"
    begun.parent.mkdir(parents=True)
    begun.symlink_to("/dev/full")
    assert "is full; make room" in run("--agree", "--source", "drive", code=2).splitlines()[-1]
    assert begun.is_symlink()
    assert not paths.CELEBA.exists()


def test_on_a_full_disk_no_other_source_is_tried(
    hub: dict[str, Answer],
    drive: Answer,
    server: Loopback,
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file_download, "http_get", full)
    assert "is full; make room" in run("--agree", code=2).splitlines()[-1]
    assert not server.ranges(ZIP)


@pytest.mark.skipif(sys.platform == "win32", reason="presses Ctrl-C as a signal to a thread")
@pytest.mark.parametrize("source", ["hub", "drive"])
def test_ctrl_c_is_a_line_and_the_next_run_ends_the_download(
    source: str, hub: dict[str, Answer], drive: Answer, run: Run
) -> None:
    stopping = drive if source == "drive" else list(hub.values())[1]
    stopping.interrupts = True
    output = run("--agree", "--source", source, code=130)
    assert output.splitlines()[-1] == "stopped; the same command goes on where it was"
    assert not paths.CELEBA.exists()
    stopping.interrupts = False
    run("--agree", "--source", source)
    assert is_whole()
