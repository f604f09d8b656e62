"""One step of gradient descent, executed as fast as the hardware lets it.

How a step is executed changes nothing but rounding, and on a CPU not even that: a batch is cut
into shards, the same ones however many cores there are, and their gradients are added in order.
"""

import contextlib
import copy
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vaelib.config import Experiment
from vaelib.data import flip, to_float
from vaelib.loss import vae_loss
from vaelib.model import VAE
from vaelib.support.errors import InputError
from vaelib.training import allocator

# A batch is cut into four shards, unless they came out so small that calls outweigh arithmetic.
SHARDS = 4
SMALLEST_SHARD = 16  # faces
WARM_UP_STEPS = 3  # before a CUDA graph is captured, as torch asks for

Choice = Literal["auto", "on", "off"]

# One step on uint8 images (n, 3, 64, 48), which of them to mirror, and noise (n, latent); returns
# the mean squared error and the KL divergence before the step, float32 (2,), on the device.
Step = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Execution:
    """How steps are executed. "auto" was measured on a CPU; on a GPU it is what should pay."""

    compile: Choice = "auto"  # torch.compile of the convolutions; auto: on a GPU
    graphs: Choice = "auto"  # the whole step as one CUDA graph; auto: on a GPU
    channels_last: Choice = "auto"  # memory format of the features; auto: on a GPU
    keep_memory: Choice = "auto"  # freed memory serves the next step; auto: on a CPU, with glibc
    deterministic: bool = False  # the same bits again on a GPU, more slowly; a CPU always does so
    threads: int = 0  # cores of the CPU that one training uses; 0: all

    def resolved(self, device: torch.device) -> "Execution":
        """What "auto" comes to on this device.

        Raises InputError for what the device cannot do, or a number of threads below 0.
        """
        if self.threads < 0:
            raise InputError(f"threads is {self.threads}; it must be 0 (all cores) or more")
        gpu = device.type == "cuda"
        if self.graphs == "on" and not gpu:
            raise InputError(f"graphs is 'on', but CUDA graphs need a GPU and this is a {device}")
        if self.keep_memory == "on" and (gpu or not allocator.can_be_kept()):
            raise InputError("keep_memory is 'on', but only a CPU with glibc can be told to")

        def settled(choice: Choice, pays: bool) -> Choice:
            return choice if choice != "auto" else "on" if pays else "off"

        return Execution(
            compile=settled(self.compile, gpu),
            graphs=settled(self.graphs, gpu),
            channels_last=settled(self.channels_last, gpu),
            keep_memory=settled(self.keep_memory, not gpu and allocator.can_be_kept()),
            deterministic=self.deterministic or not gpu,
            threads=self.threads or torch.get_num_threads(),
        )


@contextmanager
def stepping(
    model: VAE, optimizer: torch.optim.Adam, experiment: Experiment, execution: Execution
) -> Iterator[Step]:
    """Yield the function that takes one step. `execution` is resolved.

    When the block ends the model is the plain one again: never a compiled copy.
    """
    device = next(model.parameters()).device
    with contextlib.ExitStack() as stack:
        if device.type == "cpu":
            worked = _as_worked_with(model.train(), experiment)
            stack.enter_context(_laid_out(worked, execution))
            if execution.keep_memory == "on":
                stack.enter_context(allocator.kept())
            pool = stack.enter_context(_cores(execution.threads))
            yield _sharded(model, worked, optimizer, experiment, pool)
        else:
            stack.enter_context(_laid_out(model.train(), execution))
            stack.enter_context(_exact(execution.deterministic))
            step = _whole(model, optimizer, experiment)
            yield Graphed(step, experiment.batch_size, device) if execution.graphs == "on" else step


def without_compile() -> contextlib.AbstractContextManager[None]:
    """In this block nothing is compiled: a shape that comes once is not worth it."""
    stance: contextlib.AbstractContextManager[None] = torch.compiler.set_stance("force_eager")
    return stance


@contextmanager
def _laid_out(model: VAE, execution: Execution) -> Iterator[None]:
    """The convolutions in the wanted memory format, and compiled, while the block runs."""
    halves = (model.encoder.convolutions, model.decoder.convolutions)
    for convolutions in halves:
        if execution.channels_last == "on":
            convolutions.to(memory_format=torch.channels_last)
        if execution.compile == "on":
            # The convolutions alone: they are the same for every latent size, so that one
            # compilation serves all the models.
            convolutions.compile(dynamic=False)
    try:
        yield
    finally:
        for convolutions in halves:
            convolutions._compiled_call_impl = None
            convolutions.to(memory_format=torch.contiguous_format)


