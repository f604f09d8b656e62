"""What each model does, in measures: on held-out faces, on faces it draws, and between faces.

A measure is a tensor (1 + REPLICATES,), see `vaelib.measures`; what each is, its range and unit
stand at MEASURES.
"""

import functools
import hashlib
from pathlib import Path

import torch
from torch import Tensor

from vaelib import distances, files, latent, measures, paths
from vaelib.config import FACE_BYTES
from vaelib.data import FaceSet, evenly, to_float
from vaelib.judge import Judge, Told, judge_of
from vaelib.loss import calibrated_bits_per_dimension, kl_per_latent, optimal_lam
from vaelib.model import VAE
from vaelib.runs import Run

DIMENSIONS = FACE_BYTES  # numbers in an image
MOST_FACES = 500  # held-out faces behind errors
COMPARED = 1_000  # held-out and generated faces behind distances and variety
PAIRS, STEPS = 64, 8  # interpolations, and faces along each
HAIR = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")

Measured = dict[str, Tensor]  # by name of the measure

MEASURES = {
    "reconstruction": "mean squared error on held-out faces, z drawn as in training; [0, 4]",
    "mean_reconstruction": "the same, averaged over all points of the training curve but the first",
    "psnr": "peak signal to noise ratio of held-out faces; dB",
    "kl": "KL divergence on held-out faces; nats",
    "bits_per_dimension": "length of their code per value at the calibrated variance; bits",
    "optimal_lam": "the lambda that this error asks for",
    "active_units": "latents whose mean varies by more than 0.01 (Burda et al., 2016)",
    "mean_square_mu": "mean squared latent mean; 0 at the centre",
    "aggregate_variance": "variance of z over all faces; 1 in the prior",
    "aggregate_kurtosis": "kurtosis of z over all faces; 3 in the prior",
    "asymmetry": "of generated faces, as a share of held-out ones' own",
    "variety": "of generated faces, as a share of held-out ones' own",
    "sharpness": "fine detail of eyes, nose and mouth, as a share of held-out ones' own",
    "distance": "kernel distance of generated from held-out faces (Binkowski et al., 2018)",
    "frechet": "Frechet distance of generated from held-out faces (Heusel et al., 2017)",
    "precision": "share of generated faces within held-out ones' neighbourhoods; [0, 1]",
    "recall": "share of held-out faces within generated ones' neighbourhoods; [0, 1]",
    "density": "held-out neighbourhoods that a generated face is in, by their mean number; >= 0",
    "coverage": "share of held-out neighbourhoods with a generated face; [0, 1]",
    "realism": "depth of generated faces within held-out ones; 1 at the edge",
    "deformed": "how probably generated faces were deformed, by the judge; [0, 1]",
    "travel": "difference of an interpolation's ends; [0, 2]",
    "evenness": "its largest step over its mean step; 1 is even",
    "detour": "the sum of its steps over its travel; 1 is straight in pixels",
    "middle": "how much more probably its middle was deformed than its ends; [-1, 1]",
    "skin_travel": "change of skin tone from end to end; L* in [0, 100]",
    "pose_travel": "change of pose from end to end: yaw on procedural faces, else side light",
    "hair_travel": "change of hair colour from end to end, of those that can be told; [0, 1]",
}


