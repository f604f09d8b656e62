"""`python -m vaelib lambda`: which weight of the KL suits given images."""

from dataclasses import replace
from typing import TYPE_CHECKING

from vaelib.commands.common import add_align_and_device
from vaelib.config import PRESETS, Experiment
from vaelib.support.command_line import OneLineParser, exit_interrupted
from vaelib.support.errors import InputError

if TYPE_CHECKING:
    from vaelib.evaluation.lambda_optimum import LambdaEstimate

SUMMARY = "Find the weight of the KL for your faces, by a short training"
DETAILS = """\
Trains a model that sets lambda from the error of each batch, from two seeds, and prints where it
ends: as our lambda, as six other programs write it, and for images of other sizes."""
EXAMPLE = "lambda PATH"

IMAGES = 20_000
SEEDS = (0, 1)
STILL_MOVING = 0.05  # share by which lambda changes over the second half of training
OTHER_SIZES = ((64, 64), (128, 128), (256, 256))  # height and width


def add_options(parser: OneLineParser) -> None:
    add = parser.add_argument
    add("data", help="a folder of photos, a copy of CelebA, 'auto' or 'synthetic'")
    add("--name", default="", help="name of the data set (default: that of its folder)")
    add("--images", type=int, default=IMAGES, help=f"seen by each model (default: {IMAGES})")
    default = PRESETS["quick"].batch_size
    add("--batch-size", type=int, default=default, help=f"images per step (default: {default})")
    default = Experiment().latent
    add("--latent", type=int, default=default, help=f"size of z (default: {default})")
    add_align_and_device(parser)


def run(data: str, name: str, images: int, batch_size: int, latent: int) -> None:
    from vaelib.data import load
    from vaelib.evaluation.lambda_optimum import estimate_lambda
    from vaelib.training import hardware, launch

    if images < 1:
        raise InputError(f"images is {images}; it must be positive")
    experiment = Experiment(
        latent=latent,
        weighting="calibrated",
        budget=images,
        batch_size=batch_size,
        precision=hardware.best_precision(hardware.pick_device()),
    )
    faces = load(data, "quick", name)
    try:
        runs = launch.run({f"seed {n}": replace(experiment, seed=n) for n in SEEDS}, faces)
    except KeyboardInterrupt as stop:
        exit_interrupted(str(stop) or "stopped; the same command goes on")
    curves = [run.curve("validation") for run in runs.values()]
    errors = [{row.images_seen: row.reconstruction for row in curve} for curve in curves]
    print(f"{len(SEEDS)} models of {latent} latents saw {images:,} images each of {faces.name}\n")
    print(in_words(estimate_lambda(errors)))


def in_words(estimate: "LambdaEstimate") -> str:
    """The lambda for us, for other programs and for images of other sizes."""
    from vaelib.config import FACE_BYTES
    from vaelib.evaluation.lambda_optimum import PROGRAMS, beta_of_lambda, lambda_of_beta

    beta, change = beta_of_lambda(estimate.lam), estimate.change
    seeds = " and ".join(f"{lam:.3g}" for lam in estimate.per_seed)
    lines = [
        f"lambda   {estimate.lam:.2g}: 2 MSE / {FACE_BYTES} for an error of {estimate.error:.3g};"
        f" by seed {seeds}",
        f"settled  {change:+.0%} over the second half of training"
        + ("; give more --images" if abs(change) > STILL_MOVING else ""),
        f"beta     {beta:.2g}, beside half the squared error summed over pixels in [0, 1]",
        "",
        f"The same loss in other programs, for images of {FACE_BYTES} values:",
        *(f"{program.name:<20} {program.loss_with(beta, FACE_BYTES)}" for program in PROGRAMS),
        "",
        "Lambda for colour images of other sizes, if the error is the same:",
        *(
            f"{f'{height} x {width}':<20} {lambda_of_beta(beta, 3 * height * width):.2g}"
            for height, width in OTHER_SIZES
        ),
    ]
    return "\n".join(lines)
