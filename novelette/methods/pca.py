"""Principal components: a picture is novel when the leading components of the training pictures cannot rebuild it."""

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from novelette.settings import setting
from novelette.training import Run
from novelette.vectors import Contrast, Vectors, vectors_of

PAPER = "Wold, Esbensen, Geladi: Principal component analysis (1987)"


class Config(BaseModel, frozen=True, extra="forbid"):
    """Chosen on held-out training pictures."""

    variance: float = setting(0.5, "share of the variance that the principal components explain", gt=0, lt=1)
    contrast: Contrast = setting(
        "l2", "how pictures are normalized: less their mean and scaled to length 1 (l2) or mean size 1 (l1), or not at all (none)"
    )


TINY = Config()


def paper() -> Config:
    """Pixels as they are, and 95 % of their variance."""
    return Config(variance=0.95, contrast="none")


def fit(
    images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run | None = None
) -> "Scorer":
    """The components of normal images, uint8 (N, C, S, S). Raises: InputError when there are no two that differ."""
    return Scorer(config, vectors_of(images, config.contrast, config.variance).to(device))


class Scorer:
    """The mean image and its axes."""

    keeps_pictures = False

    def __init__(self, config: Config, vectors: Vectors) -> None:
        self.config, self.residual = config, Residual(vectors)

    @torch.inference_mode()
    def score(self, x: Tensor) -> Tensor:
        """⟨(v - v̂)²⟩, v the normalized image less the mean, v̂ = AᵀA v: (N, C, S, S) in [-1, 1] -> (N,)."""
        out: Tensor = self.residual(x)
        return out

    def score_own(self, x: Tensor) -> Tensor:
        """`score`: no training image is kept."""
        return self.score(x)

    @torch.inference_mode()
    def heatmap(self, x: Tensor) -> Tensor:
        """|v - v̂|, averaged over channels: (N, C, S, S) -> (N, S, S)."""
        return self.residual.of(x).abs().view_as(x).mean(1)

    def module(self) -> nn.Module:
        return self.residual

    def state(self) -> dict[str, Tensor]:
        return self.residual.vectors.state_dict()

    @classmethod
    def from_state(cls, config: Config, state: dict[str, Tensor], channels: int, size: int) -> "Scorer":
        """Rebuild from `state()`. Raises: RuntimeError when it is of images of another shape."""
        return cls(config, Vectors.from_state(config.contrast, state, channels, size))


class Residual(nn.Module):
    """Images (N, C, S, S) in [-1, 1] to scores (N,)."""

    def __init__(self, vectors: Vectors) -> None:
        super().__init__()
        self.vectors = vectors

    def of(self, x: Tensor) -> Tensor:
        """v - v̂, (N, C * S * S)."""
        return self.vectors.centred(x) - self.vectors.back(self.vectors(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.of(x).square().mean(1)
