"""Formulas that two or more methods use, unreduced: one value per image."""

import torch
from torch import Tensor
from torch.nn.functional import softplus


def reconstruction_l1(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean absolute difference of image and reconstruction, ⟨|x - x̂|⟩: S_con of P-KDGAN, Eq. 2.

    Args: x, x_hat: (N, C, H, W), in [-1, 1].   Returns: (N,).   Raises: ValueError when their shapes differ.
    """
    same_shape(x, x_hat)
    return (x - x_hat).abs().flatten(1).mean(1)


def generator_loss(
    x: Tensor, x_hat: Tensor, z: Tensor, z_hat: Tensor, f: Tensor, f_hat: Tensor, *, w_con: float, w_enc: float, w_adv: float
) -> Tensor:
    """Generator objective of an encoder-decoder-encoder GAN, one value per image.

        L_g = w_con ⟨|x - x̂|⟩ + w_enc ⟨(z - ẑ)²⟩ + w_adv ⟨(f(x) - f(x̂))²⟩        (P-KDGAN, Eqs. 2-5)

    Args:
        x, x_hat: image and reconstruction, (N, C, H, W), in [-1, 1].
        z, z_hat: latents of x and of x_hat, (N, Z).
        f, f_hat: the discriminator's features of x and x_hat, (N, ...).
    Returns: (N,), not reduced.
    Raises: ValueError when the two of a pair differ in shape, or the pairs in N.
    Deviation: ⟨·⟩ is a mean over elements: the paper's L1 norm becomes the mean absolute and its L2 norms the mean squared difference,
        as in GANomaly's code, so that the weights keep their meaning at any image size.
    """
    same_shape(z, z_hat)
    same_shape(f, f_hat)
    l_con = reconstruction_l1(x, x_hat)
    l_enc = (z - z_hat).square().mean(1)
    l_adv = (f - f_hat).square().flatten(1).mean(1)
    same_shape(l_con, l_enc)
    same_shape(l_con, l_adv)
    return w_con * l_con + w_enc * l_enc + w_adv * l_adv


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy of a discriminator on an image and its reconstruction, one value per image.

        L_d = -½ [log D(x) + log(1 - D(x̂))],   D = σ(logit)                      (P-KDGAN, Eq. 1; S_ce of Table I)

    Args: real, fake: logits of x and of x̂, (N,).   Returns: (N,), not reduced.   Raises: ValueError when they have another shape.
    """
    same_shape(real, fake)
    if real.dim() != 1:
        raise ValueError(f"logits must be (N,), one an image, not {tuple(real.shape)}")
    return (softplus(-real) + softplus(fake)) / 2


def fooling_loss(fake: Tensor) -> Tensor:
    """What a generator descends against a discriminator, one value per image: -log D(x̂), D = σ(logit), which does not saturate while
    D wins (Goodfellow et al., 2014).

    Args: fake: logits of x̂, (N,).   Returns: (N,), not reduced.
    """
    return softplus(-fake)


def mean_squared(a: Tensor, b: Tensor) -> Tensor:
    """⟨(a - b)²⟩, one value per image.   Args: a, b: (N, ...).   Returns: (N,).   Raises: ValueError when their shapes differ."""
    same_shape(a, b)
    return (a - b).square().flatten(1).mean(1)


def contrast_loss(s: Tensor, s_novel: Tensor) -> Tensor:
    """Cross-entropy of normal against made-up novel images where exp(-s) is the probability of being normal, one value per pair.

        L_c = s - log(1 - exp(-s′))          (the hypersphere classifier of Ruff et al., 2021)

    Args: s, s_novel: distances of normal and of novel images, at least 0, (N,).   Returns: (N,), not reduced.
    Raises: ValueError when their shapes differ.
    Deviation: 1e-4 is added to s′, so that a distance of 0 has a finite loss.
    """
    same_shape(s, s_novel)
    return s - torch.log(-torch.expm1(-s_novel - 1e-4))


def same_shape(a: Tensor, b: Tensor) -> None:
    """Refuse what torch would broadcast in silence."""
    if a.shape != b.shape:
        raise ValueError(f"shapes {tuple(a.shape)} and {tuple(b.shape)} differ where they must be the same")
