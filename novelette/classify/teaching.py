"""Distillation without a game: a teacher learns from labels, and then a classifier from the teacher, which stands still."""

from collections.abc import Callable

import torch
from torch import Tensor

from novelette.classify.game import Taught, Turns, classification, enter, moves, play
from novelette.classify.pictures import Pictures
from novelette.classify.recipe import WithTeacher
from novelette.training import Run


def teach(
    images: Tensor,
    labels: Tensor,
    config: WithTeacher,
    loss: Callable[[Tensor, Tensor, Tensor], Tensor],
    *,
    classes: int,
    seed: int,
    device: torch.device,
    run: Run,
) -> Taught:
    """Train on images, uint8 (N, C, S, S), and labels, int64 (N,) below `classes`; both networks by labels first, as KDGAN's are.

    Args: loss: the classifier's, (B,), of its scores (B, K), the teacher's (B, K) and labels (B,).
    Raises: InputError for images of a size that the networks do not take.
    """
    a, pictures, y_of = config, Pictures(images.to(device), config, seed), labels.to(device)
    c, t = enter((a.classifier, a.teacher), images, classes, a, seed, device)
    turns = Turns(len(images), a, seed)
    playing = {"c": c, "t": t}
    for step, (who, epoch, taken) in moves(run, playing, turns, forget=a.forget, seed=seed):
        i = torch.from_numpy(taken).to(device)
        x, y = pictures.at(epoch, i), y_of[i]
        if who == "all":
            l = {"c": classification(c(x), y), "t": classification(t(x), y)}
        else:
            l = {"c": loss(c(x), t.still(pictures, epoch, i), y)}
        play(playing, l, run, step)
    return Taught(c.net.eval(), t.net.eval())
