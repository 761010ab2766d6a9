"""What keeps the adversarial game in bounds (technical report, 3.1, 3.3): bounded probabilities, learning rates coupled to the losses."""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

Control = Literal["none", "linear", "exponential", "lotka-volterra"]

MOST = 10.0  # times the learning rate: a loss without bound must not give a step without bound


def minus_log(logits: Tensor, bound: float) -> Tensor:
    """-log p′ of p = σ(logit), one value a logit.

        p′ = (1 - 2ε) p + ε,  in [ε, 1 - ε]

    Deviation: the report's (1 - ε) p + ε reaches 1, and leaves log(1 - 1) in. ε = 0 is softplus(-logit), which has no log(0) either.
    """
    return softplus(-logits) if bound == 0 else -torch.log((1 - 2 * bound) * logits.sigmoid() + bound)


def curator_loss(real: Tensor, made: Tensor, bound: float = 0.0) -> Tensor:
    """L_C = -log D(x) - log(1 - D(g)), D's loss: logits (N,) twice to (N,)   (A.5; 1 - p′(y) = p′(-y))."""
    return minus_log(real, bound) + minus_log(-made, bound)


def forger_loss(made: Tensor, bound: float = 0.0) -> Tensor:
    """L_F = -log D(g), G's loss: logits (N,) to (N,)   (Algorithm 2, l. 8)."""
    return minus_log(made, bound)


def rates(control: Control, l_c: float, l_f: float) -> tuple[float, float]:
    """What D's and G's learning rates are multiplied by, in [0, MOST], from the means of their losses.

        linear          η_D ∝ c                η_G ∝ f                 whoever is worse learns faster
        exponential     η_D ∝ exp(c - 1)       η_G ∝ exp(f - 1)
        lotka-volterra  η_D ∝ c (2 - f)        η_G ∝ f (2 - c)         and waits where the other is left behind

    c = L_C / (2 log 2) and f = L_F / log 2 are 1 where D = ½, and so is every factor.
    Deviation: the report leaves units, a, b, c and d open; its α is the learning rate at D = ½ here. A rate is never negative.
    """
    c, f = l_c / (2 * math.log(2)), l_f / math.log(2)
    factors = {
        "none": (1.0, 1.0),
        "linear": (c, f),
        "exponential": (math.exp(min(c - 1, MOST)), math.exp(min(f - 1, MOST))),
        "lotka-volterra": (c * (2 - f), f * (2 - c)),
    }[control]
    return min(max(factors[0], 0.0), MOST), min(max(factors[1], 0.0), MOST)
