"""Small made-up files of named sets, and where the real ones are."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from novelette.data.formats import CIFAR_FILES, CIFAR_RECORD

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the real sets in ../shared/data")


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder: Path, n_train: int = 30, n_test: int = 10, zipped: bool = True, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for part, n in (("train", n_train), ("t10k", n_test)):
        for kind, array in (
            ("images-idx3", rng.integers(0, 256, (n, 28, 28), np.uint8)),
            ("labels-idx1", (np.arange(n) % 10).astype(np.uint8)),
        ):
            content = idx(array)
            path = folder / f"{part}-{kind}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(content, mtime=0) if zipped else content)


def write_cifar(folder: Path, value: int = 7) -> None:
    folder.mkdir(parents=True)
    for name in CIFAR_FILES:
        records = np.full((10_000, CIFAR_RECORD), value, np.uint8)
        records[:, 0] = np.arange(10_000) % 10
        records[:, 1:1025] = 200  # the red plane
        records.tofile(folder / name)


def write_picture(path: Path, size: tuple[int, int] = (16, 16), colour: int | tuple[int, ...] = 9, mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


def write_celeba(folder: Path, n: int = 20, partition: bool = True) -> None:
    rows = []
    for i in range(1, n + 1):
        write_picture(folder / "img_align_celeba" / f"{i:06d}.jpg", (178, 218), (i, 0, 0), "RGB")
        rows.append(f"{i:06d}.jpg {'1' if i % 4 == 0 else '-1'}  -1")
    (folder / "list_attr_celeba.txt").write_text(f"{n}\nBald Wearing_Hat\n" + "\n".join(rows) + "\n")
    if partition:
        part = [f"{i:06d}.jpg {0 if i <= 12 else 1 if i <= 15 else 2}" for i in range(1, n + 1)]
        (folder / "list_eval_partition.txt").write_text("\n".join(part) + "\n")
