"""ALAD, adversarially learned anomaly detection: a BiGAN whose two cycles, x → z → x and z → x → z, have a discriminator each.

EGBAD's pairs alone do not make pictures come back. ALAD adds D_xx, which sees a picture beside itself or beside G(E(x)), and D_zz, which
does so with latents; all three are spectrally normalized. Novelty is how different the two pairs are to D_xx.
"""

from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.optim import Adam

from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.losses import discriminator_loss, fooling_loss, reconstruction_l1
from novelette.methods.egbad import JointCritic
from novelette.nets import Decoder, Encoder, asked_widths, dense, draw_weights
from novelette.netscorer import NetScorer, ScorerOf
from novelette.settings import Widths, setting
from novelette.spectral import add_spectral_norm, plain_state
from novelette.training import Run, descend, generators, set_learning_rate
from novelette.watch import Watch

PAPER = "Zenati, Romain, Foo, Lecouat, Chandrasekhar: Adversarially learned anomaly detection (ICDM 2018)"


class Config(BaseModel, frozen=True, extra="forbid"):
    """A recipe for a core; `paper()` is the authors'."""

    widths: Widths = setting((8,), "channels of each downsampling block, or one number u for u, 2u, 4u, ... up to 256")
    latent: int = setting(64, "size of the latent vectors", ge=1, le=4096)
    units: int = setting(128, "units of the layers of D_xz that see codes, alone or beside pictures", ge=1, le=4096)
    steps: int = setting(2_500, "updates of all networks", ge=1, le=100_000_000)
    batch_size: int = setting(32, "pictures per update", ge=1, le=4096)
    learning_rate: float = setting(1e-3, "Adam's step size for all networks", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting("cosine", "learning rate over training: falling to zero on a cosine, or constant")
    beta1: float = setting(0.5, "Adam's decay of the gradient's mean", ge=0, lt=1)

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.steps


TINY = Config(widths=(2,), latent=8, units=16, steps=40, batch_size=8, learning_rate=1e-2)


def paper() -> Config:
    """The authors' for CIFAR-10: widths 128-256-512, 100 latents, batch 32, rate 2e-4. They stop early by a validation set."""
    return Config(widths=(128, 256, 512), latent=100, units=512, steps=100_000, learning_rate=2e-4, schedule="constant")


class Alad:
    """E and G with D_xz, D_xx and D_zz, and their updates."""

    def __init__(self, config: Config, channels: int, size: int, device: torch.device, seed: int) -> None:
        widths = asked_widths(config.widths, size)
        self.config, self.shape, self.device = config, (channels, size), device
        self.net = RoundTrip(config, channels, size)
        self.d_xz, self.d_zz = JointCritic(channels, widths, config.latent, config.units), dense(2 * config.latent, 64, 32, 1)
        for i, net in enumerate((self.net, self.d_xz, self.d_zz)):
            draw_weights(net, generators([seed], i))
        critics = (self.d_xz, self.net.d_xx, self.d_zz)
        for i, critic in enumerate(critics):
            add_spectral_norm(critic, generators([seed], 3, i)[0])
        for net in (self.net, *critics):
            net.to(device).train()
        own = [*self.net.encode.parameters(), *self.net.generate.parameters()]
        their = [p for critic in critics for p in critic.parameters()]
        self.opt_eg, self.opt_d = (Adam(p, config.learning_rate, (config.beta1, 0.999)) for p in (own, their))

    def parts(self) -> dict[str, HasState]:
        """What a checkpoint holds."""
        return {"net": self.net, "d_xz": self.d_xz, "d_zz": self.d_zz, "opt_eg": self.opt_eg, "opt_d": self.opt_d}

    def losses(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the discriminators and what E and G descend on images (B, C, S, S), z ~ N(0, I).

            D: max log D_xz(x, E(x)) + log(1 - D_xz(G(z), z))          E, G: the other way round
               + log D_xx(x, x)      + log(1 - D_xx(x, G(E(x))))
               + log D_zz(z, z)      + log(1 - D_zz(z, E(G(z))))         (ALAD, section 4)

        Returns: l_d and l_eg, (B,) each, and G(E(x)). Each player descends its own, so the first is taken of detached images and codes.
        """
        net, z = self.net, torch.randn(len(x), self.config.latent, device=self.device)
        code, made = net.encode(x), net.generate(z)
        x_hat, z_hat = net.generate(code), net.encode(made)
        l_d = discriminator_loss(self.d_xz(x, code.detach()), self.d_xz(made.detach(), z))
        l_d = l_d + discriminator_loss(net.xx(x, x), net.xx(x, x_hat.detach()))
        l_d = l_d + discriminator_loss(self.zz(z, z), self.zz(z, z_hat.detach()))
        l_eg = fooling_loss(-self.d_xz(x, code)) + fooling_loss(self.d_xz(made, z))
        l_eg = l_eg + fooling_loss(net.xx(x, x_hat)) + fooling_loss(self.zz(z, z_hat))
        return l_d, l_eg, x_hat.detach()

    def zz(self, z: Tensor, z_hat: Tensor) -> Tensor:
        """D_zz: logits (N,) of pairs of latents."""
        out: Tensor = self.d_zz(torch.cat([z, z_hat], 1))
        return out.squeeze(1)

    def scorer(self) -> NetScorer:
        """E, G and D_xx as they are, with plain weights."""
        net = RoundTrip(self.config, *self.shape)
        net.load_state_dict(plain_state(self.net))
        return Scorer(self.config, net)


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> NetScorer:
    """Train on normal images, uint8 (N, C, S, S).

    Deviation: both players step on the losses of the same forward pass, where the authors' code runs the networks twice.
    """
    channels, size = images.shape[1:3]
    gan = Alad(config, channels, size, device, seed)
    x_of, watch = batches([images], config.batch_size, [seed], device), Watch(config.steps, 1, run)
    for step in run.steps(config.steps, gan.parts(), seed=seed, images=config.batch_size, scorers=lambda: [gan.scorer()]):
        for optimizer in (gan.opt_eg, gan.opt_d):
            set_learning_rate(optimizer, config.learning_rate, config.schedule, step, config.steps)
        x = x_of[step][:, 0]
        l_d, l_eg, x_hat = gan.losses(x)
        descend(gan.opt_eg, l_eg.mean())
        descend(gan.opt_d, l_d.mean())
        if run.wants_log(step):
            watch.log(step, x, x_hat, {"eg": l_eg, "d": l_d})
    return gan.scorer()


class RoundTrip(nn.Module):
    """E, G and D_xx, by whose features f(·, ·) pictures are compared."""

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        widths = asked_widths(config.widths, size)
        self.encode = Encoder(channels, widths, config.latent)
        self.generate = Decoder(channels, widths, config.latent)
        self.d_xx = Encoder(2 * channels, widths, 1, norm="none")

    def xx(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """D_xx: logits (N,) of pairs of images, one above the other in channels."""
        return self.d_xx(torch.cat([x, x_hat], 1)).squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """⟨|f(x, x) - f(x, G(E(x)))|⟩: (N, C, S, S) in [-1, 1] -> (N,) (ALAD, Alg. 1).

        Deviation: ⟨·⟩ is a mean where the paper has a sum.
        """
        x_hat = self.generate(self.encode(x))
        f, f_hat = (self.d_xx.features(torch.cat([x, other], 1)) for other in (x, x_hat))
        return reconstruction_l1(f, f_hat)

    def heatmap(self, x: Tensor) -> Tensor:
        """|x - G(E(x))|, averaged over channels: (N, C, S, S) -> (N, S, S)."""
        return (x - self.generate(self.encode(x))).abs().mean(1)


Scorer = ScorerOf(RoundTrip)
