"""How much a classifier's gradients spread in KDGAN (Figure 7 of the paper): the teacher's, and the discriminator's by each estimator.

python benchmarks/gradient_variance.py [--pictures 100] [--seed 0] [--epochs 100] [--looks 10] [--draws 50]

Trains KDGAN on MNIST and stops at evenly spaced epochs. There, with all players standing still, it draws batches, dropout and labels anew,
and works out the classifier's gradient of each loss, unweighted. A look has, for each loss, the variance of a weight's gradient (mean
over weights), the squared norm of the mean gradient, and the first over the second (both summed over weights). Appends a line to
results/gradient-variance.jsonl.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from novelette.bench.engine import commit, prepared
from novelette.classify import kdgan
from novelette.classify.drawing import drawn
from novelette.classify.game import Turns, persuasion
from novelette.classify.losses import distillation
from novelette.data.images import as_tensor
from novelette.data.named import load_named
from novelette.training import HasState, Run

RESULTS = Path(__file__).parents[1] / "results" / "gradient-variance.jsonl"
ESTIMATORS = ("concrete", "density", "categorical")


def spread(gradients: Tensor) -> dict[str, float]:
    """Of R draws of a gradient, (R, W): the variance of a weight's, the squared norm of the mean, and the ratio of their sums."""
    variance, mean = gradients.var(0), gradients.mean(0)
    bias = float(variance.sum() / len(gradients))  # what the draws add to the squared norm of their mean
    norm = max(float(mean.square().sum()) - bias, 0.0)
    return {"variance": float(variance.mean()), "squared_norm": norm, "relative": float(variance.sum()) / norm if norm else float("inf")}


def look(nets: Mapping[str, nn.Module], x: Tensor, config: kdgan.Config, tau: float, draws: int) -> dict[str, dict[str, float]]:
    """The spread of C's gradient of each loss, at players that stand still.   Args: x: every training image, (N, C, S, S)."""
    c, weights = nets["c"], list(nets["c"].parameters())
    with torch.no_grad():
        f, g = nets["t"].eval()(x), nets["d"].eval()(x)
    losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"distillation": lambda h, i: distillation(h, f[i], config.distance)}
    for name in ESTIMATORS:
        given: dict[str, Any] = {"temperature": tau, "samples": config.samples, "estimator": name, "baseline": config.baseline}
        losses[name] = lambda h, i, given=given: persuasion(h, g[i], **given)
    found = {}
    for name, loss in losses.items():
        gradients = []
        for _ in range(draws):
            i = torch.randperm(len(x))[: config.batch_size]
            of_weights = torch.autograd.grad(loss(c(x[i]), i).mean(), weights)
            gradients.append(torch.cat([gradient.flatten() for gradient in of_weights]))
        found[name] = spread(torch.stack(gradients))
    nets["t"].train()
    nets["d"].train()
    return found


class Looking(Run):
    """A run that stops to look at its players, and leaves them and their random numbers as they were."""

    def look_at(self, steps: Mapping[int, int], seeing: Callable[[Mapping[str, nn.Module], int], dict[str, Any]]) -> None:
        """Say what to do before which steps, of the epochs that begin there."""
        self.epochs, self.seeing, self.looks = dict(steps), seeing, list[dict[str, Any]]()

    def steps(self, total: int, parts: Mapping[str, HasState], *, seed: int, images: int = 1) -> Iterator[int]:
        nets: dict[str, nn.Module] = {name: part for name, part in parts.items() if isinstance(part, nn.Module)}
        for step in super().steps(total, parts, seed=seed, images=images):
            if step in self.epochs:
                with torch.random.fork_rng():
                    self.looks.append({"epoch": self.epochs[step]} | self.seeing(nets, self.epochs[step]))
            yield step


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, value in {"pictures": 100, "seed": 0, "epochs": 100, "looks": 10, "draws": 50}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    named = load_named("mnist")
    training = np.flatnonzero(named.is_train)
    which = training[drawn(named.labels[training], args.pictures, np.random.default_rng((args.seed, 1)))]
    images, labels = torch.from_numpy(prepared(named, 28)[which]), torch.from_numpy(named.labels[which])
    config = kdgan.Config(epochs=args.epochs)
    turns, x = Turns(len(images), config, args.seed), as_tensor(images)
    begins = [0, *turns.ends()]
    epochs = sorted({round(epoch) for epoch in np.linspace(0, args.epochs - 1, args.looks)})

    def seeing(nets: Mapping[str, nn.Module], epoch: int) -> dict[str, Any]:
        tau = turns.temperature(turns.pretraining + epoch, config.temperature, config.last_temperature)
        return {"tau": tau} | look(nets, x, config, tau, args.draws)

    run = Looking(bar=True)
    run.look_at({begins[turns.pretraining + epoch]: epoch for epoch in epochs}, seeing)
    kdgan.fit(images, labels, config, classes=10, seed=args.seed, device=torch.device("cpu"), run=run)
    record = {name: value for name, value in vars(args).items() if name != "results"}
    record |= {"config": config.model_dump(mode="json"), "looks": run.looks, "commit": commit()}
    record["created"] = datetime.now(UTC).isoformat(timespec="seconds")
    args.results.parent.mkdir(parents=True, exist_ok=True)
    with args.results.open("a") as file:
        file.write(json.dumps(record) + "\n")
    for seen in run.looks:
        print(f"epoch {seen['epoch']:>4}  " + "  ".join(f"{name} {seen[name]['variance']:.3g}" for name in ("distillation", *ESTIMATORS)))


if __name__ == "__main__":
    main()
