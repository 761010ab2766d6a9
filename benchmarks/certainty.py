"""How certain a classifier is of known classes, of the class left out, and of noise: several readings of one network.

    python benchmarks/certainty.py [--data mnist] [--novel 4] [--seeds 0 1 2] [--size 28] [--steps 1500] [--data-root DIR]

Section 2.3 of the technical report. Trained on the training images of all classes but one (the protocol leave-one-out); measured on 1,000
known test images, 250 of the class left out, and 250 of uniform noise. One JSON line a seed goes to results/certainty.jsonl.
"""

import argparse
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from novelette import metrics
from novelette.bench.engine import commit, prepared
from novelette.data.images import as_tensor
from novelette.data.named import class_index, load_named
from novelette.data.protocol import leave_one_out
from novelette.methods.certainty import Config, Scorer, fit
from novelette.training import Run

READINGS = {
    "plain": {"reading": "plain"},
    "dropout 0.2": {"reading": "dropout"},
    "dropout 0.5": {"reading": "dropout", "dropped": 0.5},  # more than in training
    "noise": {"reading": "noise"},
    "gradient": {"reading": "gradient"},
}
CPU = torch.device("cpu")


def read(config: Config, plain: Scorer, seed: int, kinds: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Scores of each kind of images by every reading of one network: medians, and AUROC of known images against the others."""
    found = {}
    for reading, changes in READINGS.items():
        channels, size = kinds["known"].shape[1:3]
        scorer = Scorer.of(config.model_copy(update=changes), plain.module().net, seed, channels, size)
        scores = {kind: scorer.score(x).numpy() for kind, x in kinds.items()}
        medians = {kind: round(float(np.median(s if reading == "gradient" else 1 - s)), 4) for kind, s in scores.items()}
        aurocs = {}
        for kind in ("novel", "noise"):
            both = np.concatenate([scores["known"], scores[kind]])
            aurocs[kind] = round(metrics.auroc(both, np.repeat([0, 1], [len(scores["known"]), len(scores[kind])])), 4)
        found[reading] = {"median": medians, "auroc": aurocs}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--novel", default="4")
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("--results", type=Path, default=Path("results"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    named = load_named(given.data, data_roots=given.data_root)
    pixels, novel = prepared(named, given.size), class_index(named, given.novel)
    split = leave_one_out(named.labels, named.is_train, novel)
    labels, test = named.labels[split.test], as_tensor(pixels[split.test])
    noise = np.random.default_rng(0).integers(0, 256, (250, *test.shape[1:]), dtype=np.uint8)
    kinds = {"known": test[labels != novel][:1000], "novel": test[labels == novel][:250], "noise": as_tensor(noise)}
    config = Config(reading="plain", steps=given.steps)
    given.results.mkdir(exist_ok=True)
    for seed in given.seeds:
        began, run = time.process_time(), Run()
        known = torch.from_numpy(named.labels[split.train])
        plain = fit(torch.from_numpy(pixels[split.train]), config, labels=known, seed=seed, device=CPU, run=run)
        fit_s = round(time.process_time() - began, 1)
        record: dict[str, Any] = {"data": named.title, "novel": given.novel, "seed": seed, "size": given.size, "steps": given.steps}
        classes, right = np.unique(named.labels[split.train]), 0
        for part, truth in zip(kinds["known"].split(500), torch.from_numpy(labels[labels != novel][:1000]).split(500), strict=True):
            with torch.no_grad():
                right += int((torch.from_numpy(classes)[plain.module().net(part).argmax(1)] == truth).sum())
        record |= {"accuracy": round(right / len(kinds["known"]), 4), "readings": read(config, plain, seed, kinds)}
        record |= {"config": config.model_dump(mode="json"), "fit_cpu_s": fit_s, "load": round(os.getloadavg()[0], 1)}
        record |= {"torch": torch.__version__, "commit": commit(), "created": datetime.now(UTC).isoformat(timespec="seconds")}
        with (given.results / "certainty.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        print(json.dumps({name: record[name] for name in ("seed", "accuracy", "readings", "fit_cpu_s")}, indent=1), flush=True)


if __name__ == "__main__":
    main()