def _as_worked_with(model: VAE, experiment: Experiment) -> VAE:
    """In float32 the model itself; else a copy in bfloat16, that it is not converted per shard."""
    if experiment.precision == "float32":
        return model
    half = copy.deepcopy(model).bfloat16()
    for one, other in zip(half.modules(), model.modules(), strict=True):
        one._buffers = other._buffers  # running averages are the model's own, in float32
    return half


@contextmanager
def _cores(threads: int) -> Iterator[ThreadPoolExecutor]:
    """So many threads, in each of which torch uses one core; torch is left as it was found."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def _sharded(
    model: VAE,
    worked: VAE,
    optimizer: torch.optim.Adam,
    experiment: Experiment,
    pool: ThreadPoolExecutor,
) -> Step:
    size = max(SMALLEST_SHARD, -(-experiment.batch_size // SHARDS))
    if experiment.norm == "batch" or experiment.weighting == "calibrated":  # by the whole batch
        size = experiment.batch_size
    weights: list[Tensor] = list(model.parameters())
    worked_weights: list[Tensor] = list(worked.parameters())

    def backward(share: float, *shard: Tensor) -> tuple[tuple[Tensor | None, ...], Tensor]:
        total, parts = _losses(worked, experiment, *shard)
        gradients = torch.autograd.grad(total * share, worked_weights, allow_unused=True)
        return gradients, parts * share

    def step(*batch: Tensor) -> Tensor:
        if worked is not model:
            with torch.no_grad():
                torch._foreach_copy_(worked_weights, weights)
        shards = list(zip(*(tensor.split(size) for tensor in batch), strict=True))
        shares = [len(images) / len(batch[0]) for images, *_ in shards]
        gradients, parts = zip(*pool.map(backward, shares, *zip(*shards, strict=True)), strict=True)
        for weight, *some in zip(weights, *gradients, strict=True):
            _add_up(weight, some)
        optimizer.step()
        return torch.stack(parts).sum(dim=0)

    return step


def _add_up(weight: Tensor, gradients: list[Tensor | None]) -> None:
    """The weight's gradient, in its own precision and memory format; None has no effect."""
    for number, gradient in enumerate(gradients):
        if gradient is None:
            continue
        if weight.grad is None:
            weight.grad = torch.empty_like(weight)
        if number == 0:
            weight.grad.copy_(gradient)
        else:
            weight.grad.add_(gradient)


def _losses(
    model: VAE, experiment: Experiment, images: Tensor, mirrored: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """What is minimised, and its two parts without gradient."""
    x = to_float(flip(images, mirrored))
    half = experiment.precision == "bfloat16"
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=half):
        reconstruction, mu, logvar = model(x, noise)
    how = (experiment.lam, experiment.kl_reading, experiment.weighting)
    losses = vae_loss(x, reconstruction, mu, logvar, *how)
    return losses.total, torch.stack([losses.reconstruction, losses.kl]).detach()


def _whole(model: VAE, optimizer: torch.optim.Adam, experiment: Experiment) -> Step:
    def step(images: Tensor, mirrored: Tensor, noise: Tensor) -> Tensor:
        total, parts = _losses(model, experiment, images, mirrored, noise)
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        return parts

    return step


@contextmanager
def _exact(deterministic: bool) -> Iterator[None]:
    """A GPU that gives the same bits again, or else the fastest algorithms for these shapes."""
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS wants for it
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = not deterministic
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


class Graphed:
    """A step captured as one CUDA graph and replayed, so that a step is a single launch.

    Only full batches are replayed; a shorter one, at the end of an epoch, is taken as it is.
    """

    def __init__(self, step: Step, batch_size: int, device: torch.device) -> None:
        self.step = step
        self.batch_size = batch_size
        self.aside = torch.cuda.Stream(device)  # where torch wants the steps before the capture
        self.warm_up = WARM_UP_STEPS
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *batch: Tensor) -> Tensor:
        if len(batch[0]) != self.batch_size:
            with without_compile():
                return self.step(*batch)
        if self.warm_up:
            self.warm_up -= 1
            return self._aside(*batch)
        graph = self.graph = self.graph or self._captured(*batch)
        for place, tensor in zip(self.places, batch, strict=True):
            place.copy_(tensor)
        graph.replay()
        return self.parts.clone()

    def _aside(self, *batch: Tensor) -> Tensor:
        self.aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.aside):
            parts = self.step(*batch)
        torch.cuda.current_stream().wait_stream(self.aside)
        return parts

    def _captured(self, *batch: Tensor) -> torch.cuda.CUDAGraph:
        """What a step does with what lies in `places`, recorded but not executed."""
        self.places = [tensor.clone() for tensor in batch]
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.parts = self.step(*self.places)
        return graph
