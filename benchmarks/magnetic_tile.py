"""Magnetic tiles: EDE-GAN fitted on 80 % of the tiles without a defect, tested on the rest and on all five defects.

    python benchmarks/magnetic_tile.py [--sizes 64 128] [--tiles N] [--data-root DIR] [--results results] [--reports reports]

The split keeps pictures of one tile together (novelette.data.magnetic_tile); so does the calibration. One JSON line a size goes to
results/magnetic-tile.jsonl: the figures of `novelette evaluate --json`, both kNNs and the pixel AUROC of the heat maps among them.
"""

import argparse
import json
from pathlib import Path

from novelette import store
from novelette.bench.engine import commit
from novelette.data.select import Where
from novelette.evaluating import evaluate_detector
from novelette.fitting import Recipe, fit_recipe
from novelette.methods import ede_gan
from novelette.report import write_report
from novelette.training import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--tiles", type=int, default=1)
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--reports", type=Path, default=Path("reports"))
    given = parser.parse_args()
    began_at = commit()
    where = Where(normal="Free", data_roots=tuple(given.data_root))
    for size in given.sizes:
        name = f"magnetic-{size}px-{given.tiles}x{given.tiles}"
        recipe = Recipe("ede-gan", ede_gan.Config(), size=size, tiles=given.tiles, device="cpu", where=where)
        detector = fit_recipe(recipe, "magnetic-tile", Run(bar=True)).detector
        store.save(detector, given.reports / f"{name}.det", force=True)
        evaluation, selection = evaluate_detector(detector, "magnetic-tile", where, None, bar=True)
        write_report(
            given.reports / name,
            detector,
            evaluation,
            selection.source,
            title=f"Magnetic tiles, {given.tiles} x {given.tiles} of {size} px",
        )
        record = {"commit": began_at, "size": size, "tiles": given.tiles}
        record |= {"evaluation": evaluation.to_json(), "detector": detector.describe()}
        given.results.mkdir(exist_ok=True)
        with (given.results / "magnetic-tile.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        print(json.dumps(evaluation.to_json()))


if __name__ == "__main__":
    main()
