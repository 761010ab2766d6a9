"""k-nearest-neighbours on what a pretrained network sees: pooled features of a layer of a network trained on ImageNet.

Novelty is the mean distance of a picture's unit vector of features to those of the k nearest training pictures. Nothing is trained.
"""

import torch
from pydantic import BaseModel, model_validator
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.lesson import Lesson
from novelette.methods.knn import nearest
from novelette.perceptual import Name, Perceptual, load, with_its_layer
from novelette.progress import progress
from novelette.settings import setting
from novelette.training import Run

PAPER = "Bergman, Cohen, Hoshen: Deep nearest neighbor anomaly detection (2020), on MobileNet v1 (Howard et al., 2017) instead of a ResNet"

FORWARD = 16  # images through the network at a time: more leave the cache, and take a third longer on a core


class Config(BaseModel, frozen=True, extra="forbid"):
    """Chosen on held-out training pictures of CIFAR-10; the detector keeps a vector of features of every training picture."""

    network: Name = setting("mobilenet-0.25", "the pretrained network")
    layer: str = setting("block-13", "layer of the network: conv1, block-1 to block-13 (block-12 for mobilenet-1.0), or relu1_1 to relu5_4")
    side: int = setting(128, "side to which images are scaled for the network; 0: they stay as they are", unit="px", ge=0, le=1024)
    k: int = setting(5, "how many nearest training pictures count", ge=1, le=1000)
    perceptual_weights: str = setting("", "a file with the network's weights, where no data root has it", exclude=True)

    _layer = model_validator(mode="after")(with_its_layer)


TINY = Config(layer="block-2", side=0, k=3)


def paper() -> Config:
    """The paper's two neighbours."""
    return Config(k=2)


def fit(
    images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run | None = None
) -> "Scorer":
    """Keep the features of normal images, uint8 (N, C, S, S).

    Raises: InputError when there are fewer than k, when the network's weights cannot be had, or when images are smaller than its stride.
    """
    if len(images) < config.k:
        raise InputError(f"--k {config.k} needs at least {config.k} training pictures, and there are {len(images)}")
    run = Run() if run is None else run
    channels, size = images.shape[1:3]
    net, run.notes["perceptual"] = load(config.network, config.layer, config.side or size, config.perceptual_weights)
    seeing = Seeing(config.side, net).to(device)
    return Scorer(config, seeing, seen(images, seeing, device, bar=run.bar), channels, size)


@torch.no_grad()  # what is kept of inference_mode has no part in a gradient of scores
def seen(images: Tensor, seeing: "Seeing", device: torch.device, *, bar: bool = False) -> Tensor:
    """Unit vectors of features, (N, F), of images, uint8 (N, C, S, S)."""
    parts: list[Tensor] = []
    with progress("features", len(images), shown=bar) as show:
        for part in images.split(FORWARD):
            parts.append(seeing(as_tensor(part, device)))
            show(sum(map(len, parts)))
    return torch.cat(parts)


