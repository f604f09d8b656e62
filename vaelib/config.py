"""What can be trained: one experiment, the report's seven, and how long each preset trains them."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

from vaelib.support.errors import InputError

IMAGE_SHAPE = (3, 64, 48)  # channels, height, width: portrait, never square
FACE_BYTES = math.prod(IMAGE_SHAPE)  # of one face as uint8

KLReading = Literal["standard", "plus_one", "centre_pull"]
Weighting = Literal["fixed", "calibrated"]
Norm = Literal["instance", "batch", "group"]
Precision = Literal["float32", "bfloat16"]

LAM_RANGE = (0.0, 1.0)
LARGEST_SEED = 2**31 - 1
LATENTS = range(1, 1025)


@dataclass(frozen=True)
class Experiment:
    """Everything that decides what a training run ends in, besides the faces themselves.

    Raises InputError when a value is out of range.
    """

    lam: float = 1e-5  # weight of the KL term against the mean squared error
    latent: int = 64  # size of z
    kl_reading: KLReading = "standard"  # which KL term is minimised, see vaelib.loss
    weighting: Weighting = "fixed"  # "calibrated": in lam's place what the error asks for
    norm: Norm = "instance"  # over what a layer's features are normalised, see vaelib.model
    budget: int = 40_000  # images seen in training
    batch_size: int = 64
    learning_rate: float = 1e-3  # Adam
    seed: int = 0
    precision: Precision = "float32"  # of the convolutions; the loss is always float32

    def __post_init__(self) -> None:
        low, high = LAM_RANGE
        if not (math.isfinite(self.lam) and low <= self.lam <= high):
            raise InputError(f"lam is {self.lam}; it must lie between {low:g} and {high:g}")
        if not (isinstance(self.latent, int) and self.latent in LATENTS):
            raise InputError(f"latent is {self.latent}; it must be a whole number from 1 to 1024")
        if self.budget < 1 or self.batch_size < 1:
            raise InputError(
                f"budget is {self.budget}, batch_size is {self.batch_size}; both must be positive"
            )
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InputError(f"learning_rate is {self.learning_rate}; it must be positive")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise InputError(f"seed is {self.seed}; it must lie between 0 and {LARGEST_SEED}")
        for name, value, allowed in (
            ("kl_reading", self.kl_reading, get_args(KLReading)),
            ("weighting", self.weighting, get_args(Weighting)),
            ("norm", self.norm, get_args(Norm)),
            ("precision", self.precision, get_args(Precision)),
        ):
            if value not in allowed:
                raise InputError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")

    def key(self, fingerprint: str, recipe: int) -> str:
        """Name of the run on these faces by this recipe: readable, then a hash of all."""
        exact = {"lam": float(self.lam), "learning_rate": float(self.learning_rate)}
        others = {"faces": fingerprint, "recipe": recipe}
        told = json.dumps({**asdict(self), **exact, **others}, sort_keys=True)
        digest = hashlib.sha256(told.encode()).hexdigest()[:10]
        return f"lam{self.lam:.0e}_latent{self.latent}_{self.kl_reading}_seed{self.seed}_{digest}"


SEVEN: dict[str, Experiment] = {
    "lam-1e-3": Experiment(lam=1e-3),
    "lam-1e-4": Experiment(lam=1e-4),
    "lam-1e-5": Experiment(lam=1e-5),
    "lam-1e-6": Experiment(lam=1e-6),
    "latent-32": Experiment(latent=32),
    "latent-128": Experiment(latent=128),
    "centred": Experiment(kl_reading="centre_pull"),
}

BASE = "lam-1e-5"  # the model that the other studies vary
LAMBDA_STUDY = ("lam-1e-3", "lam-1e-4", BASE, "lam-1e-6")
LATENT_STUDY = ("latent-32", BASE, "latent-128")
CENTRED_STUDY = (BASE, "centred")


@dataclass(frozen=True)
class Preset:
    """How much to spend on each model, and how many procedural faces to draw."""

    budgets: tuple[int, ...]  # images seen per model, for each seed
    side_budget: int  # images seen per model that answers a side question
    batch_size: int
    synthetic_faces: int  # size of the procedural data set, where that is the data
    generated: int  # faces drawn by each model that is measured
    fine: bool = False  # the study of lambda in steps of half a decade


PRESETS: dict[str, Preset] = {
    "smoke": Preset(
        budgets=(2_000,), side_budget=320, batch_size=64, synthetic_faces=1_500, generated=300
    ),
    "quick": Preset(
        budgets=(40_000,), side_budget=5_000, batch_size=32, synthetic_faces=20_000, generated=5_000
    ),
    "full": Preset(
        budgets=(3_000_000,) * 3,
        side_budget=3_000_000,
        batch_size=256,
        synthetic_faces=100_000,
        generated=5_000,
        fine=True,
    ),
}


# Lambdas between those of the report, in steps of half a decade.
HALF_DECADES: dict[str, Experiment] = {
    "lam-3e-4": Experiment(lam=3.16e-4),
    "lam-3e-5": Experiment(lam=3.16e-5),
    "lam-3e-6": Experiment(lam=3.16e-6),
}
ALL_EXPERIMENTS = SEVEN | HALF_DECADES


def at_preset(experiment: Experiment, preset: str, seed: int, precision: Precision) -> Experiment:
    """The experiment with the budget of a preset's first seed, for one seed and one precision."""
    chosen = PRESETS[preset]
    return replace(
        experiment,
        budget=chosen.budgets[0],
        batch_size=chosen.batch_size,
        seed=seed,
        precision=precision,
    )
