"""Weight files of the right names and shapes that know nothing, so that tests of what stands on a pretrained network need none."""

import math
from pathlib import Path

import numpy as np

from novelette.perceptual.networks import NETWORKS


def made_arrays(network: str = "mobilenet-0.25", layer: str | None = None, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays as a network's weight file holds them, drawn so that signals neither die nor grow from layer to layer."""
    rng, arrays = np.random.default_rng(seed), {}
    for name, shape in NETWORKS[network].shapes(layer or NETWORKS[network].names[-1]).items():
        kind = name.rpartition("/")[2].rpartition(".")[2]
        if kind in ("gamma", "moving_variance"):
            values = rng.uniform(0.8, 1.2, shape)
        elif kind in ("beta", "moving_mean", "bias"):
            values = rng.normal(0, 0.1, shape)
        else:
            inputs = math.prod(shape[1:]) if kind == "weight" else math.prod(shape[:2]) * (1 if kind == "depthwise_kernel" else shape[2])
            values = rng.normal(0, math.sqrt(2 / inputs), shape)
        arrays[name] = values.astype(np.float32)
    return arrays


def write_made_weights(root: Path) -> Path:
    """A data root with a file for the smallest network."""
    (root / "models").mkdir(parents=True)
    np.savez(root / "models" / "mobilenet_v1_0.25_224.npz", **made_arrays())
    return root
