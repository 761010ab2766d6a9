"""One update of a distillation structure: Algorithm 1 of P-KDGAN, line 5 (the teacher's weights fixed) or 12 (updated together)."""

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from novelette.distill.structures import Structure
from novelette.losses import reconstruction_l1, same_shape
from novelette.methods.ede_gan import Gan, Outputs
from novelette.nets import each


def distillation_loss(
    x_hat_t: Tensor, z_1_t: Tensor, z_2_t: Tensor, x_hat_s: Tensor, z_1_s: Tensor, z_2_s: Tensor, *, w_1: float, w_x: float, w_2: float
) -> Tensor:
    """How far the student's reconstruction and latents are from the teacher's on the same image, one value per image.

        K_l = w_1 ⟨(z₁ᵀ - z₁ˢ)²⟩ + w_x ⟨|x̂ᵀ - x̂ˢ|⟩ + w_2 ⟨(z₂ᵀ - z₂ˢ)²⟩        (P-KDGAN, Eq. 6; progressive distillation paper, Eqs. 7-8)

    Args: x_hat_t, x_hat_s: (N, C, H, W).   z_1_t, z_1_s, z_2_t, z_2_s: (N, Z), the same Z on both sides.   Returns: (N,), not reduced.
    Deviation: ⟨·⟩ is a mean over elements where the paper has norms, as in `losses.generator_loss`.
    """
    same_shape(z_1_t, z_1_s)
    same_shape(z_2_t, z_2_s)
    k_1 = (z_1_t - z_1_s).square().mean(1)
    k_x = reconstruction_l1(x_hat_t, x_hat_s)
    k_2 = (z_2_t - z_2_s).square().mean(1)
    return w_1 * k_1 + w_x * k_x + w_2 * k_2


def update(
    x: Tensor,
    teacher: Gan,
    student: Gan,
    structure: Structure,
    weights: dict[str, float],
    *,
    teacher_follows: bool,
    seeds: Sequence[int],
    step: int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """One step of both players of both GANs, as the structure says.

    Args:
        x: images, (B, M * C, S, S), in [-1, 1].   weights: w_1, w_x, w_2.   seeds, step: of a discriminator's new draw.
        teacher_follows: K_l moves a teacher that trains, too. The paper does not say; its figure has the arrow to the student alone.
    Returns: the student's reconstructions, and the losses by name, (B * M,) each.
    """
    with nullcontext() if structure.teacher_g else torch.no_grad():
        out_t, turned_t = teacher.net(x), teacher.turned(x, step)
    out_s, turned_s = student.net(x), student.turned(x, step)
    pairs = [(out_t, out_s)]
    if turned_t is not None and turned_s is not None:  # what the teacher has learnt of turned copies, the student learns too
        pairs.append((turned_t, turned_s))

    def k_l(learner: str) -> Tensor:
        return torch.stack([match(t, s, weights, student.models, learner=learner) for t, s in pairs]).sum(0)

    losses = {"k": k_l("student")}

    if structure.teacher_g:  # the teacher keeps its own game
        losses["g_t"], f = teacher.generator_loss(x, out_t, turned_t)
        follows = k_l("teacher") if teacher_follows else 0.0
        teacher.descend_g(losses["g_t"] + follows)
        if structure.teacher_d:
            losses["d_t"] = teacher.descend_d(f, out_t[0], seeds, step)

    if structure.student_g:  # the student plays its own, and follows
        losses["g_s"], f = student.generator_loss(x, out_s, turned_s)
        student.descend_g(losses["g_s"] + losses["k"])
        if structure.student_d:
            losses["d_s"] = student.descend_d(f, out_s[0], seeds, step)
    else:
        student.descend_g(losses["k"])
    return out_s[0], losses


def match(out_t: Outputs, out_s: Outputs, weights: dict[str, float], models: int, *, learner: str) -> Tensor:
    """K_l between two generators' outputs, (B * M,), of which the learner's alone receive gradients."""
    fixed_t, fixed_s = learner != "teacher", learner != "student"
    t = [each(o.detach() if fixed_t else o, models) for o in _three(out_t)]
    s = [each(o.detach() if fixed_s else o, models) for o in _three(out_s)]
    return distillation_loss(*t, *s, w_1=weights["w_1"], w_x=weights["w_x"], w_2=weights["w_2"])


def _three(out: Outputs) -> tuple[Tensor, Tensor, Tensor]:
    x_hat, z_1, z_2 = out
    return x_hat, z_1, z_1 if z_2 is None else z_2
