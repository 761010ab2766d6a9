"""Pictures of three classes that are easily told apart, and of none of them; a classifier fitted on them by the command line."""

from pathlib import Path

import numpy as np
from pictures import write

from novelette.cli import main

QUICK = ["--divide-widths", "16", "--pretraining", "12", "--epochs", "1", "--passes-c", "1", "--learning-rate", "0.005"]
SIDE = 28


def noisy(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 100, (n, SIDE, SIDE)).astype(np.uint8)


def across(n: int, seed: int = 0) -> np.ndarray:
    """Bright rows on noise: uint8 (n, 28, 28)."""
    x = noisy(n, seed)
    x[:, ::4] += 150
    return x


def down(n: int, seed: int = 1) -> np.ndarray:
    """Bright columns on noise."""
    return across(n, seed).transpose(0, 2, 1).copy()


def write_classes(folder: Path, n: int = 30, seed: int = 0) -> Path:
    """A folder with across/, down/ and plain/, `n` pictures each."""
    for name, pictures in {"across": across(n, seed), "down": down(n, seed + 1), "plain": noisy(n, seed + 2)}.items():
        write(folder / name, pictures)
    return folder


def fitted(output: Path, source: Path, method: str = "kdgan", *more: str) -> Path:
    """A classifier with a rate that a dozen calibration pictures allow; its teacher beside it."""
    quick = QUICK + (["--passes-d", "1", "--passes-t", "1"] if method == "kdgan" else [])
    assert main(["classify", "fit", method, str(source), "-o", str(output), "--false-alarm-rate", "0.2", *quick, *more]) == 0
    return output
