"""f-AnoGAN: a Wasserstein GAN learns to draw normal pictures, then an encoder learns to find a picture's latent without a search.

G and D play first, as a WGAN with gradient penalty. Then both stay as they are, and E learns to take a picture to a latent from which G
draws it again (`izi_f`: image, latent, image, and D's features). Novelty is what E was trained to make small, so a novel picture has more.
"""

from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.optim import Adam

from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.losses import mean_squared
from novelette.nets import Decoder, Encoder, asked_widths, draw_weights
from novelette.netscorer import NetScorer, ScorerOf
from novelette.settings import Widths, setting
from novelette.training import Run, descend, generators, set_learning_rate
from novelette.wasserstein import critic_loss, gradient_penalty
from novelette.watch import Watch

PAPER = "Schlegl, Seeböck, Waldstein, Langs, Schmidt-Erfurth: f-AnoGAN (Medical Image Analysis, 2019)"


class Config(BaseModel, frozen=True, extra="forbid"):
    """A recipe for a core; `paper()` is the paper's own."""

    widths: Widths = setting((8,), "channels of each downsampling block, or one number u for u, 2u, 4u, ... up to 256")
    latent: int = setting(64, "size of the latent vectors", ge=1, le=4096)
    steps: int = setting(1_000, "updates of the generator", ge=1, le=100_000_000)
    encoder_steps: int = setting(2_000, "updates of the encoder, after those of the generator", ge=1, le=100_000_000)
    batch_size: int = setting(32, "pictures per update", ge=1, le=4096)
    critic_rounds: int = setting(3, "updates of the critic before each of the generator", ge=1, le=100)
    learning_rate: float = setting(1e-3, "Adam's step size for generator and critic", gt=0, le=1)
    encoder_rate: float = setting(1e-3, "Adam's step size for the encoder", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting(
        "cosine", "both learning rates over their steps: falling to zero on a cosine, or constant"
    )
    beta1: float = setting(0.0, "Adam's decay of the gradient's mean", ge=0, lt=1)
    beta2: float = setting(0.9, "Adam's decay of the gradient's square", ge=0, lt=1)
    penalty: float = setting(10.0, "weight of the gradient penalty", ge=0, le=1e4)
    kappa: float = setting(1.0, "weight of the difference in features, in the encoder's loss and in the score", ge=0, le=1e4)

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.steps + self.encoder_steps


TINY = Config(
    widths=(2,), latent=8, steps=50, encoder_steps=20, batch_size=8, critic_rounds=1, learning_rate=1e-2, encoder_rate=1e-2, beta1=0.5
)


def paper() -> Config:
    """The authors': 128 latents, batch 64, five rounds of the critic, rates 1e-4 and 5e-5. Their networks are wider, and residual."""
    return Config(
        widths=(64,),
        latent=128,
        steps=200_000,
        encoder_steps=50_000,
        batch_size=64,
        critic_rounds=5,
        learning_rate=1e-4,
        encoder_rate=5e-5,
        schedule="constant",
    )


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> NetScorer:
    """Train on normal images, uint8 (N, C, S, S): the WGAN, then the encoder."""
    net = FAnogan(config, *images.shape[1:3])
    for i, part in enumerate((net.generate, net.critic, net.encode)):
        draw_weights(part, generators([seed], i))
    net.to(device)
    betas = (config.beta1, config.beta2)
    opt_g, opt_d = (Adam(part.parameters(), config.learning_rate, betas) for part in (net.generate, net.critic))
    opt_e = Adam(net.encode.parameters(), config.encoder_rate, betas)
    x_of, rounds, total = batches([images], config.batch_size, [seed], device), config.critic_rounds, config.steps_for(len(images))
    watch = Watch(total, 1, run)
    parts: dict[str, HasState] = {"net": net, "opt_g": opt_g, "opt_d": opt_d, "opt_e": opt_e}
    shown = config.batch_size * (rounds + 1)
    for step in run.steps(total, parts, seed=seed, images=shown, scorers=lambda: [Scorer(config, net)]):
        after = step - config.steps
        if after < 0:
            for optimizer in (opt_g, opt_d):
                set_learning_rate(optimizer, config.learning_rate, config.schedule, step, config.steps)
            for t in range(rounds):
                x = x_of[step * rounds + t][:, 0]
                log = _descend_d(net, opt_d, x, config.penalty)
            made = net.generate(_latents(x, config))
            l_g = -net.critic(made).squeeze(1)
            descend(opt_g, l_g.mean())
            log |= {"g": l_g}
        else:
            set_learning_rate(opt_e, config.encoder_rate, config.schedule, after, config.encoder_steps)
            x = x_of[config.steps * rounds + after][:, 0]
            l_e, made = net.differences(x)
            descend(opt_e, l_e.mean())  # G's and D's weights stay
            log = {"izi_f": l_e}
        if run.wants_log(step):
            watch.log(step, x, made, log, paired=after >= 0)
    return Scorer(config, net)


def _latents(x: Tensor, config: Config) -> Tensor:
    """z ~ N(0, I), one for each of x, from torch's own generator."""
    return torch.randn(len(x), config.latent, device=x.device)


def _descend_d(net: "FAnogan", opt_d: Adam, x: Tensor, penalty: float) -> dict[str, Tensor]:
    """The critic's step on images (B, C, S, S).   Returns: what the log shows, (B,) each."""

    def critic(v: Tensor) -> Tensor:
        out: Tensor = net.critic(v).squeeze(1)
        return out

    with torch.no_grad():
        made = net.generate(_latents(x, net.config))
    real, fake, gp = critic(x), critic(made), gradient_penalty(critic, x, made)
    descend(opt_d, critic_loss(real, fake, gp, weight=penalty, drift=0).mean())
    return {"distance": (real - fake).detach(), "penalty": gp.detach()}


class FAnogan(nn.Module):
    """E, G and the critic D, whose features f(·) are part of the score."""

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        self.config, widths = config, asked_widths(config.widths, size)
        self.encode = Encoder(channels, widths, config.latent)
        self.generate = Decoder(channels, widths, config.latent)
        self.critic = Encoder(channels, widths, 1, norm_first=False)

    def differences(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """L_izi_f, which E descends and which is the score, and G(E(x)), of images (N, C, S, S) in [-1, 1].

            A(x) = ⟨(x - G(E(x)))²⟩ + κ ⟨(f(x) - f(G(E(x))))²⟩                (f-AnoGAN, the izi_f training and the score)

        Returns: (N,) and (N, C, S, S).
        """
        x_hat: Tensor = self.generate(self.encode(x))
        f, f_hat = self.critic.features(x), self.critic.features(x_hat)
        return mean_squared(x, x_hat) + self.config.kappa * mean_squared(f, f_hat), x_hat

    def forward(self, x: Tensor) -> Tensor:
        return self.differences(x)[0]

    def heatmap(self, x: Tensor) -> Tensor:
        """|x - G(E(x))|, averaged over channels: (N, C, S, S) -> (N, S, S)."""
        return (x - self.generate(self.encode(x))).abs().mean(1)


Scorer = ScorerOf(FAnogan)
