"""Speeds of the small detector and of starting up: median of five, on this machine, one JSON line to results/speed.jsonl.

    python benchmarks/speed.py [--results results]

Run it on an idle machine. Scoring is timed on images in memory, decoding apart, with as many threads as there are cores.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from novelette.bench.stamps import append, commit, stamp
from novelette.data.images import Preprocessing
from novelette.detector import Detector
from novelette.methods import METHODS, ede_gan, knn
from novelette.training import Run

REPEATS, IMAGES = 5, 8192


def seconds(call) -> float:
    """Median seconds of a call, after one that warms up."""
    call()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def images_a_second(detector: Detector, pixels: np.ndarray) -> float:
    return len(pixels) / seconds(lambda: detector.score_pixels(pixels))


def ms_for_one(detector: Detector, pixels: np.ndarray) -> float:
    return 1000 * seconds(lambda: [detector.score_pixels(pixels[i : i + 1]) for i in range(100)]) / 100


def detector_of(method: str, config, training: np.ndarray) -> Detector:
    """A detector that was fitted for a step or so: its speed is that of any."""
    scorer = METHODS[method].fit(torch.from_numpy(training[:, 0]), config, seed=0, device=torch.device("cpu"), run=Run())
    nothing = {"calibration": np.zeros(0), "trained_on": np.zeros(0, np.uint64), "provenance": {}}
    return Detector(method, config, Preprocessing(), scorer, false_alarm_rate=0.05, seed=0, **nothing)


def started(*command: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, *command], check=True, capture_output=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"))
    folder = parser.parse_args().results
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (IMAGES, 1, 1, 32, 32), dtype=np.uint8)
    record = stamp(commit()) | {"threads": torch.get_num_threads()}
    for widths in ((2, 4, 8), (4, 8, 16), (64, 128, 256)):
        detector = detector_of("ede-gan", ede_gan.Config(widths=widths, steps=1), pixels[:16])
        few = pixels if widths[0] < 64 else pixels[:1024]
        name = "ede-gan " + "-".join(map(str, widths))
        record |= {f"{name} images/s": round(images_a_second(detector, few)), f"{name} ms for one": round(ms_for_one(detector, pixels), 3)}
    detector = detector_of("knn", knn.Config(), pixels[:6000])
    record["knn of 6,000 images/s"] = round(images_a_second(detector, pixels[:2048]))
    record["import novelette s"] = round(started("-c", "import novelette") - started("-c", "pass"), 4)
    record["novelette --help s"] = round(started("-m", "novelette.cli", "--help"), 4)
    append(folder / "speed.jsonl", [record])
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
