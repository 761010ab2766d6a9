"""A small EDE-GAN taught by any detector through its scores: what the teacher finds novel, the student shall find novel too.

On normal pictures alone scores say little, so the teacher is asked about pictures made from them as well (novelette.distill.made). As in
structure 1 of P-KDGAN the student imitates and plays no game of its own: its discriminator stays as it was drawn.

    L = K_s + w_x K_x + w_f K_f
"""

from typing import Literal, TypeVar

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from novelette.batches import batches
from novelette.data.images import as_tensor
from novelette.detector import FORWARD, Scorer
from novelette.distill.made import made
from novelette.errors import InputError
from novelette.lesson import Lesson, Reconstructs, Teaches
from novelette.losses import reconstruction_l1, same_shape
from novelette.methods import ede_gan
from novelette.methods.ede_gan import Gan
from novelette.progress import progress
from novelette.settings import Widths, setting
from novelette.training import Run, descend, generators
from novelette.watch import Watch

ScorerT = TypeVar("ScorerT", bound=Scorer)

MADE, HINTS = 3, 4  # keep the draws of made pictures, and of the hints' weights, apart from the others of a seed


class Config(BaseModel, frozen=True, extra="forbid"):
    """Chosen in short runs on held-out training pictures of CIFAR-10."""

    widths: Widths = setting((16, 32, 64), "the student's channels of each downsampling block, or one number u for u, 2u, 4u, ...")
    latent: int = setting(128, "size of the student's latent vectors", ge=1, le=4096)
    steps: int = setting(4_000, "training updates", ge=1, le=100_000_000)
    epochs: int = setting(0, "passes over the pictures, instead of --steps; 0 means that --steps counts", ge=0, le=100_000)
    batch_size: int = setting(8, "normal pictures per update, with as many made from them", ge=2, le=4096)
    learning_rate: float = setting(0.002, "Adam's step size", gt=0, le=1)
    schedule: Literal["cosine", "constant"] = setting("cosine", "learning rate over training: falling to zero on a cosine, or constant")
    boundary: float = setting(
        2.0, "where the teacher is undecided, in standard deviations above the mean of its training scores", ge=-10, le=10
    )
    softness: float = setting(
        1.0,
        "width of the change from normal to novel around --boundary, in standard deviations of the teacher's training scores",
        gt=0,
        le=100,
    )
    w_x: float = setting(
        1.0,
        "weight of K_x: the student's reconstructions against the teacher's, or against the pictures where the teacher has none",
        ge=0,
        le=1e4,
    )
    w_f: float = setting(
        3.0, "weight of K_f: the student's latents predict what the teacher sees; only for a feature-knn teacher", ge=0, le=1e4
    )

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return -(-self.epochs * n // self.batch_size) if self.epochs else self.steps

    def student(self) -> ede_gan.Config:
        """What the student is: an EDE-GAN scored by the plain distance, which is what K_s fits, without losses of its own."""
        own = self.model_dump(include=set(ede_gan.Config.model_fields))
        return ede_gan.Config(**own, beta1=0.9, w_con=0, w_enc=0, w_adv=0, distance="euclidean")


TINY = Config(widths=(1,), latent=16, steps=20)


def paper() -> Config:
    """Raises: InputError: no paper has such a recipe."""
    raise InputError("--paper is for P-KDGAN, which needs an ede-gan teacher: leave it out")


def score_loss(g: Tensor, t: Tensor) -> Tensor:
    """Cross-entropy of the teacher's and the student's probability of being normal, one value per image.

        K_s = -p log q - (1 - p) log(1 - q),   p = σ(-t),   q = exp(-g)

    This is `losses.contrast_loss` with the teacher's opinion in place of labels. It is least where g = -log p = log(1 + eᵗ), which rises
    with t: there the student ranks as its teacher does.

    Args: g: the student's ⟨(z - ẑ)²⟩, at least 0.   t: the teacher's scores, 0 where it is undecided.   Both (N,).
    Returns: (N,), not reduced.   Raises: ValueError when their shapes differ.
    Deviation: 1e-4 is added to g in log(1 - q), as in `losses.contrast_loss`.
    """
    same_shape(g, t)
    p = torch.sigmoid(-t)
    return p * g - (1 - p) * torch.log(-torch.expm1(-g - 1e-4))


def distil(
    teacher: ScorerT, images: Tensor, config: Config, *, seed: int, device: torch.device, run: Run
) -> tuple[ede_gan.Scorer, ScorerT]:
    """Teach a student on normal images, uint8 (N, C, S, S).

    Returns: the student, and the teacher as it was.
    Raises: InputError when the teacher scores them all alike, or the widths do not name every block of images of this size.
    """
    student = Gan(config.student(), images.shape[1], images.shape[2], device)
    student.draw([seed])
    module = teacher.module()
    if module is not None:
        module.to(device)
    own = own_lesson(teacher, images, device, bar=run.bar)
    middle, spread = float(own.scores.mean() + config.boundary * own.scores.std()), float(config.softness * own.scores.std())
    if not spread > 0:
        raise InputError("the teacher gives all of these pictures the same score, so it has nothing to teach: give other pictures")
    hints, parts = None, student.parts()
    if own.features is not None and config.w_f:
        hints = Hints(config.latent, own.features, generators([seed], HINTS)[0]).to(device)
        student.opt_g.add_param_group({"params": list(hints.parameters())})
        parts["hints"] = hints
    steps, x_of = config.steps_for(len(images)), batches([images], config.batch_size, [seed], device)
    watch = Watch(steps, 1, run)
    for step in run.steps(steps, parts, seed=seed, images=2 * config.batch_size, scorers=lambda: student.scorers([images])):
        student.set_learning_rate(step, steps)
        x = x_of[step][:, 0]
        y = made(x, generators([seed], MADE, step)[0])
        which, told = x_of.numbers(step), lesson(teacher, y, device)
        t = (torch.cat([own.scores[which], told.scores]) - middle) / spread
        x_hat, z, z_hat = student.net(torch.cat([x, y]))
        target = reconstructed(teacher, x, told)
        losses = {"k_s": score_loss((z - z_hat).square().mean(1), t), "k_x": reconstruction_l1(x_hat[: len(target)], target)}
        l = losses["k_s"].mean() + config.w_x * losses["k_x"].mean()
        if hints is not None:
            assert own.features is not None
            assert told.features is not None
            losses["k_f"] = hints(z, torch.cat([own.features[which], told.features]))
            l = l + config.w_f * losses["k_f"].mean()
        descend(student.opt_g, l)
        if run.wants_log(step):
            watch.log(step, x, x_hat[: len(x)], losses)
    return student.scorers([images])[0], teacher


class Hints(nn.Module):
    """W z + c, which learns to tell from the student's latents what the teacher sees, and is not kept (Romero et al., 2015: FitNets).

        K_f = ⟨(W z + c - (f - f̄) / σ_f)²⟩        f̄: mean of the teacher's features over the training images;   σ_f: their spread

    Args: latent: size of z.   features: of the training images, (N, F).   rng: of the initial W; c begins at 0.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, latent: int, features: Tensor, rng: torch.Generator) -> None:
        super().__init__()
        self.told = nn.Linear(latent, features.shape[1])
        self.told.weight.data.copy_(torch.empty(self.told.weight.shape).normal_(0, latent**-0.5, generator=rng))
        self.told.bias.data.zero_()
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("spread", features.var(0).mean().sqrt())

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        """K_f of latents (N, Z) and the teacher's features (N, F): (N,)."""
        return (self.told(z) - (features - self.mean) / self.spread).square().mean(1)


def lesson(teacher: Scorer, x: Tensor, device: torch.device) -> Lesson:
    """What a teacher tells of training images, or of images made from them, (N, C, S, S)."""
    if isinstance(teacher, Teaches):
        return teacher.lesson(x)
    return Lesson(teacher.score_own(x).to(device))  # some answer on the CPU, wherever x is


def own_lesson(teacher: Scorer, images: Tensor, device: torch.device, *, bar: bool) -> Lesson:
    """Scores and features of all training images, uint8 (N, C, S, S), each as if it had not been among them."""
    parts: list[Lesson] = []
    with progress("teacher", len(images), shown=bar) as show:
        for part in images.split(FORWARD):
            parts.append(lesson(teacher, as_tensor(part, device), device)._replace(reconstructions=None))
            show(sum(len(told.scores) for told in parts))
    scores, features = torch.cat([told.scores for told in parts]), [told.features for told in parts if told.features is not None]
    return Lesson(scores, torch.cat(features) if features else None)


def reconstructed(teacher: Scorer, x: Tensor, told: Lesson) -> Tensor:
    """What the student's reconstructions shall be like: the teacher's of x and of y where it has any, else x itself; (2B | B, C, S, S).

    Args: told: of y.
    """
    if told.reconstructions is None:
        return x
    assert isinstance(teacher, Reconstructs)
    return torch.cat([teacher.reconstructed(x), told.reconstructions])
