"""The scorer of a method that is one network: what of the contract is the same for all of these.

A method writes its network: `__init__(config, channels, size)`, a forward that is the score, and `heatmap`. Then

    Scorer = ScorerOf(Network)

is its `Scorer`, which `fit` calls: `Scorer(config, net)`.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ScorerOf:
    """`Scorer` of a method.

    Attributes:
        network: of (config, channels, size). Its forward takes images (N, C, S, S) in [-1, 1] to scores (N,), its `heatmap` to (N, S, S)
            or, where it cannot say, None. One whose weights fit images of any size has a buffer `size`: theirs.
        graph: whether forward is a graph of operations, which can be exported and moved to a GPU.
    """

    network: Callable[[Any, int, int], nn.Module]
    graph: bool = True

    def __call__(self, config: Any, net: nn.Module) -> "NetScorer":
        """The scorer, on the CPU, with a copy of the network's weights."""
        return NetScorer(self, config, copy.deepcopy(net).cpu().eval())

    def from_state(self, config: Any, state: dict[str, Tensor], channels: int, size: int) -> "NetScorer":
        """Rebuild from `state()`. Raises: RuntimeError when names or shapes are of another network, or of images of another size."""
        if int(state.get("size", size)) != size:
            raise RuntimeError(f"a state of images of {int(state['size'])} px where {size} was expected")
        net = self.network(config, channels, size)
        net.load_state_dict(state)
        return self(config, net)


@dataclass(frozen=True)
class NetScorer:
    """A fitted network. It keeps no training picture."""

    of: ScorerOf
    config: Any
    net: Any  # nn.Module, which knows nothing of heatmap
    keeps_pictures = False

    @torch.inference_mode()
    def score(self, x: Tensor) -> Tensor:
        """(N, C, S, S) in [-1, 1] -> (N,)."""
        out: Tensor = self.net(x)
        return out

    def score_own(self, x: Tensor) -> Tensor:
        """`score`: no training image is kept."""
        return self.score(x)

    @torch.inference_mode()
    def heatmap(self, x: Tensor) -> Tensor | None:
        """(N, C, S, S) -> (N, S, S)."""
        out: Tensor | None = self.net.heatmap(x)
        return out

    def module(self) -> nn.Module | None:
        return self.net if self.of.graph else None

    def state(self) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.net.state_dict()
        return state

    def from_state(self, config: Any, state: dict[str, Tensor], channels: int, size: int) -> "NetScorer":
        """Another of the same method."""
        return self.of.from_state(config, state, channels, size)
