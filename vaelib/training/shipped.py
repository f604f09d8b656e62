"""The trained models that come with the program: a fresh copy of it has faces to show at once.

Each is the folder of a run, see `runs`, with its weights in half precision.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from vaelib.config import BASE
from vaelib.data import FaceSet
from vaelib.support import checked, files
from vaelib.support.errors import InputError
from vaelib.training import runs
from vaelib.training.runs import Run

FOLDER = Path(__file__).resolve().parents[1] / "shipped"
CARD = "README.md"
NAMES = ("lam-1e-4", BASE, "lam-1e-6")  # the base model and its neighbours on the scale of lambda

CARD_TEXT = """\
# Model card: variational autoencoders of procedural faces

Written by `python -m vaelib ship`, which also trains the models. Do not edit it by hand.

- **What they are.** Convolutional variational autoencoders (`vaelib.model.VAE`) of faces of 64 x 48
  pixels, with {latent} latents; {weights:,} weights each, in half precision. They differ in lambda,
  the weight of the KL in the loss.
- **What they are for.** To explore a latent space by hand and in class before there are models of
  one's own: `make app` shows them until then.
- **What they are not for.** They know drawn faces only. A photograph comes back as a drawn face,
  which says nothing about the person in it.
- **What they learnt from.** {faces:,} faces drawn by `vaelib.faces`, whose attributes are about as
  frequent as CelebA's. There is no photograph of anybody among them.
- **How they were trained.** {images:,} images each from seed {seed}: Adam, learning rate
  {learning_rate:g}, batches of {batch_size}; on {device} with torch {torch}.
- **How good they are.** The table has the error and the KL of validation faces at the end of
  training. What they draw, and in how many of the draws a detector finds a face, is in the report
  on procedural faces.
- **Licence.** That of the project.

| lambda | mean squared error, pixels in [-1, 1] | KL, nats | folder |
|---|---|---|---|
{rows}
"""


def ship(trained: Sequence[Run], faces: FaceSet, folder: Path = FOLDER) -> None:
    """Replace what a folder ships by these runs, and write their model card.

    Raises InputError for models that have seen anything but procedural faces.
    """
    if faces.kind != "synthetic":
        raise InputError(
            f"the models of {faces.name} have seen photographs, and weights may show who was on "
            "them; only models of procedural faces are shipped: --data synthetic"
        )
    shutil.rmtree(folder, ignore_errors=True)
    for run in trained:
        weights = checked.read_tensors(run.folder / runs.MODEL).tensors
        half = {name: _halved(weight) for name, weight in weights.items()}
        runs.finish(folder / run.key, run.experiment, run.history, run.environment, half)
    files.write_text(folder / CARD, _card(trained, faces))


def _halved(weight: Tensor) -> Tensor:
    return weight.half() if weight.is_floating_point() else weight


def _card(trained: Sequence[Run], faces: FaceSet) -> str:
    experiment, environment = trained[0].experiment, trained[0].environment
    rows = []
    for run in trained:
        end = run.curve("validation")[-1]
        losses = f"{end.reconstruction:.4f} | {end.kl:.1f}"
        rows.append(f"| {run.experiment.lam:.0e} | {losses} | `{run.key}` |")
    return CARD_TEXT.format(
        latent=experiment.latent,
        weights=sum(weight.numel() for weight in trained[0].model.parameters()),
        faces=len(faces.train),
        images=experiment.budget,
        seed=experiment.seed,
        learning_rate=experiment.learning_rate,
        batch_size=experiment.batch_size,
        device=environment["device"],
        torch=environment["torch"],
        rows="\n".join(rows),
    )
