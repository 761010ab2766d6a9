"""The terms of KDGAN's value function (its Eqs. 1 and 3), unreduced: one value per image.

Scores are (N, K), labels (N,) and drawn labels (S, N), S samples an image.
"""

from typing import Literal

from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid, softmax

from novelette.losses import same_shape

Distance = Literal["l2", "kl"]


def log_true(g: Tensor, y: Tensor) -> Tensor:
    """log p_d(x, y), p_d = σ(g): the discriminator's scores g (N, K) and labels (N,) or (S, N) to the same shape as the labels (Eq. 2)."""
    return _of(logsigmoid(g), y)


def log_made(g: Tensor, y: Tensor) -> Tensor:
    """log(1 - p_d(x, y)), of the same."""
    return _of(logsigmoid(-g), y)


def distillation(scores: Tensor, wanted: Tensor, distance: Distance) -> Tensor:
    """How far a player's distribution over labels is from another's, whose scores are held fixed: (N, K) twice to (N,).

        l2: ½ ‖h - f‖²        kl: Σ_y p_f log(p_f / p_h)                                     (L_DS of Eq. 3)

    l2 is as in the authors' code, to which β and γ belong, and in Ba and Caruana's Eq. 1: half the sum over labels, of the scores
    themselves, before the softmax. Two that differ by a constant are one distribution and yet apart.
    """
    same_shape(scores, wanted)
    wanted = wanted.detach()
    if distance == "l2":
        return (scores - wanted).square().sum(-1) / 2
    log_p, log_wanted = log_softmax(scores, -1), log_softmax(wanted, -1)
    return (softmax(wanted, -1) * (log_wanted - log_p)).sum(-1)


def value(p_u: Tensor, p_c: Tensor, p_t: Tensor, p_d: Tensor, *, alpha: float) -> Tensor:
    """The adversarial part of U(c, t, d), exactly, for distributions over labels and p_d, all (N, K): (N,) (Eqs. 3 and 4).

    Σ_y p_u log p_d + p_α log(1 - p_d),   p_α = α p_c + (1 - α) p_t
    """
    for other in (p_c, p_t, p_d):
        same_shape(p_u, other)
    mixed = alpha * p_c + (1 - alpha) * p_t
    return (p_u * p_d.log() + mixed * (-p_d).log1p()).sum(-1)


def _of(values: Tensor, y: Tensor) -> Tensor:
    return values.expand(*y.shape, values.shape[-1]).gather(-1, y[..., None])[..., 0]
