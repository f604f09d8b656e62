"""What a run of the notebooks leaves for readers: figures with their provenance, and numbers.

Figures and numbers of one data set lie in figures/<data>/. Every PNG carries its caption and its
provenance in its own metadata; every number that the report prints is read from numbers.json.
A file whose content is the same already is left as it is.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from IPython.display import Markdown, display
from PIL import Image, PngImagePlugin

from vaelib.reporting import show
from vaelib.reporting.picture import Picture
from vaelib.support import checked, files, provenance
from vaelib.support.errors import DamagedError, InputError

# What has to be the same throughout a report: an attribute of Origin, and its name in a PNG.
PNG_TAGS = {
    "fingerprint": "Fingerprint",
    "preset": "Preset",
    "seed": "Seed",
    "budget": "Images",
}

ALT = "Alternative text"  # in a PNG


@dataclass(frozen=True)
class Origin:
    """Where a figure or a number came from; the same throughout one run of the notebooks."""

    data: str  # the data set's name
    fingerprint: str  # of the faces
    preset: str
    seed: int
    budget: str  # images seen per model, for each seed; then per model of a side study

    @property
    def tags(self) -> dict[str, str]:
        """What has to be the same throughout a report, by its name in a PNG's metadata."""
        return {tag: str(getattr(self, name)) for name, tag in PNG_TAGS.items()}


