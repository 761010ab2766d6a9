"""Pseudo labels drawn from a classifier's scores, and how the reward of a label moves the scores (KDGAN, section 3.3).

A player draws a label z of p = softmax(scores) and is told log(1 - p_d(x, z)). Three estimators of the gradient of the reward's
expectation; each is the gradient of `log_q(...) * reward`, with the reward and everything drawn held fixed.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

Estimator = Literal["concrete", "density", "categorical"]


class Drawn(NamedTuple):
    """Gumbel noise g (S, N, K), S samples an image, and the labels z (S, N) that it picks, argmax(log p + g)."""

    g: Tensor
    z: Tensor


def draw(scores: Tensor, samples: int) -> Drawn:
    """Labels of softmax(scores) by the Gumbel-Max trick, from torch's generator: scores (N, K)."""
    u = torch.rand(samples, *scores.shape, device=scores.device).clamp_(min=1e-10)  # exponential_ takes five times as long on a CPU
    g = -(-u.log()).log()
    return Drawn(g, (scores.detach() + g).argmax(-1))


def log_q(scores: Tensor, drawn: Drawn, temperature: float, estimator: Estimator) -> Tensor:
    """What the gradient of the reward goes through, (S, N), of scores (N, K).

        concrete      log y_z,  y = softmax((log p + g) / τ)                                     (Eq. 9, at the label that y picks)
        density       log of the concrete distribution's density at y, y held fixed              (Maddison et al. 2017, Eq. 10)
                      = log[(K-1)! τ^(K-1)] + Σ_k [log p_k - (τ+1) log y_k] - K log Σ_k p_k y_k^-τ
        categorical   log p_z, with no relaxation at all                                         (KDGAN-WO-GM)

    `categorical` and `density` are unbiased, since argmax y is distributed as p. `concrete` is the paper's: less spread and biased.
    As τ goes to 0 its gradient for two labels goes to log 2 times the true one, as τ grows it vanishes with 1/τ.
    """
    log_p = log_softmax(scores, -1)
    relaxed = log_softmax((log_p + drawn.g) / temperature, -1)
    if estimator == "concrete":
        return _at(relaxed, drawn.z)
    if estimator == "categorical":
        return _at(log_p.expand_as(drawn.g), drawn.z)
    k, tau, log_y = scores.shape[-1], torch.tensor(temperature), relaxed.detach()
    constant = torch.lgamma(torch.tensor(float(k))) + (k - 1) * tau.log()
    return constant + (log_p - (tau + 1) * log_y).sum(-1) - k * torch.logsumexp(log_p - tau * log_y, -1)


def _at(values: Tensor, z: Tensor) -> Tensor:
    return values.gather(-1, z[..., None])[..., 0]
