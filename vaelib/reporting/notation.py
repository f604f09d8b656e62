"""How models and small numbers are written: as formulas where TeX is read, else in plain text."""

import math
import re

from vaelib.config import ALL_EXPERIMENTS, Experiment

SUPERSCRIPTS = str.maketrans("-.0123456789", "⁻·⁰¹²³⁴⁵⁶⁷⁸⁹")


def model_formula(name: str) -> str:
    r"""A model by what sets it apart, such as $\lambda = 10^{-3}$; other names stay as they are."""
    experiment = ALL_EXPERIMENTS.get(name)
    if experiment is None:
        return name
    half_decades = round(2 * math.log10(experiment.lam))
    return _other_than_lambda(experiment) or rf"$\lambda = 10^{{{half_decades / 2:g}}}$"


def model_text(name: str) -> str:
    """The same without TeX, such as λ = 10⁻³."""
    return as_text(model_formula(name))


def as_text(formula: str) -> str:
    r"""A formula as it is written here, without TeX: 1.1 \times 10^{-5} as 1.1 × 10⁻⁵."""
    plain = formula.replace(r"\lambda", "λ").replace(r"\times", "×").replace("$", "")
    return re.sub(r"\^\{(.+)\}", lambda power: power[1].translate(SUPERSCRIPTS), plain)


def _other_than_lambda(experiment: Experiment) -> str:
    """What sets a model apart from the base model besides lambda; empty if nothing does."""
    if experiment.kl_reading == "centre_pull":
        return "centre pull"
    if experiment.latent != Experiment().latent:
        return f"{experiment.latent} latents"
    return ""


def with_formulas(words: str) -> str:
    r"""Words that name lambdas in plain text, with formulas in place: 1e-3 becomes $10^{-3}$."""
    words = re.sub(r"\blambda 1e-(\d)", r"$\\lambda = 10^{-\1}$", words)
    words = re.sub(r"\b1e-(\d)", r"$10^{-\1}$", words)
    return re.sub(r"\blambda\b(?! =)", r"$\\lambda$", words)


def scientific(value: float) -> str:
    r"""A number as a formula in TeX, such as 1.1 \times 10^{-5}."""
    digits, exponent = f"{value:.1e}".split("e")
    return rf"{digits} \times 10^{{{int(exponent)}}}"
