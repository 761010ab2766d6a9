"""Deep SVDD: a network that maps normal pictures close to a point; a picture is novel when it lands far from it.

    one-class        min_W  ⟨‖φ(x; W) - c‖²⟩ + weight decay                                             (Eq. 4)
    soft-boundary    min_{R, W}  R² + ⟨max(0, ‖φ(x; W) - c‖² - R²)⟩ / ν + weight decay                    (Eq. 3)

Without biases, and with activations that are not bounded, φ cannot be a constant without all its weights being zero (section 3.3).
"""

from itertools import pairwise
from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu
from torch.optim import Adam

from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.nets import draw_xavier_weights
from novelette.netscorer import NetScorer, ScorerOf
from novelette.settings import Widths, setting
from novelette.training import Run, descend, generators, set_learning_rate
from novelette.vectors import normalized

PAPER = "Ruff, Vandermeulen, Görnitz, Deecke, Siddiqui, Binder, Müller, Kloft: Deep one-class classification (ICML 2018)"

LEAST_OF_CENTRE = 0.1  # a coordinate near 0 could be met with weights of 0
FORWARD = 512  # images at once that the centre is the mean of
SIDE = 4  # px of the map that the decoder begins with


class Config(BaseModel, frozen=True, extra="forbid"):
    """The paper's network for MNIST, and a length for a small machine; `--widths 32-64-128 --latent 128` is its network for CIFAR-10."""

    objective: Literal["one-class", "soft-boundary"] = setting(
        "one-class", "pull all pictures to the centre, or only those outside the radius"
    )
    nu: float = setting(0.1, "ν, the share of training pictures outside the radius, with --objective soft-boundary", gt=0, lt=1)
    widths: Widths = setting((8, 4), "channels of each convolution, each of which halves the picture")
    latent: int = setting(32, "size of the vectors, a multiple of 16", ge=16, le=4096, multiple_of=16)
    pretraining: int = setting(1_000, "updates as an autoencoder, before the centre is placed", ge=0, le=100_000_000)
    steps: int = setting(1_000, "updates that pull pictures to the centre", ge=1, le=100_000_000)
    warm_up: float = setting(0.1, "share of --steps for which the radius stays 0, with --objective soft-boundary", ge=0, le=1)
    batch_size: int = setting(64, "pictures per update", ge=2, le=4096)
    learning_rate: float = setting(
        1e-3, "Adam's step size at the start of --pretraining and of --steps; it falls to zero on a cosine in each", gt=0, le=1
    )
    pretraining_decay: float = setting(5e-4, "weight decay in --pretraining, as part of Adam's gradient", ge=0, le=1)
    weight_decay: float = setting(5e-7, "weight decay in --steps, as part of Adam's gradient", ge=0, le=1)

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.pretraining + self.steps


TINY = Config(widths=(4, 4), latent=16, pretraining=20, steps=40, batch_size=8, learning_rate=5e-3)


def paper() -> Config:
    """Of MNIST, 150 passes of 30 batches for either part; the paper's 350 and 150 passes of CIFAR-10 are 8,750 and 3,750 steps of 200."""
    return Config(pretraining=4_500, steps=4_500, batch_size=200, learning_rate=1e-4)


def block(c_in: int, c_out: int) -> list[nn.Module]:
    """Convolution of 5x5, BatchNorm without scale and shift, LeakyReLU."""
    return [nn.Conv2d(c_in, c_out, 5, padding=2, bias=False), nn.BatchNorm2d(c_out, eps=1e-4, affine=False), nn.LeakyReLU(0.01)]


class Encoder(nn.Module):
    """φ, and what it is given: images (N, C, S, S) in [-1, 1] to vectors (N, Z).

    Images are normalized each by itself (L1) and scaled such that the training images' least and greatest values are 0 and 1.

    Args: size: S, a multiple of 2^len(widths).
    """

    low: Tensor
    high: Tensor

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for c_in, c_out in pairwise((channels, *config.widths)):
            layers += [*block(c_in, c_out), nn.MaxPool2d(2)]
        side = size >> len(config.widths)
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(config.widths[-1] * side**2, config.latent, bias=False))
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.ones(()))

    def prepared(self, x: Tensor) -> Tensor:
        """(normalized(x) - low) / (high - low), the shape of x."""
        return (normalized(x, "l1").view_as(x) - self.low) / (self.high - self.low)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(self.prepared(x))
        return out


