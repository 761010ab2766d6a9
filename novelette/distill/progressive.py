"""P-KDGAN: structure 2 from a random student and a fixed teacher, then structure 3 or 4 from the last weights of both (Algorithm 1).

Every structure alone, from a random student, is the same loop with one step.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor

from novelette.batches import batches
from novelette.distill.step import update
from novelette.distill.structures import PROGRESSIVE, STRUCTURES, Progressive
from novelette.errors import InputError
from novelette.methods import ede_gan
from novelette.methods.ede_gan import Gan, Scorer
from novelette.nets import block_widths
from novelette.settings import Widths, setting
from novelette.training import Run
from novelette.watch import Watch

PAPER = ede_gan.PAPER


class Config(BaseModel, frozen=True, extra="forbid"):
    """What the student does not take over from its teacher (latent size, pipeline, normalization, the weights of its own losses)."""

    widths: Widths = setting((2,), "the student's channels of each downsampling block, or one number u for u, 2u, 4u, ...")
    progressive: Progressive = setting("2-3", "two distillation steps: structure 2, then structure 3 or 4")
    structure: Literal[0, 1, 2, 3, 4] = setting(0, "one structure alone, from a random student; 0 means that --progressive counts")
    steps: int = setting(6_000, "updates in each of the two distillation steps, or in the one of --structure", ge=1, le=100_000_000)
    epochs: int = setting(
        0, "passes over the pictures in each distillation step, instead of --steps; 0 means that --steps counts", ge=0, le=100_000
    )
    batch_size: int = setting(8, "pictures per update", ge=1, le=4096)
    learning_rate: float = setting(0.002, "Adam's step size for the student", gt=0, le=1)
    teacher_learning_rate: float = setting(0.00002, "Adam's step size for the teacher, where a structure trains it too", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting(
        "cosine", "learning rate over each distillation step: falling to zero on a cosine, or constant"
    )
    w_1: float = setting(10.0, "weight of K_1, which compares the first latents", ge=0, le=1e4)
    w_x: float = setting(1.0, "weight of K_x, which compares the reconstructions", ge=0, le=1e4)
    w_2: float = setting(10.0, "weight of K_2, which compares the second latents", ge=0, le=1e4)
    teacher_follows: bool = setting(False, "let K_l also move the teacher, where a structure trains it")

    def structures(self) -> tuple[int, ...]:
        """The structures to go through."""
        return (self.structure,) if self.structure else PROGRESSIVE[self.progressive]

    def trains_teacher(self) -> bool:
        """Whether one of them trains the teacher along."""
        return any(STRUCTURES[structure].teacher_g for structure in self.structures())

    def steps_for(self, n: int) -> int:
        """Updates in each step on `n` pictures."""
        return -(-self.epochs * n // self.batch_size) if self.epochs else self.steps


TINY = Config(widths=(1,), steps=20)


def paper() -> Config:
    """Section 4 of both papers: batch 1, 500 epochs a step, a constant 0.002 for both, w = 1, 1, 1."""
    return Config(epochs=500, batch_size=1, schedule="constant", teacher_learning_rate=0.002, w_1=1.0, w_2=1.0)


def student_config(teacher: ede_gan.Config, config: Config, size: int) -> ede_gan.Config:
    """The student's own configuration: the teacher's, with other widths. Raises: InputError for a student wider than its teacher."""
    try:
        wide, narrow = block_widths(teacher.widths, size), block_widths(config.widths, size)
    except ValueError as error:
        raise InputError(str(error)) from error
    if any(s > t for s, t in zip(narrow, wide, strict=True)):
        shown = " and ".join("-".join(map(str, widths)) for widths in (narrow, wide))
        raise InputError(f"the student is wider than its teacher ({shown}): give smaller --widths")
    learns = config.model_dump(include={"steps", "epochs", "batch_size", "learning_rate", "schedule"})
    return teacher.model_copy(update={"widths": narrow, **learns})


def distil(teacher: Scorer, images: Tensor, config: Config, *, seed: int, device: torch.device, run: Run) -> tuple[Scorer, Scorer]:
    """Teach a student on normal images, uint8 (N, C, S, S).   Returns: the student, and the teacher as it ended."""
    students, teachers = distil_many([teacher], [images], config, seeds=[seed], device=device, run=run)
    return students[0], teachers[0]


def distil_many(
    teachers: Sequence[Scorer],
    images: Sequence[Tensor],
    config: Config,
    *,
    seeds: Sequence[int],
    device: torch.device,
    run: Run,
) -> tuple[list[Scorer], list[Scorer]]:
    """Teach M students at once, each of its own teacher on its own images with its own seed (novelette.nets, stacking).

    Args: teachers: M of one configuration.   images: per model uint8 (N_m, C, S, S).
    Returns: the students, and the teachers as they ended: where no structure trains them, as they were.
    """
    models, phases, (_, channels, size, _) = len(teachers), config.structures(), images[0].shape
    steps = config.steps_for(len(images[0]))
    if any(config.steps_for(len(i)) != steps for i in images):
        raise InputError("models stacked into one program must take equally many steps: give steps instead of epochs, or do not stack")
    own = teachers[0].config
    student = Gan(student_config(own, config, size), channels, size, device, models)
    student.draw(seeds)
    learns = {"learning_rate": config.teacher_learning_rate, "schedule": config.schedule}
    teacher = Gan(own.model_copy(update=learns), channels, size, device, models)
    teacher.take(teachers)
    weights = {"w_1": config.w_1, "w_x": config.w_x, "w_2": config.w_2}
    x_of = batches(images, config.batch_size, seeds, device, shift=own.shift)
    watch = Watch(steps, models, run)
    parts = student.parts("student.") | teacher.parts("teacher.")
    total, shown = steps * len(phases), config.batch_size * models
    for step in run.steps(total, parts, seed=seeds[0], images=shown, scorers=lambda: student.scorers(images)):
        phase, within = divmod(step, steps)
        if within == 0 and phase > 0:  # step II goes on from the last weights, with moments of its own
            student.forget_moments()
            teacher.forget_moments()
        for gan in (student, teacher):
            gan.set_learning_rate(within, steps)
        x = x_of[step].flatten(1, 2)  # (B, M * C, S, S)
        structure = STRUCTURES[phases[phase]]
        x_hat, losses = update(x, teacher, student, structure, weights, teacher_follows=config.teacher_follows, seeds=seeds, step=step)
        if run.wants_log(step):
            watch.log(step, x, x_hat, losses)
    return student.scorers(images), teacher.scorers(images) if config.trains_teacher() else list(teachers)
