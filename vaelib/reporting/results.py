"""What a run of the notebooks leaves for readers: figures with their provenance, and numbers.

Figures and numbers of one data set lie in figures/<data>/. Every PNG carries in its own metadata
the caption and where it came from; every number that the report prints is read from numbers.json.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IPython.display import Markdown, display
from PIL import Image, PngImagePlugin

from vaelib.reporting import show
from vaelib.support import files, provenance
from vaelib.support.errors import InputError


@dataclass(frozen=True)
class Origin:
    """Where a figure or a number came from; the same throughout one run of the notebooks."""

    data: str  # the data set's name
    fingerprint: str  # the faces' own
    preset: str
    seed: int
    images: str  # seen per model, for each seed; then per model that answers a side question

    @property
    def tags(self) -> tuple[str, ...]:
        """What has to be the same throughout a report."""
        return self.fingerprint, self.preset, str(self.seed), self.images


@dataclass(frozen=True)
class Results:
    """The folder figures/<data>/ under `root`, written only by notebooks."""

    root: Path
    origin: Origin

    @property
    def folder(self) -> Path:
        return self.root / "figures" / self.origin.data

    def save_figure(
        self, label: str, picture: Image.Image, caption: str, experiments: list[str]
    ) -> None:
        """Write a figure, with its caption and provenance in the PNG's metadata, and show it.

        label: "fig-3" becomes fig03.png, "fig-a1" becomes figa1.png. experiments: the keys of the
        runs that drew it.
        """
        told = {
            "Title": label,
            "Description": caption,
            "Data": self.origin.data,
            "Fingerprint": self.origin.fingerprint,
            "Preset": self.origin.preset,
            "Seed": str(self.origin.seed),
            "Images": self.origin.images,
            "Experiment": " ".join(experiments),
            "Commit": provenance.commit(),
        }
        metadata = PngImagePlugin.PngInfo()
        for name, value in told.items():
            metadata.add_itxt(name, value)
        with files.atomic_write(self._file(label)) as aside:
            picture.save(aside, format="PNG", pnginfo=metadata, optimize=True)
        self.show_figure(label)

    def show_figure(self, label: str, width: float = 1.0) -> None:
        """Show a saved figure with its caption, in Jupyter and, by its path, in the PDF.

        width: share of the text's width in the PDF. Raises InputError if the figure is missing or
        was made from other faces, in another preset, from another seed or with other budgets.
        """
        file = self._file(label)
        if not file.exists():
            raise InputError(f"{file.name} is missing in {self.folder}; run the notebooks before")
        with Image.open(file) as picture:
            told = picture.info
            preview = show.preview(picture, alt=_title(label))
        tags = ("Fingerprint", "Preset", "Seed", "Images")
        self._check(file.name, tuple(str(told.get(tag, "unknown")) for tag in tags))
        figure = {
            "label": label,
            "path": file.relative_to(self.root).as_posix(),
            "caption": told["Description"],
            "width": width,
        }
        display(preview, metadata={"figure": figure})
        display(
            Markdown(f'<a id="{label}"></a>**{_title(label)}.** {told["Description"]}'),
            metadata={"notebook_only": True},
        )

    def record(self, section: str, numbers: Mapping[str, Any]) -> None:
        """Write the numbers of one notebook into numbers.json, in the place of its earlier ones."""
        everything = self._read()
        everything[section] = dict(numbers)
        everything.setdefault("origins", {})[section] = vars(self.origin)
        files.write_json(self._numbers, dict(sorted(everything.items())))

    def add(self, section: str, numbers: Mapping[str, Any]) -> None:
        """Add numbers to a section that several notebooks fill; another run's are dropped."""
        everything = self._read()
        same = everything.get("origins", {}).get(section) == vars(self.origin)
        before = everything[section] if same else {}
        self.record(section, dict(sorted({**before, **numbers}.items(), key=_in_order)))

    def numbers(self, section: str) -> dict[str, Any]:
        """The recorded numbers of a section.

        Raises InputError if they are missing or come from another run.
        """
        everything = self._read()
        if section not in everything or section not in everything.get("origins", {}):
            raise InputError(
                f"{self._numbers.name} in {self.folder} has no section {section!r};"
                f" run the notebooks before"
            )
        origin = Origin(**everything["origins"][section])
        self._check(f"section {section!r}", origin.tags)
        return dict(everything[section])

    @property
    def _numbers(self) -> Path:
        return self.folder / "numbers.json"

    def _read(self) -> dict[str, Any]:
        if not self._numbers.exists():
            return {}
        everything: dict[str, Any] = json.loads(self._numbers.read_text(encoding="utf-8"))
        return everything

    def _file(self, label: str) -> Path:
        number = label.removeprefix("fig-")
        return self.folder / f"fig{number.zfill(2)}.png"

    def _check(self, what: str, made: tuple[str, ...]) -> None:
        wanted = self.origin.tags
        if made != wanted:
            raise InputError(
                f"{what} in {self.folder} was made from faces {made[0][:12]}, preset {made[1]},"
                f" seed {made[2]}, images {made[3]}, not from {wanted[0][:12]}, {wanted[1]},"
                f" {wanted[2]}, {wanted[3]}; run the notebooks from 01 on"
            )


def _in_order(item: tuple[str, Any]) -> tuple[str, int]:
    """C2 comes before C10."""
    letters = item[0].rstrip("0123456789")
    return letters, int(item[0][len(letters) :] or 0)


def _title(label: str) -> str:
    return f"Figure {label.removeprefix('fig-').upper()}"
