"""How soon drift is told, and how often where there is none: made-up scores, and digits whose light or sharpness changes halfway.

    python benchmarks/drift.py [--data-root DIR] [--results results] [--plot docs/images/drift.svg]

One JSON line a kind of stream goes to results/drift.jsonl: how many streams of how many alarmed before anything changed, and after how
many changed pictures the others did (median, ninth decile, share within 200). Two minutes of an idle core.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from novelette.bench.stamps import append, commit, stamp
from novelette.charts import drift_chart
from novelette.data.named import load_named
from novelette.data.select import Where
from novelette.drift import ODDS, course_of
from novelette.fitting import Recipe, fit_recipe
from novelette.methods import ede_gan
from novelette.training import Run

STREAMS = 100
AFTER = 300  # pictures of a stream after its change
MADE = {"a whole deviation": (1.0, 1.0, 1.0), "half a deviation": (0.5, 1.0, 1.0), "a deviation down": (-1.0, 1.0, 1.0)}
MADE |= {"twice as wide": (0.0, 2.0, 1.0), "one in ten novel": (5.0, 1.0, 0.1), "one in twenty novel": (5.0, 1.0, 0.05)}
NOISE = np.random.default_rng(0)
DIGITS: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "a fifth darker": lambda picture: (picture * 0.8).astype(np.uint8),
    "out of focus": lambda picture: np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(0.8))),
    "a pixel to the side": lambda picture: np.roll(picture, 1, axis=1),
    "noise of 10 grey levels": lambda picture: (picture + NOISE.normal(0, 10, picture.shape)).clip(0, 255).astype(np.uint8),
}


def told(streams: list[tuple[NDArray[np.float64], NDArray[np.float64]]], quiet: int) -> dict[str, float | int | None]:
    """What became of streams, (calibration, scores) each, that change after `quiet` pictures."""
    firsts = [course_of(scores, calibration, seed=i).first for i, (calibration, scores) in enumerate(streams)]
    late = [np.inf if first is None else first - quiet for first in firsts if first is None or first > quiet]
    median, decile = np.quantile(late, [0.5, 0.9], method="higher") if late else (np.inf, np.inf)
    return {
        "streams": len(streams),
        "false alarms": len(firsts) - len(late),
        "median": None if np.isinf(median) else int(median),
        "ninth decile": None if np.isinf(decile) else int(decile),
        "within 200": round(float(np.mean([delay <= 200 for delay in late])), 3) if late else None,
    }


def made_up(shift: float, spread: float, share: float, n_calibration: int, quiet: int, after: int) -> dict[str, float | int | None]:
    """Normal scores, of which a share is spread and shifted after `quiet` pictures."""
    rng, streams = np.random.default_rng(0), []
    for _ in range(STREAMS):
        scores = rng.normal(size=quiet + after)
        changed = (np.arange(quiet + after) >= quiet) & (rng.random(quiet + after) < share)
        streams.append((rng.normal(size=n_calibration), np.where(changed, shift + spread * scores, scores)))
    return told(streams, quiet)


def digits(data_roots: tuple[Path, ...]) -> list[dict[str, float | int | str | None]]:
    """Streams of handwritten eights that no detector has seen, through an EDE-GAN of widths 2-4-8."""
    recipe = Recipe("ede-gan", ede_gan.Config(widths=(2, 4, 8), steps=3000), device="cpu", where=Where(normal="8", data_roots=data_roots))
    detector = fit_recipe(recipe, "mnist", Run(bar=True)).detector
    mnist = load_named("mnist", data_roots=data_roots)
    eights = np.flatnonzero((mnist.labels == 8) & ~mnist.is_train)
    pictures = [mnist.source.read(int(i)) for i in eights]
    before = detector.score(np.stack(pictures))
    records = []
    for name, change in {"nothing": lambda picture: picture, **DIGITS}.items():
        changed, streams, rng = detector.score(np.stack([change(picture) for picture in pictures])), [], np.random.default_rng(0)
        for _ in range(STREAMS):
            order = rng.permutation(len(eights))[: 500 + AFTER]
            streams.append((detector.calibration, np.concatenate([before[order[:500]], changed[order[500:]]]).astype(np.float64)))
        quiet = 500 + AFTER if name == "nothing" else 500
        records.append(
            {"change": name, "scores": "MNIST 8", "calibration": len(detector.calibration), "quiet": quiet} | told(streams, quiet)
        )
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    began, records = stamp(commit()), list[dict[str, Any]]()
    for name, change in {"nothing": (0.0, 1.0, 1.0), **MADE}.items():
        for n, quiet in ((20, 200), (1000, 200), (1000, 5000)):
            kind = {"change": name, "scores": "made up", "calibration": n, "quiet": quiet}
            records.append(kind | made_up(*change, n, quiet, 0 if name == "nothing" else AFTER))
    records += digits(tuple(given.data_root))
    for record in records:
        print(record)
    append(given.results / "drift.jsonl", [began | record for record in records])
    if given.plot is not None:
        rng = np.random.default_rng(4)
        scores = np.concatenate([rng.normal(size=500), rng.normal(1, 1, 100)])
        course = course_of(scores, rng.normal(size=1000))
        given.plot.write_text(drift_chart(course.p_values, course.log10_capital, ODDS, course.first))


if __name__ == "__main__":
    main()
