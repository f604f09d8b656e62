"""The optimum of curves that are known in closed form is found."""

import itertools
import math
import random
from collections.abc import Callable, Sequence

import pytest
import torch

from vaelib.config import LAMBDA_STUDY
from vaelib.evaluation import lambda_optimum
from vaelib.evaluation.bootstrap import REPLICATES, Measures
from vaelib.evaluation.lambda_optimum import PROGRAMS, Program, over_seeds, predicted_lambda

DIMENSIONS = 3 * 64 * 48
LAMS = [1e-3, 3e-4, 1e-4, 2e-5, 1e-5, 1e-6]  # unevenly spaced
BEST = 4e-5  # between two of them


def power_law(lam: float, power: float, crossing: float) -> float:
    """An error that grows as lambda to a power, and is D lam / 2 at the crossing."""
    return DIMENSIONS / 2 * crossing * math.pow(lam / crossing, power)


def parabola(lam: float, vertex: float) -> float:
    return 3 + 0.2 * math.log(lam / vertex) ** 2


def shuffled(values: list[float]) -> list[float]:
    """In another order, which is the same for every list of this length."""
    order = list(range(len(values)))
    random.Random(0).shuffle(order)
    return [values[index] for index in order]


# --- predicted


def test_the_crossing_of_a_power_law_is_found() -> None:
    for power, crossing in itertools.product((0.0, 0.3, 0.7), (BEST, 1e-4, 7e-6)):
        errors = [power_law(lam, power, crossing) for lam in LAMS]
        found = lambda_optimum.predicted_lambda(LAMS, errors)
        assert found == pytest.approx(crossing, rel=1e-9), (power, crossing)


def test_the_prediction_is_where_twice_the_error_over_9216_is_lambda() -> None:
    found = lambda_optimum.predicted_lambda([1e-4, 1e-6], [0.09216, 0.09216])
    assert found == pytest.approx(2e-5, rel=1e-9)


@pytest.mark.parametrize(("crossing", "end"), [(2e-3, max), (5e-7, min)])
def test_beyond_the_curve_the_error_at_its_end_decides(
    crossing: float, end: Callable[[Sequence[float]], float]
) -> None:
    last = end(LAMS)
    errors = [power_law(lam, 0.3, crossing) for lam in LAMS]
    expected = 2 * power_law(last, 0.3, crossing) / (3 * 64 * 48)
    assert lambda_optimum.predicted_lambda(LAMS, errors) == pytest.approx(expected)


def test_the_prediction_does_not_depend_on_the_order() -> None:
    lams = shuffled(LAMS)
    errors = [power_law(lam, 0.3, BEST) for lam in lams]
    assert lambda_optimum.predicted_lambda(lams, errors) == pytest.approx(BEST, rel=1e-9)


def test_only_the_lambdas_beside_the_crossing_decide_where_it_is() -> None:
    errors = [power_law(lam, 0.3, BEST) for lam in LAMS]
    errors[0], errors[-1] = errors[0] / 2, errors[-1] * 2
    assert lambda_optimum.predicted_lambda(LAMS, errors) == pytest.approx(BEST, rel=1e-9)


def test_lambdas_and_errors_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="shorter"):
        lambda_optimum.predicted_lambda(LAMS, [0.1])


# --- measured


def test_the_vertex_of_a_parabola_is_recovered() -> None:
    for vertex in (BEST, 2e-5, 1.3e-4):
        bits = [parabola(lam, vertex) for lam in LAMS]
        assert lambda_optimum.measured_lambda(LAMS, bits) == pytest.approx(vertex, rel=1e-9)


def test_only_the_lowest_and_its_neighbours_decide_where_the_vertex_is() -> None:
    bits = [parabola(lam, BEST) for lam in LAMS]
    bits[0], bits[1], bits[-1] = bits[0] + 5, bits[1] + 2, bits[-1] + 1  # the lowest is 2e-5
    assert lambda_optimum.measured_lambda(LAMS, bits) == pytest.approx(BEST, rel=1e-9)


