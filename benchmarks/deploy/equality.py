"""Exported detectors beside torch on real pictures: the scores of a thousand, at batch 1, 7 and 256; JSON lines of results.

    python benchmarks/deploy/equality.py [--sets mnist cifar10 magnetic-tile] [--steps 200] [--data-root DIR] [--results results]

Every detector is fitted for a few steps on one class of each set, calibrated and exported. The pictures are spread over all classes: those
of MNIST and CIFAR-10 are test images, those of magnetic tiles are normal, defective and, since there are too few others, trained on. A line
a set and detector goes to results/deploy-equality.jsonl as soon as it is measured: the worst relative difference of two scores, and how
many labels changed, by batch size.
"""

import argparse
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from novelette import runtime
from novelette.bench.stamps import append, commit, stamp
from novelette.data.framing import uncut
from novelette.data.images import load
from novelette.data.named import load_named
from novelette.data.select import Where
from novelette.data.sources import SubsetSource
from novelette.detector import Detector
from novelette.export import export_detector
from novelette.fitting import Recipe, configured, fit_recipe
from novelette.training import Run

PICTURES = 1000
BATCHES = (1, 7, 256)
NORMAL = {"mnist": "8", "cifar10": "dog", "magnetic-tile": "Free"}
DETECTORS: dict[str, tuple[str, dict[str, Any]]] = {
    "teacher 64-128-256": ("ede-gan", {"widths": (64, 128, 256)}),
    "student 8-16-64": ("ede-gan", {"widths": (8, 16, 64)}),
    "student 2-4-8": ("ede-gan", {"widths": (2, 4, 8)}),
    "student 1-2-4": ("ede-gan", {"widths": (1, 2, 4)}),
    "ED 8-16-64": ("ede-gan", {"widths": (8, 16, 64), "pipeline": "ed"}),
    "EDÊ 8-16-64": ("ede-gan", {"widths": (8, 16, 64), "pipeline": "ed-hat"}),
    "kNN, cosine": ("knn", {"metric": "cosine"}),
    "kNN, Euclidean": ("knn", {"metric": "euclidean"}),
}


def pictures_of(name: str, where: Where, detector: Detector) -> np.ndarray:
    """A thousand pictures of a set, prepared, uint8 (n, T, C, S, S)."""
    named = load_named(name, data_roots=where.data_roots)
    which = np.flatnonzero(~named.is_train)
    if len(which) < PICTURES:
        which = np.arange(len(named.labels))
    which = which[np.argsort(named.labels[which], kind="stable")]
    which = which[np.unique(np.linspace(0, len(which) - 1, PICTURES).round().astype(int))]
    return load(SubsetSource(named.source, which), detector.preprocessing).pixels


def compared(detector: Detector, pixels: np.ndarray) -> dict[str, Any]:
    """The figures of one detector on prepared pictures."""
    expected = detector.score_pixels(pixels)
    _, novel = detector.judge(expected)
    images = uncut(pixels)
    figures: dict[str, Any] = {"pictures": len(images), "threshold": detector.threshold}
    with tempfile.TemporaryDirectory() as folder:
        figures["worst difference in export"] = export_detector(detector, Path(folder) / "a.bundle").worst_difference
        for batch in BATCHES:
            found = runtime.load(Path(folder) / "a.bundle", threads=1, batch_size=batch).run(images)
            difference = np.abs(found.score.astype(np.float64) - expected) / np.abs(expected.astype(np.float64))
            figures[f"worst difference, batch {batch}"] = float(difference.max())
            figures[f"labels changed, batch {batch}"] = int((found.label != novel).sum())
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=NORMAL, default=list(NORMAL))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("--results", type=Path, default=Path("results"))
    args = parser.parse_args()
    began_at, versions = commit(), {name: version(name) for name in ("novelette", "torch", "onnx", "onnxruntime", "numpy")}
    for name in args.sets:
        where = Where(normal=NORMAL[name], data_roots=tuple(args.data_root))
        for label, (method, settings) in DETECTORS.items():
            steps = {"steps": args.steps} if method == "ede-gan" else {}
            recipe = Recipe(method, configured(method, settings | steps), device="cpu", where=where)
            record = stamp(began_at) | {"versions": versions}
            detector = fit_recipe(recipe, name, Run()).detector
            record |= {"data": detector.provenance["title"], "detector": label, "steps": steps.get("steps"), "seed": recipe.seed}
            record |= {"size": recipe.size, "threads": torch.get_num_threads()}
            record |= compared(detector, pictures_of(name, where, detector))
            append(args.results / "deploy-equality.jsonl", [record])
            worst = max(record[f"worst difference, batch {batch}"] for batch in BATCHES)
            changed = max(record[f"labels changed, batch {batch}"] for batch in BATCHES)
            print(f"{record['data']}: {label}: worst difference {worst:.1e}, labels changed {changed}", flush=True)


if __name__ == "__main__":
    main()
