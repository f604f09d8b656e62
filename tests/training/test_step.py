"""A step is the same step, however it is executed."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor

from tests.conftest import refusal
from vaelib.config import Experiment, Norm, Precision
from vaelib.data import flip, to_float
from vaelib.model import VAE, new_model
from vaelib.train import train_step
from vaelib.training.fast_layers import accelerate
from vaelib.training.step import Execution, training_step

EXPERIMENT = Experiment(latent=4, batch_size=40)
CPU = torch.device("cpu")
Weights = dict[str, Tensor]


def a_batch() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (40, 3, 64, 48), generator=generator, dtype=torch.uint8)
    mirrored = torch.rand(40, generator=generator) < 0.5
    return images, mirrored, torch.randn(40, 4, generator=generator)


def stepped(experiment: Experiment = EXPERIMENT, **choices: object) -> tuple[Weights, Tensor]:
    """The weights after two steps, and the loss in parts before the second."""
    model = accelerate(new_model(experiment))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    execution = Execution(**choices).resolved(CPU)  # type: ignore[arg-type]
    with training_step(model, optimizer, experiment, execution) as step:
        step(*a_batch())
        parts = step(*a_batch())
    return model.state_dict(), parts


def textbook_step() -> tuple[VAE, Tensor]:
    """One step as a textbook has it: the whole batch at once, in float32."""
    model = new_model(EXPERIMENT)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images, mirrored, noise = a_batch()
    loss = train_step(model, optimizer, to_float(flip(images, mirrored)), noise, EXPERIMENT.lam)
    return model, torch.stack(loss).detach()


def test_a_step_has_the_gradient_of_the_whole_batch() -> None:
    model = accelerate(new_model(EXPERIMENT))
    still = torch.optim.SGD(model.parameters(), lr=0.0)  # leaves weights, keeps gradients
    with training_step(model, still, EXPERIMENT, Execution().resolved(CPU)) as step:
        parts = step(*a_batch())
    plain, expected = textbook_step()
    torch.testing.assert_close(parts, expected, rtol=1e-5, atol=1e-6)
    # Where rounding moves a value across the corner of a ReLU, gradients below it change: in plain
    # steps of float32 and of float64, those of a layer are up to a fiftieth of their length apart.
    for weight, other in zip(model.parameters(), plain.parameters(), strict=True):
        if weight.grad is not None:
            assert other.grad is not None
            apart = (weight.grad - other.grad).norm()
            assert apart < 0.05 * other.grad.norm() + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("norm", get_args(Norm))
@pytest.mark.parametrize("precision", get_args(Precision))
def test_the_number_of_cores_changes_no_bit(precision: Precision, norm: Norm) -> None:
    experiment = replace(EXPERIMENT, precision=precision, norm=norm)
    (on_one, _), (on_three, _) = (stepped(experiment, threads=threads) for threads in (1, 3))
    assert all(torch.equal(on_one[name], on_three[name]) for name in on_one)


@pytest.mark.parametrize("precision", get_args(Precision))
def test_a_batch_norm_is_over_the_whole_batch_and_keeps_its_averages(precision: Precision) -> None:
    experiment = replace(EXPERIMENT, norm="batch", precision=precision)
    model = new_model(experiment)
    averages = stepped(experiment)[0]
    images, mirrored, _ = a_batch()
    features = model.encoder.convolutions[0](to_float(flip(images, mirrored)))
    # After one of the two steps: momentum 0.1, from mean 0 and variance 1.
    name = "encoder.convolutions.1.running_var"
    first = 0.9 + 0.1 * features.var(dim=(0, 2, 3))
    second = 0.9 * first + 0.1 * features.var(dim=(0, 2, 3))
    assert averages[name].dtype == torch.float32
    torch.testing.assert_close(averages[name], second, rtol=0.05, atol=0.0)


def test_a_step_changes_every_weight_that_has_an_effect() -> None:
    before, after = new_model(EXPERIMENT).state_dict(), stepped()[0]
    unchanged = {name for name in before if torch.equal(before[name], after[name])}
    with_effect = {name for name in before if "convolutions" not in name or "weight" in name}
    assert not unchanged & with_effect
    assert "decoder.convolutions.21.bias" not in unchanged


def test_biases_before_an_instance_norm_have_no_effect() -> None:
    model = new_model(EXPERIMENT).eval()
    images, _, noise = a_batch()
    x = to_float(images)
    reconstruction, _, _ = model(x, noise)
    with torch.no_grad():
        for name, bias in model.named_parameters():
            if "convolutions" in name and name.endswith("bias") and ".21." not in name:
                bias.add_(1.0)
    torch.testing.assert_close(model(x, noise)[0], reconstruction, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_channels_last_is_the_same_step_up_to_rounding() -> None:
    (_, plain), (_, other) = stepped(), stepped(channels_last="on")
    torch.testing.assert_close(other, plain, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_stepped_model_is_laid_out_as_it_was_before() -> None:
    weights, _ = stepped(channels_last="on")
    assert all(weight.is_contiguous() for weight in weights.values())


@pytest.mark.slow
def test_torch_has_its_threads_back_after_the_steps() -> None:
    before = torch.get_num_threads()
    stepped(threads=2)
    assert torch.get_num_threads() == before


def test_auto_is_off_on_a_cpu_and_on_on_a_gpu() -> None:
    cpu, gpu = Execution().resolved(CPU), Execution().resolved(torch.device("cuda"))
    assert (cpu.compile, cpu.graphs, cpu.channels_last) == ("off",) * 3
    assert (gpu.compile, gpu.graphs, gpu.channels_last) == ("on",) * 3
    assert cpu.deterministic
    assert not gpu.deterministic


def test_what_is_on_auto_can_be_switched_off() -> None:
    gpu = Execution(compile="off", graphs="off", channels_last="off").resolved(torch.device("cuda"))
    assert (gpu.compile, gpu.graphs, gpu.channels_last) == ("off",) * 3


def test_cuda_graphs_without_a_gpu_are_refused() -> None:
    assert "CUDA graphs need" in refusal(lambda: Execution(graphs="on").resolved(CPU))


def test_memory_that_cannot_be_kept_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaelib.training.step.can_keep_memory", lambda: False)
    assert "only a CPU with glibc" in refusal(lambda: Execution(keep_memory="on").resolved(CPU))
    assert Execution().resolved(CPU).keep_memory == "off"


def test_fewer_cores_than_none_are_refused() -> None:
    assert "threads is -1" in refusal(lambda: Execution(threads=-1).resolved(CPU))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("choices", [{}, {"graphs": "off"}, {"compile": "off"}])
def test_a_gpu_takes_the_same_steps_up_to_rounding(choices: dict[str, str]) -> None:
    device = torch.device("cuda")
    losses = []
    for execution in (Execution(**choices).resolved(device), None):  # type: ignore[arg-type]
        model = accelerate(new_model(EXPERIMENT)).to(device if execution else CPU)
        optimizer = torch.optim.Adam(
            model.parameters(), lr=1e-3, fused=True, capturable=execution is not None
        )
        execution = execution or Execution().resolved(CPU)
        with training_step(model, optimizer, EXPERIMENT, execution) as step:
            batch = [tensor.to(next(model.parameters()).device) for tensor in a_batch()]
            losses.append([step(*batch).tolist() for _ in range(8)])
    torch.testing.assert_close(*map(torch.tensor, losses), rtol=1e-2, atol=1e-3)
