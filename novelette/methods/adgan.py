"""ADGAN: AnoGAN's search from several latents at once, each with a copy of the generator that gives way a little too.

The reconstruction error that is left after a few steps, over all of these searches on average, is how novel a picture is.
"""

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.optim import Adam

from novelette.dcgan import in_parts, train
from novelette.losses import mean_squared
from novelette.nets import Decoder, Encoder, asked_widths, each
from novelette.netscorer import NetScorer, ScorerOf
from novelette.settings import Widths, setting
from novelette.training import Run, generators

PAPER = "Deecke, Vandermeulen, Ruff, Mandt, Kloft: Image anomaly detection with generative adversarial networks (ECML PKDD 2018)"

COPIES = 64  # of the generator at a time


class Config(BaseModel, frozen=True, extra="forbid"):
    """A recipe for a core; `paper()` is the paper's own."""

    widths: Widths = setting((8,), "channels of each downsampling block, or one number u for u, 2u, 4u, ... up to 256")
    latent: int = setting(64, "size of the latent vectors", ge=1, le=4096)
    steps: int = setting(6_000, "updates of generator and discriminator", ge=1, le=100_000_000)
    batch_size: int = setting(32, "pictures per update", ge=1, le=4096)
    learning_rate: float = setting(1e-3, "Adam's step size for generator and discriminator", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting("cosine", "learning rate over training: falling to zero on a cosine, or constant")
    beta1: float = setting(0.5, "Adam's decay of the gradient's mean, in training and in the searches", ge=0, lt=1)
    starts: int = setting(16, "n_seed, how many latents the searches for a picture start from", ge=1, le=1024)
    search_steps: int = setting(10, "k, steps of each search", ge=1, le=100_000)
    search_rate: float = setting(0.25, "γ, Adam's step size for the latents in a search", gt=0, le=10)
    weights_rate: float = setting(5e-5, "γ_θ, Adam's step size for each copy of the generator's weights in a search", ge=0, le=1)

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.steps


TINY = Config(widths=(2,), latent=8, steps=80, batch_size=8, learning_rate=1e-2, starts=2, search_steps=3)


def paper() -> Config:
    """The paper's 64 searches of 5 steps with rates 0.25 and 5e-5, and DCGAN's widths, latents and rate."""
    return Config(
        widths=(64,), latent=100, steps=100_000, batch_size=64, learning_rate=2e-4, schedule="constant", starts=64, search_steps=5
    )


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> NetScorer:
    """Draw the latents at which every search begins, and train the GAN on normal images, uint8 (N, C, S, S)."""
    channels, size = images.shape[1:3]
    net, critic = Adgan(config, channels, size), Encoder(channels, asked_widths(config.widths, size), 1, norm="none")
    net.starts.normal_(generator=generators([seed], 2)[0])
    train(net.generate, critic, images, config, seed=seed, device=device, run=run, scorers=lambda: [Scorer(config, net)])
    return Scorer(config, net)


class Adgan(nn.Module):
    """G and the latents at which searches begin, (J, Z)."""

    starts: Tensor

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        self.config, self.channels, self.widths = config, channels, asked_widths(config.widths, size)
        self.generate = Decoder(channels, self.widths, config.latent)
        self.register_buffer("starts", torch.zeros(config.starts, config.latent))

    def search(self, x: Tensor) -> Tensor:
        """What the searches draw for images (N, C, S, S): G_θⱼ(zⱼ), (N, J, C, S, S) (ADGAN, Alg. 1).

        Each image has J latents and J copies of G, which descend together on ⟨(x - G_θⱼ(zⱼ))²⟩: N · J generators stacked into one
        (novelette.nets), of which none sees another.
        Deviation: the latents are drawn once, by the seed, and not anew for each picture; so a score is the same tomorrow.
        """
        with torch.inference_mode(False), torch.enable_grad():
            return self._drawn(x.detach().clone())

    def _drawn(self, x: Tensor) -> Tensor:
        n, j = len(x), self.config.starts
        copies = Decoder(self.channels, self.widths, self.config.latent, models=n * j).to(x.device)
        own = self.generate.state_dict()
        copies.load_state_dict({name: torch.cat([value] * (n * j)) if value.dim() else value for name, value in own.items()})
        z = self.starts.repeat(n, 1).flatten()[None].requires_grad_()  # (1, N * J * Z)
        rates = [{"params": [z], "lr": self.config.search_rate}, {"params": copies.parameters(), "lr": self.config.weights_rate}]
        optimizer = Adam(rates, betas=(self.config.beta1, 0.999))
        wanted = x.repeat_interleave(j, 0)
        for _ in range(self.config.search_steps):
            optimizer.zero_grad()
            mean_squared(wanted, each(copies(z), n * j)).sum().backward()
            optimizer.step()
        with torch.no_grad():
            return each(copies(z), n * j).unflatten(0, (n, j))

    def forward(self, x: Tensor) -> Tensor:
        """The mean over J searches of ⟨(x - G_θⱼ(zⱼ))²⟩: (N, C, S, S) in [-1, 1] -> (N,). Its gradient is that with these images kept."""
        return self._in_parts(x, lambda d: d.square().flatten(1).mean(1))

    def heatmap(self, x: Tensor) -> Tensor:
        """|x - G_θⱼ(zⱼ)|, averaged over searches and channels: (N, C, S, S) -> (N, S, S)."""
        return self._in_parts(x, lambda d: d.abs().mean((1, 2)))

    def _in_parts(self, x: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
        """`reduce` of the differences x - G_θⱼ(zⱼ), (n, J, C, S, S), part by part."""
        return in_parts(
            lambda part: reduce(part[:, None] - self.search(part)), x.to(self.starts.device), max(1, COPIES // self.config.starts)
        )


Scorer = ScorerOf(Adgan, graph=False)  # a search by gradients is no network from images to scores
