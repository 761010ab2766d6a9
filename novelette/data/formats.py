"""Readers of the data sets that fit in memory, in their own file formats: IDX, CIFAR-10's binary records, COIL's numbered views."""

import gzip
import hashlib
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from novelette.errors import InputError
from novelette.files import reason

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
CIFAR_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
CIFAR_RECORD = 1 + 3 * 32 * 32  # label, then the red, green and blue plane, row by row
CIFAR_RECORDS = 10_000  # a file
COIL_VIEWS = 72  # one every 5 degrees
COIL_NAME = re.compile(r"obj(\d+)__(\d+)\.(png|ppm)", re.IGNORECASE)


@dataclass(frozen=True)
class Arrays:
    """A whole set: pixels uint8 (N, H, W), (N, 3, H, W) or (N, H, W, 3), labels (N,) int64, is_train (N,) bool, a name a picture."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    is_train: NDArray[np.bool_]
    names: tuple[str, ...]

    def sha256(self) -> str:
        """Hash of pixels, labels and split, shapes included: the same contents give the same hash, whatever files held them."""
        digest = hashlib.sha256(repr((self.pixels.shape, self.labels.shape)).encode())
        for start in range(0, len(self.pixels), 4096):  # piece by piece: a strided array is copied to be hashed
            digest.update(np.ascontiguousarray(self.pixels[start : start + 4096]).data)
        digest.update(self.labels.astype("<i8").data)
        digest.update(self.is_train.data)
        return digest.hexdigest()


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes, gzipped or plain: two zero bytes, type 8, the number of dimensions, big-endian sizes, values.

    Raises: InputError naming the file if it is missing, cut off, too long, or has another magic number.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is truncated or not a gzip file: fetch it again") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({reason(error)}): fetch it again or check its permissions") from error
    n_dims = content[3] if len(content) >= 4 else 0
    if len(content) < 4 or content[:3] != b"\0\0\x08" or not 1 <= n_dims <= 4:
        raise InputError(f"{path} is not an IDX file of bytes (its magic number is {content[:4].hex() or 'missing'}): fetch it again")
    shape = tuple(int(n) for n in np.frombuffer(content[4 : 4 + 4 * n_dims], ">u4")) if len(content) >= 4 + 4 * n_dims else ()
    expected = 4 + 4 * n_dims + int(np.prod(shape, dtype=object))
    if len(shape) != n_dims or len(content) < expected:
        raise InputError(f"{path} is truncated: it holds {len(content):,} bytes where its header states {expected:,}, so fetch it again")
    if len(content) > expected:
        raise InputError(f"{path} holds {len(content) - expected:,} bytes more than its header states: fetch it again")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_dims).reshape(shape)


def read_idx_set(folder: Path) -> Arrays:
    """MNIST's four files, gzipped or plain: pixels (N, 28, 28), labels 0..9, training images first. Raises: InputError."""
    pixels, labels = [], []
    for k in (0, 2):
        image_file, label_file = _idx_file(folder, IDX_FILES[k]), _idx_file(folder, IDX_FILES[k + 1])
        images, of_images = read_idx(image_file), read_idx(label_file)
        if images.ndim != 3 or images.shape[1:] != (28, 28) or not len(images):
            raise InputError(f"{image_file} holds an array {images.shape} where images (N, 28, 28) are expected: fetch it again")
        if of_images.shape != images.shape[:1]:
            raise InputError(f"{label_file} holds labels {of_images.shape} for {len(images):,} images: fetch both files again")
        if of_images.max() > 9:
            raise InputError(f"{label_file} holds the label {of_images.max()} where 0 to 9 are expected: fetch it again")
        pixels.append(images)
        labels.append(of_images)
    return _two_parts(np.concatenate(pixels), np.concatenate(labels), len(pixels[0]))


