"""One step of gradient descent, executed as fast as the hardware allows.

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

from vaelib.config import NORMS_OVER_BATCH, Experiment
from vaelib.data import flip, to_float
from vaelib.loss import LossParts, vae_loss
from vaelib.model import VAE
from vaelib.support.errors import InputError
from vaelib.training.allocator import can_keep_memory, memory_kept

# A batch is cut into four shards, unless they would be so small that calls outweigh arithmetic.
SHARDS = 4
SMALLEST_SHARD = 16  # images
WARM_UP_STEPS = 3  # before a CUDA graph is captured, as torch asks for

Choice = Literal["auto", "on", "off"]

# Takes one step on uint8 images (n, 3, 64, 48), mirrored (n,), which of them to mirror, and noise
# (n, latent). Returns the loss before the step, in the parts and the order of `LossParts`, as
# float32 (3,) on the device.
TrainingStep = Callable[[Tensor, Tensor, Tensor], Tensor]

# Gradients of all weights (None: the weight has no effect) and the loss, by a shard's share.
ShardResult = tuple[tuple[Tensor | None, ...], Tensor]


@dataclass(frozen=True)
class Execution:
    """How steps are executed. "auto" was measured on a CPU; on a GPU it is what should pay.

    Of CUDA: what it does for other accelerators nobody has tried, so that they do without.
    """

    compile: Choice = "auto"  # torch.compile of the convolutions; auto: on a GPU
    graphs: Choice = "auto"  # the whole step as one CUDA graph; auto: on a GPU
    channels_last: Choice = "auto"  # memory format of the features; auto: on a GPU
    keep_memory: Choice = "auto"  # freed memory serves the next step; auto: on a CPU, with glibc
    deterministic: bool = False  # the same bits again on a GPU, more slowly; a CPU always does so
    threads: int = 0  # cores of the CPU that one training uses; 0: all

    def resolved(self, device: torch.device) -> "Execution":
        """The same with every "auto" decided for this device.

        Raises InputError for what the device cannot do, or a number of threads below 0.
        """
        if self.threads < 0:
            raise InputError(f"threads is {self.threads}; it must be 0 (all cores) or more")
        cpu, gpu = device.type == "cpu", device.type == "cuda"
        if self.graphs == "on" and not gpu:
            raise InputError(
                f"graphs is 'on', but CUDA graphs need NVIDIA's or AMD's GPU and this is {device}"
            )
        if self.keep_memory == "on" and not (cpu and can_keep_memory()):
            raise InputError("keep_memory is 'on', but only a CPU with glibc can keep it")
        on_gpu: Choice = "on" if gpu else "off"
        on_cpu: Choice = "on" if cpu and can_keep_memory() else "off"
        return Execution(
            compile=on_gpu if self.compile == "auto" else self.compile,
            graphs=on_gpu if self.graphs == "auto" else self.graphs,
            channels_last=on_gpu if self.channels_last == "auto" else self.channels_last,
            keep_memory=on_cpu if self.keep_memory == "auto" else self.keep_memory,
            deterministic=self.deterministic or cpu,
            threads=self.threads or torch.get_num_threads(),
        )


@contextmanager
def training_step(
    model: VAE, optimizer: torch.optim.Optimizer, experiment: Experiment, execution: Execution
) -> Iterator[TrainingStep]:
    """Yield the function that takes one step. `execution` is resolved.

    When the block ends, the model is the plain one again: never a compiled copy.
    """
    device = next(model.parameters()).device
    with contextlib.ExitStack() as stack:
        if device.type == "cpu":
            working_model = compute_copy(model.train(), experiment)
            stack.enter_context(memory_format(working_model, execution))
            if execution.keep_memory == "on":
                stack.enter_context(memory_kept())
            pool = stack.enter_context(one_core_threads(execution.threads))
            yield _sharded_step(model, working_model, optimizer, experiment, pool)
        else:
            stack.enter_context(memory_format(model.train(), execution))
            stack.enter_context(determinism(execution.deterministic))
            step = _whole_batch_step(model, optimizer, experiment)
            if execution.graphs == "on":
                step = GraphedStep(step, experiment.batch_size, device)
            yield step


@contextmanager
def memory_format(model: VAE, execution: Execution) -> Iterator[None]:
    """The convolutions in the chosen memory format, and compiled, while the block runs."""
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


def compute_copy(model: VAE, experiment: Experiment) -> VAE:
    """The model that computes: in float32 the model itself, else a copy of it in bfloat16.

    A copy, so that the weights are converted once for a step and not once for every shard.
    """
    if experiment.precision == "float32":
        return model
    half = copy.deepcopy(model).bfloat16()
    for converted, original in zip(half.modules(), model.modules(), strict=True):
        converted._buffers = original._buffers  # running averages stay the model's, in float32
    return half


@contextmanager
def one_core_threads(threads: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads, in each of which torch uses one core; torch is left as it was found."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def _sharded_step(
    model: VAE,
    working_model: VAE,
    optimizer: torch.optim.Optimizer,
    experiment: Experiment,
    pool: ThreadPoolExecutor,
) -> TrainingStep:
    shard_size = max(SMALLEST_SHARD, -(-experiment.batch_size // SHARDS))
    if experiment.norm in NORMS_OVER_BATCH or experiment.weighting == "calibrated":
        shard_size = experiment.batch_size  # these are defined over the whole batch
    weights: list[Tensor] = list(model.parameters())
    working_weights: list[Tensor] = list(working_model.parameters())

    def backward(share: float, images: Tensor, mirrored: Tensor, noise: Tensor) -> ShardResult:
        """What one shard adds to the step: to each weight's gradient, and to the loss (3,)."""
        loss = _loss(working_model, experiment, images, mirrored, noise)
        gradients = torch.autograd.grad(loss.total * share, working_weights, allow_unused=True)
        return gradients, torch.stack(loss).detach() * share

    def step(images: Tensor, mirrored: Tensor, noise: Tensor) -> Tensor:
        if working_model is not model:
            with torch.no_grad():
                torch._foreach_copy_(working_weights, weights)
        shards = [tensor.split(shard_size) for tensor in (images, mirrored, noise)]
        shares = [len(shard) / len(images) for shard in shards[0]]
        results = list(pool.map(backward, shares, *shards))
        for i, weight in enumerate(weights):
            _set_gradient(weight, [gradients[i] for gradients, _ in results])
        optimizer.step()
        return torch.stack([loss for _, loss in results]).sum(dim=0)

    return step


