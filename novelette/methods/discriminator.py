"""A discriminator as the detector: a network that tells normal pictures from made-up novelties, and is then asked about real ones.

Novelties are noise, or drawn from a density fitted to the normal pictures (Algorithm 1 of the technical report: noise-contrastive
estimation), or made by a generator that learns to pass for normal (Algorithm 2: a GAN). The score is -log D(x).
"""

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import BaseModel, model_validator
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.optim import Adam

from novelette.adversarial.novelties import Density, Gaussian
from novelette.adversarial.players import Autoencoder, Discriminator, Kind
from novelette.adversarial.remedies import Control, curator_loss, forger_loss, rates
from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.nets import draw_weights
from novelette.netscorer import NetScorer, ScorerOf
from novelette.settings import setting
from novelette.training import Run, descend, generators, set_learning_rate
from novelette.watch import Watch

PAPER = "a technical report on deep learning for novelty detection, 2.6 and 3; Goodfellow et al.: Generative adversarial nets (2014)"

EXPLODED = 100.0  # nats: a player that is wrong at odds of exp(100) to 1, on average
FEWEST = 8  # batches of normal images that a minibatch feature is averaged over


class Config(BaseModel, frozen=True, extra="forbid"):
    """A plain GAN, with the report's remedies to choose from."""

    novelties: Literal["gaussian", "density", "learned"] = setting(
        "learned", "the made-up novelties: noise, draws from a Gaussian density fitted to the pictures, or what a generator learns to make"
    )
    noise: float = setting(1.0, "standard deviation of the noise on pixels in [-1, 1], with --novelties gaussian", gt=0, le=10)
    discriminator: Kind = setting("convolutional", "the discriminator's network; plain has dense layers, and dropout is plain with dropout")
    width: int = setting(16, "channels of the first block of both players; dense layers have 16 times as many units", ge=1, le=1024)
    latent: int = setting(64, "how many numbers the generator makes a picture from", ge=1, le=4096)
    steps: int = setting(2_000, "updates of the generator, or of the discriminator where there is no generator", ge=1, le=100_000_000)
    critic_steps: int = setting(1, "k, updates of the discriminator before each of the generator", ge=1, le=100)
    batch_size: int = setting(32, "pictures per update", ge=2, le=4096)
    learning_rate: float = setting(5e-4, "Adam's step size for both players", gt=0, le=1)
    beta1: float = setting(0.5, "Adam's decay of the gradient's mean", ge=0, lt=1)
    control: Control = setting("none", "how the learning rates are coupled to the losses")
    clip: float = setting(0.0, "longest gradient that a step takes; longer ones are scaled down to it; 0: no limit", ge=0, le=1e6)
    bound: float = setting(0.0, "ε: probabilities are kept in [ε, 1 - ε]", ge=0, lt=0.5)
    minibatch: bool = setting(False, "let the discriminator see how much its batch varies")
    autoencoder: Literal["none", "initial", "joint"] = setting(
        "none", "the generator is first an autoencoder's decoder, and with joint it stays one (an adversarial autoencoder)"
    )
    autoencoder_steps: int = setting(500, "updates of the autoencoder alone, before the game", ge=0, le=100_000_000)
    collapse: Literal["stop", "warn"] = setting("stop", "what to do when the generator makes only one picture, or a loss explodes")

    @model_validator(mode="after")
    def _generator_is_there(self) -> "Config":
        if self.novelties != "learned" and (self.autoencoder != "none" or self.critic_steps > 1):
            raise ValueError(f"--novelties {self.novelties} has no generator: leave out --autoencoder and --critic-steps")
        return self

    @property
    def opening(self) -> int:
        """Updates before the game."""
        return 0 if self.autoencoder == "none" else self.autoencoder_steps

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.opening + self.steps


TINY = Config(width=4, latent=8, steps=40, batch_size=8, learning_rate=2e-3)


def paper() -> Config:
    """The remedies that the report kept: clipped gradients, bounded probabilities, an adversarial autoencoder. The numbers are ours."""
    return Config(clip=1.0, bound=0.01, autoencoder="joint", steps=20_000)


