"""Skip-GANomaly: a U-Net reconstructs a picture with the help of what it saw at every size, and a discriminator compares the two.

The skips let details through, so reconstructions are sharp. Novelty is what is nevertheless not drawn as it was, in pixels and in the
discriminator's features.
"""

import copy
from itertools import pairwise
from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.optim import Adam

from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.data.images import as_tensor
from novelette.losses import discriminator_loss, fooling_loss, mean_squared, reconstruction_l1
from novelette.nets import Encoder, asked_widths, draw_weights, normalization
from novelette.netscorer import NetScorer, ScorerOf
from novelette.settings import Widths, setting
from novelette.training import Run, descend, generators, set_learning_rate
from novelette.watch import Watch

PAPER = "Akçay, Atapour-Abarghouei, Breckon: Skip-GANomaly (IJCNN 2019)"

FORWARD = 500  # training images at once, for the scale of the score


class Config(BaseModel, frozen=True, extra="forbid"):
    """A recipe for a core; `paper()` is the authors'."""

    widths: Widths = setting((8,), "channels of each downsampling block, or one number u for u, 2u, 4u, ... up to 256")
    latent: int = setting(64, "channels of the U-Net's innermost pixel", ge=1, le=4096)
    steps: int = setting(4_000, "updates of both networks", ge=1, le=100_000_000)
    batch_size: int = setting(32, "pictures per update", ge=1, le=4096)
    learning_rate: float = setting(1e-3, "Adam's step size for both networks", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting("cosine", "learning rate over training: falling to zero on a cosine, or constant")
    beta1: float = setting(0.5, "Adam's decay of the gradient's mean", ge=0, lt=1)
    w_adv: float = setting(1.0, "weight of the discriminator's verdict", ge=0, le=1e4)
    w_con: float = setting(40.0, "weight of the image reconstruction loss", ge=0, le=1e4)
    w_lat: float = setting(1.0, "weight of the difference in features", ge=0, le=1e4)
    weight: float = setting(0.9, "λ, weight of the difference in pixels in the score; the difference in features has 1 - λ", ge=0, le=1)

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.steps


TINY = Config(widths=(2,), latent=8, steps=30, batch_size=8, learning_rate=1e-2)


def paper() -> Config:
    """The authors' options: 15 epochs of CIFAR-10's nine normal classes in batches of 64, 100 latents, rate 2e-4; the paper's weights."""
    return Config(widths=(64,), latent=100, steps=10_500, batch_size=64, learning_rate=2e-4)


class UNet(nn.Module):
    """Images (N, C, S, S) to images in [-1, 1]: nets.Encoder and nets.Decoder, each block of the second seeing one of the first too."""

    def __init__(self, channels: int, widths: tuple[int, ...], latent: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 4, 2, 1, bias=False), normalization(b, "image"), nn.LeakyReLU(0.2))
            for a, b in pairwise([channels, *widths])
        )
        self.innermost = nn.Sequential(
            nn.Conv2d(widths[-1], latent, 4, bias=False),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(latent, widths[-1], 4, bias=False),
            normalization(widths[-1], "image"),
            nn.ReLU(),
        )
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(2 * b, a, 4, 2, 1, bias=False), normalization(a, "image"), nn.ReLU())
            for b, a in pairwise(reversed(widths))
        )
        self.last = nn.Sequential(nn.ConvTranspose2d(2 * widths[0], channels, 4, 2, 1, bias=False), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        seen = []
        for block in self.down:
            x = block(x)
            seen.append(x)
        x = self.innermost(x)
        for block in (*self.up, self.last):
            x = block(torch.cat([x, seen.pop()], 1))
        return x


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> NetScorer:
    """Train on normal images, uint8 (N, C, S, S).

        G: min w_adv [-log D(x̂)] + w_con ⟨|x - x̂|⟩ + w_lat ⟨(f(x) - f(x̂))²⟩          D: max log D(x) + log(1 - D(x̂))

    (Skip-GANomaly, Eqs. 1 to 4.)
    """
    net = SkipGanomaly(config, *images.shape[1:3])
    for i, part in enumerate((net.draw_again, net.critic)):
        draw_weights(part, generators([seed], i))
    net.to(device)
    opt_g, opt_d = (Adam(part.parameters(), config.learning_rate, (config.beta1, 0.999)) for part in (net.draw_again, net.critic))
    x_of, watch = batches([images], config.batch_size, [seed], device), Watch(config.steps, 1, run)
    parts: dict[str, HasState] = {"net": net, "opt_g": opt_g, "opt_d": opt_d}

    def scorer() -> NetScorer:
        return Scorer(config, net.scaled_by(images))

    for step in run.steps(config.steps, parts, seed=seed, images=config.batch_size, scorers=lambda: [scorer()]):
        for optimizer in (opt_g, opt_d):
            set_learning_rate(optimizer, config.learning_rate, config.schedule, step, config.steps)
        x = x_of[step][:, 0]
        x_hat = net.draw_again(x)
        f, f_hat = net.critic.features(x), net.critic.features(x_hat)
        l_adv, l_lat = fooling_loss(net.critic.head(f_hat).flatten()), mean_squared(f.detach(), f_hat)
        descend(opt_g, (config.w_adv * l_adv + config.w_con * reconstruction_l1(x, x_hat) + config.w_lat * l_lat).mean())
        l_d = discriminator_loss(net.critic.head(f).flatten(), net.critic(x_hat.detach()).squeeze(1))
        descend(opt_d, l_d.mean())
        if run.wants_log(step):
            watch.log(step, x, x_hat, {"adv": l_adv, "lat": l_lat, "d": l_d})
    return scorer()


class SkipGanomaly(nn.Module):
    """G, D with its features f(·), and the range that scores have on the training images."""

    lowest: Tensor
    highest: Tensor

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        self.config, widths = config, asked_widths(config.widths, size)
        self.draw_again = UNet(channels, widths, config.latent)
        self.critic = Encoder(channels, widths, 1, norm="none")
        self.register_buffer("lowest", torch.zeros(()))
        self.register_buffer("highest", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """A(x), 0 to 1 on training images, (N, C, S, S) in [-1, 1] -> (N,).

            A(x) = λ ⟨|x - x̂|⟩ + (1 - λ) ⟨(f(x) - f(x̂))²⟩,   scaled to (A - lowest) / (highest - lowest)      (Skip-GANomaly, Eqs. 5 and 6)

        Deviation: lowest and highest are those of the training images, not of the test set: a score is a picture's own.
        """
        x_hat = self.draw_again(x)
        f, f_hat = self.critic.features(x), self.critic.features(x_hat)
        a = self.config.weight * reconstruction_l1(x, x_hat) + (1 - self.config.weight) * mean_squared(f, f_hat)
        return (a - self.lowest) / (self.highest - self.lowest)

    @torch.no_grad()
    def scaled_by(self, images: Tensor) -> "SkipGanomaly":
        """A copy that has the range of its scores from images, uint8 (N, C, S, S)."""
        net = copy.deepcopy(self).eval()
        scores = torch.cat([net(as_tensor(part, net.lowest.device)) for part in images.split(FORWARD)])  # still from 0 to 1 unscaled
        net.lowest.copy_(scores.min())
        net.highest.copy_(scores.max().clamp_min(net.lowest + 1e-6))  # of images that are all alike
        return net

    def heatmap(self, x: Tensor) -> Tensor:
        """|x - x̂|, averaged over channels: (N, C, S, S) -> (N, S, S)."""
        return (x - self.draw_again(x)).abs().mean(1)


Scorer = ScorerOf(SkipGanomaly)
