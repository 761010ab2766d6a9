"""GPND, generative probabilistic novelty detection: how likely a picture is under the manifold that an autoencoder has learnt.

An adversarial autoencoder maps pictures to latents and back. Near a picture its decoder's image is taken for its tangent space, so that a
picture has coordinates along the manifold, whose density is that of the latents, and a distance across it, whose density was seen in
training. Novelty is minus the logarithm of the product. (The protocol `gpnd` is how this paper splits data sets: another thing.)
"""

import copy
import math
import threading
from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.func import jvp, vmap
from torch.optim import Adam

from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.data.images import as_tensor
from novelette.losses import discriminator_loss, fooling_loss, mean_squared
from novelette.nets import Decoder, Encoder, asked_widths, dense, draw_weights
from novelette.netscorer import NetScorer, ScorerOf
from novelette.settings import Widths, setting
from novelette.training import Run, descend, generators, set_learning_rate
from novelette.watch import Watch

PAPER = "Pidhorskyi, Almohsen, Adjeroh, Doretto: Generative probabilistic novelty detection with adversarial autoencoders (NeurIPS 2018)"

SCORED = 64  # images at a time: a Jacobian has a picture for each latent
MEASURED = 2_000  # training images, evenly spaced, whose latents and distances are fitted
FORWARD = threading.Lock()  # forward-mode differentiation has one level for the whole process, and scoring may have several threads
BINS = 30
LEAST = 1e-4  # of the largest singular value of a Jacobian: along a direction in which G stands still there is no density


