"""Exported detectors beside torch, in turns in one process: images a second, latency, start-up, memory, bytes; a JSON line of results.

    python benchmarks/deploy/speed.py [--only "student 2-4-8"] [--threads N] [--seconds S] [--results results]

Run it on an idle machine. Images of 32 x 32 are in memory; the networks are fresh ones, whose speed is that of any. `torch` is the detector
itself, `runtime` its bundle with a run of the graph a core, `one run` the same graph on all threads at once. Start-up is a process that
imports, loads and scores one image, less one that does nothing; memory is the most such a process holds while it scores 256. The limit
is what this machine's best rate of multiply-adds in float32, that of a product of large matrices, would allow.
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import torch

from novelette import bundle, runtime, store
from novelette.bench.stamps import append, commit, stamp
from novelette.bundle import Bundle
from novelette.data.images import Preprocessing
from novelette.detector import Detector
from novelette.export import compared
from novelette.methods import METHODS, ede_gan, knn
from novelette.quantize import quantized
from novelette.training import Run

TURNS = 5  # all take turns, so that what else the machine does hits all
KEPT = 6000  # training pictures of kNN, as of a class of MNIST
SIDE = 2048  # of the matrices whose product is the machine's best
LOADS = {
    "torch": "from pathlib import Path; from novelette import store; d = store.load(Path(sys.argv[1])); "
    "d.score_pixels(np.zeros((n, 1, 1, 32, 32), np.uint8))",
    "runtime": "from novelette import runtime; runtime.load(sys.argv[1]).run(np.zeros((n, 32, 32, 1), np.uint8))",
}
STARTED = "import sys, numpy as np; n = 1; {}"
HELD = "import re, sys, numpy as np; n = 256; {}; print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])"  # of Linux


class Network(NamedTuple):
    """What is measured: a method, its settings, how many images a batch call takes, and whether 8 bits are measured too."""

    method: str
    settings: dict[str, Any]
    images: int
    int8: bool = False


NETWORKS = {
    "teacher 64-128-256": Network("ede-gan", {"widths": (64, 128, 256), "steps": 1}, 512),
    "student 2-4-8": Network("ede-gan", {"widths": (2, 4, 8), "steps": 1}, 8192, int8=True),
    "kNN of 6,000": Network("knn", {}, 2048),
}


def detector_of(network: Network, pixels: np.ndarray) -> Detector:
    """A detector trained for one step, or on KEPT pictures, and calibrated on a thousand."""
    module, few = METHODS[network.method], 16 if network.method == "ede-gan" else KEPT
    config: ede_gan.Config | knn.Config = module.Config(**network.settings)
    scorer = module.fit(torch.from_numpy(pixels[:few, 0]), config, seed=0, device=torch.device("cpu"), run=Run())
    nothing: dict[str, Any] = {"calibration": np.zeros(0), "trained_on": np.zeros(0, np.uint64), "provenance": {}}
    detector = Detector(network.method, config, Preprocessing(), scorer, false_alarm_rate=0.05, seed=0, **nothing)
    return detector.recalibrated(detector.score_pixels(pixels[-1000:]), 0.05)


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


def held(program: str, path: Path) -> float:
    """The most memory, in MiB, that a process holds which loads `path` and scores 256 images."""
    ended = subprocess.run([sys.executable, "-c", HELD.format(program), str(path)], check=True, capture_output=True, text=True)
    return int(ended.stdout) / 1024


def together(model: bytes, threads: int) -> Callable[[np.ndarray], object]:
    """One run of a graph at a time, on so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda images: [session.run(runtime.SCORED, {"pixels": images[i : i + 256]}) for i in range(0, len(images), 256)]


def best_rate(seconds: float) -> float:
    """Multiply-adds in float32 a second of one thread, in a product of two large matrices."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    taken = times(lambda: a @ b, seconds)
    torch.set_num_threads(threads)
    return SIDE**3 / min(taken)


def written(detector: Detector, network: Network, pixels: np.ndarray, folder: Path) -> dict[str, Path]:
    """What is on disk: the detector, its bundle and, where asked for, its bundle in 8 bits."""
    plain, _ = compared(detector)
    paths = {"torch": store.save(detector, folder / "a.det"), "runtime": bundle.write(plain, folder / "a.bundle")}
    if network.int8:
        model = quantized(plain.model, pixels[:256].reshape(256, 32, 32, 1))
        card = plain.card.model_copy(update={"model_sha256": hashlib.sha256(model).hexdigest()})
        paths["runtime, int8"] = bundle.write(Bundle(card, model), folder / "8.bundle")
    return paths


def figures(network: Network, threads: int, seconds: float) -> dict[str, Any]:
    """All figures of one network, by how it runs."""
    pixels = np.random.default_rng(0).integers(0, 256, (max(KEPT, network.images), 1, 1, 32, 32), dtype=np.uint8)
    detector, few = detector_of(network, pixels), pixels[: network.images]
    images, cost = few.reshape(-1, 32, 32, 1), detector.cost()
    with tempfile.TemporaryDirectory() as folder:
        paths = written(detector, network, pixels, Path(folder))
        many: dict[str, Callable[[], object]] = {"torch": lambda: detector.score_pixels(few)}
        one: dict[str, Callable[[], object]] = {"torch": lambda: detector.score_pixels(few[:1])}
        for name, path in paths.items():
            if name != "torch":
                exported, alone = runtime.load(path, threads=threads), runtime.load(path, threads=1)
                many[name] = lambda exported=exported: exported.run(images)
                one[name] = lambda alone=alone: alone.run(images[:1])
        whole = together(bundle.read(paths["runtime"]).model, threads)
        many["runtime, one run"] = lambda: whole(images)
        batches, ones = measured(many, seconds), measured(one, seconds)
        found: dict[str, Any] = {name: {"images/s": round(len(few) / statistics.median(taken))} for name, taken in batches.items()}
        for name, taken in ones.items():
            found[name] |= {f"p{q} us": round(1e6 * float(np.percentile(taken, q)), 1) for q in (50, 99)}
        idle = started("-c", "pass")
        for name, path in paths.items():
            program = LOADS[name.removesuffix(", int8")]
            found[name]["start-up s"] = round(started("-c", STARTED.format(program), str(path)) - idle, 3)
            found[name]["memory MiB"] = round(held(program, path))
            found[name]["bytes"] = sum(file.stat().st_size for file in path.iterdir())
    for name in found:
        found[name]["times torch"] = round(found[name]["images/s"] / found["torch"]["images/s"], 2)
    return found | {"multiply-adds": None if cost is None else cost.macs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--threads", type=int, default=runtime.cores())
    parser.add_argument("--seconds", type=float, default=5.0, help="for each figure")
    parser.add_argument("--results", type=Path, default=Path("results"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    record = stamp(commit()) | {"onnxruntime": onnxruntime.__version__, "threads": args.threads}
    rate = best_rate(args.seconds)
    record["multiply-adds/s of a core"] = round(rate)
    for label in args.only:
        record[label] = found = figures(NETWORKS[label], args.threads, args.seconds)
        if found["multiply-adds"]:
            found["limit images/s"] = round(args.threads * rate / found["multiply-adds"])
            found["runtime / limit"] = round(found["runtime"]["images/s"] / found["limit images/s"], 4)
    append(args.results / "deploy-speed.jsonl", [record])
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
