"""The one-class support vector machine with a Gaussian kernel: a picture is novel outside the region that holds most training pictures.

    min_{w, ξ, ρ}  ½ ‖w‖² - ρ + Σᵢ ξᵢ / νN,    ⟨w, φ(vᵢ)⟩ ≥ ρ - ξᵢ,  ξᵢ ≥ 0,      ⟨φ(a), φ(b)⟩ = exp(-γ ‖a - b‖²)

scikit-learn solves it; its decision function is f(x) = Σᵢ αᵢ exp(-γ ‖v(x) - vᵢ‖²) - ρ over the support vectors.
"""

import torch
from pydantic import BaseModel
from sklearn.svm import OneClassSVM
from torch import Tensor, nn

from novelette.kernels import Kernels
from novelette.settings import setting
from novelette.training import Run
from novelette.vectors import Contrast, vectors_of

PAPER = "Schölkopf, Platt, Shawe-Taylor, Smola, Williamson: Estimating the support of a high-dimensional distribution (2001)"

CACHE_MB = 500  # of kernel values in scikit-learn


class Config(BaseModel, frozen=True, extra="forbid"):
    """Chosen on held-out training pictures; the detector keeps the vectors of the support vectors."""

    nu: float = setting(
        0.1, "ν: at most this share of training pictures lies outside, and at least this share are support vectors", gt=0, lt=1
    )
    gamma: float = setting(16.0, "γ times the training vectors' total variance; 1 is scikit-learn's `scale`", gt=0, le=1e4)
    variance: float = setting(0.95, "share of the variance that the principal components explain; 1: all pixels", gt=0, le=1)
    contrast: Contrast = setting(
        "l2", "how pictures are normalized: less their mean and scaled to length 1 (l2) or mean size 1 (l1), or not at all (none)"
    )


TINY = Config()


def paper() -> Config:
    """The baseline of Deep SVDD's paper, L1 contrast normalization and 95 % of the variance; its γ was chosen by test pictures."""
    return Config(contrast="l1")


def fit(
    images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run | None = None
) -> "Scorer":
    """Find the support vectors of normal images, uint8 (N, C, S, S). Raises: InputError when there are no two that differ."""
    vectors = vectors_of(images, config.contrast, config.variance)
    rows = vectors.of(images)
    gamma = config.gamma / float(rows.double().var(0, correction=0).sum())
    svm = OneClassSVM(kernel="rbf", gamma=gamma, nu=config.nu, cache_size=CACHE_MB).fit(rows.double().numpy())
    alpha = torch.from_numpy(svm.dual_coef_[0])
    log_weights = (alpha / alpha.sum()).log().float()
    return Scorer(config, Kernels(vectors, rows[torch.from_numpy(svm.support_).long()], log_weights, torch.tensor(gamma)).to(device))


class Scorer:
    """The support vectors and their weights."""

    keeps_pictures = True  # the support vectors are principal components of training images, from which these can be drawn again

    def __init__(self, config: Config, kernels: Kernels) -> None:
        self.config, self.kernels = config, kernels

    @torch.inference_mode()
    def score(self, x: Tensor) -> Tensor:
        """-log((f(x) + ρ) / Σα): the decision function's order, from 0: (N, C, S, S) in [-1, 1] -> (N,)."""
        out: Tensor = self.kernels(x)
        return out

    @torch.inference_mode()
    def score_own(self, x: Tensor) -> Tensor:
        """`score` of training images (N, C, S, S), each by the other support vectors, or without its nearest where it is none: (N,)."""
        return self.kernels.without_the_nearest(x)

    @torch.inference_mode()
    def heatmap(self, x: Tensor) -> Tensor:
        """Where x differs from the mean of the support vectors near it: (N, C, S, S) -> (N, S, S)."""
        return self.kernels.heatmap(x)

    def module(self) -> nn.Module:
        return self.kernels

    def state(self) -> dict[str, Tensor]:
        return self.kernels.state_dict()

    @classmethod
    def from_state(cls, config: Config, state: dict[str, Tensor], channels: int, size: int) -> "Scorer":
        """Rebuild from `state()`. Raises: RuntimeError when it is of images of another shape."""
        return cls(config, Kernels.from_state(config.contrast, state, channels, size))
