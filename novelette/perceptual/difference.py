"""How different two pictures look: PIAD's relative-perceptual-L1 loss, and the losses that it is compared with in its ablation.

Each is a value per position of a picture first, so that a score and its heat map are the same thing: the score is the mean of the map.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from novelette.losses import same_shape

Loss = Literal["mse", "perceptual", "perceptual-l1", "relative-perceptual-l1"]


def mse(x: Tensor, y: Tensor) -> Tensor:
    """⟨(x - y)²⟩ over channels: (N, C, H, W) twice to (N, H, W)."""
    same_shape(x, y)
    return (x - y).square().mean(1)


def perceptual(f_x: Tensor, f_y: Tensor) -> Tensor:
    """⟨(f(x) - f(y))²⟩ over filters (PIAD, Eq. 2, whose mean over positions it is): features (N, F, h, w) twice to (N, h, w)."""
    return mse(f_x, f_y)


def perceptual_l1(f_x: Tensor, f_y: Tensor) -> Tensor:
    """⟨|f̃(x) - f̃(y)|⟩ over filters: normalized features (N, F, h, w) twice to (N, h, w). The numerator of PIAD's Eq. 4."""
    same_shape(f_x, f_y)
    return (f_x - f_y).abs().mean(1)


def relative_perceptual_l1(f_x: Tensor, f_y: Tensor) -> Tensor:
    """The L1 distance of normalized features as a part of the original's own, position by position of the distance.

        L(x, y) = ‖f̃(x) - f̃(y)‖₁ / ‖f̃(x)‖₁                                (PIAD, Eq. 4)

    Args: f_x: f̃ of the original, (N, F, h, w).   f_y: of its reconstruction.
    Returns: (N, h, w), whose mean over positions is L.
    """
    same_shape(f_x, f_y)
    return (f_x - f_y).abs().mean(1) / f_x.abs().flatten(1).mean(1).clamp_min(1e-8)[:, None, None]


DIFFERENCES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": mse,
    "perceptual": perceptual,
    "perceptual-l1": perceptual_l1,
    "relative-perceptual-l1": relative_perceptual_l1,
}
