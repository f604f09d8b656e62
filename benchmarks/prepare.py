"""How fast photos become faces, against torchvision over the same files.

    python -m benchmarks.prepare [--data FOLDER] [--photos N] [--rounds N]

Ours: `vaelib.sources.prepare` from files to a whole cache on disk, start of its processes included.
Theirs: one pass of torchvision's CelebA, Resize((64, 48)) and ToTensor through a DataLoader with as
many workers as there are cores; nothing is kept. Both in turn, several times, in this one process,
from warm files. Without `--data` (a copy in torchvision's layout) the photos are drawn: 4,000
different faces of 178 x 218, under many names, with the noise that makes their JPEGs about as large
as CelebA's (6.8 kB on average). Writes benchmarks/results/prepare.json.
"""

import argparse
import io
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from unittest import mock

import joblib
import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import Compose, Resize, ToTensor

from vaelib.faces import render
from vaelib.sources import annotations, layouts, prepare
from vaelib.support import paths, provenance
from vaelib.support.files import write_json

RESULT = paths.ROOT / "benchmarks" / "results" / "prepare.json"
OTHER_LISTS = ("identity_CelebA.txt", "list_bbox_celeba.txt", "list_landmarks_align_celeba.txt")
DIFFERENT = 4_000
NOISE, QUALITY = 4.0, 87  # of drawn photos: grey levels, and of the JPEG


def draw(folder: Path, count: int, different: int = DIFFERENT) -> None:
    """A copy of CelebA in torchvision's layout from drawn faces, `different` of them different."""
    (folder / "img_align_celeba").mkdir(parents=True)
    images, _ = render.generate(different, 0)
    random = np.random.default_rng(0)
    drawn: list[Path] = []
    for number in range(count):
        path = folder / f"img_align_celeba/{number + 1:06}.jpg"
        if number >= different:
            path.hardlink_to(drawn[number % different])
            continue
        face = Image.fromarray(images[number].transpose(1, 2, 0))
        large = np.asarray(face.resize((178, 218), Image.Resampling.BICUBIC)).astype(np.float32)
        noisy = (large + random.normal(0, NOISE, large.shape)).clip(0, 255).astype(np.uint8)
        encoded = io.BytesIO()
        Image.fromarray(noisy).save(encoded, "JPEG", quality=QUALITY)
        path.write_bytes(encoded.getvalue())
        drawn.append(path)


def write_lists(folder: Path) -> None:
    """The lists that torchvision's class reads, so that it accepts any folder of photos."""
    names = sorted(photo.name for photo in (folder / "img_align_celeba").iterdir())
    rows = "".join(f"{name}{' -1' * 40}\n" for name in names)
    head = f"{len(names)}\n{' '.join(annotations.CELEBA_ATTRIBUTES)} \n"
    (folder / "list_attr_celeba.txt").write_text(head + rows)
    (folder / "list_eval_partition.txt").write_text(
        "".join(
            f"{name} {(0, 0, 0, 0, 0, 0, 0, 0, 1, 2)[k % 10]}\n" for k, name in enumerate(names)
        )
    )
    (folder / OTHER_LISTS[0]).write_text("".join(f"{name} 1\n" for name in names))
    for name, columns in ((OTHER_LISTS[1], 4), (OTHER_LISTS[2], 10)):
        titles = " ".join(f"c{column}" for column in range(columns))
        numbers = "".join(f"{photo}{' 1' * columns}\n" for photo in names)
        (folder / name).write_text(f"{len(names)}\n{titles}\n{numbers}")


def ours(folder: Path, cache: Path) -> float:
    """Photos per second from finding them to a whole cache."""
    cache.mkdir()
    started = time.perf_counter()
    source = layouts.find(str(folder))
    prepare.prepare(source, len(source.files), cache)
    seconds = time.perf_counter() - started
    shutil.rmtree(cache)
    return len(source.files) / seconds


def theirs(folder: Path) -> float:
    """Photos per second in one pass, the reading of lists included as in ours."""
    started = time.perf_counter()
    with mock.patch.object(torchvision.datasets.CelebA, "_check_integrity", return_value=True):
        photos = torchvision.datasets.CelebA(
            str(folder.parent), split="all", transform=Compose([Resize((64, 48)), ToTensor()])
        )
    loader = DataLoader(photos, batch_size=128, num_workers=joblib.cpu_count())
    seen = sum(len(batch) for batch, _ in loader)
    return seen / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder celeba/ in torchvision's layout")
    parser.add_argument("--photos", type=int, default=100_000, help="how many are drawn")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "celeba"
        if arguments.data:
            folder.mkdir()
            (folder / "img_align_celeba").symlink_to(arguments.data.absolute() / "img_align_celeba")
        else:
            draw(folder, max(arguments.photos, DIFFERENT))
        write_lists(folder)
        files = list((folder / "img_align_celeba").iterdir())
        size = statistics.fmean(file.stat().st_size for file in files)
        our_rates, their_rates = [], []
        for _ in range(arguments.rounds):
            our_rates.append(ours(folder, Path(temporary) / "cache"))
            their_rates.append(theirs(folder))
    ratios = [our / their for our, their in zip(our_rates, their_rates, strict=True)]
    write_json(
        RESULT,
        {
            "photos": len(files),
            "of": "a folder of photos" if arguments.data else "drawn faces of 178 x 218",
            "kilobytes_per_photo": round(size / 1000, 2),
            "cores": joblib.cpu_count(),
            "ours_photos_per_second": [round(rate) for rate in our_rates],
            "torchvision_photos_per_second": [round(rate) for rate in their_rates],
            "ratio_in_each_round": [round(ratio, 2) for ratio in ratios],
            "ratio_median": round(statistics.median(ratios), 2),
            "machine": provenance.environment(torch.device("cpu"))
            | {"torchvision": torchvision.__version__, "pillow": PIL.__version__},
        },
    )
    print(RESULT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
