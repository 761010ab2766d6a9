"""Is it the training or the score that tells novel pictures? Detectors of PIAD's ablation, each scored by every loss.

    python benchmarks/piad_scores.py [--bench benchmarks/piad-ablation-cifar10.toml] [--seed 0] [--data-root DIR] [--results results]

Takes the weights that the bench kept, draws G(E(x)) of the test pictures once a detector, and compares it with them by each loss; beside
them stands a picture that is grey all over, as if nothing had been reconstructed. One JSON line a detector and class goes to
results/piad-scores.jsonl, and the means over classes are printed as a table.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from reconstructions import of_bench, reconstructed
from torch import Tensor

from novelette.bench.runs import read_bench
from novelette.bench.stamps import append, commit, stamp
from novelette.data.images import as_tensor
from novelette.methods.piad import Config, Looking
from novelette.metrics import auroc
from novelette.perceptual import load

LOSSES = ("mse", "perceptual", "perceptual-l1", "relative-perceptual-l1")
GREY = "a grey picture, nothing trained"


@torch.inference_mode()
def scored(looks: dict[str, Looking], x: Tensor, x_hat: Tensor) -> dict[str, Tensor]:
    """Of images and what is made of them, (N, C, S, S) each: (N,) by loss."""
    parts = list(zip(x.split(500), x_hat.split(500), strict=True))
    return {loss: torch.cat([looking(one, other).flatten(1).mean(1) for one, other in parts]) for loss, looking in looks.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, default=Path("benchmarks/piad-ablation-cifar10.toml"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("--results", type=Path, default=Path("results"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    bench, name, config = read_bench(given.bench), commit(), Config()
    seen, weights = load(config.network, config.layer, bench.size)
    looks = {loss: Looking(loss, None if loss == "mse" else seen).eval() for loss in LOSSES}
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for normal in bench.classes:
        rows = list(of_bench(given.bench, given.results, normal, given.seed, tuple(given.data_root)))
        x = as_tensor(torch.from_numpy(rows[0].pixels))
        made = {row.title: reconstructed(row.scorer, x) for row in rows} | {GREY: torch.zeros_like(x)}
        for title, x_hat in made.items():
            aurocs = {loss: round(auroc(s.numpy(), rows[0].labels), 6) for loss, s in scored(looks, x, x_hat).items()}
            record = stamp(name) | {"bench": bench.name, "normal": normal, "seed": given.seed, "perceptual": weights}
            append(given.results / "piad-scores.jsonl", [record | {"trained by": title, "auroc by score": aurocs}])
            found[title].append(aurocs)
            print(json.dumps({"normal": normal, "trained by": title} | aurocs), flush=True)
    print("\n| trained by | " + " | ".join(f"scored by {loss}" for loss in LOSSES) + " |\n| --- |" + " ---: |" * len(LOSSES))
    for title, all_aurocs in found.items():
        print(f"| {title} | " + " | ".join(f"{np.mean([one[loss] for one in all_aurocs]):.3f}" for loss in LOSSES) + " |")


if __name__ == "__main__":
    main()
