"""The linear GAN of the technical report (section 3.4), its gradients derived anew, and the flow that they make.

Generator and discriminator are linear, G(z) = B z and D(y) = σ(a · y), on one data point x and one noise vector z:

    Curator   L_C = -log D(x) - log(1 - D(g))      ∂L_C/∂a = (D(x) - 1) x + D(g) g
    Forger    L_F = -log D(g)                      ∂L_F/∂B = (D(g) - 1) a zᵀ             g = B z

Deviation: the report's appendix A.5 adds both losses before it differentiates, and has (D(x) - 1) x and (1 - 2 D(g)) g in their place; its
section 2.6 swaps the two players' losses, and A.5's are taken. The page of the study goes through it term by term.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

Vector = NDArray[np.float64]


def sigmoid(t: Vector) -> Vector:
    """1 / (1 + e^-t), without overflow."""
    return np.exp(-np.logaddexp(0, -t))


def curator_gradient(a: Vector, x: Vector, g: Vector) -> Vector:
    """∂L_C/∂a = (D(x) - 1) x + D(g) g, a mean over samples.   Args: a: (n,).   x, g: (N, n).   Returns: (n,)."""
    out: Vector = (sigmoid(x @ a) - 1) @ x / len(x) + sigmoid(g @ a) @ g / len(g)
    return out


def forger_gradient(a: Vector, b: Vector, z: Vector) -> Vector:
    """∂L_F/∂B = (D(g) - 1) a zᵀ, a mean over samples.   Args: a: (n,).   b: (n, c).   z: (N, c).   Returns: (n, c)."""
    return np.outer(a, (sigmoid(z @ b.T @ a) - 1) @ z / len(z))


@dataclass(frozen=True)
class Course:
    """A solution of the flow.   Attributes: t: (T,).   a: (T, n).   b: (T, n, c)."""

    t: Vector
    a: Vector
    b: Vector


def flow(a: Vector, b: Vector, x: Vector, z: Vector, t: Vector) -> Course:
    """Both players descend at once, each its own loss: ȧ = -∂L_C/∂a, Ḃ = -∂L_F/∂B, from (a, b), at the times t.

    Args: a: (n,).   b: (n, c).   x: (N, n).   z: (N, c); the gradients are means over samples.   t: (T,), from 0.
    """
    n, c = b.shape

    def slope(_: float, state: Vector) -> Vector:
        a, b = state[:n], state[n:].reshape(n, c)
        return -np.concatenate([curator_gradient(a, x, z @ b.T), forger_gradient(a, b, z).ravel()])

    solved = solve_ivp(slope, (0.0, float(t[-1])), np.concatenate([a, b.ravel()]), t_eval=t, method="DOP853", rtol=1e-9, atol=1e-11)
    return Course(solved.t, solved.y[:n].T, solved.y[n:].T.reshape(-1, n, c))


def eigenvalues(x: Vector, z: Vector) -> NDArray[np.complex128]:
    """Of the flow of (a, g), linearized at its only equilibrium a = 0, g = x (D = ½), by hand; x (n,) and z (c,) fixed.

    With ζ = |z|², ȧ = -½ x xᵀ a - ½ (g - x) and ġ = ½ ζ a. Along x, λ² + ½ |x|² λ + ¼ ζ = 0:

        λ = (-|x|² ± √(|x|⁴ - 4 ζ)) / 4          a spiral where |x|² < 2 |z|, a node beyond
        λ = ± ½ i |z|                            in each of the n - 1 directions orthogonal to x, and for x = 0 in all: a centre

    Returns: (2 n,), those along x first.
    """
    zeta, along = float(z @ z), float(x @ x)
    root = np.sqrt(complex(along**2 - 4 * zeta))
    across = 0.5j * np.sqrt(zeta)
    return np.array([(-along + root) / 4, (-along - root) / 4, *[across, -across] * (len(x) - 1)])


def lyapunov(a: Vector, g: Vector, x: Vector, z: Vector) -> Vector:
    """V = |z|² |a|² + |g - x|², which never rises along the flow with x and z fixed.   Args: a, g: (T, n).   Returns: (T,).

    With p = a · x, q = a · g:  ½ V̇ = |z|² (p (σ(q) - σ(p)) - q tanh(q / 2)) ≤ 0, and 0 only where p = q = 0.
    """
    out: Vector = (z @ z) * np.square(a).sum(-1) + np.square(g - x).sum(-1)
    return out
