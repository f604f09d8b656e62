"""How fast the network could train here if nothing but its convolutions took time.

Each convolution of the network runs alone, in each of its three passes (its output, the gradient of
its input, that of its weights), in float32 and, where the machine has it, bfloat16, in both orders
of memory, on all cores. The ceiling is the rate of the fastest of all, as if every pass reached it;
the ceiling by layer lets each pass run at its own best. None counts linear layers, norms,
activations, the optimiser or data.

The zeros of the padding are counted as operations there. Kernels skip them, a third of all at
4 x 3, so that a rate can be beyond what the processor multiplies. The ceiling of pixels counts
none of them, neither in the rates nor in the network.
"""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.peers import DECODER, ENCODER, SHAPE
from vaelib.training import hardware

TRIES = 5
CUDA_REPEATS, CUDA_BATCH = 20, 4096  # calls in a try, because each returns before it is done
COPIED = 2**30  # bytes
PROFILED_STEPS = (
    48,
    144,
)  # multiples of the points of a loss curve, see vaelib.training.loop.STAGES

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class Layer(NamedTuple):
    """One convolution and the size of its input and output."""

    name: str
    row: tuple[int, int, int, int]
    transposed: bool
    height: int
    width: int
    multiplications: int  # and as many additions, in one pass over one image
    of_pixels: int  # of these, those that are not with a zero of the padding


class Ceiling(NamedTuple):
    """What convolutions reach on this machine."""

    gflops: float  # of the fastest pass
    where: str  # which that is
    images_per_second: float  # if all passes were as fast
    images_per_second_by_layer: float  # if each pass is as fast as it can be
    images_per_second_of_pixels: float  # if all were as fast as the fastest, without the padding


def layers() -> Iterator[Layer]:
    """All convolutions in their order, with the sizes that the rows give."""
    _, height, width = SHAPE
    for number, row in enumerate((*ENCODER, *DECODER)):
        channels_in, channels_out, kernel, stride = row
        transposed = number >= len(ENCODER)
        before = height, width
        if transposed:
            height, width = ((size - 1) * stride - 2 + kernel for size in before)
        else:
            height, width = ((size + 2 - kernel) // stride + 1 for size in before)
        large, small = ((height, width), before) if transposed else (before, (height, width))
        pairs = [_pairs(*sides, kernel, stride) for sides in zip(large, small, strict=True)]
        channels = channels_in * channels_out
        multiplications = channels * kernel**2 * math.prod(small)
        kind = "transposed convolution" if transposed else "convolution"
        name = f"{kind} {channels_in} to {channels_out}, {before[0]} x {before[1]}"
        yield Layer(name, row, transposed, *before, multiplications, channels * math.prod(pairs))


def _pairs(large: int, small: int, kernel: int, stride: int) -> int:
    """How often a weight meets a pixel, not the padding, along one side."""
    taps = (place * stride - 1 + tap for place in range(small) for tap in range(kernel))
    return sum(0 <= tap < large for tap in taps)


def flops_per_image(padding: bool = True) -> float:
    """Of the convolutions in one training step: forward, and twice as many backward."""
    return 6 * sum(layer.multiplications if padding else layer.of_pixels for layer in layers())


def measure(batch_size: int) -> Ceiling:
    """Try every pass of every convolution in every way, one after the other."""
    device = hardware.pick_device()
    batch = CUDA_BATCH if device.type == "cuda" else batch_size
    dtypes = {torch.float32, getattr(torch, hardware.best_precision(device))}
    fastest, where, of_pixels, total = 0.0, "", 0.0, 0.0
    for layer in layers():
        taken: dict[str, float] = {}
        for dtype in dtypes:
            for layout in LAYOUTS:
                for name, call in _passes(layer, batch, device, dtype, layout).items():
                    seconds = _seconds(call, device)
                    taken[name] = min(seconds, taken.get(name, seconds))
                    of_pixels = max(of_pixels, 2 * layer.of_pixels * batch / seconds)
                    rate = 2 * layer.multiplications * batch / seconds
                    if rate > fastest:
                        fastest = rate
                        where = f"{name} of {layer.name}, {str(dtype)[6:]}, {layout}"
        total += sum(taken.values())
    return Ceiling(
        gflops=fastest / 1e9,
        where=where,
        images_per_second=fastest / flops_per_image(),
        images_per_second_by_layer=batch / total,
        images_per_second_of_pixels=of_pixels / flops_per_image(padding=False),
    )


def _passes(
    layer: Layer, batch: int, device: torch.device, dtype: torch.dtype, layout: str
) -> dict[str, Callable[[], object]]:
    """The passes of a layer by name. Nobody asks for the gradient of the images."""
    channels_in, channels_out, kernel, stride = layer.row

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, device=device).to(dtype, memory_format=LAYOUTS[layout])

    x = random(batch, channels_in, layer.height, layer.width)
    ends = (channels_in, channels_out) if layer.transposed else (channels_out, channels_in)
    weight = random(*ends, kernel, kernel)
    how = ([stride] * 2, [1, 1], [1, 1], layer.transposed, [0, 0], 1)
    forward = partial(torch.ops.aten.convolution, x, weight, None, *how)
    backward = partial(
        torch.ops.aten.convolution_backward, random(*forward().shape), x, weight, None, *how
    )
    passes: dict[str, Callable[[], object]] = {
        "output": forward,
        "weights' gradient": partial(backward, [False, True, False]),
        "input's gradient": partial(backward, [True, False, False]),
    }
    if channels_in == SHAPE[0]:
        del passes["input's gradient"]
    return passes


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    """The least time that a call takes, after one that is not timed."""
    repeats = CUDA_REPEATS if device.type == "cuda" else 1
    best = float("inf")
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, benchmark=True):
        call()
        for _ in range(TRIES):
            _wait(device)
            started = time.perf_counter()
            for _ in range(repeats):
                call()
            _wait(device)
            best = min(best, (time.perf_counter() - started) / repeats)
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def copy_bandwidth(device: torch.device) -> float:
    """GB per second of a copy within the device's memory, bytes read and bytes written."""
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED / _seconds(partial(target.copy_, source), device) / 1e9


def launches(train: Callable[[int], object], batch_size: int) -> tuple[float, float]:
    """Kernels that one training step starts on the GPU, and the milliseconds that it is busy.

    `train` is told how many images. Told from two runs of different length, so that what both have
    in common, the evaluations, does not count.
    """
    counts, times = [], []
    for steps in PROFILED_STEPS:
        with profile(activities=[ProfilerActivity.CUDA]) as watched:
            train(steps * batch_size)
        events = [event for event in watched.events() or () if _on_gpu(event)]
        counts.append(sum(not event.name.startswith("Mem") for event in events))
        times.append(sum(event.time_range.elapsed_us() for event in events) / 1e3)
    steps = PROFILED_STEPS[1] - PROFILED_STEPS[0]
    return (counts[1] - counts[0]) / steps, (times[1] - times[0]) / steps


def _on_gpu(event: torch.autograd.profiler_util.FunctionEvent) -> bool:
    annotation = getattr(event, "is_user_annotation", False)
    return event.device_type.name == "CUDA" and not annotation
