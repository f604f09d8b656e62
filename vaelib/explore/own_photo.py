"""The panel of the user's own photo: framed as CelebA is, and reconstructed by every model."""

import ipywidgets
import torch

from vaelib import latent
from vaelib.data import to_float, to_uint8
from vaelib.evaluation.image_metrics import squared_error
from vaelib.explore import encoding, face_widgets, photo, widgets
from vaelib.explore.panel import Panel, number_found
from vaelib.explore.photo import Frame, UserPhoto
from vaelib.explore.state import KINDS, ExplorerState


class OwnPhoto(Panel):
    """A photo stays in this process; nothing is written unless the browser saves it."""

    title = "Your photo"
    help = (
        "A photo stays on this machine, in memory, and is gone when the page is closed. Put the "
        "eyes on the crosses and the mouth on the line, as in the faces that the models learnt "
        "from: drag the frame or move it by arrow keys; the wheel, two fingers, + and - change its "
        "size."
    )

    photo: UserPhoto  # once the first file is open; only then the controls that need it are there

    def __init__(self, state: ExplorerState) -> None:
        super().__init__(state)
        self.drop = widgets.FileDrop(
            "A photo with a face: choose a file, or drop one here", self.status, self.open
        )
        self.zoom = widgets.Slider(label="Zoom", value=1.0, min=1.0, max=photo.MAX_ZOOM)
        self.across = widgets.Slider(label="Shift to the right", value=0.5, step=0.002)
        self.down = widgets.Slider(label="Shift down", value=0.5, step=0.002)
        self.frame = widgets.PhotoFrame(alt="your photo with the frame over it")
        for slider, trait in ((self.zoom, "zoom"), (self.across, "across"), (self.down, "down")):
            # In the page, or an answer of the kernel would undo what a quick hand did meanwhile.
            ipywidgets.jslink((slider, "value"), (self.frame, trait))
        self.faces = face_widgets.FaceGrid("your photo and its reconstructions")
        self.draw = self.on_change(self._draw, self.zoom, self.across, self.down)
        guess = widgets.button("Guess the frame again", self._guess_frame)
        sliders = widgets.column(self.zoom, self.across, self.down, widgets.row(guess))
        keep = widgets.button("Keep it as an end of an interpolation", self.keep_framed)
        save = widgets.SaveButton(
            "Save the faces as PNG", "reconstructions.png", self.status, self.png
        )
        self.known = widgets.StatusLine()  # what the models know, and if there is a face at all
        self.judge = widgets.Settled(self.known, self._look_for_a_face)
        self.shown_with_photo = (
            widgets.row(self.frame, widgets.flexible(sliders)),
            self.known,
            self.faces,
            widgets.row(keep, save),
        )
        self.view = widgets.column(self.drop, self.status)

    def open(self, content: bytes) -> None:
        """Show the photo in a file's content. Raises InputError for what cannot be used."""
        self.photo = photo.read(content)
        self.frame.content = encoding.jpeg(photo.to_show(self.photo.image))
        notes = "; ".join(self.photo.notes)
        self.status.show(f"This picture: {notes}." if notes else "")
        self._guess_frame()
        self.view.children = (self.drop, self.status, *self.shown_with_photo)

    def _guess_frame(self) -> None:
        """Set the sliders to the frame around the face."""
        with self.working("Looking for the face ..."):
            base = self.state.models.model(self.base_model)
            frame = photo.guess(self.photo.image, base)
        self.zoom.value, self.across.value, self.down.value = frame
        self.draw()

    def _draw(self) -> None:
        frame = Frame(self.zoom.value, self.across.value, self.down.value)
        face = photo.crop(self.photo.image, [frame])
        drawn, labels = [], ["your photo, framed"]
        for name, model in self.load_models().items():
            reconstructed = latent.reconstruct(model, face)
            error = float(squared_error(to_float(face), reconstructed))
            share = self.state.share_with_less_error(name, error)
            drawn.append(to_uint8(reconstructed))
            labels.append(f"{self.state.models.label(name)}: {_how_far(share)}")
        self.faces.show(torch.cat([face, *drawn]), labels)
        self.judge()

    def _look_for_a_face(self) -> None:
        """Say what the models know, and whether there is a face in the frame at all."""
        words = f"These models learnt from {KINDS[self.state.faces.kind]}."
        if not number_found(self.faces.shown[:1]):
            words = f"OpenCV's detector finds no face in this frame. {words}"
        self.known.show(words)

    def keep_framed(self) -> None:
        """Offer the framed photo in the lists of all panels."""
        self.keep(self.faces.shown[0], "your photo")

    def png(self) -> bytes:
        """The framed photo and its reconstructions as a PNG, a named row each."""
        names = [label.split(":")[0] for label in self.faces.labels]
        rows = zip(names, self.faces.shown[:, None], strict=True)
        return encoding.labelled_rows(dict(rows))


def _how_far(share: float) -> str:
    """How a photo's error compares with those of held-out faces, of which a share are smaller."""
    if share == 1:
        return "farther off than any held-out face"
    return f"farther off than {share:.0%} of held-out faces"
