"""Does a linear GAN find principal components, as a linear autoencoder does? The technical report leaves it open (section 3.4)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from novelette.studies.linear_gan import Vector, sigmoid

BATCH = 64
LEARNING_RATE = 0.02
MARKS = 40  # of a course


@dataclass(frozen=True)
class Angles:
    """Mean angles, in degrees, between learned subspaces and that of the leading principal components.

    Attributes: step: (T,).   gan, autoencoder: (T, seeds).   chance: of random subspaces.
    """

    step: NDArray[np.int64]
    gan: Vector
    autoencoder: Vector
    chance: float


def spectrum(n: int, leading: Vector, seed: int, samples: int = 4000) -> Vector:
    """Gaussian data (samples, n) of mean zero: variances `leading` in random orthogonal directions and 1 in all others."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(n, n)))[0]
    data = rng.normal(size=(samples, n)) * np.sqrt(np.concatenate([leading, np.ones(n - len(leading))])) @ turn.T
    out: Vector = data - data.mean(0)
    return out


def leading_components(data: Vector, c: int) -> Vector:
    """The c orthonormal directions (n, c) of the largest E (v · x)², which is PCA's where data (N, n) have mean zero."""
    out: Vector = np.linalg.eigh(data.T @ data / len(data))[1][:, ::-1][:, :c]
    return out


def mean_angle(b: Vector, v: Vector) -> Vector:
    """Mean principal angle, in degrees, between the columns of b, (..., n, c), and the orthonormal columns of v, (n, c)."""
    cosines = np.linalg.svd(np.swapaxes(np.linalg.qr(b)[0], -1, -2) @ v, compute_uv=False)
    out: Vector = np.degrees(np.arccos(np.clip(cosines, 0, 1))).mean(-1)
    return out


def train(data: Vector, c: int, steps: int, seeds: int, *, constant: bool = False) -> Angles:
    """A linear GAN and a linear autoencoder of c latents beside it, on the same batches, by plain gradient steps; all seeds at once.

    GAN: z ~ N(0, I), fresh each step, the gradients of `linear_gan` averaged over the batch; both players move at once.
    Autoencoder: x̂ = D E x, from ‖x - x̂‖². The angle is that of B, and of D.

    D begins at random, A ~ N(0, I): where x and g have mean zero, A = 0 is an equilibrium, and nothing would be learned from there.

    Args: data: (N, n), scaled to a mean square of 1.   constant: z's first entry has mean 1, so that G can have a mean.
    """
    rng, n = np.random.default_rng(0), data.shape[1]
    data = data / np.sqrt(np.square(data).mean())
    v = leading_components(data, c)
    a, b = rng.normal(size=(seeds, n, 1)), rng.normal(0, 0.3, (seeds, n, c))
    decoder, encoder = rng.normal(0, 0.1, (seeds, n, c)), rng.normal(0, 0.1, (seeds, c, n))
    chance = float(mean_angle(rng.normal(size=(1000, n, c)), v).mean())
    every, marks = max(1, steps // MARKS), []
    for step in range(steps + 1):
        if step % every == 0:
            marks.append((step, mean_angle(b, v), mean_angle(decoder, v)))
        x = data[rng.integers(0, len(data), (seeds, BATCH))]
        z = rng.normal(size=(seeds, BATCH, c)) + (np.arange(c) == 0) * float(constant)
        g = z @ _t(b)
        missed_x, taken_g = 1 - sigmoid(x @ a), sigmoid(g @ a)  # 1 - D(x), D(g): (seeds, BATCH, 1)
        climb_b = a @ _t(_t(z) @ (1 - taken_g))
        a, b = a + LEARNING_RATE * (_t(x) @ missed_x - _t(g) @ taken_g) / BATCH, b + LEARNING_RATE * climb_b / BATCH
        h = x @ _t(encoder)
        rest = x - h @ _t(decoder)
        climb_d, climb_e = _t(rest) @ h, _t(decoder) @ _t(rest) @ x
        decoder, encoder = decoder + LEARNING_RATE * climb_d / BATCH, encoder + LEARNING_RATE * climb_e / BATCH
    steps_at, gan, autoencoder = zip(*marks, strict=True)
    return Angles(np.array(steps_at), np.array(gan), np.array(autoencoder), chance)


def _t(m: Vector) -> Vector:
    """The transpose of each matrix of a stack."""
    return np.swapaxes(m, -1, -2)
