"""What takes less time on a CPU is the same convolution, with the same gradients."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vaelib.model import TABLE_1, TABLE_2, LayerSpec
from vaelib.training.fast_layers import SMALL, Convolution, TransposedConvolution

Kind = type[Convolution] | type[TransposedConvolution]

# Kind, row of the table, and the size of its input, where the smaller side has few pixels.
SMALL_ONES = [
    (Convolution, TABLE_1[6], (8, 6)),
    (Convolution, TABLE_1[7], (4, 3)),
    (TransposedConvolution, TABLE_2[0], (4, 3)),
    (TransposedConvolution, TABLE_2[1], (4, 3)),
    (TransposedConvolution, TABLE_2[3], (8, 6)),
]


def gradients(
    kind: Kind, row: LayerSpec, size: tuple[int, int], dtype: torch.dtype
) -> tuple[Convolution | TransposedConvolution, Tensor, Tensor, Tensor]:
    """The layer, its output, and the gradients of its input and weights."""
    torch.manual_seed(0)
    layer = kind(*row, 1)
    x = torch.randn(2, row.channels_in, *size)
    layer, x = layer.to(dtype), x.to(dtype).requires_grad_()
    y = layer(x)
    generator = torch.Generator().manual_seed(1)
    back = torch.randn(y.shape, generator=generator).to(dtype)
    return layer, y, *torch.autograd.grad(y, (x, layer.weight), back)


def off(found: Tensor, wanted: Tensor) -> float:
    """Distance, as a share of what is wanted."""
    return float((found.double() - wanted.double()).norm() / wanted.double().norm())


@pytest.mark.parametrize(("kind", "row", "size"), SMALL_ONES)
def test_small_features_in_bfloat16_have_the_outputs_and_gradients_of_float32(
    kind: Kind, row: LayerSpec, size: tuple[int, int]
) -> None:
    wanted, found = (gradients(kind, row, size, dtype) for dtype in (torch.float32, torch.bfloat16))
    assert type(found[1].grad_fn).__name__ == "_SmallBackward"
    for one, other in zip(found[1:], wanted[1:], strict=True):
        assert one.shape == other.shape
        assert off(one.detach(), other.detach()) < 0.01


@pytest.mark.parametrize("kind", [Convolution, TransposedConvolution])
@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, (4, 3)), (torch.bfloat16, (32, 24))])
def test_all_else_is_left_to_the_library(
    kind: Kind, dtype: torch.dtype, size: tuple[int, int]
) -> None:
    _, y, _, _ = gradients(kind, LayerSpec(8, 8, 4, 2), size, dtype)
    assert "Convolution" in type(y.grad_fn).__name__


@pytest.mark.parametrize("kind", [Convolution, TransposedConvolution])
def test_a_stride_of_no_table_is_left_to_the_library(kind: Kind) -> None:
    assert 3 not in SMALL
    _, y, _, _ = gradients(kind, LayerSpec(8, 8, 3, 3), (4, 3), torch.bfloat16)
    assert "Convolution" in type(y.grad_fn).__name__


@pytest.mark.parametrize(("kind", "row", "size"), SMALL_ONES[:3])
def test_the_bias_is_counted_and_never_added(
    kind: Kind, row: LayerSpec, size: tuple[int, int]
) -> None:
    layer, y, _, _ = gradients(kind, row, size, torch.float32)
    plain = functional.conv2d if kind is Convolution else functional.conv_transpose2d
    torch.manual_seed(0)
    kind(*row, 1)
    x = torch.randn(2, row.channels_in, *size)
    assert layer.bias is not None
    torch.testing.assert_close(y, plain(x, layer.weight, None, row.stride, 1))
