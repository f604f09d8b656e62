"""The convolutions of the network that stand before a norm over each channel: instance or batch.

The norm subtracts the mean of each channel, and with it any bias. So the bias, which the tables
count, is kept but never added: that saves adding it and its gradient.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PADDING = 1

# The library is slow in the gradients of small features in bfloat16 on a CPU. By stride: up to how
# many pixels, of the smaller side of a convolution, `_Small` takes less time.
SMALL = {1: 12, 2: 48}


class Convolution(nn.Conv2d):
    """A convolution before a norm over each channel."""

    def forward(self, x: Tensor) -> Tensor:
        stride = self.stride[0]
        if _is_small(self.weight, x, x.shape[2] * x.shape[3] // stride**2, stride):
            return _small(x, self.weight, stride, False)
        return F.conv2d(x, self.weight, None, self.stride, PADDING)


class TransposedConvolution(nn.ConvTranspose2d):
    """A transposed convolution before a norm over each channel."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        stride = self.stride[0]
        if _is_small(self.weight, x, x.shape[2] * x.shape[3], stride):
            return _small(x, self.weight, stride, True)
        return F.conv_transpose2d(x, self.weight, None, self.stride, PADDING)


def _is_small(weight: Tensor, x: Tensor, pixels: int, stride: int) -> bool:
    here = x.device.type == "cpu" and not torch.compiler.is_compiling()
    return here and x.dtype == weight.dtype == torch.bfloat16 and pixels <= SMALL.get(stride, 0)


def _small(x: Tensor, weight: Tensor, stride: int, transposed: bool) -> Tensor:
    features: Tensor = _Small.apply(x, weight, stride, transposed)
    return features


class _Small(torch.autograd.Function):
    """The same function and gradients as the library's, up to rounding.

    The weights' gradient is one matrix product of small features and the patches of large ones
    that they were made from. Where one feature map is twice the size of the other, the library is
    faster from small to large with channels last.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        x: Tensor,
        weight: Tensor,
        stride: int,
        transposed: bool,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.transposed = stride, transposed  # type: ignore[attr-defined]
        if transposed and stride == 2:
            x = x.contiguous(memory_format=torch.channels_last)
        how = _how(stride, transposed)
        return torch.ops.aten.convolution(x, weight, None, *how).contiguous()  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:  # type: ignore[no-untyped-def]
        x, weight = ctx.saved_tensors
        small, large = (x, gradient) if ctx.transposed else (gradient, x)
        return (
            _input_gradient(gradient, x, weight, ctx.stride, ctx.transposed),
            _weight_gradient(small, large, weight.shape[-1], ctx.stride),
            None,
            None,
        )


def _how(stride: int, transposed: bool) -> tuple[object, ...]:
    """Stride, padding, dilation, kind, output padding and groups, as the library wants them."""
    return [stride] * 2, [PADDING] * 2, [1, 1], transposed, [0, 0], 1


def _input_gradient(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, transposed: bool
) -> Tensor:
    if not transposed and stride == 2:
        gradient = gradient.contiguous(memory_format=torch.channels_last)
    wanted = [True, False, False]
    back = torch.ops.aten.convolution_backward
    found, _, _ = back(gradient, x, weight, None, *_how(stride, transposed), wanted)
    return found.contiguous()  # type: ignore[no-any-return]


def _weight_gradient(small: Tensor, large: Tensor, kernel: int, stride: int) -> Tensor:
    """(channels of small, channels of large, kernel, kernel), of a convolution that takes large
    features (n, ., height, width) to small ones, or of its transpose."""
    n, channels, height, width = small.shape
    padded = F.pad(large.permute(0, 2, 3, 1), (0, 0, *[PADDING] * 4))
    image, row, column, _ = padded.stride()
    patches = padded.as_strided(
        (n, height, width, kernel, kernel, large.shape[1]),
        (image, row * stride, column * stride, row, column, 1),
    )
    product = small.transpose(0, 1).reshape(channels, -1) @ patches.reshape(n * height * width, -1)
    return product.view(channels, kernel, kernel, -1).permute(0, 3, 1, 2)