class Game:
    """D, and G with its encoder, with their optimizers, and the updates of the algorithms."""

    def __init__(self, config: Config, images: Tensor, device: torch.device) -> None:
        channels, size = images.shape[1:3]
        c, self.config, self.device = config, config, device
        self.critic = Discriminator(c.discriminator, channels, size, c.width, minibatch=c.minibatch).to(device).train()
        self.net = Autoencoder(channels, size, c.width, c.latent).to(device).train()
        betas = (c.beta1, 0.99)
        self.opt_d = Adam(self.critic.parameters(), c.learning_rate, betas)
        self.opt_g = Adam(self.net.generate.parameters(), c.learning_rate, betas)
        self.opt_ae = Adam(self.net.parameters(), c.learning_rate, betas)
        self.novelties: Callable[[int], Tensor] = self._generated
        if c.novelties == "gaussian":
            self.novelties = Gaussian(images.shape[1:], c.noise, device)
        if c.novelties == "density":
            self.novelties = Density(images, device)

    def draw(self, seed: int) -> None:
        """Initial weights, a function of the seed."""
        self.critic.draw(generators([seed], 0)[0])
        draw_weights(self.net, generators([seed], 1))

    def parts(self) -> dict[str, HasState]:
        """What a checkpoint holds."""
        return {"critic": self.critic, "net": self.net, "opt_d": self.opt_d, "opt_g": self.opt_g, "opt_ae": self.opt_ae}

    def descend_d(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Alg. 1, l. 2-4, or Alg. 2, l. 3-5: D's step on images (B, C, S, S) and as many novelties.

        Returns: the novelties, (B, C, S, S), and what the log shows, (B,) each: the losses, and how sure D is of either, D(x) and 1 - D(g).
        """
        with torch.no_grad():
            made = self.novelties(len(x))
        on_data, on_made = self.critic(x), self.critic(made)
        l_c, l_f = curator_loss(on_data, on_made, self.config.bound), forger_loss(on_made, self.config.bound)
        factor, _ = rates(self.config.control, float(l_c.detach().mean()), float(l_f.detach().mean()))
        set_learning_rate(self.opt_d, factor * self.config.learning_rate, "constant", 0, 1)
        descend(self.opt_d, l_c.mean(), longest=self.config.clip)
        shown = {"curator": l_c, "forger": l_f, "data": on_data.sigmoid(), "novel": (-on_made).sigmoid()}
        return made, {name: value.detach() for name, value in shown.items()}

    def descend_g(self, n: int, l_c: float) -> None:
        """Alg. 2, l. 7-8: G's step on n latents.   Args: l_c: D's loss, for the control of rates."""
        l_f = forger_loss(self.critic(self._generated(n)), self.config.bound)
        _, factor = rates(self.config.control, l_c, float(l_f.detach().mean()))
        set_learning_rate(self.opt_g, factor * self.config.learning_rate, "constant", 0, 1)
        descend(self.opt_g, l_f.mean(), longest=self.config.clip)

    def descend_ae(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The step of E and G together down ⟨(x - G(E(x)))²⟩ on images (B, C, S, S).   Returns: G(E(x)), and the loss, (B,)."""
        x_hat = self.net(x)
        l = (x - x_hat).square().flatten(1).mean(1)
        descend(self.opt_ae, l.mean(), longest=self.config.clip)
        return x_hat.detach(), l.detach()

    def _generated(self, n: int) -> Tensor:
        """G(z), z ~ N(0, I): (n, C, S, S)."""
        out: Tensor = self.net.generate(torch.randn(n, self.config.latent, device=self.device))
        return out


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> NetScorer:
    """Train on normal images, uint8 (N, C, S, S)."""
    return judge(play(images, config, seed=seed, device=device, run=run), images)


def play(images: Tensor, config: Config, *, seed: int, device: torch.device, run: Run) -> Game:
    """Algorithm 1 or 2 of the report, with what `fit` takes.   Returns: all players as they are after the last step."""
    game, k = Game(config, images, device), config.critic_steps
    game.draw(seed)
    x_of = batches([images], config.batch_size, [seed], device)
    total = config.steps_for(len(images))
    watch = Watch(total, 1, run, stops=config.collapse == "stop", most=EXPLODED)
    for step in run.steps(total, game.parts(), seed=seed, images=config.batch_size * (k + 1), scorers=lambda: [judge(game, images)]):
        x = x_of[step * (k + 1)][:, 0]
        if step < config.opening:  # the report, 3.2: G is initialized by an autoencoder
            x_hat, l = game.descend_ae(x)
            if run.wants_log(step):
                watch.log(step, x, x_hat, {"ae": l})
        else:
            made, log = game.descend_d(x)  # Alg. 1; Alg. 2, l. 2-6
            for t in range(1, k):
                made, log = game.descend_d(x_of[step * (k + 1) + t][:, 0])
            if config.novelties == "learned":
                game.descend_g(len(x), float(log["curator"].mean()))  # Alg. 2, l. 7-8
            if config.autoencoder == "joint":  # the third flow: through the autoencoder
                log["ae"] = game.descend_ae(x_of[step * (k + 1) + k][:, 0])[1]
            if run.wants_log(step):
                watch.log(step, x, made, log, paired=False)
                watch.undecided(step, log["data"], log["novel"])
    return game


class Judging(nn.Module):
    """D alone: images (N, C, S, S) in [-1, 1] to -log D(x) = log(1 + exp(-logit)), (N,). The generator is for training.

    It ranks as 1 - D(x) does, which is 1 in float32 wherever D is sure.
    """

    size: Tensor

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        self.critic = Discriminator(config.discriminator, channels, size, config.width, minibatch=config.minibatch)
        self.register_buffer("size", torch.tensor(size))  # of the images: weights may fit others

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.critic(x)
        return softplus(-out)

    def heatmap(self, x: Tensor) -> None:
        """None: a discriminator judges a picture as a whole."""


def judge(game: Game, images: Tensor) -> NetScorer:
    """A copy of the game's D, which knows how normal images, uint8 (N, C, S, S), vary where D asks for it."""
    critic, b = game.critic, game.config.batch_size
    if critic.minibatch:
        x_of = batches([images], b, [0], game.device)
        critic.learn_spread([x_of[step][:, 0] for step in range(FEWEST)])
    judging = Judging(game.config, *images.shape[1:3])
    judging.critic.load_state_dict(critic.state_dict())
    return Scorer(game.config, judging)


Scorer = ScorerOf(Judging)
