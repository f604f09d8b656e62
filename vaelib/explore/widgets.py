"""The controls of the explorer, each with a label, and the pace at which pictures are drawn."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets
from torch import Tensor

from vaelib.explore import encoding, photo
from vaelib.explore.state import Desk
from vaelib.support.errors import InputError

SCRIPT, STYLE = (Path(__file__).parent / "static" / f"explore.{kind}" for kind in ("js", "css"))
PAUSE = 0.02  # seconds after a picture in which the page can be heard, before the next
WIDTH = 96  # of a face on the page: two pixels for each of its own


class Words(anywidget.AnyWidget):
    """A line that is announced to those who cannot see it."""

    _esm, _css = SCRIPT, STYLE
    kind = traitlets.Unicode("words").tag(sync=True)
    words = traitlets.Unicode().tag(sync=True)
    wrong = traitlets.Bool(False).tag(sync=True)

    def say(self, words: str, wrong: bool = False) -> None:
        """Say this in place of what was said before; wrong: as an error."""
        with self.hold_sync():
            self.words, self.wrong = words, wrong

    def spoken(self, do: Callable[[], None]) -> None:
        """Do it; what cannot be done is said here, until the next time."""
        if self.wrong:
            self.say("")
        try:
            do()
        except InputError as error:
            self.say(str(error), wrong=True)


class Faces(anywidget.AnyWidget):
    """Faces as one picture, wrapped to the page's width or in rows with names, clicked or not."""

    _esm, _css = SCRIPT, STYLE
    kind = traitlets.Unicode("faces").tag(sync=True)
    sheet = traitlets.Bytes().tag(sync=True)
    count = traitlets.Int(0).tag(sync=True)
    rows = traitlets.List(traitlets.Unicode()).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    width = traitlets.Int(WIDTH).tag(sync=True)
    verb = traitlets.Unicode().tag(sync=True)  # what a click does; empty: nothing
    alt = traitlets.Unicode().tag(sync=True)

    def __init__(self, alt: str, clicked: Callable[[int], None] | None = None, **traits: Any):
        super().__init__(alt=alt, verb="keep" if clicked else "", **traits)
        self.shown: Tensor | None = None  # the faces themselves
        self.clicked = clicked
        self.on_msg(self._heard)

    def show(self, images: Tensor, labels: Sequence[str] = (), rows: Sequence[str] = ()) -> None:
        """Draw faces (n, 3, 64, 48), uint8 or in [-1, 1].

        labels: a name for each, or none; rows: names of rows that share the faces evenly_spaced.
        """
        encoded = encoding.sheet(images)
        self.shown = images
        with self.hold_sync():  # one message, drawn at once
            self.labels, self.rows, self.count = list(labels), list(rows), len(images)
            self.sheet = encoded

    def _heard(self, _: object, told: dict[str, Any], __: object) -> None:
        index = told.get("clicked")
        if self.clicked and isinstance(index, int) and 0 <= index < self.count:
            self.clicked(index)


class Picture(anywidget.AnyWidget):
    """One picture of any size."""

    _esm, _css = SCRIPT, STYLE
    kind = traitlets.Unicode("photo").tag(sync=True)
    sheet = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)


class Range(anywidget.AnyWidget):
    """A slider of the browser's own: the keyboard moves it, and its label is told with it."""

    _esm, _css = SCRIPT, STYLE
    kind = traitlets.Unicode("range").tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    value = traitlets.Float(0.0).tag(sync=True)
    min = traitlets.Float(0.0).tag(sync=True)
    max = traitlets.Float(1.0).tag(sync=True)
    step = traitlets.Float(0.01).tag(sync=True)
    digits = traitlets.Int(2).tag(sync=True)
    play = traitlets.Bool(False).tag(sync=True)
    ends = traitlets.Bytes().tag(sync=True)  # two faces as one PNG, drawn at the slider's ends


