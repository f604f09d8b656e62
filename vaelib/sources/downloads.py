"""CelebA from its two servers, by the libraries made for them: resumed and checked."""

import errno
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from vaelib.sources import storage
from vaelib.support.errors import InputError

HUB = "flwrlabs/celeba"
DRIVE = ("img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt")

TIMEOUT = 60.0  # seconds without a byte after which a connection to Google Drive counts as dead
RETRIES = 5  # how often it is opened again, to go on where it was

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)  # no space on the disk, or none for this user
# Libraries' words for a connection that broke.
BROKEN_OFF = ("complete", "Consistency check", "isconnected", "reset", "aborted")
NOT_INSTALLED = "is not installed; run pip install 'vaelib[celeba]'"
WRONG = "came with a wrong checksum and was deleted; the next run downloads it again"
WEB_PAGE = (
    "sent a web page instead of {}, most often because its quota for this file is used up for now;"
    " try again tomorrow, or another of the ways above"
)
NO_RANGE = "does not go on where {} broke off; if that happens again, delete {} to start over"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def disk_is_full(error: BaseException) -> bool:
    """Whether a library gave up for lack of room."""
    return any(getattr(cause, "errno", None) in NO_ROOM for cause in _causes(error))


def failure_reason(error: BaseException) -> str:
    """Why a library gave up, in words, from the chain of errors that it raised."""
    causes = list(_causes(error))
    for cause in causes:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status is not None:
            return f"the server answers {status} instead of sending the file"
        if isinstance(cause, socket.gaierror):
            return "the server's address cannot be looked up; is this machine online?"
        if isinstance(cause, ConnectionRefusedError):
            return "the server refuses the connection"
        if isinstance(cause, TimeoutError):
            return "the server fell silent"
        if isinstance(cause, json.JSONDecodeError):
            return "something else answers; does this network want a sign-in first?"
    if any(word in str(cause) for cause in causes for word in BROKEN_OFF):
        return "the connection broke off"
    first = causes[-1]
    return f"{type(first).__name__}: {' '.join(str(first).split())[:160]}"


def from_hub(folder: Path) -> None:
    """Download Hugging Face's copy, or what is missing of it, into the folder.

    The environment variable HF_ENDPOINT names another server. Raises InputError where the library
    is missing or a checksum is wrong, else the library's own errors.
    """
    # Plain HTTP, which goes on within a file when a connection breaks. Read by the import.
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.utils import logging
    except ImportError:
        raise InputError(f"huggingface_hub {NOT_INSTALLED}") from None
    logging.set_verbosity_error()  # its warnings are about tokens, and about retries that help
    hub = HfApi(os.environ.get("HF_ENDPOINT") or None, token=False)
    dataset = hub.dataset_info(HUB, files_metadata=True, timeout=TIMEOUT)
    shards = {
        folder / file.rfilename: file
        for file in dataset.siblings or []
        if file.rfilename.endswith(".parquet")
    }
    for path in set(folder.rglob("*.parquet")) - set(shards):
        path.unlink()  # of an older revision: its images would be there twice
    # One file after the other: snapshot_download gets several at once, and when it is interrupted
    # it first finishes those that it has begun.
    for path, file in shards.items():
        hub.hf_hub_download(
            HUB, file.rfilename, repo_type="dataset", revision=dataset.sha, local_dir=folder
        )
        with path.open("rb") as shard:
            digest = hashlib.file_digest(shard, "sha256").hexdigest()
        if file.lfs is None or digest != file.lfs.sha256:
            path.unlink()
            raise InputError(f"{path.name} {WRONG}")
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the library's own notes


def from_drive(folder: Path) -> None:
    """Download the authors' zip and lists from Google Drive, or what is missing, into the folder.

    Raises InputError where gdown is missing, a checksum is wrong, or a web page came instead of
    the file, else the library's own errors.
    """
    try:
        import gdown
    except ImportError:
        raise InputError(f"gdown {NOT_INSTALLED}") from None
    from torchvision.datasets import CelebA
    from torchvision.datasets.utils import check_integrity

    for identity, md5, name in CelebA.file_list:
        path = folder / name
        if name not in DRIVE or check_integrity(path, md5):
            continue
        path.unlink(missing_ok=True)
        partial_file = next(folder.glob(f"{name}*.part"), None)
        if partial_file and check_integrity(partial_file, md5):  # interrupted after its last byte
            partial_file.rename(path)
            continue
        try:
            _download(identity, path)
        except gdown.exceptions.FileURLRetrievalError:
            raise InputError(WEB_PAGE.format(name)) from None
        except gdown.exceptions.DownloadError as error:
            if "byte range" in str(error):
                raise InputError(NO_RANGE.format(name, partial_file)) from None
            raise
        if not check_integrity(path, md5):
            reason = WEB_PAGE.format(name) if storage.is_web_page(path) else f"{name} {WRONG}"
            path.unlink()
            raise InputError(reason)


def _download(identity: str, path: Path) -> None:
    """Download a file of Google Drive, or the rest of it, with a progress bar."""
    import gdown
    from tqdm import tqdm

    with tqdm(desc=path.name, unit="B", unit_scale=True, disable=None) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        gdown.download(
            id=identity,
            output=str(path),
            quiet=True,  # its own bar comes with the libraries' words for every retry
            resume=True,
            progress=show,
            retries=RETRIES,
            timeout=TIMEOUT,
            use_cookies=False,  # nobody's account is needed, nor a file in their home
        )
