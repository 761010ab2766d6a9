"""What scoring takes: parameters, operations of one image, bytes of weights, and time.

Counting walks the layers that run while a network scores one image. A layer that runs twice is counted twice, and what does not run is
not counted: neither the discriminator nor, in the pipeline `ed-hat`, the second encoder.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from novelette.kernels import Kernels
from novelette.methods.bayes_factor import Odds
from novelette.methods.certainty import Slope
from novelette.methods.feature_knn import Near
from novelette.methods.knn import Neighbours
from novelette.methods.pca import Residual
from novelette.vectors import Vectors

NORMALIZATIONS = (nn.GroupNorm, nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm2d)
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Tanh, nn.Sigmoid)

WARM_UP, TURN = 3, 5  # calls that are not timed; calls in a row, so that a small network finds its weights in the cache
BATCH, BATCH_MACS = 64, 2**32  # images a batch, fewer where that many multiply-adds take long


@dataclass(frozen=True)
class Cost:
    """What scoring one image takes.

    Attributes:
        params: trainable numbers of the layers that take part.
        macs: multiply-adds of convolutions (those with padding too), linear layers and comparisons with kept pictures.
        elementwise: one operation for each number that a normalization or an activation puts out, and for each look into a table.
            P-KDGAN's "#FLOPs" are macs + elementwise: 2.29, 0.18 and 0.08 million for its three students.
        weight_bytes: of those layers' parameters and buffers: a BatchNorm's averages, the pictures of kNN.
    """

    params: int
    macs: int
    elementwise: int
    weight_bytes: int


def count(net: nn.Module, x: Tensor) -> Cost:
    """The cost of one image, by walking the layers that run.

    Args:
        net: as it scores; on the meta device nothing is computed.
        x: any image (1, C, S, S) on the network's device.
    Raises: TypeError for a layer with weights that no rule counts.
    """
    ran: list[nn.Module] = []
    macs: list[int] = []
    elementwise: list[int] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        ran.append(layer)
        if isinstance(layer, NORMALIZATIONS + ACTIVATIONS):
            elementwise.append(out.numel())
        elif isinstance(layer, Odds):  # it looks up each number of the image
            elementwise.append(inputs[0].numel())
        elif isinstance(layer, Slope):  # back from each logit to the image takes what its network has just taken
            macs.append(layer.net.classes * sum(macs))
        else:
            macs.append(multiply_adds(layer, inputs[0], out))

    hooks = [layer.register_forward_hook(note) for layer in net.modules()]
    try:
        with torch.inference_mode():
            net(x)
    finally:
        for hook in hooks:
            hook.remove()
    params = {p for layer in ran for p in layer.parameters(recurse=False)}
    buffers = {b for layer in ran for b in layer.buffers(recurse=False)}
    trainable = sum(p.numel() for p in params if p.requires_grad)
    return Cost(trainable, sum(macs), sum(elementwise), sum(t.nbytes for t in params | buffers))


def multiply_adds(layer: nn.Module, x: Tensor, out: Tensor) -> int:
    """Products of a layer's own weights with its input x that add up to `out`; 0 for a layer that has no weights itself.

    Raises: TypeError for a layer with weights that no rule counts.
    """
    match layer:
        case nn.Conv2d():  # weight (C_out, C_in / groups, k, k): each output is a sum over a kernel
            return out.numel() * layer.weight[0].numel()
        case nn.ConvTranspose2d():  # weight (C_in, C_out / groups, k, k): each input goes into a kernel's worth of outputs
            return x.numel() * layer.weight[0].numel()
        case nn.Linear():
            return out.numel() * layer.in_features
        case Neighbours():  # the image times every kept one
            return len(x) * layer.images.numel()
        case Near():  # its vector times every kept one
            return len(x) * layer.vectors.numel()
        case Kernels():
            return len(x) * layer.rows.numel()
        case Vectors():  # to the principal components
            return 0 if layer.axes is None else len(x) * layer.axes.numel()
        case Residual(vectors=Vectors(axes=Tensor() as axes)):  # and back
            return len(x) * axes.numel()
    if next(layer.parameters(recurse=False), None) is not None:
        raise TypeError(f"no rule counts the operations of a {type(layer).__name__}")
    return 0


@dataclass(frozen=True)
class Speed:
    """How fast images in memory are scored, decoding and preparing apart, on one thread of this machine's CPU.

    Attributes:
        latency_ms, latency_p99_ms: of an image by itself, the median and what 99 of 100 calls stay under.
        images_per_second: in batches of `batch`, at the median time of a batch.
        calls: how many single images were timed.
        threads: of PyTorch's.
    """

    latency_ms: float
    latency_p99_ms: float
    images_per_second: float
    batch: int
    calls: int
    threads: int = 1


Score = Callable[[Tensor], Tensor]


def measure(scores: Sequence[Score], shape: tuple[int, int, int], macs: Sequence[int], *, seconds: float) -> list[Speed]:
    """Speeds of several scorers on the CPU. They take turns, so a machine that is busy is busy for all.

    Still a long call is interrupted more often than a short one: on a busy machine the ratios flatter the smaller network.

    Args:
        scores: each (N, C, S, S) to (N,).   shape: (C, S, S).   macs: of one image, each; from these the size of its batches.
        seconds: for the latencies of all together, and as long again for their batches.
    """
    batches = [batch_for(m) for m in macs]
    x = torch.rand(BATCH, *shape) * 2 - 1
    with one_thread():
        single = in_turns([partial(score, x[:1]) for score in scores], seconds)
        many = in_turns([partial(score, x[:n]) for score, n in zip(scores, batches, strict=True)], seconds)
    return [
        Speed(1000 * statistics.median(one), 1000 * float(np.percentile(one, 99)), n / statistics.median(of_batch), n, len(one))
        for one, of_batch, n in zip(single, many, batches, strict=True)
    ]


def batch_for(macs: int) -> int:
    """How many images of so many multiply-adds each make a batch to be timed."""
    return max(1, min(BATCH, BATCH_MACS // max(1, macs)))


def in_turns(calls: Sequence[Callable[[], object]], seconds: float) -> list[list[float]]:
    """How long each call took, s, turn by turn until `seconds` are over; one turn at least."""
    for call in calls:
        for _ in range(WARM_UP):
            call()
    times: list[list[float]] = [[] for _ in calls]
    began = time.perf_counter()
    while not times[0] or time.perf_counter() - began < seconds:
        for call, own in zip(calls, times, strict=True):
            for _ in range(TURN):
                start = time.perf_counter()
                call()
                own.append(time.perf_counter() - start)
    return times


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch computes on one thread meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
