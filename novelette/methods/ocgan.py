"""OCGAN: a denoising autoencoder whose latents fill a bounded cube, every point of which decodes to a normal picture.

An autoencoder also learns to draw pictures that it never saw. OCGAN leaves no room for them: latents are in (-1, 1)^Z, a latent
discriminator makes the codes of normal pictures spread over all of the cube, a visual discriminator makes all of the cube be drawn as
normal pictures, and a weak classifier points out where it is not yet so. What comes back of a novel picture is a normal one.
"""

from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.optim import Adam

from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.losses import discriminator_loss, fooling_loss, mean_squared
from novelette.nets import Decoder, Encoder, asked_widths, dense, draw_weights
from novelette.netscorer import NetScorer, ScorerOf
from novelette.settings import Widths, setting
from novelette.training import Run, descend, generators, set_learning_rate
from novelette.watch import Watch

PAPER = "Perera, Nallapati, Xiang: OCGAN, one-class novelty detection using GANs with constrained latent representations (CVPR 2019)"


class Config(BaseModel, frozen=True, extra="forbid"):
    """A recipe for a core, with the authors' proportions of the losses; `paper()` is theirs."""

    widths: Widths = setting((8,), "channels of each downsampling block, or one number u for u, 2u, 4u, ... up to 256")
    latent: int = setting(16, "size of the latent vectors", ge=1, le=4096)
    steps: int = setting(3_600, "updates of all networks", ge=1, le=100_000_000)
    batch_size: int = setting(32, "pictures per update", ge=1, le=4096)
    learning_rate: float = setting(2e-3, "Adam's step size for all networks", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting("cosine", "learning rate over training: falling to zero on a cosine, or constant")
    beta1: float = setting(0.5, "Adam's decay of the gradient's mean", ge=0, lt=1)
    noise: float = setting(0.14, "standard deviation of the noise added to pictures before they are encoded in training", ge=0, le=2)
    w_rec: float = setting(10.0, "λ, weight of the reconstruction", ge=0, le=1e4)
    w_latent: float = setting(0.4, "weight of the latent discriminator's verdict", ge=0, le=1e4)
    w_visual: float = setting(0.04, "weight of the visual discriminator's verdict", ge=0, le=1e4)
    mining_steps: int = setting(1, "steps of the search for latents whose pictures look least normal; 0: no search", ge=0, le=1000)
    mining_rate: float = setting(2.0, "step size of the search that --mining-steps counts", gt=0, le=1e3)

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.steps


TINY = Config(widths=(2,), latent=8, steps=40, batch_size=8, learning_rate=1e-2)


def paper() -> Config:
    """The authors' code: 201 epochs of 6,000 pictures in batches of 512, rate 2e-4, noise of variance 0.02, weights 250, 10, 1.

    The widths are those that P-KDGAN takes over from the paper. Their discriminators start at 8 channels, here at 64 like the rest.
    """
    return Config(
        widths=(64,),
        steps=2_400,
        batch_size=512,
        learning_rate=2e-4,
        schedule="constant",
        w_rec=250,
        w_latent=10,
        w_visual=1,
    )


class Ocgan:
    """E and G with the latent discriminator D_l, the visual discriminator D_v, the classifier C, and the updates of Algorithm 1."""

    def __init__(self, config: Config, channels: int, size: int, device: torch.device) -> None:
        self.config, widths = config, asked_widths(config.widths, size)
        self.net = Autoencoder(config, channels, size).to(device)
        self.latent_critic = dense(config.latent, 128, 64, 32, 1).to(device)
        self.visual_critic = Encoder(channels, widths, 1, norm="none").to(device)
        self.classifier = Encoder(channels, widths, 1, norm="none").to(device)
        self.opt_eg, self.opt_d, self.opt_c = (
            Adam([p for net in nets for p in net.parameters()], config.learning_rate, (config.beta1, 0.999))
            for nets in ([self.net], [self.latent_critic, self.visual_critic], [self.classifier])
        )

    def draw(self, seed: int) -> None:
        """Initial weights, a function of the seed."""
        for i, net in enumerate((self.net, self.latent_critic, self.visual_critic, self.classifier)):
            draw_weights(net, generators([seed], i))

    def parts(self) -> dict[str, HasState]:
        """What a checkpoint holds."""
        nets: dict[str, HasState] = {"net": self.net, "latent_critic": self.latent_critic, "visual_critic": self.visual_critic}
        return nets | {"classifier": self.classifier, "opt_eg": self.opt_eg, "opt_d": self.opt_d, "opt_c": self.opt_c}

    def codes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """l₁ = E(x + n) of noisy pictures and l₂ ~ U(-1, 1), (B, Z) each."""
        l1: Tensor = self.net.encode_bounded(x + self.config.noise * torch.randn_like(x))
        return l1, torch.rand_like(l1) * 2 - 1

    def descend_c(self, x_hat: Tensor, x_random: Tensor) -> Tensor:
        """C learns to tell what is drawn of codes, G(l₁), from what is drawn of random latents, G(l₂).   Returns: its loss, (B,)."""
        l_c = discriminator_loss(self.classifier(x_hat.detach()).squeeze(1), self.classifier(x_random).squeeze(1))
        descend(self.opt_c, l_c.mean())
        return l_c

    def descend_d(self, x: Tensor, x_random: Tensor, l1: Tensor, l2: Tensor) -> Tensor:
        """D_l learns to tell l₂ from codes l₁, D_v pictures from G(l₂).   Returns: the sum of their losses, (B,)."""
        l_latent = discriminator_loss(self.latent_critic(l2).squeeze(1), self.latent_critic(l1.detach()).squeeze(1))
        l_visual = discriminator_loss(self.visual_critic(x).squeeze(1), self.visual_critic(x_random).squeeze(1))
        descend(self.opt_d, (l_latent + l_visual).mean())
        return l_latent + l_visual

    def mined(self, l2: Tensor) -> Tensor:
        """Informative negatives: latents (B, Z), moved within the cube to where C is surer that no normal picture is drawn of them."""
        for _ in range(self.config.mining_steps):
            l2 = l2.detach().requires_grad_()
            away = -fooling_loss(-self.classifier(self.net.generate(l2)).squeeze(1))  # log(1 - C), which grows towards 0
            (slope,) = torch.autograd.grad(away.sum(), l2)
            l2 = (l2 + self.config.mining_rate * slope).clamp(-1, 1)
        return l2.detach()

    def descend_eg(self, x: Tensor, x_hat: Tensor, l1: Tensor, l2: Tensor) -> dict[str, Tensor]:
        """The step of E and G.

            L = w_l [-log D_l(l₁)] + w_v [-log D_v(G(l₂))] + λ ⟨(x - G(l₁))²⟩        (OCGAN, Alg. 1)

        Args: x_hat: G(l₁).   l2: mined.   Returns: what the log shows, (B,) each.
        """
        c = self.config
        l_latent = fooling_loss(self.latent_critic(l1).squeeze(1))
        l_visual = fooling_loss(self.visual_critic(self.net.generate(l2)).squeeze(1))
        descend(self.opt_eg, (c.w_latent * l_latent + c.w_visual * l_visual + c.w_rec * mean_squared(x, x_hat)).mean())
        return {"latent": l_latent, "visual": l_visual}


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> NetScorer:
    """Train on normal images, uint8 (N, C, S, S): Algorithm 1."""
    channels, size = images.shape[1:3]
    gan = Ocgan(config, channels, size, device)
    gan.draw(seed)
    x_of, watch = batches([images], config.batch_size, [seed], device), Watch(config.steps, 1, run)
    for step in run.steps(config.steps, gan.parts(), seed=seed, images=config.batch_size, scorers=lambda: [Scorer(config, gan.net)]):
        for optimizer in (gan.opt_eg, gan.opt_d, gan.opt_c):
            set_learning_rate(optimizer, config.learning_rate, config.schedule, step, config.steps)
        x = x_of[step][:, 0]
        l1, l2 = gan.codes(x)
        x_hat = gan.net.generate(l1)
        with torch.no_grad():
            x_random = gan.net.generate(l2)
        l_c, l_d = gan.descend_c(x_hat, x_random), gan.descend_d(x, x_random, l1, l2)
        log = gan.descend_eg(x, x_hat, l1, gan.mined(l2))
        if run.wants_log(step):
            watch.log(step, x, x_hat, log | {"c": l_c, "d": l_d})
    return Scorer(config, gan.net)


class Autoencoder(nn.Module):
    """E and G."""

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        widths = asked_widths(config.widths, size)
        self.encode = Encoder(channels, widths, config.latent)
        self.generate = Decoder(channels, widths, config.latent)

    def encode_bounded(self, x: Tensor) -> Tensor:
        """Codes in (-1, 1)^Z of images (N, C, S, S)."""
        return self.encode(x).tanh()

    def forward(self, x: Tensor) -> Tensor:
        """⟨(x - G(E(x)))²⟩: (N, C, S, S) in [-1, 1] -> (N,)."""
        return mean_squared(x, self.generate(self.encode_bounded(x)))

    def heatmap(self, x: Tensor) -> Tensor:
        """|x - G(E(x))|, averaged over channels: (N, C, S, S) -> (N, S, S)."""
        return (x - self.generate(self.encode_bounded(x))).abs().mean(1)


Scorer = ScorerOf(Autoencoder)
