"""Speeds of the small detector and of starting up: median of five, on this machine, one JSON line to results/speed.jsonl.

    python benchmarks/speed.py [--results results]

Run it on an idle machine. Scoring is timed on images in memory, decoding apart, with as many threads as there are cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from novelette.bench.engine import commit
from novelette.data.images import as_tensor
from novelette.methods import ede_gan, knn
from novelette.training import Run

REPEATS, IMAGES = 5, 8192
CPU = torch.device("cpu")


def seconds(call) -> float:
    """Median seconds of a call, after one that warms up."""
    call()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def images_a_second(scorer, pixels: torch.Tensor, batch: int) -> float:
    def score_all() -> None:
        for part in pixels.split(batch):
            scorer.score(as_tensor(part))

    return len(pixels) / seconds(score_all)


def started(*command: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, *command], check=True, capture_output=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"))
    folder = parser.parse_args().results
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (IMAGES, 1, 32, 32), dtype=np.uint8))
    record: dict = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(), "cores": os.cpu_count()}
    record |= {"load": os.getloadavg()[0], "torch": torch.__version__, "threads": torch.get_num_threads()}
    for widths in ((2, 4, 8), (4, 8, 16), (64, 128, 256)):
        scorer = ede_gan.fit(pixels[:16], ede_gan.Config(widths=widths, steps=1), seed=0, device=CPU, run=Run())
        few = pixels if widths[0] < 64 else pixels[:512]
        name = "-".join(map(str, widths))
        record[f"ede-gan {name} images/s"] = round(images_a_second(scorer, few, 256))
        record[f"ede-gan {name} ms at batch 1"] = round(1000 / images_a_second(scorer, few[:256], 1), 3)
    scorer = knn.fit(pixels[:6000], knn.Config(), seed=0, device=CPU)
    record["knn of 6,000 images/s"] = round(images_a_second(scorer, pixels[:2048], 256))
    record["import novelette s"] = round(started("-c", "import novelette") - started("-c", "pass"), 4)
    record["novelette --help s"] = round(started("-m", "novelette.cli", "--help"), 4)
    folder.mkdir(exist_ok=True)
    with (folder / "speed.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
