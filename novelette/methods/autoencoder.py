"""An autoencoder of two layers: a picture is novel when it cannot be rebuilt from its code.

The technical report, sections 2.4 and A.3, with the two kinds that its section 5.1 names: the denoising autoencoder is given
noisy pictures to clean, the contractive one keeps ∂h/∂x small.
"""

from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.optim import Adam

from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.losses import mean_squared
from novelette.nets import draw_xavier_weights
from novelette.netscorer import NetScorer, ScorerOf
from novelette.settings import setting
from novelette.training import Run, descend, generators, set_learning_rate
from novelette.watch import Watch

PAPER = (
    "a technical report on deep learning and GANs for novelty detection, 2.4; Alain, Bengio: What regularized auto-encoders learn (2014)"
)


class Config(BaseModel, frozen=True, extra="forbid"):
    """Plain, denoising or contractive, or both."""

    hidden: int = setting(64, "how many numbers the code has", ge=1, le=8192)
    denoising: float = setting(
        0.0,
        "standard deviation of the Gaussian noise added to pictures before they are encoded in training; pixels go from -1 to 1",
        ge=0,
        le=10,
    )
    contractive: float = setting(0.0, "weight of the squared norm of the code's derivative ‖∂h/∂x‖²", ge=0, le=1e4)
    steps: int = setting(2_000, "training updates", ge=1, le=100_000_000)
    batch_size: int = setting(64, "pictures per update", ge=1, le=4096)
    learning_rate: float = setting(2e-3, "Adam's step size", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting("cosine", "learning rate over training: falling to zero on a cosine, or constant")

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.steps


TINY = Config(hidden=8, steps=60, batch_size=8)


def paper() -> Config:
    """The report states no more than two layers and the mean squared error."""
    return Config()


class Autoencoder(nn.Module):
    """x̂ = tanh(V h + c), h = σ(W x + b).   Images (N, C, S, S) in [-1, 1] to scores (N,): ⟨(x - x̂)²⟩."""

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        pixels = channels * size**2
        self.encode = nn.Sequential(nn.Flatten(), nn.Linear(pixels, config.hidden), nn.Sigmoid())
        self.decode = nn.Sequential(nn.Linear(config.hidden, pixels), nn.Tanh(), nn.Unflatten(1, (channels, size, size)))

    @property
    def first(self) -> nn.Linear:
        """The layer with W."""
        layer = self.encode[1]
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        return mean_squared(x, self.decode(self.encode(x)))

    def heatmap(self, x: Tensor) -> Tensor:
        """(x - x̂)², averaged over channels: (N, C, S, S) -> (N, S, S). Its mean is the score."""
        return (x - self.decode(self.encode(x))).square().mean(1)


def contraction(h: Tensor, weight: Tensor) -> Tensor:
    """Squared Frobenius norm of the derivative of h = σ(W x + b).

        ‖∂h/∂x‖² = Σⱼ (hⱼ (1 - hⱼ))² ‖Wⱼ‖²

    Args: h: codes, (N, H).   weight: W, (H, F).   Returns: (N,).
    """
    return (h * (1 - h)).square() @ weight.square().sum(1)


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> NetScorer:
    """Train on normal images, uint8 (N, C, S, S)."""
    net = Autoencoder(config, *images.shape[1:3])
    draw_xavier_weights(net, generators([seed], 0)[0])
    net.to(device).train()
    optimizer = Adam(net.parameters(), config.learning_rate)
    x_of, watch = batches([images], config.batch_size, [seed], device), Watch(config.steps, 1, run)
    parts: dict[str, HasState] = {"net": net, "optimizer": optimizer}
    for step in run.steps(config.steps, parts, seed=seed, images=config.batch_size, scorers=lambda: [Scorer(config, net)]):
        set_learning_rate(optimizer, config.learning_rate, config.schedule, step, config.steps)
        x = x_of[step][:, 0]
        h = net.encode(x + config.denoising * torch.randn_like(x) if config.denoising else x)
        x_hat = net.decode(h)
        l_rec, l_con = mean_squared(x, x_hat), contraction(h, net.first.weight)
        descend(optimizer, (l_rec + config.contractive * l_con).mean())
        if run.wants_log(step):
            watch.log(step, x, x_hat, {"rec": l_rec, "derivative": l_con})
    return Scorer(config, net)


Scorer = ScorerOf(Autoencoder)
