"""Pictures -> images: one size, one or three channels, uint8, streamed in bounded memory; tensors at the very end."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from pydantic import BaseModel, Field

from novelette.data.framing import cut, square
from novelette.data.pixels import UnreadablePicture, content_hash, is_grey, luminance
from novelette.data.sources import ArraySource, Source, SubsetSource
from novelette.errors import InputError

if TYPE_CHECKING:
    import torch

__all__ = [
    "Chunk",
    "Loaded",
    "Preprocessing",
    "as_tensor",
    "content_hash",
    "guess_channels",
    "guess_size",
    "load",
    "prepare",
    "stream",
]

WORKERS = min(4, os.cpu_count() or 1)  # threads that decode
CHUNK_BYTES = 1 << 27  # of prepared pixels at most, whatever the chunk size asked for
SAMPLE = 64  # pictures that tell the number of channels

Progress = Callable[[int], None]
TAKING_COLOUR = "fit with --channels 3, or with --channels 1 to use the luminance of colour pictures"
COLOUR = f"it is in colour, and the detector is for grey pictures: {TAKING_COLOUR}"  # why it is left out
Read = tuple[np.ndarray, int] | str  # (images (T, C, S, S), content hash), or why it is unreadable


class ColourPicture(InputError):
    """A colour picture came to a detector whose one channel was guessed from grey ones."""


class Preprocessing(BaseModel, frozen=True, extra="forbid"):
    """How a picture becomes an image: a part of the detector."""

    size: Literal[28, 32, 64, 128, 256] = Field(32, description="side of the square image that a network sees, px; 28 for classifiers")
    channels: Literal[1, 3] = Field(1, description="1 for grey pictures, 3 for colour")
    frame: Literal["stretch", "crop", "pad"] = Field(
        "stretch", description="how an oblong picture becomes square: stretched, its middle, or with a border"
    )
    tiles: int = Field(1, ge=1, le=8, description="cut a picture into N x N tiles; its score is its worst tile's")
    colour: Literal["refuse", "convert"] = Field(
        "refuse", description="what a detector for 1 channel does with colour pictures: leave them out, or take their luminance"
    )


def prepare(picture: np.ndarray, preprocessing: Preprocessing, name: str = "this picture") -> np.ndarray:
    """The images of one picture: its tiles, row by row.

    Channels first, at full size: for one channel, grey saved as RGB gives its luminance, and so does colour with
    colour="convert"; grey is repeated for three. Then the whole picture is framed to a square of N * S pixels
    (`framing.square`), which is cut into T = N² tiles: framed as a whole, so that a crop leaves no gaps between tiles
    and a border lies around the picture only.

    Args:
        picture: uint8 (H, W) or (H, W, 3).   name: what to call it in an error.
    Returns: uint8 (T, C, S, S).
    Raises: ColourPicture when one meets channels=1 and colour="refuse".
    """
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (3,)):
        raise ValueError(f"a picture is uint8 (H, W) or (H, W, 3), not {picture.dtype} {picture.shape}")
    return _prepare_block(picture[None], preprocessing, [name])[0]


def _prepare_block(block: np.ndarray, preprocessing: Preprocessing, names: Sequence[str]) -> np.ndarray:
    """`prepare` for pictures of one size: uint8 (n, H, W) or (n, H, W, 3) -> (n, T, C, S, S)."""
    if preprocessing.channels == 1 and block.ndim == 4:
        _refuse_colour(block, preprocessing, names)
        block = luminance(block)
    side = preprocessing.size * preprocessing.tiles
    if block.shape[1:3] != (side, side):
        block = np.stack([square(picture, side, preprocessing.frame) for picture in block])
    return cut(block, preprocessing.tiles, preprocessing.channels)


def _refuse_colour(block: np.ndarray, preprocessing: Preprocessing, names: Sequence[str]) -> None:
    if preprocessing.colour == "convert":
        return
    grey = is_grey(block)
    if not grey.all():
        raise ColourPicture(f"a detector for 1 channel was given a colour picture, {names[int(np.argmin(grey))]}: {TAKING_COLOUR}")


def guess_channels(source: Source) -> Literal[1, 3]:
    """3 if one of up to 64 evenly spread pictures is in colour, else 1.

    Grey saved as RGB counts as grey; unreadable pictures are skipped.
    """
    for index in np.unique(np.linspace(0, len(source) - 1, min(SAMPLE, len(source))).round().astype(int)):
        try:
            picture = source.read(int(index))
        except UnreadablePicture:
            continue
        if picture.ndim == 3 and not is_grey(picture[None])[0]:
            return 3
    return 1


def guess_size(source: Source) -> int:
    """The side of the first readable picture where it is a square of a size that images have, else 32."""
    for index in range(min(SAMPLE, len(source))):
        try:
            height, width = source.read(index).shape[:2]
        except UnreadablePicture:
            continue
        return height if height == width and height in get_args(Preprocessing.model_fields["size"].annotation) else 32
    return 32


def as_tensor(pixels: "np.ndarray | torch.Tensor", device: "str | torch.device" = "cpu") -> "torch.Tensor":
    """Image tensor x / 127.5 - 1: float32 in [-1, 1], the shape of `pixels`, on `device`. The only place that rescales.

    Args:
        pixels: uint8 (N, C, S, S), array or tensor. It crosses to the device as bytes.
    """
    import torch  # here, because the torch-free runtime imports this module

    if isinstance(pixels, np.ndarray):
        pixels = torch.from_numpy(pixels if pixels.flags.writeable and pixels.flags.c_contiguous else pixels.copy())
    if pixels.dtype != torch.uint8:
        raise TypeError(f"pixels are uint8, not {pixels.dtype}")
    return pixels.to(device).to(torch.float32).div_(127.5).sub_(1)


@dataclass(frozen=True)
class Chunk:
    """Some readable pictures of a source, in order.

    Attributes:
        indices: int64 (n,), their numbers in the source.
        pixels: uint8 (n, T, C, S, S).
        hashes: uint64 (n,), the content hashes of the decoded pictures.
    """

    indices: np.ndarray
    pixels: np.ndarray
    hashes: np.ndarray


@dataclass(frozen=True)
class Loaded:
    """All readable pictures of a source: `Chunk`'s arrays, and {index: reason} of those that cannot be read."""

    indices: np.ndarray
    pixels: np.ndarray
    hashes: np.ndarray
    unreadable: dict[int, str]


