"""The explorer: panels over the latent space under tabs, in a notebook or on a page of their own.

The panels share a state: a face that is kept in one can be chosen in the others.
"""

import threading

import ipywidgets
import torch
from IPython.display import clear_output

from vaelib.explore import widgets
from vaelib.explore.attributes import Attributes
from vaelib.explore.compare import Compare
from vaelib.explore.face_widgets import Tray
from vaelib.explore.generate import Generate
from vaelib.explore.interpolate import Interpolate
from vaelib.explore.own_photo import OwnPhoto
from vaelib.explore.panel import Panel
from vaelib.explore.state import ExplorerState, open_state
from vaelib.explore.traverse import Traverse

# In the order of their tabs. A new panel is a module beside this one.
PANELS: tuple[type[Panel], ...] = (Generate, Interpolate, Traverse, Attributes, OwnPhoto, Compare)

# Where a kept face can be sent: a panel, and the name of its control.
TARGETS: dict[str, tuple[type[Panel], str]] = {
    "From": (Interpolate, "first"),
    "To": (Interpolate, "last"),
    "Directions": (Traverse, "start"),
    "Attributes": (Attributes, "face"),
}
HINT = "Faces that you click are kept here: drag them to a place for a face, or send them there."


class Explorer:
    """Opens faces and models; `view` has everything."""

    def __init__(self, data: str = "auto", preset: str = "auto", name: str = "") -> None:
        """data, preset, name: as `vaelib.data.load` takes them."""
        self.status = widgets.StatusLine()  # which models are here, or why nothing can be opened
        self.view: ipywidgets.Widget = self.status
        self.panels: dict[type[Panel], Panel] = {}  # those that were opened
        self.status.run(lambda: self._open(data, preset, name))

    def _open(self, data: str, preset: str, name: str) -> None:
        try:
            self.state = open_state(data, preset, name)
        finally:
            clear_output()  # of progress bars, which a page would show as missing when it opens
        # A face is too little work to share: on a machine whose cores are busy, threads that wait
        # for each other take a hundred times as long as one alone.
        torch.set_num_threads(1)
        self.status.show(self.state.summary)
        self._build(self.state)
        threading.Thread(target=self.state.warm_up, daemon=True).start()

    def _build(self, state: ExplorerState) -> None:
        """Everything in one column; a panel is made when its tab is first opened."""
        self.tabs = widgets.Tabs(label="panels", names=[panel.title for panel in PANELS])
        self.tabs.observe(lambda _: self._show(PANELS[self.tabs.selected]), "selected")
        self.tray = Tray(list(TARGETS), self._send, state.remove, state.undo, HINT)
        state.kept_listeners.append(self._draw_tray)
        self.panel_holder = widgets.column()
        self.view = widgets.column(self.status, self.tabs, self.tray, self.panel_holder)
        self._show(PANELS[0])

    def _show(self, chosen: type[Panel]) -> None:
        """Put a panel in view; the others stay as they are, out of sight."""
        if chosen not in self.panels:
            panel = self.panels[chosen] = chosen(self.state)
            framed = widgets.column(widgets.paragraph(chosen.help), panel.view)
            self.panel_holder.children = (*self.panel_holder.children, framed)
        for opened, framed in zip(self.panels, self.panel_holder.children, strict=True):
            framed.layout.display = None if opened is chosen else "none"

    def _draw_tray(self) -> None:
        faces = {name: face.image for name, face in self.state.kept.items()}
        self.tray.show(faces, self.state.can_undo)

    def _send(self, name: str, target: str) -> None:
        """Choose a kept face in the panel that a target belongs to, and show that panel."""
        panel, control = TARGETS[target]
        self.tabs.selected = PANELS.index(panel)
        picker = getattr(self.panels[panel], control, None)  # none: faces without attributes
        if picker is not None:
            picker.value = name
