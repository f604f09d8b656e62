"""The explorer: panels over the latent space, in a notebook or on a page of their own.

The panels share a state: a face that is kept in one can be chosen in the others.
"""

import threading

import ipywidgets
import torch
from IPython.display import clear_output

from vaelib.explore.attributes import Attributes
from vaelib.explore.compare import Compare
from vaelib.explore.generate import Generate
from vaelib.explore.interpolate import Interpolate
from vaelib.explore.own_photo import OwnPhoto
from vaelib.explore.panel import Panel
from vaelib.explore.state import ExplorerState, open_state
from vaelib.explore.traverse import Traverse
from vaelib.explore.widgets import StatusLine

PANELS: dict[str, type[Panel]] = {
    "generate": Generate,
    "interpolate": Interpolate,
    "traverse": Traverse,
    "attributes": Attributes,
    "own_photo": OwnPhoto,
    "compare": Compare,
}


class Explorer:
    """Opens faces and models, and makes panels over them."""

    def __init__(self, data: str = "auto", preset: str = "auto", name: str = "") -> None:
        """data, preset, name: as `vaelib.data.load` takes them."""
        self.status = StatusLine()  # which models are here, or why nothing could be opened
        self.state: ExplorerState | None = None
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
        threading.Thread(target=self.state.warm_up, daemon=True).start()

    def panel(self, name: str) -> ipywidgets.Widget:
        """A panel, by its name in PANELS; a status line where it cannot be opened."""
        if self.state is None:
            return self.status
        if name not in PANELS:
            status = StatusLine()
            status.show(f"there is no panel {name!r}; choose from {', '.join(PANELS)}", True)
            return status
        return PANELS[name](self.state).view
