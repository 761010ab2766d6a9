"""LSA, latent space autoregression (AND in P-KDGAN's table): an autoencoder and a density of its codes, number by number.

    p(z) = Πᵢ p(zᵢ | z₁ … zᵢ₋₁),  z in (0, 1), each factor a histogram of B bins      (Eq. 2)
    L = ‖x - x̂‖² - λ log p(z)                                                         (Eq. 8)

A picture is novel when it is badly made again, or when its code surprises. The density also trains the encoder: codes that are easy to
foretell have little entropy.
"""

from itertools import pairwise
from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn.functional import log_softmax, relu
from torch.optim import Adam

from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.data.images import as_tensor
from novelette.losses import same_shape
from novelette.nets import Decoder, asked_widths, block_widths, draw_weights, draw_xavier_weights
from novelette.nets import Encoder as Convolutions
from novelette.netscorer import NetScorer, ScorerOf
from novelette.settings import Widths, setting
from novelette.training import Run, descend, generators, set_learning_rate
from novelette.watch import Watch

PAPER = "Abati, Porrello, Calderara, Cucchiara: Latent space autoregression for novelty detection (CVPR 2019)"

FORWARD = 512  # images at once whose terms give the score's scales


class Config(BaseModel, frozen=True, extra="forbid"):
    """Chosen on held-out training pictures of MNIST's 5 and 8."""

    widths: Widths = setting((8,), "channels of each downsampling block, or one number u for u, 2u, 4u, ... up to 256")
    latent: int = setting(16, "how many numbers a code has", ge=1, le=1024)
    bins: int = setting(50, "B, bins of the histogram of each number in a code", ge=2, le=1000)
    hidden: int = setting(8, "units of each hidden layer of the density, for each number in a code", ge=1, le=256)
    layers: int = setting(2, "hidden layers of the density", ge=1, le=8)
    w_density: float = setting(0.5, "λ, weight of -log p(z) beside the squared error, with pixels from 0 to 1", ge=0, le=1e4)
    steps: int = setting(2_000, "training updates", ge=1, le=100_000_000)
    batch_size: int = setting(32, "pictures per update", ge=1, le=4096)
    learning_rate: float = setting(3e-3, "Adam's step size", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting("cosine", "learning rate over training: falling to zero on a cosine, or constant")

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.steps


TINY = Config(widths=(2,), latent=8, bins=10, hidden=2, steps=60, batch_size=8, learning_rate=1e-2)


def paper() -> Config:
    """The authors' code for MNIST and CIFAR-10, as far as it is out: codes of 64, 100 bins, four hidden layers of 32; not its length."""
    return Config(widths=(32,), latent=64, bins=100, hidden=32, layers=4, w_density=1)


class Lsa(nn.Module):
    """Images (N, C, S, S) in [-1, 1] to x̂, codes z in (0, 1), (N, Z), and the histograms' log probabilities, (N, Z, B)."""

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        widths = block_widths(config.widths, size)
        self.encode = nn.Sequential(Convolutions(channels, widths, config.latent), nn.Sigmoid())
        self.decode = Decoder(channels, widths, config.latent)
        self.density = Density(config)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = self.encode(x)
        return self.decode(z), z, self.density(z)


class Density(nn.Module):
    """log p(zᵢ in bin b | z₁ … zᵢ₋₁): codes (N, Z) to (N, Z, B), by dense layers that look back alone.

    Between two layers each number of the code has `hidden` numbers, one after the other. The first layer's outputs for zᵢ see the inputs
    before i, the later layers' those up to i. What they may not see has weight 0: `mask` sets it so, and `fit` calls it after every update.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.latent = config.latent
        widths = (1, *[config.hidden] * config.layers, config.bins)
        layers: list[nn.Module] = []
        for c_in, c_out in pairwise(widths):
            layers += [nn.Linear(self.latent * c_in, self.latent * c_out), nn.LeakyReLU(0.01)]
        self.layers = nn.Sequential(*layers[:-1])

    @torch.no_grad()
    def mask(self) -> None:
        """Set the weights to 0 that would look ahead."""
        for i, layer in enumerate(layer for layer in self.layers if isinstance(layer, nn.Linear)):
            blocks = layer.weight.view(self.latent, -1, self.latent, layer.in_features // self.latent)
            before = torch.ones(self.latent, self.latent, device=blocks.device).tril(-1 if i == 0 else 0)
            blocks.mul_(before[:, None, :, None])

    def forward(self, z: Tensor) -> Tensor:
        return log_softmax(self.layers(z).unflatten(1, (self.latent, -1)), dim=2)


def surprise(z: Tensor, log_p: Tensor) -> Tensor:
    """-log p(z) = -Σᵢ log p(zᵢ | z₁ … zᵢ₋₁), one value per image.

    Args: z: codes in (0, 1), (N, Z).   log_p: of the bins, (N, Z, B).   Returns: (N,).
    Deviation: log p(zᵢ | …) goes on a straight line from the middle of a bin to the next, where the authors' code takes the bin's own. A
        score that jumps at the edge of a bin would depend on the last digit of z, and so on the machine.
    """
    bins = log_p.shape[2]
    at = (z * bins - 0.5).clamp(0, bins - 1)
    near = relu(1 - (at[:, :, None] - torch.arange(bins, device=z.device)).abs())
    return -(near * log_p).sum((1, 2))


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """‖x - x̂‖² of pixels from 0 to 1, one value per image.   Args: x, x_hat: (N, C, S, S) in [-1, 1].   Returns: (N,)."""
    same_shape(x, x_hat)
    return ((x - x_hat) / 2).square().flatten(1).sum(1)


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> NetScorer:
    """Train on normal images, uint8 (N, C, S, S). Raises: InputError when the widths do not name every block of images of this size."""
    channels, size = images.shape[1:3]
    asked_widths(config.widths, size)
    net = Lsa(config, channels, size)
    draw_weights(net, generators([seed], 0))
    draw_xavier_weights(net.density, generators([seed], 1)[0])
    net.density.mask()
    net.to(device).train()
    optimizer = Adam(net.parameters(), config.learning_rate)
    parts: dict[str, HasState] = {"net": net, "optimizer": optimizer}
    x_of, watch = batches([images], config.batch_size, [seed], device), Watch(config.steps, 1, run)

    def scorer() -> NetScorer:
        return Scorer(config, measured(config, net, images))

    for step in run.steps(config.steps, parts, seed=seed, images=config.batch_size, scorers=lambda: [scorer()]):
        set_learning_rate(optimizer, config.learning_rate, config.schedule, step, config.steps)
        x = x_of[step][:, 0]
        x_hat, z, log_p = net(x)
        l_rec, l_z = squared_error(x, x_hat), surprise(z.detach(), log_p)
        descend(optimizer, (l_rec + config.w_density * l_z).mean())
        net.density.mask()
        if run.wants_log(step):
            watch.log(step, x, x_hat, {"rec": l_rec, "surprise": l_z})
    return scorer()


class Scoring(nn.Module):
    """Images (N, C, S, S) in [-1, 1] to scores (N,): both terms over their spreads on the training images (Eqs. 9, 10).

        ‖x - x̂‖² / (max - min of it)  -  log p(z) / (max - min of it)       the extremes of the training images

    Deviation: the paper also takes the least off each term, which moves all scores alike and would make some negative. Its extremes are of
    normal images that were held out of training.
    """

    spreads: Tensor

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        self.net = Lsa(config, channels, size)
        self.register_buffer("spreads", torch.ones(2))

    def terms(self, x: Tensor) -> Tensor:
        """Squared error and surprise, (2, N)."""
        x_hat, z, log_p = self.net(x)
        return torch.stack([squared_error(x, x_hat), surprise(z, log_p)])

    @torch.inference_mode()
    def measure(self, images: Tensor) -> None:
        """Take the spreads of the terms from uint8 images (N, C, S, S)."""
        low, high = torch.cat([self.terms(as_tensor(part)) for part in images.split(FORWARD)], dim=1).aminmax(dim=1)
        self.spreads.copy_((high - low).clamp_min(1e-6))

    def forward(self, x: Tensor) -> Tensor:
        return (self.terms(x) / self.spreads[:, None]).sum(0)

    def heatmap(self, x: Tensor) -> Tensor:
        """|x - x̂|, averaged over channels: (N, C, S, S) -> (N, S, S). It does not show what surprises in the code."""
        return (x - self.net(x)[0]).abs().mean(1)


def measured(config: Config, net: Lsa, images: Tensor) -> Scoring:
    """Scores by a copy of a network, on the CPU.   Args: images: that it was trained on, uint8 (N, C, S, S)."""
    scoring = Scoring(config, *images.shape[1:3])
    scoring.net.load_state_dict(net.state_dict())
    scoring.eval().measure(images.cpu())
    return scoring


Scorer = ScorerOf(Scoring)
