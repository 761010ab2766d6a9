"""What is measured of a finished run: its AUROC, and, where the bench asks, its course, its over-fitting and its behaviour under noise.

Nothing here reaches back into training: curves are of snapshots that are scored after the last step.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from novelette import metrics
from novelette.bench.runs import Bench, Run
from novelette.data.images import as_tensor
from novelette.data.protocol import Split
from novelette.losses import reconstruction_l1
from novelette.methods import discriminator, ede_gan
from novelette.netscorer import NetScorer
from novelette.snapshots import States
from novelette.training import HasSteps

FORWARD = 500  # images at once
TRAINING_IMAGES = 1_000  # that are scored again
PASSES = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))  # px
NOISE = (0.0, 0.1, 0.2, 0.4, 0.8)  # standard deviations of Gaussian noise on pixels in [-1, 1]


@dataclass(frozen=True)
class Exam:
    """The images that a run is measured on.

    Attributes:
        pixels: every picture of the set, uint8 (N, C, S, S).   novel: 1 for the novel ones, (N,).
    """

    pixels: NDArray[np.uint8]
    split: Split
    novel: NDArray[np.int64]
    device: torch.device

    @property
    def which(self) -> NDArray[np.int64]:
        """The test images, or the validation images of a protocol that has no test."""
        return self.split.test if len(self.split.test) else self.split.validation

    def tensor(self, which: NDArray[np.int64]) -> list[Tensor]:
        """Images in parts, float32 (n, C, S, S) in [-1, 1]."""
        return [as_tensor(self.pixels[which[i : i + FORWARD]], self.device) for i in range(0, len(which), FORWARD)]

    def scores(self, scorer: Any, which: NDArray[np.int64], moved: tuple[int, int] = (0, 0)) -> NDArray[np.float32]:
        """(n,).   Args: moved: px down and to the right; what leaves at one edge comes in at the other."""
        if scorer.module() is not None:
            scorer.module().to(self.device)
        return torch.cat([scorer.score(part.roll(moved, (2, 3))) for part in self.tensor(which)]).float().cpu().numpy()

    def auroc(self, scorer: Any, every: int = 1) -> float:
        """Of every so manieth image."""
        which = self.which[::every]
        return round(metrics.auroc(self.scores(scorer, which), self.novel[which]), 6)


def measured(bench: Bench, scorer: Any, snapshots: dict[int, States], m: int, exam: Exam) -> dict[str, Any]:
    """The figures of a record.   Args: snapshots: by step, of the stack that the run was number `m` of."""
    began = time.perf_counter()
    auroc = exam.auroc(scorer)
    split = exam.split
    record: dict[str, Any] = {
        "auroc": auroc,
        "score_seconds": round(time.perf_counter() - began, 3),
        "split": {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
    }
    states = {step: of_stack[m] for step, of_stack in sorted(snapshots.items())}
    if states:
        record["curve"] = curve(scorer, scorer.config, states, exam, bench.curve_every)
    if "running" in bench.measures and getattr(scorer, "needs_its_batch", False):
        averages = scorer.config.model_copy(update={"statistics": "running"})
        record["running"] = {"auroc": exam.auroc(again(scorer, averages, scorer.state(), exam))}
        if states:
            record["running"]["curve"] = curve(scorer, averages, states, exam, bench.curve_every)
    if "accuracy" in bench.measures and isinstance(scorer.module(), discriminator.Judging):
        at = {step: again(scorer, scorer.config, state, exam) for step, state in states.items()}
        record["accuracy"] = [(step, *accuracies(each, exam, bench.curve_every)) for step, each in at.items()]
    if "passes" in bench.measures:
        which = exam.which
        scores = np.mean([exam.scores(scorer, which, moved) for moved in PASSES], axis=0)
        record["passes"] = round(metrics.auroc(scores, exam.novel[which]), 6)
    if "fit" in bench.measures:
        record["scores"] = seen_and_unseen(scorer, exam)
    if "noise" in bench.measures and isinstance(scorer, ede_gan.Scorer):
        record["noise"] = under_noise(scorer, exam, bench.curve_every)
    return record


def asked(bench: Bench, run: Run) -> list[str]:
    """The fields that the record of a run has by `measured`, and by its log, where the bench asks for them."""
    config = run.config
    can = {
        "accuracy": isinstance(config, discriminator.Config),
        "noise": isinstance(config, ede_gan.Config) or run.teacher is not None,
        "running": isinstance(config, ede_gan.Config) and config.norm == config.statistics == "batch",
    }
    fields = ["scores" if name == "fit" else name for name in bench.measures if can.get(name, True)]
    return [*fields, "curve"] if bench.curve and isinstance(config, HasSteps) else fields


def again(scorer: Any, config: Any, state: dict[str, Tensor], exam: Exam) -> Any:
    """A scorer of the same kind with another configuration or state."""
    return scorer.from_state(config, state, *exam.pixels.shape[1:3])


def curve(scorer: Any, config: Any, states: dict[int, dict[str, Tensor]], exam: Exam, every: int) -> list[tuple[int, float]]:
    """AUROC after so many steps, on every so manieth image: (step, AUROC)."""
    return [(step, exam.auroc(again(scorer, config, state, exam), every)) for step, state in states.items()]


def accuracies(scorer: NetScorer, exam: Exam, every: int) -> tuple[float, float]:
    """A_data, the mean of D(x) on normal images, and A_novel, the mean of 1 - D(x) on novel ones: of every so manieth image.

    Args: scorer: of -log D(x).
    """
    which = exam.which[::every]
    scores, novel = exam.scores(scorer, which), exam.novel[which].astype(bool)
    return round(float(np.exp(-scores[~novel]).mean()), 6), round(float(-np.expm1(-scores[novel]).mean()), 6)


def seen_and_unseen(scorer: Any, exam: Exam) -> dict[str, float]:
    """The over-fitting argument (progressive distillation paper, III-A): how much lower training images score than new normal ones.

    Returns: mean scores of `train`, `normal` and `novel` images, and `told_apart`: the AUROC of new normal images against those of
        training, 0.5 where the detector cannot tell them apart.
    """
    which = exam.which
    training = exam.scores(scorer, exam.split.train[:: -(-len(exam.split.train) // TRAINING_IMAGES)])
    scores, novel = exam.scores(scorer, which), exam.novel[which].astype(bool)
    both = np.concatenate([training, scores[~novel]])
    new = np.repeat([0, 1], [len(training), int((~novel).sum())])
    means = {"train": training.mean(), "normal": scores[~novel].mean(), "novel": scores[novel].mean()}
    return {name: round(float(value), 6) for name, value in means.items()} | {"told_apart": round(metrics.auroc(both, new), 6)}


@torch.inference_mode()
def under_noise(scorer: ede_gan.Scorer, exam: Exam, every: int) -> dict[str, dict[str, float]]:
    """AUROC of one network's latent score ‖z - ẑ‖₂ and image score |x - x̂|₁, under Gaussian noise on the test images.

    Returns: by the noise's standard deviation, `latent` (not for a network without a second encoder) and `image`.
    """
    which = exam.which[::every]
    found = {}
    for sigma in NOISE:
        rng = torch.Generator().manual_seed(0)
        scores: dict[str, list[Tensor]] = {"latent": [], "image": []}
        for part in exam.tensor(which):
            x = part + sigma * torch.randn(part.shape, generator=rng).to(part.device)
            x_hat, z, z_hat = scorer.outputs(x)
            scores["image"].append(reconstruction_l1(x, x_hat))
            if z_hat is not None:
                scores["latent"].append((z - z_hat).norm(dim=1))
        by_name = {name: torch.cat(parts).cpu().numpy() for name, parts in scores.items() if parts}
        found[f"{sigma:g}"] = {name: round(metrics.auroc(values, exam.novel[which]), 6) for name, values in by_name.items()}
    return found
