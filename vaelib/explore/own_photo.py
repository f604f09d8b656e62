"""The panel of one's own photo: framed as CelebA is, and reconstructed by every model."""

import torch

from vaelib import latent
from vaelib.config import BASE
from vaelib.data import to_uint8
from vaelib.explore import encoding, photo
from vaelib.explore.draw import usable
from vaelib.explore.photo import Frame, Photo
from vaelib.explore.state import Desk
from vaelib.explore.widgets import (
    Drop,
    Faces,
    Paced,
    Picture,
    Range,
    Save,
    Words,
    button,
    column,
    row,
)

HEIGHT = 320  # pixels of the photo as it is shown


class OwnPhoto:
    """A photo stays in this process; nothing is written unless the browser saves it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.photo: Photo | None = None
        self.words = Words()
        self.drop = Drop(
            "A photo with a face: choose a file, or drop one here", self.words, self.take
        )
        self.zoom = Range(label="Zoom", value=1.0, min=1.0, max=photo.MOST_ZOOM)
        self.across = Range(label="Shift to the right", value=0.5, step=0.002)
        self.down = Range(label="Shift down", value=0.5, step=0.002)
        self.picture = Picture(alt="your photo with the frame over it")
        self.faces = Faces("your photo and its reconstructions")
        self.draw = Paced(self.words, self._draw)
        for slider in (self.zoom, self.across, self.down):
            slider.observe(self.draw, "value")
        sliders = column(
            self.zoom, self.across, self.down, row(button("Guess the frame again", self._guess))
        )
        framed = row(self.picture, sliders)
        self.picture.layout.max_width, sliders.layout.flex = "100%", "1 1 260px"
        sliders.layout.width = "auto"
        self.framed = (
            framed,
            self.faces,
            row(
                button("Keep it as an end of an interpolation", self.keep),
                Save("Save the faces as PNG", "reconstructions.png", self.words, self.saved),
            ),
        )
        self.view = column(self.drop, self.words)

    @property
    def frame(self) -> Frame:
        return Frame(self.zoom.value, self.across.value, self.down.value)

    def take(self, content: bytes) -> None:
        """Show the photo in a file's content. Raises InputError for what cannot be used."""
        self.photo = photo.read(content)
        notes = "; ".join(self.photo.notes)
        self.words.say(f"This picture: {notes}." if notes else "")
        self._guess()
        self.view.children = (self.drop, self.words, *self.framed)

    def _guess(self) -> None:
        """Set the sliders to the frame that the base model reconstructs best."""
        if self.photo is None:
            return
        names = self.desk.models.names
        name = BASE if BASE in names else names[0]
        found = photo.guess(self.photo.image, self.desk.models.model(name))
        self.zoom.value, self.across.value, self.down.value = found
        self.draw()

    def _draw(self) -> None:
        if self.photo is None:
            return
        image = self.photo.image
        self.picture.sheet = encoding.jpeg(photo.shown(image, self.frame, HEIGHT))
        face = photo.cut(image, [self.frame])
        names = usable(self.desk, "", self.words)
        models = [self.desk.models.model(name) for name in names]
        drawn = [to_uint8(latent.reconstruct(model, face)) for model in models]
        self.faces.show(torch.cat([face, *drawn]), ["your photo, framed", *names])

    def keep(self) -> None:
        """Make the framed photo an end that the other panels offer."""
        if self.photo is not None:
            name = self.desk.keep(photo.cut(self.photo.image, [self.frame])[0], "your photo")
            self.words.say(f"{name}: to be found in the lists of the other panels")

    def saved(self) -> bytes:
        """The framed photo and its reconstructions, a row with their names each."""
        from vaelib.reporting import figures  # only here: it takes half a second to load

        shown = self.faces.shown
        if shown is None:
            return b""
        return encoding.png(
            figures.labelled_rows(dict(zip(self.faces.labels, shown[:, None], strict=True)))
        )