def stream(
    source: Source,
    preprocessing: Preprocessing,
    *,
    chunk_size: int = 256,
    unreadable: dict[int, str] | None = None,
    progress: Progress | None = None,
) -> Iterator[Chunk]:
    """The images of a source, in order, at most `chunk_size` pictures at a time.

    Files are decoded ahead in a few threads. Memory does not grow with the source: a chunk holds at most 128 MB of
    pixels (so it may be smaller than asked for), and only a few pictures wait.

    Args:
        unreadable: receives {index: reason} of the pictures that cannot be read; they are skipped.
        progress: called with the number of pictures done so far, readable or not.
    A colour picture where it is refused is one of those.
    Raises: InputError at the end if no picture at all could be read.
    """
    failed: dict[int, str] = {}
    results = _array_results if isinstance(_origin(source)[0], ArraySource) else _file_results
    bytes_each = int(np.prod(_image_shape(preprocessing)))
    count = max(1, min(chunk_size, CHUNK_BYTES // bytes_each))
    for chunk in results(source, preprocessing, count, failed, progress or (lambda done: None)):
        if unreadable is not None:
            unreadable.update(failed)
        if len(chunk.indices):
            yield chunk
    if len(failed) == len(source) > 0:
        raise InputError(_nothing_readable(len(source), source.names[0], failed[0]))


def load(source: Source, preprocessing: Preprocessing, *, progress: Progress | None = None) -> Loaded:
    """All images of a source in one array, uint8.

    Raises: InputError as `stream` does, and when they do not fit into memory.
    """
    total = len(source)
    shape = (total, *_image_shape(preprocessing))
    try:
        pixels = np.empty(shape, np.uint8)
    except MemoryError as error:
        needed = np.prod(shape, dtype=float) / 1e9
        raise InputError(f"{total} pictures need {needed:,.0f} GB of memory: choose a smaller --size or fewer pictures") from error
    indices, hashes = np.empty(total, np.int64), np.empty(total, np.uint64)
    unreadable: dict[int, str] = {}
    done = 0
    for chunk in stream(source, preprocessing, unreadable=unreadable, progress=progress):
        rows = slice(done, done + len(chunk.indices))
        indices[rows], pixels[rows], hashes[rows] = chunk.indices, chunk.pixels, chunk.hashes
        done = rows.stop
    return Loaded(indices[:done], pixels[:done], hashes[:done], unreadable)


def load_to_fit(source: Source, preprocessing: Preprocessing, *, progress: Progress | None = None) -> Loaded:
    """`load` of the pictures that decide what a detector is, so that a person has to say what colour is to it.

    Raises: InputError as `load` does. ColourPicture where there is one that would be left out.
    """
    loaded = load(source, preprocessing, progress=progress)
    if coloured := [source.names[i] for i, why in loaded.unreadable.items() if why == COLOUR]:
        raise ColourPicture(f"{coloured[0]} is in colour, but the pictures that the channels were guessed from are grey: {TAKING_COLOUR}")
    return loaded


def _image_shape(preprocessing: Preprocessing) -> tuple[int, int, int, int]:
    """(T, C, S, S)"""
    return preprocessing.tiles**2, preprocessing.channels, preprocessing.size, preprocessing.size


def _nothing_readable(total: int, name: str, reason: str) -> str:
    if total == 1:
        return f"the picture {name} cannot be read ({reason}): give another file"
    return f"none of the {total} pictures can be read (the first, {name}: {reason}): check the files"


def _origin(source: Source) -> tuple[Source, np.ndarray]:
    """The source below all subsets, and the numbers of the pictures there."""
    indices = np.arange(len(source))
    origin = source
    while isinstance(origin, SubsetSource):
        indices = origin.indices[indices]
        origin = origin.source
    return origin, indices


def _array_results(
    source: Source, preprocessing: Preprocessing, count: int, unreadable: dict[int, str], progress: Progress
) -> Iterator[Chunk]:
    """Chunks of an array, a block at a time."""
    array, indices = _origin(source)
    assert isinstance(array, ArraySource)
    count = max(1, min(count, CHUNK_BYTES // array.pictures[0].nbytes))
    for start in range(0, len(source), count):
        numbers = range(start, min(start + count, len(source)))
        try:
            block = array.block(indices[start : numbers.stop])
            pixels = _prepare_block(block, preprocessing, source.names[start : numbers.stop])
        except (UnreadablePicture, ColourPicture):  # one of them: find out which
            results = ((i, _read(source, preprocessing, i)) for i in numbers)
            chunk = _gather(results, preprocessing, count, unreadable)
        else:
            chunk = Chunk(np.array(numbers), pixels, np.array([content_hash(picture) for picture in block], np.uint64))
        progress(numbers.stop)
        yield chunk


def _file_results(
    source: Source, preprocessing: Preprocessing, count: int, unreadable: dict[int, str], progress: Progress
) -> Iterator[Chunk]:
    """Chunks of decoded files."""
    with ThreadPoolExecutor(WORKERS) as pool:
        results = _in_order(pool, lambda i: _read(source, preprocessing, i), len(source), progress)
        try:
            for _ in range(0, len(source), count):
                yield _gather(islice(results, count), preprocessing, count, unreadable)
        finally:  # an error, Ctrl-C or a caller who stops: decode no more
            pool.shutdown(cancel_futures=True)


def _in_order(pool: ThreadPoolExecutor, read: Callable[[int], Read], total: int, progress: Progress) -> Iterator[tuple[int, Read]]:
    """(i, read(i)) for all i < total, in order, a few ahead of the one asked for."""
    waiting: deque[Future[Read]] = deque()
    submitted = 0
    for index in range(total):
        while submitted < min(total, index + 8 * WORKERS):
            waiting.append(pool.submit(read, submitted))
            submitted += 1
        result = waiting.popleft().result()
        progress(index + 1)
        yield index, result


def _read(source: Source, preprocessing: Preprocessing, index: int) -> Read:
    try:
        picture = source.read(index)
    except UnreadablePicture as error:
        return str(error)
    try:
        return prepare(picture, preprocessing, source.names[index]), content_hash(picture)
    except ColourPicture:
        return COLOUR


def _gather(results: Iterable[tuple[int, Read]], preprocessing: Preprocessing, count: int, unreadable: dict[int, str]) -> Chunk:
    """A chunk of the readable ones among at most `count` results; the others go to `unreadable`."""
    indices, hashes = np.empty(count, np.int64), np.empty(count, np.uint64)
    pixels = np.empty((count, *_image_shape(preprocessing)), np.uint8)
    n = 0
    for index, result in results:
        if isinstance(result, str):
            unreadable[index] = result
        else:
            indices[n] = index
            pixels[n], hashes[n] = result
            n += 1
    return Chunk(indices[:n], pixels[:n], hashes[:n])
