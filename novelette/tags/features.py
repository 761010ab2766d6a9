"""What a perceptual network sees in pictures: a vector a picture, worked out once for the same pixels and kept in the work folder."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, model_validator
from torch import Tensor

from novelette.checkpoint import told
from novelette.data.images import Preprocessing, as_tensor, stream
from novelette.data.sources import Source
from novelette.files import write_whole
from novelette.methods.feature_knn import FORWARD, Seeing
from novelette.perceptual import Name, Perceptual, load, with_its_layer
from novelette.progress import progress
from novelette.settings import setting

CHUNK = 64  # pictures whose vectors are kept together


class Look(BaseModel, frozen=True, extra="forbid"):
    """How a picture becomes a vector; a tagger keeps it, and the layers of the network."""

    network: Name = setting("mobilenet-0.25", "the pretrained network")
    layer: str = setting("block-13", "layer of the network: conv1, block-1 to block-13 (block-12 for mobilenet-1.0), or relu1_1 to relu5_4")
    size: Literal[32, 64, 128, 256] = setting(256, "side of the square to which pictures are stretched, px")
    perceptual_weights: str = setting("", "a file with the network's weights, where no data root has it", exclude=True)

    _layer = model_validator(mode="after")(with_its_layer)

    def preprocessing(self) -> Preprocessing:
        return Preprocessing(size=self.size, channels=3, frame="stretch", tiles=1, colour="convert")

    def empty(self) -> Seeing:
        """The layers without their weights."""
        return Seeing(0, Perceptual(self.network, self.layer))


@dataclass(frozen=True)
class Seen:
    """The readable pictures of a source.

    Attributes: indices: (N,).   vectors: of length 1, (N, F).   hashes: of their contents, (N,).   unreadable: index -> why.
    """

    indices: NDArray[np.int64]
    vectors: Tensor
    hashes: NDArray[np.uint64]
    unreadable: dict[int, str]


def loaded(look: Look) -> tuple[Seeing, str]:
    """The network with its weights, and what records say of them.   Raises: InputError when there are none."""
    net, title = load(look.network, look.layer, look.size, look.perceptual_weights)
    return Seeing(0, net).eval(), title


def see(source: Source, look: Look, seeing: Seeing, title: str, *, work: Path | None, bar: bool = False) -> Seen:
    """The vectors of a source's pictures.

    Args: title: of the network's weights.   work: a folder in which vectors are kept by the pixels that they are of, or looked up.
    Raises: InputError when no picture can be read.
    """
    unreadable: dict[int, str] = {}
    indices, vectors, hashes = [], [], []
    with progress("features", len(source), shown=bar) as show:
        for chunk in stream(source, look.preprocessing(), chunk_size=CHUNK, unreadable=unreadable):
            pixels = chunk.pixels[:, 0]
            vectors.append(vectors_of(pixels, seeing) if work is None else kept(pixels, f"{title} {look.layer}", seeing, work))
            indices.append(chunk.indices)
            hashes.append(chunk.hashes)
            show(int(chunk.indices[-1]) + 1)
    return Seen(np.concatenate(indices), torch.from_numpy(np.concatenate(vectors)), np.concatenate(hashes), unreadable)


def kept(pixels: NDArray[np.uint8], network: str, seeing: Seeing, folder: Path) -> NDArray[np.float32]:
    """`vectors_of`, looked up in a folder, or kept there.   Args: network: what tells vectors of different networks apart.

    Raises: InputError when the disk says no.
    """
    path = folder / f"{hashlib.sha256(repr((network, pixels.shape)).encode() + pixels.tobytes()).hexdigest()[:16]}.npy"
    try:
        vectors: NDArray[np.float32] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # not there, or no array
        vectors, content = vectors_of(pixels, seeing), io.BytesIO()
        np.save(content, vectors, allow_pickle=False)
        with told(folder):
            write_whole(path, content.getvalue())
    return vectors


def vectors_of(pixels: NDArray[np.uint8], seeing: Seeing) -> NDArray[np.float32]:
    """Pictures (n, 3, S, S) to vectors (n, F)."""
    device = next(seeing.parameters()).device
    with torch.inference_mode():
        return torch.cat([seeing(as_tensor(part, device)) for part in torch.from_numpy(pixels).split(FORWARD)]).cpu().numpy()