class Decoder(nn.Module):
    """Vectors (N, Z) to prepared images (N, C, S, S) in [0, 1]: the encoder turned round, for pre-training."""

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        widths = (config.latent // SIDE**2, *reversed(config.widths))
        self.enlarged = size >> len(config.widths)  # px before the first convolution
        layers: list[nn.Module] = []
        for c_in, c_out in pairwise(widths):
            layers += [*block(c_in, c_out), nn.Upsample(scale_factor=2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], channels, 5, padding=2, bias=False), nn.Sigmoid())

    def forward(self, z: Tensor) -> Tensor:
        first = nn.functional.leaky_relu(z.unflatten(1, (-1, SIDE, SIDE)), 0.01)
        out: Tensor = self.layers(interpolate(first, (self.enlarged, self.enlarged)))
        return out


class Sphere(nn.Module):
    """Images (N, C, S, S) in [-1, 1] to squared distances from the centre, (N,): ‖φ(x) - c‖² (Eq. 5)."""

    centre: Tensor
    radius: Tensor

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        self.encode = Encoder(config, channels, size)
        self.register_buffer("centre", torch.zeros(config.latent))
        self.register_buffer("radius", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return (self.encode(x) - self.centre).square().sum(1)

    def heatmap(self, x: Tensor) -> None:
        """None: a distance of vectors says nothing of places."""

    @torch.no_grad()
    def place(self, images: Tensor) -> None:
        """Put the centre where the network, as it is, takes uint8 images (N, C, S, S) on average, and no coordinate near 0."""
        self.eval()
        total = sum(self.encode(as_tensor(part, self.centre.device)).sum(0) for part in images.split(FORWARD))
        mean = torch.as_tensor(total) / len(images)
        sign = torch.where(mean < 0, -1.0, 1.0)
        self.centre.copy_(sign * mean.abs().clamp_min(LEAST_OF_CENTRE))
        self.train()


def soft_boundary(d2: Tensor, radius: Tensor, nu: float) -> Tensor:
    """R² + max(0, d² - R²) / ν, one value per image.   Args: d2: squared distances, (N,).   Returns: (N,)."""
    return radius**2 + relu(d2 - radius**2) / nu


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> NetScorer:
    """Train on normal images, uint8 (N, C, S, S). Raises: InputError when they are too small for so many widths."""
    channels, size = images.shape[1:3]
    if size < SIDE << len(config.widths):
        raise InputError(f"{len(config.widths)} --widths halve images of {size} px to less than {SIDE} px: give fewer")
    net, decode = Sphere(config, channels, size), Decoder(config, channels, size)
    for i, part in enumerate((net, decode)):
        draw_xavier_weights(part, generators([seed], i)[0])
        part.to(device).train()
    extremes = [normalized(as_tensor(part), "l1").aminmax() for part in images.split(FORWARD)]
    net.encode.low.fill_(min(float(low) for low, _ in extremes))
    net.encode.high.fill_(max(float(high) for _, high in extremes))
    pretrained, weights = [*net.parameters(), *decode.parameters()], list(net.parameters())
    first = Adam(pretrained, config.learning_rate, weight_decay=config.pretraining_decay)
    second = Adam(weights, config.learning_rate, weight_decay=config.weight_decay)
    parts: dict[str, HasState] = {"net": net, "decode": decode, "first": first, "second": second}
    x_of = batches([images], config.batch_size, [seed], device)
    total = config.steps_for(len(images))
    for step in run.steps(total, parts, seed=seed, images=config.batch_size, scorers=lambda: [Scorer(config, net)]):
        x, since = x_of[step][:, 0], step - config.pretraining
        if since == 0:
            net.place(images)
        if since < 0:
            set_learning_rate(first, config.learning_rate, "cosine", step, config.pretraining)
            l = (net.encode.prepared(x) - decode(net.encode(x))).square().flatten(1).sum(1)
            descend(first, l.mean())
        else:
            set_learning_rate(second, config.learning_rate, "cosine", since, config.steps)
            d2 = net(x)
            l = d2 if config.objective == "one-class" else soft_boundary(d2, net.radius, config.nu)
            descend(second, l.mean())
            if config.objective == "soft-boundary" and since >= config.warm_up * config.steps:
                net.radius.copy_(d2.detach().sqrt().quantile(1 - config.nu))
        if run.wants_log(step):
            run.log(step, **{"reconstruction" if since < 0 else "distance": l})
    return Scorer(config, net)


Scorer = ScorerOf(Sphere)
