"""The explorer: panels over the latent space under tabs, in a notebook or on a page of their own.

The panels share a state: a face that is kept in one can be chosen in the others.
"""

import threading

import ipywidgets
import torch
from IPython.display import clear_output

from vaelib.explore import widgets
from vaelib.explore.attributes import Attributes
from vaelib.explore.blind_test import BlindTest
from vaelib.explore.compare import Compare
from vaelib.explore.encoding import npz
from vaelib.explore.face_widgets import Tray
from vaelib.explore.generate import Generate
from vaelib.explore.interpolate import Interpolate
from vaelib.explore.latent_map import LatentMap
from vaelib.explore.link import KeptFace, Saved, pack, unpack
from vaelib.explore.own_photo import OwnPhoto
from vaelib.explore.panel import Panel
from vaelib.explore.state import ExplorerState, open_state
from vaelib.explore.traverse import Traverse
from vaelib.explore.truth import Truth

# In the order of their tabs. A new panel is a module beside this one.
PANELS: tuple[type[Panel], ...] = (
    Generate,
    Interpolate,
    LatentMap,
    Traverse,
    Attributes,
    Truth,
    Compare,
    BlindTest,
    OwnPhoto,
)

# Where a kept face can be sent: a panel, and the name of its control.
TARGETS: dict[str, tuple[type[Panel], str]] = {
    "From": (Interpolate, "first"),
    "To": (Interpolate, "last"),
    "Directions": (Traverse, "start"),
    "Attributes": (Attributes, "face"),
    "Truth": (Truth, "face"),
}
HINT = "Faces that you click are kept here: drag them to a place for a face, or send them there."


class Explorer:
    """Opens faces and models; `view` has everything."""

    def __init__(self, data: str = "auto", preset: str = "auto", name: str = "") -> None:
        """data, preset, name: as `vaelib.data.load` takes them."""
        self.status = widgets.StatusLine()  # which models are here, or why nothing can be opened
        self.view: ipywidgets.Widget = self.status
        self.panels: dict[type[Panel], Panel] = {}  # those that were opened
        self.status.run(lambda: self._open(str(data), str(preset), str(name)))

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
        self.save_kept = widgets.SaveButton(
            "Save kept faces with z", "kept_faces.npz", self.status, lambda: npz(state.kept)
        )
        state.kept_listeners.append(self._draw_tray)
        self.panel_holder = widgets.column()
        self.link = widgets.ShareLink(self.status, self.restore)
        self._remember = widgets.Settled(self.status, self._save)
        state.kept_listeners.append(self._remember)
        surprise = widgets.button("Surprise me", self._surprise)
        self.view = widgets.column(
            self.status,
            self.tabs,
            widgets.row(widgets.flexible(self.tray), self.save_kept),
            self.panel_holder,
            widgets.row(surprise, self.link),
        )
        self._draw_tray()
        self._show(PANELS[0])

    def _show(self, chosen: type[Panel]) -> None:
        """Put a panel in view; the others stay as they are, out of sight."""
        if chosen not in self.panels:
            panel = self.panels[chosen] = chosen(self.state)
            for control in panel.controls:
                control.observe(lambda _: self._remember(), "value")
            framed = widgets.column(widgets.paragraph(chosen.help), panel.view)
            self.panel_holder.children = (*self.panel_holder.children, framed)
        for opened, framed in zip(self.panels, self.panel_holder.children, strict=True):
            framed.layout.display = None if opened is chosen else "none"
        self._remember()

    def saved(self) -> Saved:
        """What is chosen everywhere."""
        kept = [
            KeptFace(name, face.model, face.z)
            for name, face in self.state.kept.items()
            if face.z is not None
        ]
        panels = {panel.title: opened.saved() for panel, opened in self.panels.items()}
        return Saved(PANELS[self.tabs.selected].title, panels, kept)

    def restore(self, text: str) -> None:
        """Choose what a link says. Raises InputError for what is none."""
        saved = unpack(text)
        self.state.restore({face.name: (face.model, face.z) for face in saved.kept})
        by_title = {panel.title: index for index, panel in enumerate(PANELS)}
        in_view_last = sorted(saved.panels, key=lambda title: title == saved.tab)
        for title in in_view_last:
            if title in by_title:
                self.tabs.selected = by_title[title]
                self.panels[PANELS[by_title[title]]].restore(saved.panels[title])

    def _save(self) -> None:
        self.link.state = pack(self.saved())

    def _surprise(self) -> None:
        """Other random numbers, another model and another place in the panel of draws."""
        self.tabs.selected = PANELS.index(Generate)
        generate = self.panels[Generate]
        assert isinstance(generate, Generate)
        generate.surprise()

    def _draw_tray(self) -> None:
        faces = {name: face.image for name, face in self.state.kept.items()}
        self.tray.show(faces, self.state.can_undo)
        self.save_kept.layout.display = None if faces else "none"

    def _send(self, name: str, target: str) -> None:
        """Choose a kept face in the panel that a target belongs to, and show that panel."""
        panel, control = TARGETS[target]
        self.tabs.selected = PANELS.index(panel)
        picker = getattr(self.panels[panel], control, None)  # none: faces without attributes
        if picker is not None:
            picker.value = name
