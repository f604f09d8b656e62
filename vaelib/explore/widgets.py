"""The explorer's controls: ipywidgets' own where they serve, and ours where those fall short.

Ours replace ipywidgets' slider and play button, which have no name for a screen reader; its HTML,
which a screen reader does not announce when it changes; and its file upload, whose single message
breaks the connection above 10 MB. The others it has nothing like.
"""

import asyncio
import html
import math
import mimetypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

from vaelib.config import LARGEST_SEED
from vaelib.explore import photo
from vaelib.sources.alignment import CELEBA_ASPECT
from vaelib.support.errors import InputError

STATIC = Path(__file__).with_name("static")
PARTS = ("elements", "controls", "faces", "frame", "map", "render")  # of the script, in this order
MOMENT = 0.3  # seconds without a change after which what is shown has settled
PAUSE = 0.02  # seconds after a picture in which the page's messages are read, before the next
FACE_WIDTH = 96  # of a face on the page: two pixels for each of its own
LINE = {"width": "auto", "max_width": "100%"}  # layout of a control that shares a row
WIDE = {"width": "100%"}
LABEL_STYLE = {"description_width": "initial"}  # as wide as the label is


class Control(anywidget.AnyWidget):
    """A control of our own, drawn by the function for its class in static/render.js."""

    _esm = "\n".join((STATIC / f"{part}.js").read_text(encoding="utf-8") for part in PARTS)
    _css = STATIC / "controls.css"
    kind = traitlets.Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(kind=type(self).__name__, **traits)


class StatusLine(Control):
    """A line of text that screen readers announce when it changes."""

    text = traitlets.Unicode().tag(sync=True)
    is_error = traitlets.Bool(False).tag(sync=True)

    def show(self, text: str, is_error: bool = False) -> None:
        """Replace the text."""
        with self.hold_sync():
            self.text, self.is_error = text, is_error

    def run(self, action: Callable[[], None]) -> None:
        """Call the action; an InputError is shown here until the next action."""
        if self.is_error:
            self.show("")
        try:
            action()
        except InputError as error:
            self.show(str(error), is_error=True)


class PhotoFrame(Control):
    """A photo, and over it the frame, which is moved and resized by hand; see `photo.Frame`."""

    content = traitlets.Bytes().tag(sync=True)  # the photo in any format that browsers read
    zoom = traitlets.Float(1.0, min=1.0, max=photo.MAX_ZOOM).tag(sync=True)
    across = traitlets.Float(0.5, min=0.0, max=1.0).tag(sync=True)
    down = traitlets.Float(0.5, min=0.0, max=1.0).tag(sync=True)
    max_zoom = traitlets.Float(photo.MAX_ZOOM).tag(sync=True)
    aspect = traitlets.Float(CELEBA_ASPECT).tag(sync=True)
    eyes = traitlets.List(list(map(list, photo.EYES))).tag(sync=True)
    mouth = traitlets.List(list(map(list, photo.MOUTH))).tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)


class Slider(Control):
    """The browser's own slider, tied to its label, with pictures at its ends or a play button."""

    label = traitlets.Unicode().tag(sync=True)
    value = traitlets.Float(0.0).tag(sync=True)
    min = traitlets.Float(0.0).tag(sync=True)
    max = traitlets.Float(1.0).tag(sync=True)
    step = traitlets.Float(0.01).tag(sync=True)
    unit = traitlets.Unicode().tag(sync=True)  # stands behind the value
    play = traitlets.Bool(False).tag(sync=True)
    ends = traitlets.Bytes().tag(sync=True)  # a PNG of two faces, drawn at the slider's ends

    @traitlets.validate("value")
    def _within_range(self, proposal: dict[str, Any]) -> float:
        value: float = proposal["value"]
        return min(max(value, self.min), self.max) if math.isfinite(value) else self.value


class Tabs(Control):
    """Names of which one is selected, as tabs that the keyboard moves through."""

    label = traitlets.Unicode().tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    selected = traitlets.Int(0).tag(sync=True)


class FileDrop(Control):
    """A place for a file, chosen or dropped; its content arrives in pieces of 1 MB."""

    label = traitlets.Unicode().tag(sync=True)
    max_bytes = traitlets.Int(photo.MAX_BYTES).tag(sync=True)  # larger ones stay in the browser

    def __init__(self, label: str, status: StatusLine, open_file: Callable[[bytes], None]) -> None:
        super().__init__(label=label)
        self.status, self.open_file = status, open_file
        self.pieces: list[bytes] = []
        self.on_msg(self._on_message)

    def _on_message(
        self, _: object, message: dict[str, Any], buffers: Sequence[memoryview]
    ) -> None:
        if "refused" in message:
            self.status.show(photo.too_large(int(message["refused"])), is_error=True)
            return
        if message["piece"] == 0:
            self.pieces = []
        self.pieces += [bytes(buffer) for buffer in buffers]
        size = sum(len(piece) for piece in self.pieces)
        if message["piece"] < message["pieces"] - 1 and size <= self.max_bytes:
            return
        content, self.pieces = b"".join(self.pieces), []
        self.status.run(lambda: self.open_file(content))
        self.send({"done": True})