class Config(BaseModel, frozen=True, extra="forbid"):
    """A recipe for a core; `paper()` is the authors'."""

    widths: Widths = setting((8,), "channels of each downsampling block, or one number u for u, 2u, 4u, ... up to 256")
    latent: int = setting(16, "size of the latent vectors", ge=1, le=256)
    steps: int = setting(3_000, "updates of all networks", ge=1, le=100_000_000)
    batch_size: int = setting(32, "pictures per update", ge=2, le=4096)
    learning_rate: float = setting(2e-3, "Adam's step size for all networks", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting("cosine", "learning rate over training: falling to zero on a cosine, or constant")
    beta1: float = setting(0.5, "Adam's decay of the gradient's mean", ge=0, lt=1)
    w_rec: float = setting(10.0, "weight of the reconstruction", ge=0, le=1e4)
    w_latent: float = setting(0.1, "weight of the latent discriminator's verdict", ge=0, le=1e4)
    w_visual: float = setting(0.1, "weight of the image discriminator's verdict", ge=0, le=1e4)

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.steps


TINY = Config(widths=(2,), latent=3, steps=40, batch_size=8, learning_rate=1e-2)


def paper() -> Config:
    """The authors' for MNIST: 16 latents, rate 0.002, batch 128, 80 epochs of 5,600 pictures, with their weights of cross-entropies."""
    return Config(widths=(64,), steps=3_500, batch_size=128, schedule="constant", w_rec=0.3, w_latent=2, w_visual=1)


class Aae:
    """E and G with the latent discriminator D_z and the image discriminator D_x, and their updates."""

    def __init__(self, config: Config, channels: int, size: int, device: torch.device) -> None:
        self.config = config
        self.net = Manifold(config, channels, size).to(device).train()
        self.d_z = dense(config.latent, 128, 128, 1).to(device)
        self.d_x = Encoder(channels, asked_widths(config.widths, size), 1, norm="none").to(device)
        their = [*self.d_z.parameters(), *self.d_x.parameters()]
        self.opt_eg, self.opt_d = (Adam(p, config.learning_rate, (config.beta1, 0.999)) for p in (self.net.parameters(), their))

    def draw(self, seed: int) -> None:
        """Initial weights, a function of the seed."""
        for i, net in enumerate((self.net, self.d_z, self.d_x)):
            draw_weights(net, generators([seed], i))

    def parts(self) -> dict[str, HasState]:
        """What a checkpoint holds."""
        return {"net": self.net, "d_z": self.d_z, "d_x": self.d_x, "opt_eg": self.opt_eg, "opt_d": self.opt_d}

    def losses(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the discriminators and what E and G descend on images (B, C, S, S), z ~ N(0, I).

            D_x, D_z: max log D_x(x) + log(1 - D_x(G(z))) + log D_z(z) + log(1 - D_z(E(x)))
            E, G:     min w_x [-log D_x(G(z))] + w_z [-log D_z(E(x))] + w_rec ⟨(x - G(E(x)))²⟩           (GPND, Eqs. 9 to 12)

        Returns: l_d and l_eg, (B,) each, and G(E(x)).
        Deviation: the reconstruction is squared error; the authors take cross-entropy, which wants pixels in [0, 1].
        """
        c, z = self.config, torch.randn(len(x), self.config.latent, device=x.device)
        code, made = self.net.encode(x), self.net.generate(z)
        x_hat = self.net.generate(code)
        l_d = discriminator_loss(self.d_x(x).squeeze(1), self.d_x(made.detach()).squeeze(1))
        l_d = l_d + discriminator_loss(self.d_z(z).squeeze(1), self.d_z(code.detach()).squeeze(1))
        l_eg = c.w_visual * fooling_loss(self.d_x(made).squeeze(1)) + c.w_latent * fooling_loss(self.d_z(code).squeeze(1))
        return l_d, l_eg + c.w_rec * mean_squared(x, x_hat), x_hat

    def scorer(self, images: Tensor) -> NetScorer:
        """E and G as they are, with the densities of latents and distances of normal images, uint8 (N, C, S, S)."""
        net = copy.deepcopy(self.net).cpu().eval()
        net.measure(images)
        return Scorer(self.config, net)


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> NetScorer:
    """Train on normal images, uint8 (N, C, S, S), then fit the densities of latents and distances on some of them."""
    channels, size = images.shape[1:3]
    aae = Aae(config, channels, size, device)
    aae.draw(seed)
    x_of, watch = batches([images], config.batch_size, [seed], device), Watch(config.steps, 1, run)
    some = images[:: -(-len(images) // MEASURED)]
    for step in run.steps(config.steps, aae.parts(), seed=seed, images=config.batch_size, scorers=lambda: [aae.scorer(some)]):
        for optimizer in (aae.opt_eg, aae.opt_d):
            set_learning_rate(optimizer, config.learning_rate, config.schedule, step, config.steps)
        x = x_of[step][:, 0]
        l_d, l_eg, x_hat = aae.losses(x)
        descend(aae.opt_eg, l_eg.mean())
        descend(aae.opt_d, l_d.mean())
        if run.wants_log(step):
            watch.log(step, x, x_hat, {"eg": l_eg, "d": l_d})
    return aae.scorer(some)


class Manifold(nn.Module):
    """E and G, with the densities of latents and of distances from the manifold.

    Attributes:
        beta, mean, scale: of a generalized Gaussian for each latent, (Z,).
        centres: where the logarithm of the distances' density is known, (BINS,), and log_density, what it is there.
    """

    beta: Tensor
    mean: Tensor
    scale: Tensor
    centres: Tensor
    log_density: Tensor

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        widths = asked_widths(config.widths, size)
        self.encode = Encoder(channels, widths, config.latent, norm="batch")
        self.generate = Decoder(channels, widths, config.latent, norm="batch")
        for name in ("beta", "mean", "scale"):
            self.register_buffer(name, torch.ones(config.latent))
        for name in ("centres", "log_density"):
            self.register_buffer(name, torch.zeros(BINS))

    @torch.no_grad()
    def measure(self, images: Tensor) -> None:
        """Fit the densities on normal images, uint8 (N, C, S, S)."""
        tangents = [self.tangent(as_tensor(part)) for part in images.split(SCORED)]
        z, _, r = (torch.cat(parts) for parts in zip(*tangents, strict=True))
        fitted = (*generalized_gaussian(z), *histogram(r))
        for buffer, value in zip((self.beta, self.mean, self.scale, self.centres, self.log_density), fitted, strict=True):
            buffer.copy_(value)

    def tangent(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where images (N, C, S, S) are: z = E(x), (N, Z); Σ log sᵢ over the singular values of G's Jacobian there, and the distance
        ‖w⊥‖ of x from the tangent space, (N,) each.

            J = U S Vᵀ,   w⊥ = (I - U Uᵀ)(x - G(z))                                    (GPND, Eqs. 2 to 4)
        """
        z = self.encode(x)
        along = torch.eye(z.shape[1], dtype=z.dtype)[:, None].expand(-1, len(x), -1)  # (Z, N, Z)
        x_hat = self.generate(z)
        with FORWARD:
            j = vmap(lambda v: jvp(self.generate, (z,), (v,))[1])(along)  # (Z, N, C, S, S)
        u, s, _ = torch.linalg.svd(j.flatten(2).permute(1, 2, 0).double(), full_matrices=False)  # (N, m, Z), (N, Z)
        rest = (x - x_hat).flatten(1, -1).double()
        across = rest - (u @ (u.mT @ rest[..., None])).squeeze(2)
        return z, s.clamp_min(LEAST * s[:, :1]).clamp_min(1e-6).log().sum(1).float(), across.norm(dim=1).clamp_min(1e-6).float()

    def novelty(self, x: Tensor) -> Tensor:
        """-log p(x) of images (N, C, S, S), (N,).

            p(x) = p_Z(z) |det S⁻¹| · Γ((m-n)/2) / (2 π^((m-n)/2) ‖w⊥‖^(m-n-1)) · p(‖w⊥‖)          (GPND, Eqs. 5 to 8)

        m pixels, n latents. Deviation: the paper prints ‖w⊥‖^(m-n); the surface of a sphere in m-n dimensions has one power less.
        """
        z, log_s, r = self.tangent(x)
        around = x[0].numel() - z.shape[1]
        log_along = log_generalized_gaussian(z, self.beta, self.mean, self.scale).sum(1) - log_s
        log_surface = math.log(2) + around / 2 * math.log(math.pi) - math.lgamma(around / 2) + (around - 1) * r.log()
        return log_surface - log_along - interpolated(r, self.centres, self.log_density)

    def forward(self, x: Tensor) -> Tensor:
        """-log p(x): (N, C, S, S) in [-1, 1] -> (N,)."""
        return torch.cat([self.novelty(part) for part in x.to(self.centres.device).split(SCORED)])

    def heatmap(self, x: Tensor) -> Tensor:
        """|x - G(E(x))|, averaged over channels: (N, C, S, S) -> (N, S, S)."""
        x = x.to(self.centres.device)
        return (x - self.generate(self.encode(x))).abs().mean(1)


def generalized_gaussian(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """β, μ and α of p(z) ∝ exp(-(|z - μ| / α)^β), of each column of z, (N, Z): three times (Z,).

    μ is the mean; β the one, between 0.2 and 8, for which (E|z - μ|)² / E(z - μ)² is as measured, by bisection; α follows from E|z - μ|.
    Deviation: moments, where the authors maximize the likelihood with SciPy.
    """
    mean = z.mean(0)
    first, second = (z - mean).abs().mean(0).clamp_min(1e-2), (z - mean).square().mean(0).clamp_min(1e-4)
    low, high = torch.full_like(mean, 0.2), torch.full_like(mean, 8.0)
    for _ in range(40):
        beta = (low + high) / 2
        ratio = (2 * torch.lgamma(2 / beta) - torch.lgamma(1 / beta) - torch.lgamma(3 / beta)).exp()  # grows with β
        too_low = ratio < first.square() / second
        low, high = torch.where(too_low, beta, low), torch.where(too_low, high, beta)
    return beta, mean, first * (torch.lgamma(1 / beta) - torch.lgamma(2 / beta)).exp()


def log_generalized_gaussian(z: Tensor, beta: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """log p(z), p(z) = β / (2 α Γ(1/β)) exp(-(|z - μ| / α)^β): (N, Z) -> (N, Z). Finite: beyond 10⁴ α it falls no more."""
    return (beta / (2 * scale)).log() - torch.lgamma(1 / beta) - ((z - mean).abs() / scale).clamp_max(1e4).pow(beta)


def histogram(r: Tensor) -> tuple[Tensor, Tensor]:
    """Centres of BINS bins over the range of r, (N,), and the logarithm of the density in each: (BINS,) twice.

    Deviation: a count more in each bin, so that none is impossible.
    """
    low = float(r.min())
    counts, edges = torch.histogram(r, BINS, range=(low, max(float(r.max()), low + 1e-3)))
    return (edges[:-1] + edges[1:]) / 2, ((counts + 1) / ((len(r) + BINS) * (edges[1] - edges[0]))).log()


def interpolated(r: Tensor, centres: Tensor, values: Tensor) -> Tensor:
    """Values known at ascending centres, (K,), at r, (N,): linear between two, and beyond the ends what it is there."""
    right = torch.searchsorted(centres, r).clamp(1, len(centres) - 1)
    share = ((r - centres[right - 1]) / (centres[right] - centres[right - 1])).clamp(0, 1)
    return torch.lerp(values[right - 1], values[right], share)


Scorer = ScorerOf(Manifold, graph=False)  # no graph of ONNX holds a singular value decomposition
