"""The variational autoencoder: a picture is novel when it is unlikely under the model, as far as the model's bound can tell.

p(z) = N(0, I),  p(x|z) = N(D(z), s² I),  q(z|x) = N(μ(x), diag σ²(x))
-log p(x) ≤ E_q ‖x - D(z)‖² / 2s² + KL(q(z|x) ‖ p(z)) + const                (Kingma and Welling, Eq. 3)
"""

from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.optim import Adam

from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.losses import same_shape
from novelette.nets import Decoder, Encoder, asked_widths, block_widths, draw_weights
from novelette.netscorer import NetScorer, ScorerOf
from novelette.settings import Widths, setting
from novelette.training import Run, descend, generators, set_learning_rate
from novelette.watch import Watch

PAPER = "Kingma, Welling: Auto-encoding variational Bayes (2014)"


class Config(BaseModel, frozen=True, extra="forbid"):
    """Chosen on held-out training pictures of MNIST's 5 and 8."""

    widths: Widths = setting((8,), "channels of each downsampling block, or one number u for u, 2u, 4u, ... up to 256")
    latent: int = setting(16, "size of the latent vectors", ge=1, le=4096)
    noise: float = setting(1.0, "s, standard deviation of the pixels around the decoded picture; pixels go from -1 to 1", ge=1e-3, le=10)
    score: Literal["bound", "reconstruction"] = setting(
        "reconstruction", "the bound at the mean latent, or its first term alone (reconstruction)"
    )
    steps: int = setting(2_000, "training updates", ge=1, le=100_000_000)
    batch_size: int = setting(32, "pictures per update", ge=1, le=4096)
    learning_rate: float = setting(2e-3, "Adam's step size", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting("cosine", "learning rate over training: falling to zero on a cosine, or constant")

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.steps


TINY = Config(widths=(2,), latent=8, steps=60, batch_size=8)


def paper() -> Config:
    """One network for all: the papers whose tables have a VAE state neither its layers nor its score."""
    return Config()


class Vae(nn.Module):
    """Images (N, C, S, S) in [-1, 1] to scores (N,): ‖x - D(μ)‖² / 2s² + KL(q(z|x) ‖ p(z)), or the first term alone."""

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        self.config, widths = config, block_widths(config.widths, size)
        self.encode = Encoder(channels, widths, 2 * config.latent)
        self.decode = Decoder(channels, widths, config.latent)

    def outputs(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x̂, μ and log σ²; z is drawn in training, and μ otherwise."""
        mu, log_var = self.encode(x).chunk(2, dim=1)
        z = mu + (log_var / 2).exp() * torch.randn_like(mu) if self.training else mu
        return self.decode(z), mu, log_var

    def forward(self, x: Tensor) -> Tensor:
        x_hat, mu, log_var = self.outputs(x)
        l_rec = misfit(x, x_hat, self.config.noise)
        return l_rec if self.config.score == "reconstruction" else l_rec + divergence(mu, log_var)

    def heatmap(self, x: Tensor) -> Tensor:
        """|x - D(μ)|, averaged over channels: (N, C, S, S) -> (N, S, S)."""
        return (x - self.outputs(x)[0]).abs().mean(1)


def misfit(x: Tensor, x_hat: Tensor, noise: float) -> Tensor:
    """‖x - x̂‖² / 2s², -log p(x|z) up to a constant.   Args: x, x_hat: (N, C, S, S).   Returns: (N,)."""
    same_shape(x, x_hat)
    return (x - x_hat).square().flatten(1).sum(1) / (2 * noise**2)


def divergence(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(μ, diag σ²) ‖ N(0, I)) = ½ Σ (μ² + σ² - log σ² - 1).   Args: mu, log_var: (N, Z).   Returns: (N,)."""
    return (mu.square() + log_var.exp() - log_var - 1).sum(1) / 2


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> NetScorer:
    """Train on normal images, uint8 (N, C, S, S). Raises: InputError when the widths do not name every block of images of this size."""
    channels, size = images.shape[1:3]
    asked_widths(config.widths, size)
    net = Vae(config, channels, size)
    draw_weights(net, generators([seed], 0))
    net.to(device).train()
    optimizer = Adam(net.parameters(), config.learning_rate)
    x_of, watch = batches([images], config.batch_size, [seed], device), Watch(config.steps, 1, run)
    parts: dict[str, HasState] = {"net": net, "optimizer": optimizer}
    for step in run.steps(config.steps, parts, seed=seed, images=config.batch_size, scorers=lambda: [Scorer(config, net)]):
        set_learning_rate(optimizer, config.learning_rate, config.schedule, step, config.steps)
        x = x_of[step][:, 0]
        x_hat, mu, log_var = net.outputs(x)
        l_rec, l_kl = misfit(x, x_hat, config.noise), divergence(mu, log_var)
        descend(optimizer, (l_rec + l_kl).mean() / x[0].numel())
        if run.wants_log(step):
            watch.log(step, x, x_hat, {"rec": l_rec, "kl": l_kl})
    return Scorer(config, net)


Scorer = ScorerOf(Vae)
