"""EDE-GAN, ED-GAN and EDÊ-GAN: encoder-decoder(-encoder) GANs for one-class novelty detection.

P-KDGAN (paper 000, sections 2.3 and 3.1) on GANomaly's network; the three pipelines are paper 001, section III-B, Figure 4:

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

from novelette.errors import InputError
from novelette.losses import discriminator_loss, generator_loss, reconstruction_l1
from novelette.nets import Decoder, Encoder, block_widths, draw_weights
from novelette.settings import Widths, setting
from novelette.training import Diverged, HasState, Run, batches, descend, generators, set_learning_rate

PAPER = "Zhang, Chen, Sun, Xu: P-KDGAN (IJCAI 2020), and Zhang, Dong, Peng, Chen: New Perspective on Progressive GANs Distillation (2021)"

REDRAW_BELOW = 1e-5  # GANomaly draws D anew when its loss falls under this: it has won, and teaches G nothing more


class Config(BaseModel, frozen=True, extra="forbid"):
    """The recipe that we measured to be good for its cost on two cores; `paper()` is the papers' own."""

    pipeline: Literal["ede", "ed-hat", "ed"] = setting("ede", "encoder-decoder-encoder, the same scored by image, or encoder-decoder")
    widths: Widths = setting((4,), "channels of each downsampling block, or one number u for u, 2u, 4u, ... up to 256")
    latent: int = setting(256, "size of the latent vectors", ge=1, le=4096)
    norm: Literal["image", "batch"] = setting("image", "normalize each image by itself, or by its batch (BatchNorm)")
    norm_first: bool = setting(True, "normalization after the first convolution too, as in the papers' table (GANomaly's code has none)")
    statistics: Literal["batch", "running"] = setting(
        "batch", "with --norm batch, what a score is normalized by: its batch, or training's average"
    )
    steps: int = setting(12_000, "generator and discriminator updates", ge=1, le=100_000_000)
    epochs: int = setting(0, "passes over the pictures, instead of --steps; 0 means that --steps counts", ge=0, le=100_000)
    batch_size: int = setting(8, "pictures an update", ge=1, le=4096)
    learning_rate: float = setting(0.002, "Adam's step size, of G and of D", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting("cosine", "learning rate over training: to zero on a cosine, or constant")
    beta1: float = setting(0.5, "Adam's decay of the gradient's mean", ge=0, lt=1)
    beta2: float = setting(0.99, "Adam's decay of the gradient's square", ge=0, lt=1)
    w_con: float = setting(10.0, "weight of the image reconstruction loss", ge=0, le=1e4)
    w_enc: float = setting(1.0, "weight of the latent reconstruction loss", ge=0, le=1e4)
    w_adv: float = setting(1.0, "weight of the feature matching loss", ge=0, le=1e4)

    @model_validator(mode="after")
    def _one_statistics(self) -> "Config":
        if self.norm == "image" and self.statistics == "running":
            raise ValueError("--statistics running needs --norm batch: per-image normalization keeps no running average")
        return self

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures: `steps`, or `epochs` passes of ceil(n / batch_size) batches."""
        return self.epochs * -(-n // self.batch_size) if self.epochs else self.steps


TINY = Config(widths=(2,), latent=16, steps=60, batch_size=8)


def paper() -> Config:
    """P-KDGAN, section 4 and Table III of paper 001: batch 1, 500 epochs, a constant 0.002, the teacher's 64-128-256 (at 32 px)."""
    return Config(widths=(64,), batch_size=1, epochs=500, schedule="constant")


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


def fit_many(images: Sequence[Tensor], config: Config, *, seeds: Sequence[int], device: torch.device, run: Run) -> list["Scorer"]:
    """Train M models at once, each on its own images with its own seed: GANomaly's loop on P-KDGAN's losses.

    Args: images: per model uint8 (N_m, C, S, S), all of one C and S.
    Returns: M scorers, the same that `fit` gives one by one: the models share a program, not a number (see nets.py).
    Raises: InputError when the widths do not name every block of images of this size.
    """
    models, (_, channels, size, _) = len(images), images[0].shape
    try:
        block_widths(config.widths, size)
    except ValueError as error:
        raise InputError(str(error)) from error
    net = Generator(config, channels, size, models)
    critic = Discriminator(config, channels, size, models)
    draw_weights(net, generators(seeds, 0))
    draw_weights(critic, generators(seeds, 1))
    net.to(device).train()
    critic.to(device).train()
    betas = (config.beta1, config.beta2)
    opt_g = Adam(net.parameters(), config.learning_rate, betas, fused=True)
    opt_d = Adam(critic.parameters(), config.learning_rate, betas, fused=True)

    def each(t: Tensor) -> Tensor:  # (B, M * C, ...) -> (B * M, C, ...): the losses see one row an image
        return t.unflatten(1, (models, -1)).flatten(0, 1)

    def total(l: Tensor) -> Tensor:  # (B * M,) -> each model's mean over its batch, summed: the gradients stay apart
        return l.unflatten(0, (-1, models)).mean(0).sum()

    x_of = batches(images, config.batch_size, seeds, device)
    steps = config.steps_for(len(images[0]))
    if any(config.steps_for(len(i)) != steps for i in images):
        raise InputError("models stacked into one program take the same number of steps: give steps instead of epochs, or do not stack")
    watch = ReconstructionWatch(steps)
    parts: dict[str, HasState] = {"net": net, "critic": critic, "opt_g": opt_g, "opt_d": opt_d}
    for step in run.steps(steps, parts, seed=seeds[0], images=config.batch_size * models):
        for optimizer in (opt_g, opt_d):
            set_learning_rate(optimizer, config.learning_rate, config.schedule, step, steps)
        x = x_of[step].flatten(1, 2)  # (B, M * C, S, S)
        x_hat, z, z_hat = net(x)

        # G: min L_g on fresh outputs; D's weights stay
        f, f_hat = critic.features(x), critic.features(x_hat)
        z_hat = z if z_hat is None else z_hat
        terms = (each(t) for t in (x, x_hat, z, z_hat, f.detach(), f_hat))
        l_g = generator_loss(*terms, w_con=config.w_con, w_enc=config.w_enc, w_adv=config.w_adv)
        descend(opt_g, total(l_g))

        # D: max log D(x) + log(1 - D(x̂))
        real, fake = critic.head(f).flatten(1), critic(x_hat.detach())
        l_d = discriminator_loss(each(real).squeeze(1), each(fake).squeeze(1))
        descend(opt_d, total(l_d))
        won = l_d.detach().unflatten(0, (-1, models)).mean(0) < REDRAW_BELOW
        if won.any():
            draw_weights(critic, generators(seeds, 2, step), won.nonzero().flatten().tolist())

        if run.wants_log(step):
            run.log(step, g=l_g, d=l_d, con=reconstruction_l1(x, x_hat))
            watch(step, x, x_hat)
        if step + 1 in run.snapshot_steps:
            run.snapshots[step + 1] = unstack(net, critic, config, channels, size, models)
    return unstack(net, critic, config, channels, size, models)


class ReconstructionWatch:
    """Stops a run whose reconstructions have collapsed to one picture, or saturated, and stay so.

    Alike images are not judged: nothing can collapse. GANs pass through a collapse in their first steps, so it counts only from a quarter
    of the training on, or step 5,000.
    """

    PATIENCE = 10  # looks in a row, training.LOG_EVERY steps apart

    def __init__(self, steps: int) -> None:
        self.first, self.since, self.strikes = min(steps // 4, 5000), 0, 0
        self.before: tuple[Tensor, Tensor] | None = None

    def __call__(self, step: int, x: Tensor, x_hat: Tensor) -> None:
        """Look at images and their reconstructions, (B, M * C, S, S). Raises: Diverged."""
        x, x_hat = x.detach(), x_hat.detach()
        if len(x) == 1:  # two looks make a batch
            last, self.before = self.before or (x, x_hat), (x, x_hat)
            x, x_hat = torch.cat([last[0], x]), torch.cat([last[1], x_hat])
        collapsed = bool(x_hat.std(0).mean() < 0.01 * x.std(0).mean())
        saturated = bool(x_hat.abs().mean() > 0.999 and x.abs().mean() < 0.95)
        self.strikes = self.strikes + 1 if step >= self.first and (collapsed or saturated) else 0
        self.since = step + 1 if self.strikes == 1 else self.since
        if self.strikes == self.PATIENCE:
            how = "are all the same picture" if collapsed else "are saturated black and white"
            raise Diverged(
                f"training collapsed: since step {self.since:,} the reconstructions {how}; try a lower --learning-rate or another --seed"
            )


def unstack(net: Generator, critic: Discriminator, config: Config, channels: int, size: int, models: int) -> list["Scorer"]:
    """The M models of a stacked generator and discriminator as plain scorers on the CPU, with copies of their weights."""
    state = {name: value.detach().cpu() for name, value in _joined(net.state_dict(), critic.state_dict()).items()}
    parts = {name: value.chunk(models) if value.dim() else [value] * models for name, value in state.items()}
    return [Scorer.from_state(config, {name: part[m].clone() for name, part in parts.items()}, channels, size) for m in range(models)]


def _joined(net: dict[str, Tensor], critic: dict[str, Tensor]) -> dict[str, Tensor]:
    return net | {f"critic.{name}": value for name, value in critic.items()}


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
        """Novelty of each image: ‖z - ẑ‖₂ for `ede`, the mean |x - x̂| otherwise (paper 001, Figure 4).

        Args: x: (N, C, S, S) in [-1, 1].   Returns: (N,).
        With `norm = batch, statistics = batch` images are scored in batches of `batch_size`, as in training, and depend on them.
        """
        parts = x.split(self.config.batch_size) if self.needs_its_batch else [x]
        return torch.cat([self.scoring(part) for part in parts])

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
        return _joined(self.scoring.net.state_dict(), self.critic)

    @classmethod
    def from_state(cls, config: Config, state: dict[str, Tensor], channels: int, size: int) -> "Scorer":
        """Rebuild from `state()`. Raises: RuntimeError when names or shapes are of another network."""
        net, critic = Generator(config, channels, size), Discriminator(config, channels, size)
        of_critic = {name.removeprefix("critic."): value for name, value in state.items() if name.startswith("critic.")}
        net.load_state_dict({name: value for name, value in state.items() if not name.startswith("critic.")})
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
