"""The Wasserstein GAN with gradient penalty (Gulrajani et al., 2017), as PIAD trains both of its critics."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import avg_pool2d, conv2d

from novelette.losses import same_shape

Step = tuple[tuple[int, ...], tuple[int, ...]]  # stride and padding of a convolution
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


class Convolution(nn.Conv2d):
    """A critic's convolution: as its base, but a gradient penalty goes through it at the cost of a few gradients.

    By x the gradient of ⟨g, w ∗ x⟩ is linear in w; what a penalty descends, ⟨u, ∂⟨g, w ∗ x⟩/∂x⟩ = ⟨g, w ∗ u⟩, has by w the gradient
    of a convolution at u. PyTorch takes g there for a kernel as large as the picture, which is five times as slow.

    Args: pooled: ⟨·⟩ over 2 x 2 after it, as one convolution of stride 2: by w averaged over the four shifts that are pooled.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, *, padding: int = 0, pooled: bool = False) -> None:
        super().__init__(c_in, c_out, kernel, padding=padding)
        self.pooled = pooled

    def forward(self, x: Tensor) -> Tensor:
        w, stride = (avg_pool2d(self.weight, 2, stride=1, padding=1), (2, 2)) if self.pooled else (self.weight, (1, 1))
        assert self.bias is not None
        parts, kind = (x, w, self.bias), x.device.type
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):  # it leaves a Function as it is
            parts = x.to(short := torch.get_autocast_dtype(kind)), w.to(short), self.bias.to(short)
        out: Tensor = _Convolve.apply(*parts, (stride, self.padding))
        return out


class _Convolve(Function):
    """w ∗ x + b. While a graph is made of its gradient (create_graph), that is by x alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor, step: Step) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, w)
        ctx.step = step
        return conv2d(x, w, b, *step)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> tuple[Tensor | None, ...]:
        if g is None:
            return None, None, None, None
        x, w = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _ByInput.apply(x, w, g, ctx.step), None, None, None
        return *_gradients(g, x, w, ctx.step, ctx.needs_input_grad[:3]), None


class _ByInput(Function):
    """∂⟨g, w ∗ x⟩/∂x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, g: Tensor, step: Step) -> Tensor | None:
        ctx.save_for_backward(w, g)
        ctx.step = step
        return _gradients(g, x, w, step, (True, False, False))[0]

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor | None, ...]:
        w, g = ctx.saved_tensors
        return None, _gradients(g, u, w, ctx.step, (False, True, False))[1], conv2d(u, w, None, *ctx.step), None


def _gradients(g: Tensor, x: Tensor, w: Tensor, step: Step, of: tuple[bool, bool, bool]) -> tuple[Tensor | None, ...]:
    """∂⟨g, w ∗ x + b⟩ by x, by w and by b, those that are asked for."""
    found: tuple[Tensor | None, ...] = torch.ops.aten.convolution_backward(g, x, w, [len(w)], *step, (1, 1), False, (0, 0), 1, of)
    return found
