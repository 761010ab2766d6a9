"""How well an autoencoder makes digits again, the one that it has never seen among them (technical report, section 2.4).

    python benchmarks/unseen_digit.py [--novel 4] [--hidden 64 256] [--seeds 0 1 2] [--data-root DIR] [--results results]
        [--output docs/results/unseen-digit]

Trained on MNIST's training images but those of one digit (the protocol leave-one-out), measured on all test images: the mean squared error
of each digit. One JSON line a fit goes to results/unseen-digit.jsonl. OUTPUT.svg and .png show the errors, OUTPUT-pictures.png the first
four test images of each digit, and below them what the last fit makes of them.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from novelette import metrics
from novelette.bench.engine import prepared
from novelette.bench.figures import Dots, Mark, draw
from novelette.bench.stamps import append, commit, stamp
from novelette.data.images import as_tensor
from novelette.data.named import class_index, load_named
from novelette.data.protocol import leave_one_out
from novelette.files import write_whole
from novelette.methods.autoencoder import Config, fit
from novelette.netscorer import NetScorer
from novelette.training import Run

SIZE, SHOWN, SCALE = 32, 4, 2  # px, pictures of a digit, pixels a pixel


def errors(scorer: NetScorer, x: torch.Tensor, labels: np.ndarray, novel: int) -> dict[str, Any]:
    """Mean error of each digit, and the AUROC of the unseen one among all."""
    scores = scorer.score(x).numpy()
    by_digit = {str(digit): round(float(scores[labels == digit].mean()), 5) for digit in np.unique(labels)}
    return {"error": by_digit, "auroc": round(metrics.auroc(scores, labels == novel), 4)}


@torch.inference_mode()
def pictures(scorer: NetScorer, x: torch.Tensor, labels: np.ndarray) -> Image.Image:
    """The first of each digit above what is made of them."""
    chosen = x[np.concatenate([np.flatnonzero(labels == digit)[:SHOWN] for digit in np.unique(labels)])]
    both = torch.stack([chosen, scorer.net.decode(scorer.net.encode(chosen))])[:, :, 0]  # (2, n, S, S)
    grey = ((both + 1) * 127.5).round().clamp(0, 255).byte()
    rows = grey.reshape(2, 2, -1, SIZE, SIZE).permute(1, 0, 3, 2, 4).reshape(4 * SIZE, -1)  # the second half of the digits below the first
    return Image.fromarray(rows.numpy()).resize((SCALE * rows.shape[1], SCALE * rows.shape[0]), Image.Resampling.NEAREST)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--novel", default="4")
    parser.add_argument("--hidden", type=int, nargs="+", default=(64, 256))
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--output", type=Path, default=Path("docs/results/unseen-digit"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    began_at, named = commit(), load_named("mnist", data_roots=given.data_root)
    pixels, novel = prepared(named, SIZE), class_index(named, given.novel)
    split = leave_one_out(named.labels, named.is_train, novel)
    images, x, labels = torch.from_numpy(pixels[split.train]), as_tensor(pixels[split.test]), named.labels[split.test]
    found: dict[int, list[dict[str, Any]]] = {}
    for hidden in given.hidden:
        for seed in given.seeds:
            config = Config(hidden=hidden)
            record = stamp(began_at) | {"novel": given.novel, "seed": seed, "size": SIZE, "config": config.model_dump(mode="json")}
            scorer = fit(images, config, seed=seed, device=torch.device("cpu"), run=Run())
            record |= errors(scorer, x, labels, novel)
            append(given.results / "unseen-digit.jsonl", [record])
            print(json.dumps({name: record[name] for name in ("seed", "error", "auroc")}), flush=True)
            found.setdefault(hidden, []).append(record)
    by_digit = {
        hidden: {digit: np.array([r["error"][digit] for r in found[hidden]]) for digit in found[hidden][0]["error"]} for hidden in found
    }
    marks = [
        Mark(f"{hidden} numbers", {d: (float(e.mean()), float(e.std(ddof=1))) for d, e in of.items()}) for hidden, of in by_digit.items()
    ]
    alt = f"Mean squared error of reconstructions by digit, {given.novel} unseen; bars are standard deviations over seeds"
    for ending, data in zip(
        (".svg", ".png"), draw(Dots("", alt, marks, list(next(iter(by_digit.values()))), "mean squared error")), strict=True
    ):
        write_whole(given.output.with_suffix(ending), data)
    pictures(scorer, x, labels).save(given.output.with_name(f"{given.output.name}-pictures.png"))


if __name__ == "__main__":
    main()
