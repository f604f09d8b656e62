"""Models and small numbers are written as the field writes them."""

from vaelib.config import ALL_EXPERIMENTS, SEVEN
from vaelib.reporting import notation


def test_a_model_is_named_by_what_sets_it_apart() -> None:
    assert {name: notation.model_text(name) for name in SEVEN} == {
        "lam-1e-3": "λ = 10⁻³",
        "lam-1e-4": "λ = 10⁻⁴",
        "lam-1e-5": "λ = 10⁻⁵",
        "lam-1e-6": "λ = 10⁻⁶",
        "latent-32": "32 latents",
        "latent-128": "128 latents",
        "centred": "centre pull",
    }


def test_the_same_is_a_formula_where_tex_is_read() -> None:
    assert notation.model_formula("lam-1e-3") == r"$\lambda = 10^{-3}$"
    assert notation.model_formula("lam-3e-5") == r"$\lambda = 10^{-4.5}$"
    assert notation.model_formula("latent-32") == "32 latents"


def test_no_two_models_have_the_same_name() -> None:
    for write in (notation.model_formula, notation.model_text):
        assert len({write(name) for name in ALL_EXPERIMENTS}) == len(ALL_EXPERIMENTS)


def test_names_of_anything_else_stay_as_they_are() -> None:
    assert notation.model_formula("batch norm") == notation.model_text("batch norm") == "batch norm"


def test_scientific_numbers_are_formulas() -> None:
    formulas = {
        1.085e-5: r"1.1 \times 10^{-5}",
        9.96e-4: r"1.0 \times 10^{-3}",
        3.0: r"3.0 \times 10^{0}",
        3_000_000: r"3.0 \times 10^{6}",
        -0.25: r"-2.5 \times 10^{-1}",
    }
    assert {value: notation.scientific(value) for value in formulas} == formulas
