"""EDE-GAN, ED-GAN and EDÊ-GAN: encoder-decoder(-encoder) GANs for one-class novelty detection.

P-KDGAN (sections 2.3 and 3.1) on GANomaly's network; the three pipelines are those of the progressive distillation
paper (section III-B, Figure 4):

    ede     x → z → x̂ → ẑ     score ‖z - ẑ‖₂        trained with the latent constraint S_enc
    ed-hat  x → z → x̂ → ẑ     score |x - x̂|₁        the second encoder Ê and S_enc serve training only
    ed      x → z → x̂         score |x - x̂|₁        no latent constraint
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import BaseModel, model_validator
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.losses import contrast_loss, discriminator_loss, generator_loss, reconstruction_l1
from novelette.nets import Decoder, Encoder, asked_widths, block_widths, draw_weights, each, per_model
from novelette.settings import Widths, setting
from novelette.training import Run, descend, generators, set_learning_rate
from novelette.watch import Watch
from novelette.whitening import whitening

PAPER = "Zhang, Chen, Sun, Xu: P-KDGAN (IJCAI 2020), and Zhang, Dong, Peng, Chen: New Perspective on Progressive GANs Distillation (2021)"

Outputs = tuple[Tensor, Tensor, Tensor | None]  # x̂, z, ẑ of a generator; ẑ is None for the pipeline `ed`

CRITIC = "critic."  # before the names of D's weights in a scorer's state
WHITEN_ON = 4_000  # images, evenly spaced
FORWARD = 512  # images at once when the latents are whitened
REDRAW_BELOW = 1e-5  # GANomaly draws D anew when its loss falls under this: it has won, and teaches G nothing more


class Config(BaseModel, frozen=True, extra="forbid"):
    """The recipe that we measured to be good for its cost on two cores; `paper()` is the papers' own."""

    pipeline: Literal["ede", "ed-hat", "ed"] = setting(
        "ede", "encoder-decoder-encoder (ede), the same scored by image (ed-hat), or encoder-decoder (ed)"
    )
    widths: Widths = setting((4,), "channels of each downsampling block, or one number u for u, 2u, 4u, ... up to 256")
    latent: int = setting(256, "size of the latent vectors", ge=1, le=4096)
    norm: Literal["image", "batch"] = setting("image", "normalize each image by itself, or by its batch (BatchNorm)")
    norm_first: bool = setting(True, "normalize after the first convolution too, as in the papers' table (GANomaly's code does not)")
    statistics: Literal["batch", "running"] = setting(
        "batch", "what normalizes pictures in scoring, with --norm batch: their batch, or training's average"
    )
    steps: int = setting(12_000, "updates of generator and discriminator", ge=1, le=100_000_000)
    epochs: int = setting(0, "passes over the pictures, instead of --steps; 0 means that --steps counts", ge=0, le=100_000)
    batch_size: int = setting(8, "pictures per update", ge=1, le=4096)
    learning_rate: float = setting(0.002, "Adam's step size for G and for D", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting("cosine", "learning rate over training: falling to zero on a cosine, or constant")
    average: float = setting(
        0.0, "decay of the running average of G's weights, which gives the scores; 0: the last weights give them", ge=0, lt=1
    )
    shift: int = setting(
        0, "largest random shift of training pictures each way; their edges are repeated to fill the gap", unit="px", ge=0, le=64
    )
    beta1: float = setting(0.5, "Adam's decay of the gradient's mean", ge=0, lt=1)
    beta2: float = setting(0.99, "Adam's decay of the gradient's square", ge=0, lt=1)
    w_con: float = setting(10.0, "weight of the image reconstruction loss", ge=0, le=1e4)
    w_enc: float = setting(1.0, "weight of the latent reconstruction loss", ge=0, le=1e4)
    w_adv: float = setting(1.0, "weight of the feature matching loss", ge=0, le=1e4)
    w_turned: float = setting(
        0.0, "weight of the contrast with turned copies, for pictures with a known upright; needs --pipeline ede", ge=0, le=1e4
    )
    distance: Literal["mahalanobis", "euclidean"] = setting(
        "mahalanobis",
        "distance between z and ẑ, with --pipeline ede: in units of their spread on the training pictures, or plain as in the papers",
    )

    @model_validator(mode="after")
    def _turned_are_scored_by_latents(self) -> "Config":
        if self.w_turned and self.pipeline != "ede":
            raise ValueError("--w-turned needs --pipeline ede: the contrast is of the score between latents")
        return self

    @model_validator(mode="after")
    def _one_statistics(self) -> "Config":
        if self.norm == "image" and self.statistics == "running":
            raise ValueError("--statistics running needs --norm batch: per-image normalization keeps no running average")
        return self

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures: `steps`, or as many as `epochs` passes fill batches, the last perhaps by a part of one pass more."""
        return -(-self.epochs * n // self.batch_size) if self.epochs else self.steps


TINY = Config(widths=(2,), latent=16, steps=60, batch_size=8)


def paper() -> Config:
    """P-KDGAN, section 4 (progressive distillation paper, Table III): batch 1, 500 epochs, a constant 0.002, 64-128-256 at 32 px."""
    return Config(widths=(64,), batch_size=1, epochs=500, schedule="constant", distance="euclidean")


class Generator(nn.Module):
    """G_E, G_D and, unless the pipeline is `ed`, G_R: images (N, M * C, S, S) to (x̂, z, ẑ), ẑ None for `ed`."""

    def __init__(self, config: Config, channels: int, size: int, models: int = 1) -> None:
        super().__init__()
        widths = block_widths(config.widths, size)
        encoder: dict[str, Any] = {"norm": config.norm, "norm_first": config.norm_first, "models": models}
        self.encode = Encoder(channels, widths, config.latent, **encoder)
        self.decode = Decoder(channels, widths, config.latent, norm=config.norm, models=models)
        self.encode_again = None if config.pipeline == "ed" else Encoder(channels, widths, config.latent, **encoder)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        z = self.encode(x)
        x_hat = self.decode(z)
        return x_hat, z, None if self.encode_again is None else self.encode_again(x_hat)


class Discriminator(Encoder):
    """D: images (N, M * C, S, S) to logits (N, M); `features` is f(·) of P-KDGAN, Eq. 4."""

    def __init__(self, config: Config, channels: int, size: int, models: int = 1) -> None:
        widths = block_widths(config.widths, size)
        super().__init__(channels, widths, 1, norm=config.norm, norm_first=config.norm_first, models=models)


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> "Scorer":
    """Train on normal images, uint8 (N, C, S, S)."""
    return fit_many([images], config, seeds=[seed], device=device, run=run)[0]


class Gan:
    """A generator and a discriminator with their optimizers: M of each, stacked (novelette.nets).

    The two players' updates of GANomaly's loop are methods, since the teacher and the student of P-KDGAN make the same ones.
    """

    def __init__(self, config: Config, channels: int, size: int, device: torch.device, models: int = 1) -> None:
        asked_widths(config.widths, size)
        self.config, self.channels, self.size, self.models = config, channels, size, models
        self.net = Generator(config, channels, size, models).to(device).train()
        self.critic = Discriminator(config, channels, size, models).to(device).train()
        ema = get_ema_multi_avg_fn(config.average)
        self.average = AveragedModel(self.net, multi_avg_fn=ema) if config.average else None
        betas = (config.beta1, config.beta2)
        self.opt_g = Adam(self.net.parameters(), config.learning_rate, betas, fused=True)
        self.opt_d = Adam(self.critic.parameters(), config.learning_rate, betas, fused=True)

    def forget_moments(self) -> None:
        """Adam begins anew, from moments of zero."""
        self.opt_g.state.clear()
        self.opt_d.state.clear()

    def draw(self, seeds: Sequence[int]) -> None:
        """Initial weights, a function of each model's seed."""
        draw_weights(self.net, generators(seeds, 0))
        draw_weights(self.critic, generators(seeds, 1))

    def take(self, scorers: Sequence["Scorer"]) -> None:
        """Take over the weights of M fitted models, of generators and discriminators."""
        states = [scorer.state() for scorer in scorers]
        state = {name: torch.cat([s[name] for s in states]) if tensor.dim() else tensor for name, tensor in states[0].items()}
        self.net.load_state_dict({name: tensor for name, tensor in state.items() if not name.startswith(CRITIC)})
        self.critic.load_state_dict({name.removeprefix(CRITIC): tensor for name, tensor in state.items() if name.startswith(CRITIC)})

    def parts(self, prefix: str = "") -> dict[str, HasState]:
        """What a checkpoint holds."""
        parts: dict[str, HasState] = {"net": self.net, "critic": self.critic, "opt_g": self.opt_g, "opt_d": self.opt_d}
        if self.average is not None:
            parts["average"] = self.average
        return {prefix + name: part for name, part in parts.items()}

    def set_learning_rate(self, step: int, steps: int) -> None:
        for optimizer in (self.opt_g, self.opt_d):
            set_learning_rate(optimizer, self.config.learning_rate, self.config.schedule, step, steps)

    def turned(self, x: Tensor, step: int) -> Outputs | None:
        """What G makes of copies of images (B, M * C, S, S) turned by 90°, 180° or 270°, step by step; None where w_turned is 0."""
        if not self.config.w_turned:
            return None
        out: Outputs = self.net(x.rot90(1 + step % 3, (2, 3)))
        return out

    def generator_loss(self, x: Tensor, out: Outputs, turned: Outputs | None) -> tuple[Tensor, Tensor]:
        """L_g (P-KDGAN, Eq. 5), (B * M,), and D's features of x, which the discriminator's step uses again.

        Deviation: with w_turned > 0 there is a fifth term, the contrast of ⟨(z - ẑ)²⟩ on the images and on their turned copies.
        """
        x_hat, z, z_hat = out
        f, f_hat = self.critic.features(x), self.critic.features(x_hat)
        terms = (each(t, self.models) for t in (x, x_hat, z, z if z_hat is None else z_hat, f.detach(), f_hat))
        l_g = generator_loss(*terms, w_con=self.config.w_con, w_enc=self.config.w_enc, w_adv=self.config.w_adv)
        if turned is not None:
            l_g = l_g + self.config.w_turned * contrast_loss(*(each(_gap(o), self.models).square().mean(1) for o in (out, turned)))
        return l_g, f

    def descend_g(self, l: Tensor) -> None:
        """G's step down a loss (B * M,). The sum over models keeps their gradients apart; D's weights stay."""
        descend(self.opt_g, per_model(l, self.models).sum())
        if self.average is not None:
            self.average.update_parameters(self.net)

    def descend_d(self, f: Tensor, x_hat: Tensor, seeds: Sequence[int], step: int) -> Tensor:
        """D's step: max log D(x) + log(1 - D(x̂)). A D that has won is drawn anew, its Adam moments stay.

        Args: f: D's features of x, of this step.   x_hat: the reconstructions, (B, M * C, S, S).   seeds, step: of the new draw.
        Returns: L_d, (B * M,).
        """
        real, fake = self.critic.head(f).flatten(1), self.critic(x_hat.detach())
        l_d = discriminator_loss(each(real, self.models).squeeze(1), each(fake, self.models).squeeze(1))
        descend(self.opt_d, per_model(l_d, self.models).sum())
        won = per_model(l_d.detach(), self.models) < REDRAW_BELOW
        if won.any():
            draw_weights(self.critic, generators(seeds, 2, step), won.nonzero().flatten().tolist())
        return l_d

    def scorers(self, images: Sequence[Tensor]) -> list["Scorer"]:
        """The M models as plain scorers on the CPU, with copies of their weights.   Args: images: what each was trained on."""
        net = self.net if self.average is None else self.average.module
        state = {name: value.detach().cpu() for name, value in joined(net.state_dict(), self.critic.state_dict()).items()}
        parts = {name: value.chunk(self.models) if value.dim() else [value] * self.models for name, value in state.items()}
        of_model = ({name: part[m].clone() for name, part in parts.items()} for m in range(self.models))
        scorers = [Scorer.from_state(self.config, weights, self.channels, self.size) for weights in of_model]
        if (self.config.pipeline, self.config.distance) == ("ede", "mahalanobis"):
            for scorer, of_its_own in zip(scorers, images, strict=True):
                scorer.whiten(of_its_own)
        return scorers


def fit_many(images: Sequence[Tensor], config: Config, *, seeds: Sequence[int], device: torch.device, run: Run) -> list["Scorer"]:
    """Train M models at once, each on its own images with its own seed: GANomaly's loop on P-KDGAN's losses.

    Args: images: per model uint8 (N_m, C, S, S), all of one C and S.
    Returns: M scorers, the same that `fit` gives one by one: the models share a program, not a number (see nets.py). Those that diverged
        are named in `run.failed`, and their scorers are of no use.
    Raises: InputError when the widths do not name every block of images of this size, or the models need different numbers of steps.
    """
    models, (_, channels, size, _) = len(images), images[0].shape
    steps = config.steps_for(len(images[0]))
    if any(config.steps_for(len(i)) != steps for i in images):
        raise InputError("models stacked into one program must take equally many steps: give steps instead of epochs, or do not stack")
    gan = Gan(config, channels, size, device, models)
    gan.draw(seeds)
    x_of = batches(images, config.batch_size, seeds, device, shift=config.shift)
    watch = Watch(steps, models, run)
    shown = config.batch_size * models
    for step in run.steps(steps, gan.parts(), seed=seeds[0], images=shown, scorers=lambda: gan.scorers(images)):
        gan.set_learning_rate(step, steps)
        x = x_of[step].flatten(1, 2)  # (B, M * C, S, S)
        out: Outputs = gan.net(x)
        x_hat = out[0]
        l_g, f = gan.generator_loss(x, out, gan.turned(x, step))
        gan.descend_g(l_g)
        l_d = gan.descend_d(f, x_hat, seeds, step)
        if run.wants_log(step):
            watch.log(step, x, x_hat, {"g": l_g, "d": l_d})
    return gan.scorers(images)


def _gap(out: Outputs) -> Tensor:
    _, z, z_hat = out
    assert z_hat is not None
    return z - z_hat


def joined(net: dict[str, Tensor], critic: dict[str, Tensor]) -> dict[str, Tensor]:
    """A scorer's state: G's weights, and D's with CRITIC before their names."""
    return net | {CRITIC + name: value for name, value in critic.items()}


class Scorer:
    """A trained generator: how far an image is from what it can encode, decode and encode again.

    Args: critic: D's weights, which scoring does not need, but training a student does (P-KDGAN, Algorithm 1: "pre-trained G and D").
    """

    keeps_pictures = False

    def __init__(self, config: Config, net: Generator, critic: dict[str, Tensor]) -> None:
        self.config, self.critic = config, critic
        self.scoring = _Scoring(config.pipeline, net)
        self.needs_its_batch = config.norm == "batch" and config.statistics == "batch"
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.track_running_stats = not self.needs_its_batch  # scoring must not move the averages of training
        self.scoring.train(self.needs_its_batch)

    @torch.inference_mode()
    def score(self, x: Tensor) -> Tensor:
        """Novelty of each image: ‖z - ẑ‖₂ for `ede`, the mean |x - x̂| otherwise (progressive distillation paper, Figure 4).

        Args: x: (N, C, S, S) in [-1, 1].   Returns: (N,).
        With `norm = batch, statistics = batch` images are scored in batches of `batch_size`, as in training, and depend on them.
        """
        return torch.cat([self.scoring(part) for part in self._batches(x)])

    def outputs(self, x: Tensor) -> Outputs:
        """x̂, z and ẑ of images (N, C, S, S), in batches of `batch_size` where these normalize, as in `score`."""
        parts = [self.scoring.net(part) for part in self._batches(x)]
        x_hat, z, z_hat = zip(*parts, strict=True)
        return torch.cat(x_hat), torch.cat(z), None if z_hat[0] is None else torch.cat(z_hat)

    def _batches(self, x: Tensor) -> Sequence[Tensor]:
        return x.split(self.config.batch_size) if self.needs_its_batch else [x]

    def score_own(self, x: Tensor) -> Tensor:
        """`score`: no training image is kept."""
        return self.score(x)

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Change the coordinates of the latent space to those in which z - ẑ of normal images spreads alike in every direction.

        ‖z - ẑ‖₂ is then a Mahalanobis distance. The change is a matrix A that the convolutions beside the latents take in: E's and Ê's last
        become A W, D's first W A⁻¹. So x̂ stays as it is, and the network neither grows nor slows.

        Args: images: normal, uint8 (N, C, S, S); of more than WHITEN_ON every so manieth counts.
        Deviation: the papers score by the plain distance, in which directions that vary on normal images drown those that do not.
        """
        net = self.scoring.net
        assert net.encode_again is not None
        some = images[:: -(-len(images) // WHITEN_ON)]
        gaps = [_gap(self.outputs(as_tensor(part).to(net.encode.head.weight.dtype))) for part in some.split(FORWARD)]
        a, inverse = whitening(torch.cat(gaps))
        for layer, matrix in ((net.encode.head, a), (net.encode_again.head, a), (net.decode.first, inverse)):
            layer.weight.copy_((matrix @ layer.weight.double().flatten(1)).view_as(layer.weight))

    @torch.inference_mode()
    def heatmap(self, x: Tensor) -> Tensor:
        """|x - x̂|, averaged over channels: (N, C, S, S) -> (N, S, S)."""
        net = self.scoring.net
        x_hat = net.decode(net.encode(x))
        return (x - x_hat).abs().mean(1)

    def module(self) -> nn.Module:
        """The network (N, C, S, S) -> (N,) that `score` runs."""
        return self.scoring

    def state(self) -> dict[str, Tensor]:
        return joined(self.scoring.net.state_dict(), self.critic)

    @classmethod
    def from_state(cls, config: Config, state: dict[str, Tensor], channels: int, size: int) -> "Scorer":
        """Rebuild from `state()`. Raises: RuntimeError when names or shapes are of another network."""
        net, critic = Generator(config, channels, size), Discriminator(config, channels, size)
        of_critic = {name.removeprefix(CRITIC): value for name, value in state.items() if name.startswith(CRITIC)}
        net.load_state_dict({name: value for name, value in state.items() if not name.startswith(CRITIC)})
        critic.load_state_dict(of_critic)
        return cls(config, net, of_critic)


class _Scoring(nn.Module):
    def __init__(self, pipeline: str, net: Generator) -> None:
        super().__init__()
        self.pipeline, self.net = pipeline, net

    def forward(self, x: Tensor) -> Tensor:
        if self.pipeline != "ede":
            return reconstruction_l1(x, self.net.decode(self.net.encode(x)))
        _, z, z_hat = self.net(x)
        return (z - z_hat).norm(dim=1)
