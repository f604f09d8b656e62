"""A picture together with its alternative text, so that the two never part."""

from typing import NamedTuple

from PIL import Image


class Picture(NamedTuple):
    """What a notebook, a page or the PDF shows."""

    image: Image.Image
    alt: str  # what is seen, in words: for readers who cannot see it, and where it does not load
    svg: str = ""  # the same as lines and words, for print; empty where it is made of pixels