def test_the_vertex_does_not_depend_on_the_order() -> None:
    lams = shuffled(LAMS)
    bits = [parabola(lam, BEST) for lam in lams]
    assert lambda_optimum.measured_lambda(lams, bits) == pytest.approx(BEST, rel=1e-9)


@pytest.mark.parametrize(("slope", "end"), [(1, LAMS[-1]), (-1, LAMS[0])])
def test_a_monotone_curve_is_lowest_at_an_end(slope: int, end: float) -> None:
    assert lambda_optimum.measured_lambda(LAMS, [slope * math.log(lam) for lam in LAMS]) == end


def test_a_curve_of_one_lambda_is_lowest_there() -> None:
    assert lambda_optimum.measured_lambda([1e-5], [3.0]) == 1e-5


def test_within_half_a_decade_one_lambda_does_predict_another() -> None:
    words = {1e-5: "does", 3.1e-5: "does", 3.2e-5: "does not", 3.1e-6: "does not"}
    assert {lam: lambda_optimum.does_or_does_not(lam, 1e-5) for lam in words} == words


# --- the weights of other programs


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_for_its_own_beta_and_images_a_program_is_given_its_own_weight(program: Program) -> None:
    loss = program.loss_with(program.beta, program.dimensions)
    error, _, kl = loss.partition(" + ")
    assert error == program.loss.partition(" + ")[0]
    assert float(kl.removesuffix(" KL")) == pytest.approx(program.kl_weight, rel=0.03)


def test_lambda_is_smaller_for_images_of_more_values_with_the_same_beta() -> None:
    lam = lambda_optimum.lambda_of_beta(0.02, 9216)
    assert lambda_optimum.beta_of_lambda(lam) == pytest.approx(0.02)
    assert lambda_optimum.lambda_of_beta(0.02, 4 * 9216) == pytest.approx(lam / 4)


# --- the estimate from the training of calibrated models


def test_the_estimate_is_for_the_mean_error_at_the_end() -> None:
    curves = [{0: 0.5, 50: 0.1, 100: 0.08}, {0: 0.6, 50: 0.1, 100: 0.06}]
    estimate = lambda_optimum.estimate_lambda(curves)
    assert estimate.error == pytest.approx(0.07)
    assert estimate.lam == pytest.approx(2 * 0.07 / 9216)
    assert estimate.per_seed == pytest.approx([2 * 0.08 / 9216, 2 * 0.06 / 9216])
    assert estimate.change == pytest.approx(-0.3)


def test_a_lambda_that_has_settled_does_not_change() -> None:
    curve = {0: 0.5, 40: 0.05, 60: 0.05, 100: 0.05}
    assert lambda_optimum.estimate_lambda([curve]).change == 0


# --- with intervals


def seed_of(errors: list[float], spread: float) -> dict[str, Measures]:
    """Measures of the four models of the study: an error with replicates around it."""
    replicates = torch.linspace(1 - spread, 1 + spread, REPLICATES, dtype=torch.float64)
    around = torch.cat([torch.ones(1, dtype=torch.float64), replicates])
    return {name: {"x": error * around} for name, error in zip(LAMBDA_STUDY, errors, strict=True)}


def test_an_optimum_has_the_interval_of_its_replicates() -> None:
    errors = [0.05] * 4
    found = over_seeds(predicted_lambda, "x", [seed_of(errors, 0.1)])
    assert found.value == pytest.approx(2 * 0.05 / 9216)
    assert found.low == pytest.approx(0.905 * found.value, rel=1e-2)
    assert found.high == pytest.approx(1.095 * found.value, rel=1e-2)


def test_an_optimum_over_seeds_is_the_mean_of_its_logarithm() -> None:
    seeds = [seed_of([error] * 4, 0.0) for error in (0.04, 0.09)]
    found = over_seeds(predicted_lambda, "x", seeds)
    assert found.value == pytest.approx(2 * 0.06 / 9216)
    assert found.low < found.value < found.high