class Drop(anywidget.AnyWidget):
    """A place for a file: chosen with a button or dropped; its content comes here in pieces."""

    _esm, _css = SCRIPT, STYLE
    kind = traitlets.Unicode("drop").tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    most = traitlets.Int(photo.MOST_BYTES).tag(sync=True)  # larger ones do not leave the browser

    def __init__(self, label: str, words: Words, taken: Callable[[bytes], None]) -> None:
        super().__init__(label=label)
        self.words, self.taken = words, taken
        self.pieces: list[bytes] = []
        self.on_msg(self._heard)

    def _heard(self, _: object, told: dict[str, Any], buffers: Sequence[memoryview]) -> None:
        if "refused" in told:
            self.words.say(photo.too_large(int(told["refused"])), wrong=True)
            return
        if told["piece"] == 0:
            self.pieces = []
        self.pieces += [bytes(buffer) for buffer in buffers]
        if told["piece"] < told["pieces"] - 1 and sum(map(len, self.pieces)) <= self.most:
            return
        content, self.pieces = b"".join(self.pieces), []
        self.words.spoken(lambda: self.taken(content))
        self.send({"read": True})


class Save(anywidget.AnyWidget):
    """A button that hands a file to the browser; nothing is written on this side."""

    _esm, _css = SCRIPT, STYLE
    kind = traitlets.Unicode("save").tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)

    def __init__(self, label: str, name: str, words: Words, content: Callable[[], bytes]) -> None:
        super().__init__(label=label)
        self.name, self.words, self.content = name, words, content
        self.on_msg(self._heard)

    def _heard(self, *_: object) -> None:
        self.words.spoken(self._give)

    def _give(self) -> None:
        kind = "image/gif" if self.name.endswith(".gif") else "image/png"
        self.send({"name": self.name, "type": kind}, [self.content()])


class Paced:
    """Draws what was asked for last, never a queue of what was asked for before.

    While a picture is drawn the page goes on asking; all that it has asked meanwhile is answered
    by one more. Outside a running event loop, such as a test's, it draws at once.
    """

    def __init__(self, words: Words, draw: Callable[[], None]) -> None:
        self.words, self.draw = words, draw
        self.due: asyncio.TimerHandle | None = None
        self.free = 0.0  # the loop's time from which on it may draw again

    def __call__(self, *_: object) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.words.spoken(self.draw)
            return
        if self.due is None:
            self.due = loop.call_at(max(loop.time(), self.free), self._now, loop)

    def _now(self, loop: asyncio.AbstractEventLoop) -> None:
        self.due = None
        self.words.spoken(self.draw)
        self.free = loop.time() + PAUSE


def wide(slider: Range) -> Range:
    """A slider that takes what room is left in a row, and never less than it can be used in."""
    slider.layout.flex, slider.layout.min_width = "1 1 260px", "min(260px, 100%)"
    return slider


def choice(label: str, options: Sequence[Any], value: Any = None) -> widgets.Dropdown:
    """A list to choose from; options as ipywidgets takes them."""
    chosen = widgets.Dropdown(options=options, description=label, **_line())
    if value is not None:
        chosen.value = value
    return chosen


def end_choice(label: str, desk: Desk, place: int, first: str = "") -> widgets.Dropdown:
    """A list of the held-out and kept faces, with `first` before them, that grows with the desk."""

    def options() -> list[str]:
        return [*([first] if first else []), *desk.ends]

    chosen = choice(label, options(), options()[place])

    def grown() -> None:
        value = chosen.value
        chosen.options = options()  # which chooses the first
        chosen.value = value if value in chosen.options else chosen.options[0]

    desk.watchers.append(grown)
    return chosen


def number(label: str, value: int, low: int, high: int) -> widgets.BoundedIntText:
    """A whole number to type."""
    return widgets.BoundedIntText(value, low, high, description=label, **_line())


def button(label: str, pressed: Callable[[], None]) -> widgets.Button:
    """A button with words on it."""
    made = widgets.Button(description=label, layout={"width": "auto", "max_width": "100%"})
    made.on_click(lambda _: pressed())
    return made


def row(*children: widgets.Widget) -> widgets.Box:
    """Controls beside each other as far as the page is wide, else below each other."""
    flow = {"display": "flex", "flex_flow": "row wrap", "grid_gap": "4px 16px"}
    return widgets.Box(children, layout={**flow, "align_items": "center", "overflow": "visible"})


def column(*children: widgets.Widget) -> widgets.VBox:
    """Controls below each other, over the page's whole width."""
    return widgets.VBox(children, layout={"width": "100%", "grid_gap": "8px"})


def _line() -> dict[str, Any]:
    return {
        "style": {"description_width": "initial"},
        "layout": {"width": "auto", "max_width": "100%"},
    }
