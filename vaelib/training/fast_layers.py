"""Layers that compute the same function as the network's own in less time, and how to swap them in.

Instance and batch norms subtract the mean of each channel, and with it any bias of the convolution
before them. That bias, which the tables count, is kept as a weight but never added, which saves
adding it and its gradient.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaelib.model import PADDING, VAE

# On a CPU in bfloat16, torch is slow in the gradients of small feature maps. By stride: up to how
# many pixels, on the smaller side of a convolution, `SmallConvolution` takes less time.
SMALL_PIXELS = {1: 12, 2: 48}
FEW_PIXELS = 12  # 4 x 3: up to here, a layer norm takes longer than its formula
EPSILON = 1e-5  # torch's default in every norm


def accelerate(model: VAE) -> VAE:
    """Swap faster layers into the model, in place, and return it.

    The function it computes stays the same up to rounding; the weights are the same objects, with
    the same names and shapes in the state dict. A layer that has no faster form is left as it is.
    The running mean of a batch norm becomes that of features without the bias.
    """
    for layers in (model.encoder.convolutions, model.decoder.convolutions):
        for i in range(len(layers) - 2):
            convolution, norm = layers[i], layers[i + 1]
            if not isinstance(norm, nn.InstanceNorm2d | nn.BatchNorm2d):
                continue
            assert isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d)
            layers[i] = ConvolutionWithoutBias(convolution)
            if isinstance(norm, nn.BatchNorm2d):
                assert norm.running_mean is not None
                assert convolution.bias is not None
                norm.running_mean -= convolution.bias.detach()
            else:
                layers[i + 1] = InstanceNormReLU()
                layers[i + 2] = nn.Identity()  # keeps the numbering of the layers after it
    return model


def plain_state_dict(model: VAE) -> dict[str, Tensor]:
    """The state dict of an accelerated model as a plain VAE wants it: running means with the bias.

    Tensors are those of the model, except for these means.
    """
    state: dict[str, Tensor] = model.state_dict()
    for name in list(state):
        if name.endswith("running_mean"):
            half, layers, number, _ = name.split(".")
            bias = f"{half}.{layers}.{int(number) - 1}.bias"  # of the convolution before the norm
            state[name] = state[name] + state[bias]
    return state


class InstanceNormReLU(nn.Module):
    """nn.InstanceNorm2d followed by nn.ReLU, in less time, in features (n, channels, h, w).

    A layer norm over the pixels where these are many, else written out.
    """

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.flatten(2)
        # Autocast would compute the norm in float32. Its sums are in float32 in any case.
        with torch.autocast(x.device.type, enabled=False):
            if pixels.shape[2] <= FEW_PIXELS:
                centred = pixels.float() - pixels.float().mean(dim=2, keepdim=True)
                scale = torch.rsqrt(centred.square().mean(dim=2, keepdim=True) + EPSILON)
                normalised = (centred * scale).to(x.dtype)
            else:
                normalised = F.layer_norm(pixels, pixels.shape[2:], eps=EPSILON)
        # In place before it becomes a view: in place on a view, its gradient would be copied.
        return F.relu(normalised, inplace=True).view_as(x)


class Geometry(NamedTuple):
    """What a convolution does besides its weights."""

    stride: int
    transposed: bool

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        """The convolution of x, without a bias."""
        function = F.conv_transpose2d if self.transposed else F.conv2d
        return function(x, weight, None, self.stride, PADDING)

    def input_gradient(self, gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """The gradient of x, given that of the output."""
        x_gradient: Tensor
        x_gradient, _, _ = torch.ops.aten.convolution_backward(
            gradient,
            x,
            weight,
            None,
            stride=[self.stride] * 2,
            padding=[PADDING] * 2,
            dilation=[1, 1],
            transposed=self.transposed,
            output_padding=[0, 0],
            groups=1,
            output_mask=[True, False, False],
        )
        return x_gradient


class ConvolutionWithoutBias(nn.Module):
    """A convolution before an instance or batch norm: it keeps its bias and does not add it."""

    def __init__(self, plain: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.weight, self.bias = plain.weight, plain.bias
        self.geometry = Geometry(plain.stride[0], isinstance(plain, nn.ConvTranspose2d))

    def forward(self, x: Tensor) -> Tensor:
        if _is_small(x, self.weight, self.geometry):
            y: Tensor = SmallConvolution.apply(x, self.weight, self.geometry)
            return y
        return self.geometry.convolve(x, self.weight)


def _is_small(x: Tensor, weight: Tensor, geometry: Geometry) -> bool:
    """Whether `SmallConvolution` takes less time."""
    eager_on_cpu = x.device.type == "cpu" and not torch.compiler.is_compiling()
    in_bfloat16 = x.dtype == weight.dtype == torch.bfloat16
    pixels = x.shape[2] * x.shape[3]  # of the smaller of input and output
    if not geometry.transposed:
        pixels //= geometry.stride**2
    return eager_on_cpu and in_bfloat16 and pixels <= SMALL_PIXELS.get(geometry.stride, 0)


class SmallConvolution(torch.autograd.Function):
    """A convolution of small feature maps: torch's function and gradients, up to rounding.

    The gradient of the weights is one matrix product, of the small feature map and of the patches
    of the large one that its pixels were computed from. Where one feature map is twice as wide as
    the other, torch is faster from small to large in channels-last memory.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, x: Tensor, weight: Tensor, geometry: Geometry
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry  # type: ignore[attr-defined]
        if geometry.transposed and geometry.stride == 2:
            x = x.contiguous(memory_format=torch.channels_last)
        return geometry.convolve(x, weight).contiguous()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[no-untyped-def]
        x, weight = ctx.saved_tensors
        geometry: Geometry = ctx.geometry
        small, large = (x, gradient) if geometry.transposed else (gradient, x)
        weight_gradient = _weight_gradient(small, large, weight.shape[-1], geometry.stride)
        if not geometry.transposed and geometry.stride == 2:
            gradient = gradient.contiguous(memory_format=torch.channels_last)
        return geometry.input_gradient(gradient, x, weight).contiguous(), weight_gradient, None


def _weight_gradient(small: Tensor, large: Tensor, kernel: int, stride: int) -> Tensor:
    """(channels of small, channels of large, kernel, kernel), of the convolution that takes the
    large feature map (n, channels, height, width) to the small one, or of its transpose."""
    n, channels, height, width = small.shape
    padded = F.pad(large.permute(0, 2, 3, 1), (0, 0, *[PADDING] * 4))
    image, row, column, _ = padded.stride()
    patches = padded.as_strided(
        (n, height, width, kernel, kernel, large.shape[1]),
        (image, row * stride, column * stride, row, column, 1),
    )
    product = small.transpose(0, 1).reshape(channels, -1) @ patches.reshape(n * height * width, -1)
    return product.view(channels, kernel, kernel, -1).permute(0, 3, 1, 2)
