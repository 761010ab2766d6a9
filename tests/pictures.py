"""Small pictures of two kinds, detectors fitted on them, and what a refused command must look like; for the tests of the commands."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from novelette.cli import main


def stripes(n: int, seed: int = 0, size: int = 32) -> np.ndarray:
    """Normal pictures: soft horizontal waves, each a little shifted and noisy. uint8 (n, size, size)."""
    rng = np.random.default_rng(seed)
    x = np.arange(size)[None, None, :] / 5 + rng.normal(0, 0.3, (n, 1, 1))
    return (128 + 60 * np.sin(x) + rng.normal(0, 6, (n, size, size))).clip(0, 255).astype(np.uint8)


def checks(n: int, seed: int = 0, size: int = 32) -> np.ndarray:
    """Novel pictures: a chequered board of 4 px squares, with noise. uint8 (n, size, size)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] // 4
    return (128 + 60 * ((x + y) % 2 * 2 - 1) + rng.normal(0, 6, (n, size, size))).clip(0, 255).astype(np.uint8)


def write(folder: Path, pictures: np.ndarray) -> Path:
    """Write pictures as 00.png, 01.png, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{i:02}.png")
    return folder


def write_views(folder: Path) -> list[Path]:
    """Sixty pictures, in order, for a test that names them as views of fewer things."""
    return sorted(write(folder, stripes(60)).iterdir())


def write_labelled(folder: Path, n: int = 12) -> Path:
    """A folder with normal/ and novel/, `n` pictures each."""
    write(folder / "normal", stripes(n, seed=1))
    write(folder / "novel", checks(n))
    return folder


def write_bomb(path: Path) -> Path:
    """A PNG of 70 bytes whose header promises 30,000 x 30,000 px."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(4))) + chunk(b"IEND", b""))
    return path


def fitted(output: Path, source: Path, method: str = "knn", *more: str) -> Path:
    """A detector made by the command line, with a rate that a dozen calibration pictures allow."""
    assert main(["fit", method, str(source), "-o", str(output), "--false-alarm-rate", "0.2", *more]) == 0
    return output


def everything_in(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder below, with its contents."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def assert_refused(argv: list[str], folder: Path, capsys, *says: str) -> str:
    """Run a command that must end with status 2 and one sentence, print nothing else, and leave `folder` as it was.

    Returns: the sentence, which holds each of `says`.
    """
    capsys.readouterr()
    before = everything_in(folder)
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert everything_in(folder) == before, err
    assert out == "", out
    assert err.startswith("novelette: "), err
    assert err.count("\n") == 1, err
    assert err.endswith("\n")
    for words in says:
        assert words in err, err
    return err
