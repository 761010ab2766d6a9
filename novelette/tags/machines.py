"""Linear support vector machines and Platt's scaling: convex losses that are minimized whole, by L-BFGS, all tags at once."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

FOLDS = 5


def minimize(loss: Callable[[], Tensor], parameters: Sequence[Tensor], iterations: int = 200) -> None:
    """Move parameters to the least loss, in place."""
    optimizer = torch.optim.LBFGS(parameters, max_iter=iterations, history_size=20, tolerance_grad=1e-6, line_search_fn="strong_wolfe")

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(evaluate)


def machines(x: Tensor, y: Tensor, weight: Tensor, c: float) -> tuple[Tensor, Tensor]:
    """A linear support vector machine for each tag: w (F, K) and b (K,).

        min ½‖w_k‖² + C Σ_i weight_ik max(0, 1 - y_ik (w_k · x_i + b_k))²         (LIBLINEAR's L2 loss; b is not held small)

    Args: x: (N, F).   y: bool (N, K), true is +1 and false is -1.   weight: (N, K), 0 for who takes no part.
    """
    sign = 2.0 * y - 1
    w, b = (torch.zeros(*shape, device=x.device, requires_grad=True) for shape in ((x.shape[1], y.shape[1]), (y.shape[1],)))

    def loss() -> Tensor:
        hinge = (1 - sign * (x @ w + b)).clamp(min=0)
        return w.square().sum() / 2 + c * (weight * hinge.square()).sum()

    minimize(loss, [w, b])
    return w.detach(), b.detach()


def balanced(y: Tensor, taking_part: Tensor | None = None) -> Tensor:
    """Weights (N, K) with which a tag's pictures weigh as much as all others, half of all that take part each; 0 for who does not.

    Args: y, taking_part: bool (N, K); all do, unless given.
    """
    part = torch.ones_like(y) if taking_part is None else taking_part
    positive, negative = y & part, ~y & part
    half = part.sum(0) / 2
    return positive * (half / positive.sum(0).clamp(min=1)) + negative * (half / negative.sum(0).clamp(min=1))


def sigmoids(scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Platt's scaling: a and b, (K,) each, so that σ(a_k s_k + b_k) are the likeliest probabilities of y: scores, y (N, K).

    As Platt has it, y counts as (n₊ + 1) / (n₊ + 2) and 1 / (n₋ + 2), so that a tag that is told without an error stays finite.
    """
    positive = y.sum(0)
    wanted = torch.where(y, (positive + 1) / (positive + 2), 1 / (len(y) - positive + 2))
    a, b = torch.ones(y.shape[1], device=y.device), torch.zeros(y.shape[1], device=y.device)
    for parameter in (a, b):
        parameter.requires_grad_()
    minimize(lambda: binary_cross_entropy_with_logits(a * scores + b, wanted, reduction="sum"), [a, b])
    return a.detach(), b.detach()


def calibrated(train: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Linear classifiers of x (N, F) whose scores are the log-odds of y, bool (N, K), so that those of different tags can be compared.

    Platt's scaling is fitted to scores of each picture by classifiers that were trained without its fifth.

    Args: train: of the indices (M,) of pictures, gives w (F, K) and b (K,).
    Returns: w and b with the scaling taken in, and the log-odds of the pictures by those that were trained without them, (N, K).
    """
    fold = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed)).to(x.device) % FOLDS
    held_out = torch.empty(y.shape, device=x.device)
    for number in range(FOLDS):
        w, b = train((fold != number).nonzero()[:, 0])
        held_out[fold == number] = x[fold == number] @ w + b
    slope, shift = sigmoids(held_out, y)
    w, b = train(torch.arange(len(x), device=x.device))
    return w * slope, b * slope + shift, held_out * slope + shift