class SaveButton(Control):
    """A button that hands a file to the browser; nothing is written on this side."""

    label = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, label: str, filename: str, status: StatusLine, content: Callable[[], bytes]
    ) -> None:
        super().__init__(label=label)
        file = {"name": filename, "type": mimetypes.guess_type(filename)[0]}
        self.on_msg(lambda *_: status.run(lambda: self.send(file, [content()])))


class ShareLink(Control):
    """What is chosen, in the page's address: to copy, to open, and to find again after a reload."""

    state = traitlets.Unicode().tag(sync=True)  # the text of a link

    def __init__(self, status: StatusLine, restore: Callable[[str], None]) -> None:
        """restore: called with the text of a link that was opened."""
        super().__init__()
        self.status, self.restore = status, restore
        self.on_msg(self._on_message)

    def _on_message(self, _: object, message: dict[str, Any], __: object) -> None:
        text = message.get("restore")
        if isinstance(text, str):
            self.status.run(lambda: self.restore(text))


class Throttled:
    """Calls `draw` for the latest request only, however many come while it draws.

    Outside a running event loop, as in tests, it draws at once.
    """

    def __init__(self, status: StatusLine, draw: Callable[[], None]) -> None:
        self.status, self.draw = status, draw
        self.scheduled: asyncio.TimerHandle | None = None
        self.free_at = 0.0  # the loop's time from which on it may draw again

    def __call__(self, *_: object) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.status.run(self.draw)
            return
        if self.scheduled is None:
            self.scheduled = loop.call_at(max(loop.time(), self.free_at), self._draw_now, loop)

    def _draw_now(self, loop: asyncio.AbstractEventLoop) -> None:
        self.scheduled = None
        self.status.run(self.draw)
        self.free_at = loop.time() + PAUSE


class Settled:
    """Calls `action` once nothing has changed for a moment: what is too slow for a moving slider.

    Outside a running event loop, as in tests, only `now` calls it.
    """

    def __init__(self, status: StatusLine, action: Callable[[], None]) -> None:
        self.status, self.action = status, action
        self.scheduled: asyncio.TimerHandle | None = None

    def __call__(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self.scheduled:
            self.scheduled.cancel()
        self.scheduled = loop.call_later(MOMENT, self.now)

    def now(self) -> None:
        """Call it at once."""
        self.scheduled = None
        self.status.run(self.action)


def dropdown(label: str, options: Sequence[Any], **traits: Any) -> ipywidgets.Dropdown:
    """A list to choose from; options as ipywidgets takes them; the first is chosen by default."""
    return ipywidgets.Dropdown(
        options=options, description=label, style=LABEL_STYLE, layout=LINE, **traits
    )


def paragraph(text: str) -> ipywidgets.HTML:
    """Text that stays as it is."""
    return ipywidgets.HTML(f'<p class="vae-help">{html.escape(text)}</p>', layout=WIDE)


def button(label: str, on_click: Callable[[], None]) -> ipywidgets.Button:
    """A button with text on it."""
    made = ipywidgets.Button(description=label, layout=LINE)
    made.on_click(lambda _: on_click())
    return made


def seed_controls(next_label: str) -> tuple[ipywidgets.BoundedIntText, ipywidgets.Button]:
    """A seed to type, and a button with this label that goes on to the next one."""
    seed = ipywidgets.BoundedIntText(
        0, 0, LARGEST_SEED, description="Seed", style=LABEL_STYLE, layout=LINE
    )

    def next_seed() -> None:
        seed.value = (seed.value + 1) % LARGEST_SEED

    return seed, button(next_label, next_seed)


def flexible(widget: ipywidgets.Widget, smallest: int = 260) -> ipywidgets.Widget:
    """Let it take the room that is left in its row, at least so many pixels where the page can."""
    widget.layout.width, widget.layout.flex = "auto", f"1 1 {smallest}px"
    widget.layout.min_width = f"min({smallest}px, 100%)"
    return widget


def row(*children: ipywidgets.Widget, align: str = "center") -> ipywidgets.Box:
    """Controls beside each other as far as the page is wide, else below each other."""
    flow = {"display": "flex", "flex_flow": "row wrap", "grid_gap": "4px 16px"}
    return ipywidgets.Box(children, layout={**flow, "align_items": align, "overflow": "visible"})


def column(*children: ipywidgets.Widget) -> ipywidgets.VBox:
    """Controls below each other, over the page's whole width."""
    layout = {"width": "100%", "grid_gap": "8px", "overflow": "visible"}
    return ipywidgets.VBox(children, layout=layout)
