"""EGBAD, efficient GAN-based anomaly detection: a BiGAN, whose encoder takes the place of AnoGAN's search.

E and G learn together: one discriminator sees pairs of a picture and its code, or of a drawn picture and its latent, and when it cannot
tell which, E is G turned round. Novelty is what a picture loses on its way through both.
"""

from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch.optim import Adam

from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.losses import discriminator_loss, fooling_loss, reconstruction_l1
from novelette.nets import Decoder, Encoder, asked_widths, dense, draw_weights
from novelette.netscorer import NetScorer, ScorerOf
from novelette.settings import Widths, setting
from novelette.training import Run, descend, generators, set_learning_rate
from novelette.watch import Watch

PAPER = "Zenati, Foo, Lecouat, Manek, Chandrasekhar: Efficient GAN-based anomaly detection (2018)"


class Config(BaseModel, frozen=True, extra="forbid"):
    """A recipe for a core; `paper()` is the authors'."""

    widths: Widths = setting((8,), "channels of each downsampling block, or one number u for u, 2u, 4u, ... up to 256")
    latent: int = setting(64, "size of the latent vectors", ge=1, le=4096)
    units: int = setting(128, "units of the discriminator's layers that see codes, alone or beside pictures", ge=1, le=4096)
    steps: int = setting(4_000, "updates of all networks", ge=1, le=100_000_000)
    batch_size: int = setting(32, "pictures per update", ge=1, le=4096)
    learning_rate: float = setting(1e-3, "Adam's step size for all networks", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting("cosine", "learning rate over training: falling to zero on a cosine, or constant")
    beta1: float = setting(0.5, "Adam's decay of the gradient's mean", ge=0, lt=1)
    alpha: float = setting(0.9, "α, weight of the difference in pixels in the score; the difference in features has 1 - α", ge=0, le=1)

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.steps


TINY = Config(widths=(2,), latent=8, units=16, steps=80, batch_size=8, learning_rate=1e-2)


def paper() -> Config:
    """The authors' for pictures: 200 latents, rate 1e-5, α = 0.9. They train for 100 epochs of MNIST's nine classes in batches of 100."""
    return Config(widths=(64,), latent=200, units=1024, steps=50_000, batch_size=100, learning_rate=1e-5, schedule="constant")


class JointCritic(nn.Module):
    """D_xz: pairs of images (N, C, S, S) and latents (N, Z) to logits (N,)."""

    def __init__(self, channels: int, widths: tuple[int, ...], latent: int, units: int) -> None:
        super().__init__()
        self.of_x = Encoder(channels, widths, units, norm="none")
        self.of_z = dense(latent, units, units)
        self.of_both = nn.Linear(2 * units, units)
        self.head = nn.Linear(units, 1)

    def features(self, x: Tensor, z: Tensor) -> Tensor:
        """f(x, z): what the last layer sees, (N, units)."""
        both = torch.cat([leaky_relu(self.of_x(x), 0.2), leaky_relu(self.of_z(z), 0.2)], 1)
        return leaky_relu(self.of_both(both), 0.2)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        out: Tensor = self.head(self.features(x, z))
        return out.squeeze(1)


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> NetScorer:
    """Train on normal images, uint8 (N, C, S, S).

    D: max log D(x, E(x)) + log(1 - D(G(z), z))          E, G: max log(1 - D(x, E(x))) + log D(G(z), z), each as what does not saturate
    """
    net = Egbad(config, *images.shape[1:3])
    draw_weights(net, generators([seed], 0))
    net.to(device)
    own = [*net.encode.parameters(), *net.generate.parameters()]
    opt_eg, opt_d = (Adam(p, config.learning_rate, (config.beta1, 0.999)) for p in (own, net.critic.parameters()))
    x_of, watch = batches([images], config.batch_size, [seed], device), Watch(config.steps, 1, run)
    parts: dict[str, HasState] = {"net": net, "opt_eg": opt_eg, "opt_d": opt_d}
    for step in run.steps(config.steps, parts, seed=seed, images=config.batch_size, scorers=lambda: [Scorer(config, net)]):
        for optimizer in (opt_eg, opt_d):
            set_learning_rate(optimizer, config.learning_rate, config.schedule, step, config.steps)
        x = x_of[step][:, 0]
        z = torch.randn(len(x), config.latent, device=device)
        code, made = net.encode(x), net.generate(z)
        l_d = discriminator_loss(net.critic(x, code.detach()), net.critic(made.detach(), z))
        descend(opt_d, l_d.mean())
        l_eg = fooling_loss(-net.critic(x, code)) + fooling_loss(net.critic(made, z))
        descend(opt_eg, l_eg.mean())
        if run.wants_log(step):
            watch.log(step, x, net.generate(code).detach(), {"eg": l_eg, "d": l_d})
    return Scorer(config, net)


class Egbad(nn.Module):
    """E, G and D, whose features f(·, ·) are part of the score."""

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        self.config, widths = config, asked_widths(config.widths, size)
        self.encode = Encoder(channels, widths, config.latent)
        self.generate = Decoder(channels, widths, config.latent)
        self.critic = JointCritic(channels, widths, config.latent, config.units)

    def forward(self, x: Tensor) -> Tensor:
        """A(x): (N, C, S, S) in [-1, 1] -> (N,).

            A(x) = α ⟨|x - G(E(x))|⟩ + (1 - α) ⟨|f(x, E(x)) - f(G(E(x)), E(x))|⟩           (EGBAD, section 3, with feature matching)

        Deviation: ⟨·⟩ is a mean where the paper has a sum, so that α means the same at any size.
        """
        z = self.encode(x)
        x_hat = self.generate(z)
        f, f_hat = self.critic.features(x, z), self.critic.features(x_hat, z)
        return self.config.alpha * reconstruction_l1(x, x_hat) + (1 - self.config.alpha) * reconstruction_l1(f, f_hat)

    def heatmap(self, x: Tensor) -> Tensor:
        """|x - G(E(x))|, averaged over channels: (N, C, S, S) -> (N, S, S)."""
        return (x - self.generate(self.encode(x))).abs().mean(1)


Scorer = ScorerOf(Egbad)