class Seeing(nn.Module):
    """Images (N, C, S, S) in [-1, 1] to unit vectors of features (N, F): each filter's mean over all positions."""

    def __init__(self, side: int, net: Perceptual) -> None:
        super().__init__()
        self.side, self.net = side, net

    def positions(self, x: Tensor) -> Tensor:
        """Features by position, (N, F, h, w), of the scaled image."""
        if self.side not in (0, x.shape[-1]):
            x = interpolate(x, (self.side, self.side), mode="bilinear", antialias=x.shape[-1] > self.side)
        out: Tensor = self.net(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        return normalize(self.positions(x).mean((2, 3)), dim=1, eps=1e-6)


def not_shown(f: Tensor, v: Tensor, size: int) -> Tensor:
    """‖f_p - ⟨f_p, v⟩ v‖₂ drawn out to the image: features (N, F, h, w) and unit vectors (N, F) to (N, size, size)."""
    v = v[:, :, None, None]
    rest = (f - (f * v).sum(1, keepdim=True) * v).norm(dim=1, keepdim=True)
    return interpolate(rest, (size, size), mode="bilinear")[:, 0]


class Scorer:
    """A network and the vectors of the training images, (N, F).

    Args: channels, size: of the images that it scores.
    """

    keeps_pictures = False  # F numbers of each, from which no picture can be drawn again

    def __init__(self, config: Config, seeing: Seeing, vectors: Tensor, channels: int, size: int) -> None:
        self.config, self.channels, self.size = config, channels, size
        self.scoring = Near(config.k, seeing, vectors)

    @torch.inference_mode()
    def score(self, x: Tensor) -> Tensor:
        """Mean distance to the k nearest training images: (N, C, S, S) in [-1, 1] -> (N,)."""
        return torch.cat([self.scoring(part) for part in x.split(FORWARD)])

    @torch.inference_mode()
    def score_own(self, x: Tensor) -> Tensor:
        """`score` of training images (N, C, S, S) that are no neighbours of themselves: (N,). With k or fewer images, of what there is."""
        return self.lesson(x).scores

    @torch.no_grad()
    def lesson(self, x: Tensor) -> Lesson:
        """What `score_own` says of images (N, C, S, S), and their unit vectors of features (N, F)."""
        vectors = torch.cat([self.scoring.seeing(part) for part in x.split(FORWARD)])
        return Lesson(self.scoring.distances(vectors, skip=1), vectors)

    @torch.inference_mode()
    def heatmap(self, x: Tensor) -> Tensor:
        """Where a picture shows what its nearest training picture does not: (N, C, S, S) -> (N, S, S).

            ‖f_p - ⟨f_p, v⟩ v‖₂      at each position p, v the unit vector of the nearest training picture

        Taken of the mean f̄ over p, it is ‖f̄‖ times the sine of the angle between f̄ and v.
        """
        return torch.cat([self._heatmap(part) for part in x.split(FORWARD)])

    def _heatmap(self, x: Tensor) -> Tensor:
        f = self.scoring.seeing.positions(x)
        _, index = nearest(normalize(f.mean((2, 3)), dim=1, eps=1e-6), self.scoring.vectors, 1)
        return not_shown(f, self.scoring.vectors[index[:, 0]], x.shape[-1])

    def learned(self, images: Tensor) -> "Scorer":
        """A scorer that has `images`, uint8 (N, C, S, S), among its neighbours too, so that no picture's score is higher than it was."""
        kept, seeing = self.scoring.vectors, self.scoring.seeing
        return Scorer(self.config, seeing, torch.cat([kept, seen(images, seeing, kept.device)]), self.channels, self.size)

    def module(self) -> nn.Module:
        return self.scoring

    def state(self) -> dict[str, Tensor]:
        return {**self.scoring.state_dict(), "image": torch.tensor([self.channels, self.size])}

    @classmethod
    def from_state(cls, config: Config, state: dict[str, Tensor], channels: int, size: int) -> "Scorer":
        """Rebuild from `state()`. Raises: RuntimeError when it is of another network, or of images of another shape."""
        if state["image"].tolist() != [channels, size]:
            raise RuntimeError(f"a state of images {tuple(state['image'].tolist())} where {(channels, size)} was expected")
        scorer = cls(config, Seeing(config.side, Perceptual(config.network, config.layer)), state["vectors"], channels, size)
        scorer.scoring.load_state_dict({name: value for name, value in state.items() if name != "image"})
        return scorer


class Near(nn.Module):
    """Images (N, C, S, S) in [-1, 1] to scores (N,).   Args: vectors: of the training images, (M, F), of length 1."""

    vectors: Tensor

    def __init__(self, k: int, seeing: Seeing, vectors: Tensor) -> None:
        super().__init__()
        self.k, self.seeing = k, seeing.eval()
        self.register_buffer("vectors", vectors)

    def forward(self, x: Tensor) -> Tensor:
        return self.distances(self.seeing(x))

    def distances(self, v: Tensor, skip: int = 0) -> Tensor:
        """Scores (N,) of unit vectors (N, F).   Args: skip: how many of the nearest do not count."""
        d, _ = nearest(v, self.vectors, min(self.k + skip, len(self.vectors)))
        return d[:, min(skip, d.shape[1] - 1) :].mean(1)
