"""An exported detector beside torch, in turns in one process: images a second, latency of one, bytes, start-up; a JSON line of results.

    python benchmarks/deploy/speed.py [--widths 2 4 8] [--threads N] [--seconds S] [--results results]

Run it on an idle machine. Images of 32 x 32 are in memory; the network is a fresh one, whose speed is that of any. Start-up is a process
that imports the runtime, loads the bundle and scores one image, less one that does nothing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from novelette import runtime
from novelette.bench.engine import commit
from novelette.data.images import Preprocessing
from novelette.detector import Detector
from novelette.export import export_detector
from novelette.methods import ede_gan
from novelette.training import Run

IMAGES = 8192
TURNS = 5  # torch and the runtime take turns, so that what else the machine does hits both
STARTED = "import sys, numpy as np; from novelette import runtime; runtime.load(sys.argv[1]).run(np.zeros((1, 32, 32, 1), np.uint8))"


def detector_of(widths: tuple[int, ...], pixels: np.ndarray) -> Detector:
    """A detector trained for one step and calibrated on a thousand pictures."""
    config = ede_gan.Config(widths=widths, steps=1)
    scorer = ede_gan.fit(torch.from_numpy(pixels[:16, 0]), config, seed=0, device=torch.device("cpu"), run=Run())
    nothing = {"calibration": np.zeros(0), "trained_on": np.zeros(0, np.uint64), "provenance": {}}
    detector = Detector("ede-gan", config, Preprocessing(), scorer, false_alarm_rate=0.05, seed=0, **nothing)
    return detector.recalibrated(detector.score_pixels(pixels[:1000]), 0.05)


def times(call: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of each call, for so long."""
    call()
    taken, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return taken


def measured(calls: dict[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    """Times of calls that take turns."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            taken[name] += times(call, seconds / TURNS)
    return taken


def started(*command: str) -> float:
    """Median seconds of a Python process."""
    return statistics.median(times(lambda: subprocess.run([sys.executable, *command], check=True), 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=(2, 4, 8))
    parser.add_argument("--threads", type=int, default=runtime.cores())
    parser.add_argument("--seconds", type=float, default=5.0, help="for each figure")
    parser.add_argument("--results", type=Path, default=Path("results"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 1, 1, 32, 32), dtype=np.uint8)
    images = pixels.reshape(IMAGES, 32, 32, 1)
    detector = detector_of(tuple(args.widths), pixels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.bundle"
        checked = export_detector(detector, path)
        exported, alone = runtime.load(path, threads=args.threads), runtime.load(path, threads=1)
        batches = measured({"torch": lambda: detector.score_pixels(pixels), "runtime": lambda: exported.run(images)}, args.seconds)
        ones = measured({"torch": lambda: detector.score_pixels(pixels[:1]), "runtime": lambda: alone.run(images[:1])}, args.seconds)
        start_up = started("-c", STARTED, str(path)) - started("-c", "pass")
        size = sum(file.stat().st_size for file in path.iterdir())
    record: dict = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(), "cores": os.cpu_count()}
    record |= {"load": os.getloadavg()[0], "torch": torch.__version__, "onnxruntime": onnxruntime.__version__, "threads": args.threads}
    record |= {"widths": list(args.widths), "bundle_bytes": size, "worst_difference": checked.worst_difference}
    for name in ("torch", "runtime"):
        record[f"{name} images/s"] = round(IMAGES / statistics.median(batches[name]))
        record[f"{name} p50 us"], record[f"{name} p99 us"] = (round(1e6 * q, 1) for q in np.quantile(ones[name], [0.5, 0.99]))
    record["images/s, runtime / torch"] = round(record["runtime images/s"] / record["torch images/s"], 2)
    record["start-up s"] = round(start_up, 3)
    args.results.mkdir(exist_ok=True)
    with (args.results / "deploy-speed.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
