"""AnoGAN: a GAN learns to draw normal pictures; a picture is novel when no latent is found from which the GAN draws it.

The search begins at one latent and descends on how far G(z) is from the picture, in pixels and in the discriminator's features.
"""

from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.optim import Adam

from novelette.dcgan import in_parts, train
from novelette.losses import reconstruction_l1
from novelette.nets import Decoder, Encoder, asked_widths
from novelette.netscorer import NetScorer, ScorerOf
from novelette.settings import Widths, setting
from novelette.training import Run, generators

PAPER = "Schlegl, Seeböck, Waldstein, Schmidt-Erfurth, Langs: Unsupervised anomaly detection with GANs (IPMI 2017)"

SEARCHED = 64  # images at a time


class Config(BaseModel, frozen=True, extra="forbid"):
    """A recipe for a core; `paper()` is the paper's own."""

    widths: Widths = setting((8,), "channels of each downsampling block, or one number u for u, 2u, 4u, ... up to 256")
    latent: int = setting(64, "size of the latent vectors", ge=1, le=4096)
    steps: int = setting(6_000, "updates of generator and discriminator", ge=1, le=100_000_000)
    batch_size: int = setting(32, "pictures per update", ge=1, le=4096)
    learning_rate: float = setting(1e-3, "Adam's step size for generator and discriminator", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting("cosine", "learning rate over training: falling to zero on a cosine, or constant")
    beta1: float = setting(0.5, "Adam's decay of the gradient's mean, in training and in the search", ge=0, lt=1)
    search_steps: int = setting(30, "steps of the search for a picture's latent", ge=1, le=100_000)
    search_rate: float = setting(0.5, "Adam's step size in the search", gt=0, le=10)
    weight: float = setting(0.1, "λ, weight of the difference in features; the difference in pixels has 1 - λ", ge=0, le=1)

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.steps


TINY = Config(widths=(2,), latent=8, steps=120, batch_size=8, learning_rate=1e-2, search_steps=3, search_rate=0.05)


def paper() -> Config:
    """The paper's 500 steps of search with λ = 0.1, and DCGAN's widths, latents and rate; the paper states no number of updates."""
    return Config(widths=(64,), latent=100, batch_size=64, learning_rate=2e-4, schedule="constant", search_steps=500, search_rate=0.05)


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> NetScorer:
    """Draw the latent at which every search begins, and train the GAN on normal images, uint8 (N, C, S, S)."""
    net = Anogan(config, *images.shape[1:3])
    net.start.normal_(generator=generators([seed], 2)[0])
    train(net.generate, net.critic, images, config, seed=seed, device=device, run=run, scorers=lambda: [Scorer(config, net)])
    return Scorer(config, net)


class Anogan(nn.Module):
    """G, D with its features f(·), and the latent at which a search begins."""

    start: Tensor  # (Z,)

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        self.config, widths = config, asked_widths(config.widths, size)
        self.generate = Decoder(channels, widths, config.latent)
        self.critic = Encoder(channels, widths, 1, norm="none")
        self.register_buffer("start", torch.zeros(config.latent))

    def loss(self, x: Tensor, f: Tensor, x_hat: Tensor) -> Tensor:
        """How far a drawn image is from a picture, (N,).

            L = (1 - λ) ⟨|x - G(z)|⟩ + λ ⟨|f(x) - f(G(z))|⟩                  (AnoGAN, Eqs. 2 to 4 and the score)

        Args: x, x_hat: pictures and G(z), (N, C, S, S).   f: D's features of x.
        Deviation: ⟨·⟩ is a mean where the paper has a sum, so that λ means the same at any size.
        """
        weight = self.config.weight
        return (1 - weight) * reconstruction_l1(x, x_hat) + weight * reconstruction_l1(f, self.critic.features(x_hat))

    def search(self, x: Tensor) -> Tensor:
        """The latents that are found for pictures (N, C, S, S) by descent, (N, Z).

        Deviation: every search begins at the same latent, drawn once by the seed; the paper draws one a picture. So scores do not change
        from one call to the next.
        """
        with torch.inference_mode(False), torch.enable_grad():
            x = x.detach().clone()
            f = self.critic.features(x).detach()
            z = self.start.expand(len(x), -1).clone().requires_grad_()
            optimizer = Adam([z], self.config.search_rate, (self.config.beta1, 0.999))
            for _ in range(self.config.search_steps):
                (z.grad,) = torch.autograd.grad(self.loss(x, f, self.generate(z)).sum(), z)  # an image's latent has its image's gradient
                optimizer.step()
        return z.detach()

    def forward(self, x: Tensor) -> Tensor:
        """A(x) = L of the latent found: (N, C, S, S) in [-1, 1] -> (N,). Its gradient is that with this latent kept."""
        return in_parts(lambda part: self._found(part)[0], x.to(self.start.device), SEARCHED)

    def heatmap(self, x: Tensor) -> Tensor:
        """|x - G(z)|, averaged over channels: (N, C, S, S) -> (N, S, S)."""
        return in_parts(lambda part: (part - self._found(part)[1]).abs().mean(1), x.to(self.start.device), SEARCHED)

    def _found(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """L and G(z) of the latents found, (N,) and (N, C, S, S)."""
        with torch.no_grad():
            x_hat = self.generate(self.search(x))
        return self.loss(x, self.critic.features(x), x_hat), x_hat


Scorer = ScorerOf(Anogan, graph=False)  # a search by gradients is no network from images to scores