class HeldOut:
    """Held-out faces, and what the judge says of them; the same for every model."""

    def __init__(self, faces: FaceSet, judge: Judge) -> None:
        self.judge = judge
        self.test = faces.images[evenly(faces.test, MOST_FACES)]
        self.ends = faces.images[evenly(faces.test, 2 * min(PAIRS, len(faces.test) // 2))]
        everyone = torch.cat([faces.validation, faces.test])
        chosen = evenly(everyone, COMPARED)
        self.x = to_float(faces.images[chosen])
        self.told = judge.tell(self.x)
        self.own = _looks(self.x, self.x)
        self.truth = None if faces.attributes is None else faces.attributes[chosen].double()

    def frequencies(self, told: Told) -> Tensor:
        """How many of these faces have each attribute, (1 + REPLICATES, questions).

        The mean of the judge's probabilities, corrected by the ratio of the truth to the judge's
        mean on held-out faces. Raises TypeError where faces have no attributes.
        """
        if self.truth is None:
            raise TypeError("these faces carry no attributes")
        rows = measures.draws(len(self.x))
        correction = (rows @ self.truth) / (rows @ self.told.probabilities.double())
        drawn = measures.draws(len(told.probabilities)) @ told.probabilities.double()
        return (drawn * correction).clamp(0, 1)

    def floor(self) -> float:
        """The kernel distance between two halves of the held-out faces, were they as many."""
        one, other = self.told.features[::2], self.told.features[1::2]
        return float(distances.kernel_distance(one, other)[0])


@functools.lru_cache(maxsize=1)
def held_out(faces: FaceSet) -> HeldOut:
    """The held-out faces with this data's judge, who is trained on the first call."""
    return HeldOut(faces, judge_of(faces))


def measure(run: Run, faces: FaceSet, generated: int, seed: int) -> Measured:
    """All measures of a run, on this many generated faces; loaded where they were taken before.

    They lie in <runs>/<faces.name>/measures. Besides MEASURES: "frequency NAME" of each attribute
    that the judge can tell; of each of `groups`, "realism NAME" and "deformed NAME", the same of
    all others as "realism not NAME" and "deformed not NAME", and "distance NAME" between the
    group's generated and held-out faces.
    """
    reference = held_out(faces)
    told = f"{reference.judge.key} {generated} {seed} {_code()}"
    digest = hashlib.sha256(told.encode()).hexdigest()[:10]
    file = paths.RUNS / faces.name / "measures" / f"{run.key}-{digest}.npz"
    if not file.exists():
        taken = {
            **_of_history(run),
            **_of_held_out(run.model, reference),
            **_of_generated(run.model, reference, generated, seed),
            **_of_interpolations(run.model, reference),
        }
        files.write_arrays(file, {name: value.numpy() for name, value in taken.items()})
    return {name: torch.from_numpy(array) for name, array in files.read_arrays(file).items()}


@functools.cache
def _code() -> str:
    """The text of the modules that decide what a measure comes to."""
    names = ("claims", "measures", "distances", "latent")
    texts = [Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8") for name in names]
    return "\n".join(texts)


def _of_history(run: Run) -> Measured:
    errors = [row.reconstruction for row in run.curve("validation") if row.images_seen]
    return {"mean_reconstruction": measures.known(sum(errors) / len(errors))}


@torch.no_grad()
def _of_held_out(model: VAE, reference: HeldOut) -> Measured:
    x = to_float(reference.test)
    mu, logvar = latent.posterior(model, reference.test)
    noise = latent.noise(len(mu), model.latent)
    z = mu + torch.exp(0.5 * logvar) * noise
    error = measures.mean(measures.squared_error(x, latent.decode(model, z)))
    kl = measures.mean(kl_per_latent(mu, logvar).sum(dim=1))
    pairs = zip(error.tolist(), kl.tolist(), strict=True)
    bits = [calibrated_bits_per_dimension(mse, nats, DIMENSIONS) for mse, nats in pairs]
    return {
        "reconstruction": error,
        "psnr": measures.psnr(error),
        "kl": kl,
        "bits_per_dimension": torch.tensor(bits, dtype=torch.float64),
        "optimal_lam": optimal_lam(error, DIMENSIONS),
        "active_units": measures.active_units(mu),
        "mean_square_mu": measures.mean_square(mu),
        "aggregate_variance": measures.aggregate_variance(mu, logvar),
        "aggregate_kurtosis": measures.aggregate_kurtosis(z),
    }


def _of_generated(model: VAE, reference: HeldOut, count: int, seed: int) -> Measured:
    images = latent.sample(model, count, seed)
    told, some = reference.judge.tell(images), images[:COMPARED]
    real, features = reference.told.features, told.features[:COMPARED]
    realism = distances.realism(real, told.features)
    taken = {
        **{name: found / reference.own[name] for name, found in _looks(images, some).items()},
        "distance": distances.kernel_distance(real, features),
        "frechet": measures.known(distances.frechet_distance(real, features)),
        **distances.support(real, features)._asdict(),
        "realism": measures.mean(realism),
        "deformed": measures.mean(told.deformed),
    }
    if reference.truth is not None:
        frequencies = reference.frequencies(told)
        for name in reference.judge.reliable:
            taken[f"frequency {name}"] = frequencies[:, reference.judge.place(name)]
    members = groups(reference.judge, reference.told)
    for name, member in groups(reference.judge, told).items():
        for what, value in (("realism", realism), ("deformed", told.deformed)):
            taken[f"{what} {name}"] = measures.mean(value, member)
            taken[f"{what} not {name}"] = measures.mean(value, 1 - member)
        within = distances.group_distance(real, members[name], features, member[:COMPARED])
        taken[f"distance {name}"] = measures.known(within)
    return taken


def _looks(images: Tensor, some: Tensor) -> Measured:
    """Of all images; variety of some alone, because it costs much."""
    return {
        "asymmetry": measures.mean(measures.asymmetry(images)),
        "variety": measures.variety(some),
        "sharpness": measures.mean(measures.sharpness(images)),
    }


def groups(judge: Judge, told: Told) -> dict[str, Tensor]:
    """How far each face belongs to the groups that the original finds hard, each (n,) in [0, 1].

    Only those whose attributes the judge can tell.
    """

    def chance(name: str) -> Tensor:
        return told.probabilities[:, judge.place(name)]

    found = {
        name: chance(name)
        for name in ("Eyeglasses", "Wearing_Hat", "Pale_Skin")
        if judge.can_tell(name)
    }
    if judge.can_tell("Blond_Hair", "Gray_Hair"):
        found["Fair_Hair"] = torch.maximum(chance("Blond_Hair"), chance("Gray_Hair"))
    if judge.can_tell("Male"):
        found["Female"] = 1 - chance("Male")
    if {"Pale_Skin", "Fair_Hair", "Female"} <= set(found):
        pale_or_fair = torch.maximum(found["Pale_Skin"], found["Fair_Hair"])
        found["Pale_or_Fair_Female"] = pale_or_fair * found["Female"]
    return found


def _of_interpolations(model: VAE, reference: HeldOut) -> Measured:
    first, last = reference.ends.tensor_split(2)
    images = latent.interpolate(model, first, last, STEPS)
    told = reference.judge.tell(images.flatten(0, 1))
    deformed = told.deformed.view(-1, STEPS)
    ends, middle = deformed[:, [0, -1]], deformed[:, STEPS // 2 - 1 : STEPS // 2 + 1]
    path = measures.interpolation_path(images)
    pose = measures.leaning(images.flatten(0, 1))
    if reference.judge.factors:
        pose = told.factors[:, reference.judge.factors.index("yaw")]
    taken = {
        **{name: measures.mean(value) for name, value in path._asdict().items()},
        "middle": measures.mean(middle.mean(dim=1) - ends.mean(dim=1)),
        "skin_travel": _change(measures.skin_tone(images.flatten(0, 1))),
        "pose_travel": _change(pose),
    }
    places = [reference.judge.place(name) for name in HAIR if reference.judge.can_tell(name)]
    if len(places) > 1:
        colours = told.probabilities[:, places].view(-1, STEPS, len(places))
        change = (colours[:, -1] - colours[:, 0]).abs().sum(dim=1) / 2
        taken["hair_travel"] = measures.mean(change.clamp(max=1))
    return taken


def _change(values: Tensor) -> Tensor:
    """Mean absolute change from end to end of a value along interpolations, (pairs x STEPS,)."""
    ends = values.view(-1, STEPS)
    return measures.mean((ends[:, -1] - ends[:, 0]).abs())
