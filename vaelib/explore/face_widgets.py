"""The explorer's controls that show faces: to look at and click, to choose from, and to keep."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import traitlets
from torch import Tensor

from vaelib.explore import encoding
from vaelib.explore.widgets import FACE_WIDTH, Control

PRIOR_REACH = 2.0  # standard deviations of the prior that a map shows
MARGIN = 1.08  # from the outermost point to the edge of a map


def _in_a_row(faces: Sequence[Tensor]) -> bytes:
    """Faces (3, 64, 48), uint8, as the PNG of a control; empty for none."""
    return encoding.side_by_side(torch.stack(list(faces))) if faces else b""


class FaceGrid(Control):
    """Faces beside each other, wrapped to the page's width or in named rows; a click may act."""

    png = traitlets.Bytes().tag(sync=True)  # all faces in one row
    rows = traitlets.List(traitlets.Unicode()).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    width = traitlets.Int(FACE_WIDTH).tag(sync=True)
    click_action = traitlets.Unicode().tag(sync=True)  # a verb, or empty: nothing can be clicked
    alt = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        alt: str,
        on_click: Callable[[int], None] | None = None,
        action: str = "keep",
        **traits: Any,
    ) -> None:
        """on_click: called with the index of a face that is clicked; action: in one word."""
        super().__init__(alt=alt, click_action=action if on_click else "", **traits)
        self.shown: Tensor = torch.zeros(0, 3, 64, 48)
        self.on_click = on_click
        self.on_msg(self._on_message)

    def show(self, images: Tensor, labels: Sequence[str] = (), rows: Sequence[str] = ()) -> None:
        """Draw faces (n, 3, 64, 48), uint8 or in [-1, 1].

        labels: a name for each, or none; rows: names of rows that share the faces evenly.
        """
        png = encoding.side_by_side(images) if len(images) else b""
        self.shown = images
        with self.hold_sync():  # one message, drawn at once
            self.labels, self.rows, self.png = list(labels), list(rows), png

    def _on_message(self, _: object, message: dict[str, Any], __: object) -> None:
        index = message.get("clicked")
        if self.on_click and isinstance(index, int) and 0 <= index < len(self.shown):
            self.on_click(index)


class FacePicker(Control):
    """A face to choose by its picture from a list of names; a kept one can be dropped on it."""

    label = traitlets.Unicode().tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    png = traitlets.Bytes().tag(sync=True)  # all faces in one row
    value = traitlets.Unicode().tag(sync=True)

    @traitlets.validate("value")
    def _one_of_the_names(self, proposal: dict[str, Any]) -> str:
        value: str = proposal["value"]
        return value if value in self.names else self.value

    def offer(self, faces: Mapping[str, Tensor]) -> None:
        """Replace the faces (3, 64, 48), uint8, by name; the first is chosen if the chosen is gone.

        A plain image stands for a choice without a picture.
        """
        with self.hold_sync():
            self.names, self.png = list(faces), _in_a_row(list(faces.values()))
            if self.value not in faces:
                self.value = self.names[0]


class Tray(Control):
    """The kept faces; each can be dragged to a FacePicker, sent somewhere by name, or removed."""

    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    png = traitlets.Bytes().tag(sync=True)  # all faces in one row
    targets = traitlets.List(traitlets.Unicode()).tag(sync=True)
    can_undo = traitlets.Bool(False).tag(sync=True)
    hint = traitlets.Unicode().tag(sync=True)  # shown while there are none

    def __init__(
        self,
        targets: Sequence[str],
        send: Callable[[str, str], None],
        remove: Callable[[str], None],
        undo: Callable[[], None],
        hint: str,
    ) -> None:
        """send: called with the name of a face and a target; remove: with the name of a face."""
        super().__init__(targets=list(targets), hint=hint)
        self.send_to, self.remove, self.undo = send, remove, undo
        self.on_msg(self._on_message)

    def show(self, faces: Mapping[str, Tensor], can_undo: bool) -> None:
        """Draw faces (3, 64, 48), uint8, by name."""
        with self.hold_sync():
            self.names, self.png = list(faces), _in_a_row(list(faces.values()))
            self.can_undo = can_undo

    def _on_message(self, _: object, message: dict[str, Any], __: object) -> None:
        if message.get("undo"):
            self.undo()
        elif message.get("remove") in self.names:
            self.remove(message["remove"])
        elif message.get("send") in self.names and message.get("to") in self.targets:
            self.send_to(message["send"], message["to"])


class PointMap(Control):
    """Points in a plane with the circles of the prior, a place in it, and a line."""

    alt = traitlets.Unicode().tag(sync=True)
    points = traitlets.Bytes().tag(sync=True)  # float32 (n, 2)
    colours = traitlets.Bytes().tag(sync=True)  # uint8 (n,): the index of each in the palette
    palette = traitlets.List(traitlets.Unicode()).tag(sync=True)
    legend = traitlets.List(traitlets.Unicode()).tag(sync=True)  # of each colour; may be empty
    centre = traitlets.List(traitlets.Float(), [0.0, 0.0]).tag(sync=True)  # of the prior
    reach = traitlets.Float(3.0).tag(sync=True)  # from the middle to the edge of what is shown
    place = traitlets.List(traitlets.Float(), [0.0, 0.0]).tag(sync=True)
    line = traitlets.List(traitlets.Float()).tag(sync=True)  # x and y of both ends, or empty

    def __init__(self, alt: str, keep: Callable[[], None]) -> None:
        """keep: called where the place is chosen."""
        super().__init__(alt=alt)
        self.keep = keep
        self.on_msg(self._on_message)

    def show(
        self,
        points: Tensor,
        colours: Tensor,
        palette: Sequence[str],
        legend: Sequence[str],
        centre: Tensor,
    ) -> None:
        """Draw points (n, 2), each in the colour of this index (n,); centre (2,) of the prior."""
        edge = max(float(points.abs().max()), float(centre.abs().max()) + PRIOR_REACH)
        with self.hold_sync():
            self.points = points.numpy().astype("<f4").tobytes()
            self.colours = colours.to(torch.uint8).numpy().tobytes()
            self.palette, self.legend = list(palette), list(legend)
            self.centre, self.reach = centre.tolist(), MARGIN * edge

    @traitlets.validate("place", "line")
    def _within_reach(self, proposal: dict[str, Any]) -> list[float]:
        values: list[float] = proposal["value"]
        if proposal["trait"].name == "place" and len(values) != 2:
            return list(self.place)
        if not all(math.isfinite(value) for value in values):
            return list(getattr(self, proposal["trait"].name))
        return [min(max(value, -self.reach), self.reach) for value in values]

    def _on_message(self, _: object, message: dict[str, Any], __: object) -> None:
        if message.get("keep"):
            self.keep()
