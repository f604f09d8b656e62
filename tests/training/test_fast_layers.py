"""The faster layers compute the same function, with the same gradients and the same weights."""

import copy
from collections.abc import Iterator
from typing import NamedTuple, get_args

import pytest
import torch
from torch import Tensor, nn

from vaelib.config import Norm
from vaelib.model import TABLE_1, TABLE_2, VAE, LayerSpec
from vaelib.training.fast_layers import (
    SMALL_PIXELS,
    ConvolutionWithoutBias,
    InstanceNormReLU,
    accelerate,
    plain_state_dict,
)


class Case(NamedTuple):
    """A convolution of a table, and the size of its input; its smaller side has few pixels."""

    transposed: bool
    row: LayerSpec
    size: tuple[int, int]


SMALL = (
    Case(False, TABLE_1[6], (8, 6)),
    Case(False, TABLE_1[7], (4, 3)),
    Case(True, TABLE_2[0], (4, 3)),
    Case(True, TABLE_2[1], (4, 3)),
    Case(True, TABLE_2[3], (8, 6)),
)


class Pass(NamedTuple):
    """What a layer computes, forward and backward."""

    output: Tensor
    input_gradient: Tensor
    weight_gradient: Tensor


def run(layer: ConvolutionWithoutBias, x: Tensor) -> Pass:
    x = x.clone().requires_grad_()
    y = layer(x)
    upstream = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y.dtype)
    return Pass(y, *torch.autograd.grad(y, (x, layer.weight), upstream))


def fast_layer(case: Case) -> ConvolutionWithoutBias:
    torch.manual_seed(0)
    kind = nn.ConvTranspose2d if case.transposed else nn.Conv2d
    return ConvolutionWithoutBias(kind(*case.row, padding=1))


def an_input(case: Case) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(2, case.row.channels_in, *case.size, generator=generator)


def cases_and_dtypes() -> Iterator[tuple[Case, torch.dtype]]:
    """Those that are left to torch: float32, large feature maps, strides of no table."""
    for transposed in (False, True):
        yield Case(transposed, LayerSpec(8, 8, 4, 2), (4, 3)), torch.float32
        yield Case(transposed, LayerSpec(8, 8, 4, 2), (32, 24)), torch.bfloat16
        yield Case(transposed, LayerSpec(8, 8, 3, 3), (4, 3)), torch.bfloat16


def test_small_feature_maps_in_bfloat16_have_outputs_and_gradients_of_float32() -> None:
    for case in SMALL:
        expected = run(fast_layer(case), an_input(case))
        found = run(fast_layer(case).bfloat16(), an_input(case).bfloat16())
        assert type(found.output.grad_fn).__name__ == "SmallConvolutionBackward"
        for value, target in zip(found, expected, strict=True):
            assert value.shape == target.shape
            error = (value.double() - target.double()).norm() / target.double().norm()
            assert error < 0.01, case


def test_all_else_is_left_to_torch() -> None:
    assert 3 not in SMALL_PIXELS
    for case, dtype in cases_and_dtypes():
        found = run(fast_layer(case).to(dtype), an_input(case).to(dtype))
        assert "ConvolutionBackward" in type(found.output.grad_fn).__name__
        assert not type(found.output.grad_fn).__name__.startswith("Small")


def test_the_bias_is_not_added() -> None:
    for case in SMALL:
        layer, x = fast_layer(case), an_input(case)
        without = copy.deepcopy(layer)
        assert without.bias is not None
        without.bias.data += 1
        torch.testing.assert_close(layer(x), without(x), rtol=0, atol=0)


def test_an_instance_norm_with_relu_is_torchs() -> None:
    for size in ((4, 3), (8, 6), (32, 24)):
        x = torch.randn(2, 16, *size, dtype=torch.float64) * 3 + 1
        expected = torch.relu(nn.functional.instance_norm(x))
        torch.testing.assert_close(InstanceNormReLU()(x).double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", get_args(Norm))
def test_an_accelerated_model_is_the_same_function_with_the_same_gradients(norm: Norm) -> None:
    torch.manual_seed(0)
    plain = VAE(8, norm)
    fast = accelerate(copy.deepcopy(plain))
    x, noise = torch.rand(4, 3, 64, 48) * 2 - 1, torch.randn(4, 8)
    outputs, gradients = [], []
    for model in (plain, fast):
        reconstruction, mu, logvar = model(x, noise)
        loss = (reconstruction * x).mean() + mu.square().mean() + logvar.square().mean()
        gradients.append(torch.autograd.grad(loss, list(model.parameters()), allow_unused=True))
        outputs.append((reconstruction, mu, logvar))
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-4, atol=1e-4)
    for name, found, expected in zip(plain.state_dict(), *gradients[::-1], strict=False):
        if found is not None:  # a bias that is not added has no gradient
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("norm", get_args(Norm))
def test_what_an_accelerated_model_has_learnt_is_the_same_function_in_a_plain_one(
    norm: Norm,
) -> None:
    torch.manual_seed(0)
    fast, plain = accelerate(VAE(8, norm)), VAE(8, norm)
    x, noise = torch.rand(8, 3, 64, 48) * 2 - 1, torch.randn(8, 8)
    fast.train()(x, noise)  # moves running averages
    plain.load_state_dict(plain_state_dict(fast))
    found, expected = plain.eval()(x, noise), fast.eval()(x, noise)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", get_args(Norm))
def test_an_accelerated_plain_model_evaluates_as_before(norm: Norm) -> None:
    torch.manual_seed(0)
    plain = VAE(8, norm)
    x, noise = torch.rand(8, 3, 64, 48) * 2 - 1, torch.randn(8, 8)
    plain.train()(x, noise)
    expected = plain.eval()(x, noise)
    torch.testing.assert_close(accelerate(plain)(x, noise), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", get_args(Norm))
def test_acceleration_keeps_the_weights_their_names_and_their_shapes(norm: Norm) -> None:
    model = VAE(8, norm)
    before = {name: weight.data_ptr() for name, weight in model.named_parameters()}
    keys = list(model.state_dict())
    accelerate(model)
    assert {name: weight.data_ptr() for name, weight in model.named_parameters()} == before
    assert list(model.state_dict()) == keys


def test_every_convolution_before_an_instance_norm_is_swapped() -> None:
    layers = [*accelerate(VAE(8)).encoder.convolutions]
    kinds = [type(layer) for layer in layers[:3]]
    assert kinds == [ConvolutionWithoutBias, InstanceNormReLU, nn.Identity]
    assert not [layer for layer in layers if type(layer) in (nn.Conv2d, nn.InstanceNorm2d)]


def test_acceleration_draws_no_random_numbers() -> None:
    model = VAE(8)
    torch.manual_seed(3)
    accelerate(model)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))
