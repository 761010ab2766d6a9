"""Magnetic tiles: detectors fitted on 80 % of the tiles without a defect, tested on the rest and on all five defects.

    python benchmarks/magnetic_tile.py [--methods knn feature-knn ede-gan piad] [--sizes 64] [--tiles N] [--data-root DIR]
        [--results results] [--reports reports] [--page docs/results/magnetic-tile.md]

The split keeps pictures of one tile together (novelette.data.magnetic_tile); so does the calibration. One JSON line a fit goes to
results/magnetic-tile.jsonl: the figures of `novelette evaluate --json`, both kNNs and the pixel AUROC of the heat maps among them.
A fit that has a record is not made again, and one that was stopped goes on where it was. The page shows the records of these settings.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from novelette import store
from novelette.bench.cells import markdown
from novelette.bench.stamps import append, commit, read, stamp
from novelette.data.select import Where
from novelette.evaluate_saved import evaluate_detector
from novelette.fitting import Recipe, configured, fit_recipe
from novelette.report import write_report
from novelette.training import Run

SETTINGS: dict[str, dict[str, Any]] = {
    "knn": {},
    "feature-knn": {},
    "ede-gan": {},
    "piad": {"batch_size": 16, "steps": 2500, "balance_every": 20, "smoothing": 0.3, "history": 5},  # γ from short averages
}
INTRODUCTION = """# Magnetic tiles

Fitted on 80 % of the tiles without a defect, tested on the rest (190 pictures) and on all five defects (392), split so that pictures of one
tile stay together ([protocols](../protocols.md)). Seed 0; settings in `benchmarks/magnetic_tile.py`. **Pixels** is the AUROC of the heat
map over the pixels of the defective pictures; that of the difference to the mean training picture stands beside it.
`python benchmarks/magnetic_tile.py --page docs/results/magnetic-tile.md` made this page; records in `results/magnetic-tile.jsonl`.
"""
HEADS = ["detector", "AUROC (95 % interval)", "kNN cosine", "kNN Euclidean", "pixels", "of the mean picture", "false alarms, 5 % stated"]


def done(recipe: Recipe, made: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The newest record of a recipe."""
    wanted = (recipe.method, recipe.size, recipe.tiles, recipe.config.model_dump(mode="json"))
    for record in reversed(made):
        detector = record["detector"]
        if (detector["method"], record["size"], record["tiles"], detector["config"]) == wanted:
            return record
    return None


def fitted(recipe: Recipe, reports: Path) -> dict[str, Any]:
    """The record of a fit, whose detector and report are left in a folder."""
    record = stamp(commit()) | {"size": recipe.size, "tiles": recipe.tiles}
    name = f"magnetic-{recipe.method}-{recipe.size}px-{recipe.tiles}x{recipe.tiles}"
    run = Run(folder=reports / f"{name}.run", resume=True, bar=True)
    detector = fit_recipe(recipe, "magnetic-tile", run).detector
    store.save(detector, reports / f"{name}.det", force=True)
    evaluation, selection = evaluate_detector(detector, "magnetic-tile", recipe.where, None, bar=True)
    title = f"Magnetic tiles, {recipe.method}, {recipe.tiles} x {recipe.tiles} of {recipe.size} px"
    write_report(reports / name, detector, evaluation, selection.source, title=title)
    return record | {"evaluation": evaluation.to_json(), "detector": detector.describe()}


def lines(made: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    """The rows of the page's table."""
    for record in made:
        e, label = record["evaluation"], f"{record['detector']['method']}, {record['size']} px"
        pixels = ["" if e[name] is None else f"{e[name]:.3f}" for name in ("pixel_auroc", "mean_picture_auroc")]
        area = f"{e['auroc']:.3f} ({e['auroc_low']:.3f} to {e['auroc_high']:.3f})"
        yield [label, area, f"{e['knn_cosine_auroc']:.3f}", f"{e['knn_auroc']:.3f}", *pixels, f"{e['false_alarm_rate']:.1%}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64])
    parser.add_argument("--tiles", type=int, default=1)
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--reports", type=Path, default=Path("reports"))
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    where, path = Where(normal="Free", data_roots=tuple(given.data_root)), given.results / "magnetic-tile.jsonl"
    shown = []
    for method in given.methods:
        for size in given.sizes:
            recipe = Recipe(method, configured(method, SETTINGS[method]), size=size, tiles=given.tiles, device="cpu", where=where)
            record = done(recipe, read(path))
            if record is None:
                record = fitted(recipe, given.reports)
                append(path, [record])
            shown.append(record)
    table = markdown(HEADS, lines(shown))
    print(table)
    if given.page:
        given.page.write_text(f"{INTRODUCTION}\n{table}\n")


if __name__ == "__main__":
    main()