def _set_gradient(weight: Tensor, shard_gradients: list[Tensor | None]) -> None:
    """The weight's gradient: the sum over shards, in the weight's precision and memory format."""
    for i, gradient in enumerate(shard_gradients):
        if gradient is None:
            continue
        if weight.grad is None:
            weight.grad = torch.empty_like(weight)
        if i == 0:
            weight.grad.copy_(gradient)
        else:
            weight.grad.add_(gradient)


def _loss(
    model: VAE, experiment: Experiment, images: Tensor, mirrored: Tensor, noise: Tensor
) -> LossParts:
    x = to_float(flip(images, mirrored))
    half = experiment.precision == "bfloat16"
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=half):
        reconstruction, mu, logvar = model(x, noise)
    return vae_loss(
        x, reconstruction, mu, logvar, experiment.lam, experiment.kl_reading, experiment.weighting
    )


def _whole_batch_step(
    model: VAE, optimizer: torch.optim.Optimizer, experiment: Experiment
) -> TrainingStep:
    def step(images: Tensor, mirrored: Tensor, noise: Tensor) -> Tensor:
        loss = _loss(model, experiment, images, mirrored, noise)
        optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        optimizer.step()
        return torch.stack(loss).detach()

    return step


@contextmanager
def determinism(deterministic: bool) -> Iterator[None]:
    """A GPU that gives the same bits again, or else the fastest algorithms for these shapes."""
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS needs it for that
    algorithms = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = not deterministic
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(algorithms)
        torch.backends.cudnn.benchmark = benchmark


class GraphedStep:
    """A step captured as one CUDA graph and replayed, so that a step is a single launch.

    Only full batches are replayed; a shorter one, at the end of an epoch, is executed eagerly.
    """

    def __init__(self, step: TrainingStep, batch_size: int, device: torch.device) -> None:
        self.step = step
        self.batch_size = batch_size
        self.warm_up_stream = torch.cuda.Stream(device)  # where torch wants the first steps
        self.warm_up_steps = WARM_UP_STEPS
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, images: Tensor, mirrored: Tensor, noise: Tensor) -> Tensor:
        if len(images) != self.batch_size:
            with torch.compiler.set_stance("force_eager"):  # compiling would not pay for this shape
                return self.step(images, mirrored, noise)
        if self.warm_up_steps:
            self.warm_up_steps -= 1
            return self._warm_up(images, mirrored, noise)
        if self.graph is None:
            self.graph = self._capture(images, mirrored, noise)
        for graph_input, tensor in zip(self.inputs, (images, mirrored, noise), strict=True):
            graph_input.copy_(tensor)
        self.graph.replay()
        return self.loss.clone()

    def _warm_up(self, images: Tensor, mirrored: Tensor, noise: Tensor) -> Tensor:
        self.warm_up_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.warm_up_stream):
            loss = self.step(images, mirrored, noise)
        torch.cuda.current_stream().wait_stream(self.warm_up_stream)
        return loss

    def _capture(self, images: Tensor, mirrored: Tensor, noise: Tensor) -> torch.cuda.CUDAGraph:
        """Record what a step does with the tensors in `inputs`; nothing is executed."""
        self.inputs = (images.clone(), mirrored.clone(), noise.clone())
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.loss = self.step(*self.inputs)
        return graph