def _idx_file(folder: Path, name: str) -> Path:
    for candidate in (name, name + ".gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    raise InputError(f"{folder} lacks {name}.gz: put all four files of the set there ({', '.join(f + '.gz' for f in IDX_FILES)})")


def read_cifar10(folder: Path) -> Arrays:
    """The six files of cifar-10-batches-bin: pixels (60000, 3, 32, 32), labels 0..9, training images first.

    Raises: InputError naming the file that is missing, cut off, or holds a label above 9.
    """
    records = np.empty((len(CIFAR_FILES) * CIFAR_RECORDS, CIFAR_RECORD), np.uint8)
    for k, name in enumerate(CIFAR_FILES):
        records[k * CIFAR_RECORDS : (k + 1) * CIFAR_RECORDS] = read_cifar_records(folder / name)
    pixels = records[:, 1:].reshape(-1, 3, 32, 32)  # a view, where NumPy can
    return _two_parts(pixels, records[:, 0], 5 * CIFAR_RECORDS)


def read_cifar_records(path: Path) -> NDArray[np.uint8]:
    """One CIFAR-10 file as (10000, 3073): label, then 3 × 32 × 32 pixels. Raises: InputError naming the file."""
    try:
        content = np.fromfile(path, np.uint8)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: put all six files of cifar-10-batches-bin there") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({reason(error)}): check its permissions") from error
    expected = CIFAR_RECORDS * CIFAR_RECORD
    if content.size != expected:
        fault = "is truncated" if content.size < expected else "is too long"
        raise InputError(f"{path} {fault}: it holds {content.size:,} bytes where {expected:,} are expected, so fetch it again")
    records = content.reshape(CIFAR_RECORDS, CIFAR_RECORD)
    if records[:, 0].max() > 9:
        raise InputError(f"{path} holds the label {records[:, 0].max()} where 0 to 9 are expected: it is not CIFAR-10 in its binary layout")
    return records


def read_coil(folder: Path, objects: int) -> Arrays:
    """COIL's views obj{1..objects}__{angle}.png (or .ppm): pixels (N, H, W), or (N, H, W, 3) when colour; labels 0..objects - 1.

    Views are numbered 0 to 71 in COIL-20 and by degrees in COIL-100: either is taken. The set has no split: every image is_train.
    Raises: InputError if an object lacks views, or a picture cannot be read or has another size than the first.
    """
    views: dict[tuple[int, int], Path] = {}
    for path in sorted(folder.iterdir()):
        if found := COIL_NAME.fullmatch(path.name):
            views.setdefault((int(found[1]) - 1, int(found[2])), path)
    ordered = sorted(views)
    labels = np.array([label for label, _ in ordered], np.int64)
    for label in range(objects):
        if (n := int((labels == label).sum())) != COIL_VIEWS:
            raise InputError(f"{folder} holds {n} views of obj{label + 1} where {COIL_VIEWS} are expected: fetch the set again")
    if len(ordered) != objects * COIL_VIEWS:
        raise InputError(f"{folder} holds obj{labels.max() + 1} where the set has {objects} objects: put the right set there")
    first = _read_view(views[ordered[0]])
    pixels = np.empty((len(ordered), *first.shape), np.uint8)
    for i, key in enumerate(ordered):
        view = _read_view(views[key])
        if view.shape != first.shape:
            raise InputError(f"{views[key]} has the shape {view.shape} where {first.shape} is expected: fetch the set again")
        pixels[i] = view
    names = tuple(views[key].name for key in ordered)
    return Arrays(pixels, labels, np.ones(len(labels), bool), names)


def _read_view(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=("PNG", "PPM")) as image:
            if max(image.size) > 1024:
                raise InputError(f"{path} has {image.size[0]} x {image.size[1]} px where at most 1024 x 1024 are expected: fetch it again")
            return np.asarray(image.convert("L" if image.mode in ("1", "L", "I;16", "I") else "RGB"))
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on broken bytes
        raise InputError(f"{path} cannot be read as a picture: fetch it again") from error


def _two_parts(pixels: np.ndarray, labels: np.ndarray, n_train: int) -> Arrays:
    n = len(labels)
    names = tuple(f"train/{i:05d}" if i < n_train else f"test/{i - n_train:05d}" for i in range(n))
    return Arrays(pixels, labels.astype(np.int64), np.arange(n) < n_train, names)