@dataclass(frozen=True)
class Results:
    """The folder figures/<data>/ under `root`, written only by notebooks."""

    root: Path
    origin: Origin

    @property
    def folder(self) -> Path:
        return self.root / "figures" / self.origin.data

    def check_owner(self) -> None:
        """Raise InputError where the folder holds the results of other faces, and of them alone."""
        origins = self._read().get("origins", {}).values()
        fingerprints = {str(origin.get("fingerprint")) for origin in origins}
        if fingerprints and self.origin.fingerprint not in fingerprints:
            raise InputError(
                f"{self.folder} holds the results of other faces ({min(fingerprints)[:12]}, not"
                f" {self.origin.fingerprint[:12]}); give these another --name, or, if photos were"
                " added or changed, move that folder away"
            )

    def save_figure(
        self, label: str, picture: Picture, caption: str, experiments: list[str]
    ) -> None:
        """Write a figure, with its caption and provenance in the PNG's metadata, and show it.

        label: "fig-3" becomes fig03.png, "fig-a1" becomes figa1.png; a chart is also kept as a
        drawing, figa1.svg. experiments: the keys of the
        runs that drew it. A figure that differs in nothing but the commit is not written again.
        """
        metadata = {
            "Title": label,
            "Description": caption,
            ALT: picture.alt,
            "Data": self.origin.data,
            **self.origin.tags,
            "Experiment": " ".join(experiments),
        }
        file = self._file(label)
        if not _is_saved(file, picture.image, metadata):
            info = PngImagePlugin.PngInfo()
            for name, value in {**metadata, "Commit": provenance.commit()}.items():
                info.add_itxt(name, value)
            with files.atomic_write(file) as aside:
                picture.image.save(aside, format="PNG", pnginfo=info, optimize=True)
        drawing = file.with_suffix(".svg")
        if not picture.svg:
            drawing.unlink(missing_ok=True)
        elif not drawing.exists() or drawing.read_text(encoding="utf-8") != picture.svg:
            files.write_text(drawing, picture.svg)
        self.show_figure(label)

    def show_figure(self, label: str, width: float | None = None) -> None:
        """Show a saved figure with its caption, in Jupyter and, by its path, in the PDF.

        width: share of the text's width in the PDF; a chart kept as a drawing has its own. Raises
        InputError if the figure is missing or was made from other faces, in another preset, from
        another seed or with other budgets, or before figures had alternative texts.
        """
        file = self._file(label)
        if not file.exists():
            raise InputError(f"{file.name} is missing in {self.folder}; run the notebooks before")
        with Image.open(file) as picture:
            metadata = picture.info
            preview = show.preview(Picture(picture, metadata.get(ALT, "")))
        tags = {tag: metadata.get(tag, "unknown") for tag in PNG_TAGS.values()}
        self._check_origin(file.name, tags)
        if ALT not in metadata:
            raise InputError(
                f"{file.name} in {self.folder} was made before figures had alternative texts;"
                " run notebooks 01 to 05 again"
            )
        drawing = file.with_suffix(".svg")
        printed = drawing if drawing.exists() else file
        figure = {
            "label": label,
            "path": printed.relative_to(self.root).as_posix(),
            "caption": metadata["Description"],
            "alt": metadata[ALT],
        }
        if width is not None:
            figure["width"] = width
        display(preview, metadata={"figure": figure})
        display(
            Markdown(f'<a id="{label}"></a>**{_title(label)}.** {metadata["Description"]}'),
            metadata={"notebook_only": True},
        )

    def record(self, section: str, numbers: Mapping[str, Any]) -> None:
        """Write the numbers of one notebook into numbers.json, in the place of its earlier ones."""
        before = self._read()
        origins = {**before.get("origins", {}), section: asdict(self.origin)}
        after = {**before, section: dict(numbers), "origins": origins}
        if after != before:
            files.write_json(self._numbers, dict(sorted(after.items())))

    def add(self, section: str, numbers: Mapping[str, Any]) -> None:
        """Add numbers to a section that several notebooks fill; another run's are dropped."""
        sections = self._read()
        same_run = sections.get("origins", {}).get(section) == asdict(self.origin)
        earlier = sections[section] if same_run else {}
        merged = {**earlier, **numbers}
        in_order = sorted(merged, key=lambda name: (len(name), name))  # C2 before C10
        self.record(section, {name: merged[name] for name in in_order})

    def numbers(self, section: str) -> dict[str, Any]:
        """The recorded numbers of a section.

        Raises InputError if they are missing or come from another run.
        """
        sections = self._read()
        if section not in sections or section not in sections.get("origins", {}):
            raise InputError(
                f"{self._numbers.name} in {self.folder} has no section {section!r};"
                f" run the notebooks before"
            )
        origin = sections["origins"][section]
        tags = {tag: origin.get(name, "unknown") for name, tag in PNG_TAGS.items()}
        self._check_origin(f"section {section!r}", tags)
        return dict(sections[section])

    @property
    def _numbers(self) -> Path:
        return self.folder / "numbers.json"

    def _read(self) -> dict[str, Any]:
        if not self._numbers.exists():
            return {}
        try:
            text = checked.read_text(self._numbers)
            with checked.damage_in(self._numbers):
                return msgspec.convert(json.loads(text), dict[str, dict[str, Any]])
        except DamagedError as error:
            print(f"{error}; its sections are written again", file=sys.stderr)
            return {}

    def _file(self, label: str) -> Path:
        number = label.removeprefix("fig-")
        return self.folder / f"fig{number.zfill(2)}.png"

    def _check_origin(self, what: str, tags: Mapping[str, object]) -> None:
        """Raise InputError unless `tags` are those of this run."""
        found = {tag: str(value) for tag, value in tags.items()}
        if found != self.origin.tags:
            raise InputError(
                f"{what} in {self.folder} was made from {_in_words(found)},"
                f" not from {_in_words(self.origin.tags)}; run the notebooks from 01 on"
            )


def _in_words(tags: Mapping[str, str]) -> str:
    return (
        f"faces {tags['Fingerprint'][:12]}, preset {tags['Preset']}, seed {tags['Seed']},"
        f" budget {tags['Images']}"
    )


def _is_saved(file: Path, picture: Image.Image, metadata: Mapping[str, str]) -> bool:
    """Whether the file holds this picture with this metadata, at whatever commit it was written."""
    try:
        with Image.open(file) as saved:
            same_metadata = all(saved.info.get(name) == value for name, value in metadata.items())
            return same_metadata and np.array_equal(np.asarray(saved), np.asarray(picture))
    except (OSError, SyntaxError, ValueError):  # missing or damaged
        return False


def _title(label: str) -> str:
    return f"Figure {label.removeprefix('fig-').upper()}"
