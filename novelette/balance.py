"""Gradient-normalizing weights (PIAD, section 3.3): the weight of a second loss that makes its gradients as large as the first one's."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

Norm = Literal["l2", "std"]
Reduce = Literal["mean", "median"]


def gradient_norms(gradients: Sequence[Tensor], norm: Norm) -> Tensor:
    """The size of each layer's gradient, (L,): the L2 norm (Alg. 2, l. 2), or the standard deviation (the supplement's 1.2, the code)."""
    return torch.stack([g.norm() if norm == "l2" else g.std(unbiased=False) for g in gradients]).detach()


class History:
    """Alg. 2: the gradient norms of one loss, layer by layer, exponentially smoothed; the last N of them are kept.

        s_t = (1 - a) s_(t-1) + a v_t,   s_0 = v_0

    Smoothing the whole history and taking its last N (Alg. 3, l. 3) gives the same, and needs no more than these.
    """

    def __init__(self, smoothing: float, length: int) -> None:
        self.smoothing, self.length = smoothing, length
        self.smoothed = torch.zeros(0, 0)

    def add(self, norms: Tensor) -> None:
        """Norms of every layer, (L,)."""
        norms = norms.cpu().float()
        now = norms if not len(self.smoothed) else (1 - self.smoothing) * self.smoothed[-1] + self.smoothing * norms
        self.smoothed = torch.cat([self.smoothed.reshape(-1, len(now)), now[None]])[-self.length :]

    def state_dict(self) -> dict[str, Tensor]:
        return {"smoothed": self.smoothed}

    def load_state_dict(self, state: Mapping[str, Tensor], /) -> None:
        self.smoothed = state["smoothed"]


def select_weight(first: History, second: History, reduce: Reduce) -> float:
    """Alg. 3: γ, by which the second loss's gradients are multiplied to be as large as the first's.

        γ = ⟨⟨s₁ / s₂⟩ over the last N⟩ over layers                      mean, as printed
        γ = the median of s₁ / s₂ over layers and history                median, as the authors' code

    Layers that the second loss does not reach at all are left out.
    """
    reached = second.smoothed > 0
    ratios = torch.where(reached, first.smoothed / second.smoothed, torch.nan)
    if not reached.any():
        return 1.0
    return float(ratios.nanmean(0).nanmean() if reduce == "mean" else ratios[reached].quantile(0.5))
