"""Bootstrap replicates and intervals agree with what statistics says of them."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from vaelib.evaluation import bootstrap
from vaelib.evaluation.bootstrap import REPLICATES, bootstrap_weights, constant, interval


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- weights and means


def test_the_weights_of_every_replicate_sum_to_one() -> None:
    for n in (1, 7, 300):
        assert bootstrap_weights(n).sum(dim=1).tolist() == pytest.approx([1] * (1 + REPLICATES))


def test_every_model_gets_the_same_replicates() -> None:
    first = bootstrap_weights(20)
    bootstrap_weights.cache_clear()
    torch.manual_seed(1)
    assert torch.equal(bootstrap_weights(20), first)


def test_replicates_of_a_mean_spread_by_its_standard_error() -> None:
    values = normal(200) * 5
    standard_error = np.std(values.numpy(), ddof=1) / math.sqrt(200)
    assert bootstrap.mean(values)[1:].std().item() == pytest.approx(standard_error, rel=0.12)


def test_a_weighted_mean_counts_faces_as_far_as_they_belong() -> None:
    values, weights = normal(30), normal(30, seed=1).abs()
    expected = np.average(values.numpy(), weights=weights.numpy())
    assert bootstrap.mean(values, weights)[0].item() == pytest.approx(expected, rel=1e-5)


def test_a_mean_is_nan_only_where_nobody_of_the_group_was_drawn() -> None:
    found = bootstrap.mean(torch.tensor([7.0, 1.0, 2.0]), torch.tensor([1.0, 0.0, 0.0]))
    expected = [7.0 if row[0] > 0 else math.nan for row in bootstrap_weights(3)]
    assert found.tolist() == pytest.approx(expected, nan_ok=True)


def test_a_constant_does_not_vary() -> None:
    assert constant(2.5).tolist() == [2.5] * (1 + REPLICATES)


# --- intervals


def test_the_interval_of_one_seed_holds_the_middle_95_percent_of_its_replicates() -> None:
    measure = normal(1 + REPLICATES).double()
    low, high = np.percentile(measure[1:].numpy(), [2.5, 97.5])
    assert interval([measure]) == pytest.approx((measure[0].item(), low, high))


def test_the_interval_of_several_seeds_is_student_s() -> None:
    values = normal(3).tolist()
    found = interval([constant(value) for value in values])
    low, high = stats.t.interval(0.95, df=2, loc=np.mean(values), scale=stats.sem(values))
    assert found == pytest.approx((np.mean(values), low, high))


def test_chance_in_faces_that_all_seeds_share_does_not_average_out() -> None:
    measure = normal(1 + REPLICATES).double()
    value, low, high = interval([measure] * 4)
    assert value == pytest.approx(measure[0].item())
    assert (high - low) / 2 == pytest.approx(1.96 * measure[1:].std().item(), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("training", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_intervals_of_three_seeds_cover_93_to_97_percent_of_known_effects(
    training: float, shared: float
) -> None:
    # The effect is 0; chance in training, in each seed's own faces, and in faces that all share.
    generator, weights = torch.Generator().manual_seed(0), bootstrap_weights(60)
    own, by_training = torch.randn(2, 1_000, 3, 60, generator=generator, dtype=torch.float64)
    of_all = torch.randn(1_000, 1, 60, generator=generator, dtype=torch.float64)
    measures = (own + shared * of_all) @ weights.T + training * by_training[:, :, :1]
    intervals = [interval(list(seeds)) for seeds in measures]
    covered = sum(found.low < 0 < found.high for found in intervals)
    assert 930 <= covered <= 970


def test_an_effect_that_is_missing_in_a_replicate_has_no_interval() -> None:
    measure = normal(1 + REPLICATES).double()
    measure[7] = math.nan
    assert math.isnan(interval([measure, constant(1.0)]).low)


# --- p-values


def test_the_p_value_of_several_seeds_is_student_s() -> None:
    values = (normal(3) + 1).tolist()
    found = bootstrap.p_value([constant(value) for value in values], 0.25)
    assert found == pytest.approx(stats.ttest_1samp(values, 0.25).pvalue, rel=1e-6)


def test_the_p_value_of_one_seed_is_normal() -> None:
    measure = normal(1 + REPLICATES).double()
    z = (measure[0] - 2).abs().item() / measure[1:].std().item()
    assert bootstrap.p_value([measure], 2.0) == pytest.approx(2 * stats.norm.sf(z), rel=1e-6)


def test_it_is_one_twentieth_at_the_end_of_the_interval() -> None:
    seeds = [normal(1 + REPLICATES, seed=seed).double() for seed in range(3)]
    for bound in interval(seeds)[1:]:
        assert bootstrap.p_value(seeds, bound) == pytest.approx(0.05, rel=1e-6)


def test_an_effect_at_the_reference_is_no_surprise_and_a_certain_one_the_greatest() -> None:
    measure = normal(1 + REPLICATES).double()
    assert bootstrap.p_value([measure], measure[0].item()) == pytest.approx(1)
    assert bootstrap.p_value([constant(1.0)] * 3, 0.0) < 1e-11
    assert math.isnan(bootstrap.p_value([constant(math.nan)] * 3, 0.0))
