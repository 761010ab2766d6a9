"""The Wasserstein GAN with gradient penalty (Gulrajani et al., 2017), as PIAD trains both of its critics."""

from collections.abc import Callable

import torch
from torch import Tensor

from novelette.losses import same_shape

Critic = Callable[[Tensor], Tensor]  # (N, ...) to (N,)


def critic_loss(real: Tensor, fake: Tensor, penalty: Tensor, *, weight: float, drift: float) -> Tensor:
    """What a critic descends, one value per pair.

        L_disc = D(x′) - D(x) + λ GP + ε D(x)²                            (PIAD, Eq. 5, and its supplement, 1)

    Args: real, fake: D of true and of made samples, (N,).   penalty: GP of each, (N,).   weight: λ.   drift: ε.
    Returns: (N,), not reduced.   Raises: ValueError when shapes differ.
    """
    same_shape(real, fake)
    same_shape(real, penalty)
    return fake - real + weight * penalty + drift * real.square()


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """How far the critic's slope is from 1 between true and made samples.

        GP = (‖∇D(x̂)‖₂ - 1)²,   x̂ = α x + (1 - α) x′,   α uniform in [0, 1], one for each pair

    Args: real, fake: (N, ...).   Returns: (N,), not reduced, with a gradient for the critic's weights.
    α comes from torch's own generator. A critic that looks at its whole batch has the gradient of the sum over the batch.
    """
    same_shape(real, fake)
    alpha = torch.rand(len(real), *(1,) * (real.dim() - 1), device=real.device)
    between = (alpha * real.detach() + (1 - alpha) * fake.detach()).requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.flatten(1).square().sum(1) + 1e-12).sqrt().sub(1).square()  # 1e-12: the root's gradient at 0 is not finite
