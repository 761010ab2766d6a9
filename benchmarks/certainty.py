"""How certain a classifier is of known classes, of the class left out, and of noise: several readings of one network.

    python benchmarks/certainty.py [--data mnist] [--novel 4] [--seeds 0 1 2] [--size 28] [--steps 1500] [--data-root DIR]
        [--results results] [--output docs/results/certainty]

Section 2.3 of the technical report. Trained on the training images of all classes but one (the protocol leave-one-out); measured on 1,000
known test images, 250 of the class left out, and 250 of uniform noise. One JSON line a seed goes to results/certainty.jsonl. From the
records of all seeds OUTPUT.md has the table, and OUTPUT.svg and .png the medians. A seed that has a record is not trained again,
and without a seed (--seeds) nothing is.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from novelette import metrics
from novelette.bench.cells import cell, markdown, number, std
from novelette.bench.engine import prepared
from novelette.bench.figures import Dots, Mark, draw
from novelette.bench.origins import each
from novelette.bench.stamps import append, commit, stamp
from novelette.bench.stamps import read as read_lines
from novelette.data.images import as_tensor
from novelette.data.named import NamedSet, class_index, load_named, outline
from novelette.data.protocol import leave_one_out
from novelette.files import write_whole
from novelette.methods.certainty import Config, Scorer, fit
from novelette.training import Run

READINGS = {
    "plain": {"reading": "plain"},
    "dropout 0.2": {"reading": "dropout"},
    "dropout 0.5": {"reading": "dropout", "dropped": 0.5},  # more than in training
    "noise": {"reading": "noise"},
    "gradient": {"reading": "gradient"},
}
APART = ("novel", "noise")
CPU = torch.device("cpu")
KINDS = {"known": "known classes", "novel": "the class left out", "noise": "noise"}


def read(config: Config, plain: Scorer, seed: int, kinds: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Scores of each kind of images by every reading of one network: medians, and AUROC of known images against the others."""
    found = {}
    for reading, changes in READINGS.items():
        channels, size = kinds["known"].shape[1:3]
        scorer = Scorer.of(config.model_copy(update=changes), plain.module().net, seed, channels, size)
        scores = {kind: scorer.score(x).numpy() for kind, x in kinds.items()}
        medians = {kind: round(float(np.median(s if reading == "gradient" else 1 - s)), 4) for kind, s in scores.items()}
        aurocs = {}
        for kind in APART:
            both = np.concatenate([scores["known"], scores[kind]])
            aurocs[kind] = round(metrics.auroc(both, np.repeat([0, 1], [len(scores["known"]), len(scores[kind])])), 4)
        found[reading] = {"median": medians, "auroc": aurocs}
    return found


def page(records: list[dict[str, Any]], command: str, name: str) -> tuple[str, Dots]:
    """The table in Markdown, and the medians of certainty as a plot.   Args: records: one a seed.   name: of the plot's file."""
    readings = list(records[0]["readings"])

    def over_seeds(reading: str, figure: str, kind: str) -> list[float]:
        return [record["readings"][reading][figure][kind] for record in records]

    lines = [
        [
            reading,
            *(cell(over_seeds(reading, "median", kind)) for kind in KINDS),
            *(cell(over_seeds(reading, "auroc", kind)) for kind in APART),
        ]
        for reading in readings
    ]
    heads = ["reading", *KINDS.values(), *(f"AUROC of {KINDS[kind]}" for kind in APART)]
    first, accuracy = records[0], cell([record["accuracy"] for record in records])
    alt = "Median certainty by reading; bars are standard deviations over seeds"
    marks = [
        Mark(words, {r: (float(np.mean(own)), std(own)) for r in readings if r != "gradient" and (own := over_seeds(r, "median", kind))})
        for kind, words in KINDS.items()
    ]
    of_noise = [[reading, *map(number, over_seeds(reading, "median", "noise"))] for reading in readings]
    text = f"""# How certain a classifier is of known digits, of the digit left out, and of noise

{first["data"]} at {first["size"]} px without {first["novel"]}, {first["steps"]:,} steps; accuracy on known test images {accuracy}.
Medians of the certainty C, of `gradient` of ‖∂y/∂x‖, and the AUROC of known images against the others: mean ± standard deviation over
seeds (their number). `dropout 0.2` is that of training, `dropout 0.5` drops more.

{markdown(heads, lines)}

![{alt}]({name}.svg)

*{alt}.*

By seed, the median certainty of noise:

{markdown(["reading", *(f"seed {record['seed']}" for record in records)], of_noise)}

Made by `{command}` from `results/certainty.jsonl`; commits {each(records, "commit")}.
"""
    return text, Dots("", alt, marks, [r for r in readings if r != "gradient"], "median certainty")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--novel", default="4")
    parser.add_argument("--seeds", type=int, nargs="*", default=(0, 1, 2))
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--output", type=Path, default=Path("docs/results/certainty"))
    given = parser.parse_args()
    named = load_named(given.data, data_roots=given.data_root) if given.seeds else outline(given.data)
    asked, lines = asked_for(named, given), given.results / "certainty.jsonl"
    measure(named, asked, sorted(set(given.seeds) - of_seeds(lines, asked).keys()), given)
    found = of_seeds(lines, asked)
    if not found:
        parser.error(f"{lines} has no record of these settings: give --seeds")
    options = {"data": given.data, "novel": given.novel, "size": given.size, "steps": given.steps, "seeds": " ".join(map(str, found))}
    command = " ".join(["python benchmarks/certainty.py", *(f"--{name} {value}" for name, value in options.items())])
    text, plot = page(list(found.values()), command, given.output.name)
    for ending, data in zip((".svg", ".png"), draw(plot), strict=True):
        write_whole(given.output.with_suffix(ending), data)
    write_whole(given.output.with_suffix(".md"), text)


def of_seeds(path: Path, asked: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The records of these settings, by seed, the last of each."""
    return dict(sorted((line["seed"], line) for line in read_lines(path) if asked.items() <= line.items()))


def asked_for(named: NamedSet, given: argparse.Namespace) -> dict[str, Any]:
    """What the records of a page have in common, and a record says of itself beside its seed."""
    config = Config(reading="plain", steps=given.steps).model_dump(mode="json")
    return {"data": named.title, "novel": given.novel, "size": given.size, "steps": given.steps, "config": config}


def measure(named: NamedSet, asked: dict[str, Any], seeds: Sequence[int], given: argparse.Namespace) -> None:
    """Train and read one network a seed, and leave a record of each."""
    if not seeds:
        return
    torch.set_num_threads(1)
    began_at = commit()
    pixels, novel = prepared(named, given.size), class_index(named, given.novel)
    split = leave_one_out(named.labels, named.is_train, novel)
    labels, test = named.labels[split.test], as_tensor(pixels[split.test])
    noise = np.random.default_rng(0).integers(0, 256, (250, *test.shape[1:]), dtype=np.uint8)
    kinds = {"known": test[labels != novel][:1000], "novel": test[labels == novel][:250], "noise": as_tensor(noise)}
    config = Config(**asked["config"])
    for seed in seeds:
        record, began, run = stamp(began_at) | asked | {"seed": seed}, time.process_time(), Run()
        known = torch.from_numpy(named.labels[split.train])
        plain = fit(torch.from_numpy(pixels[split.train]), config, labels=known, seed=seed, device=CPU, run=run)
        fit_s = round(time.process_time() - began, 1)
        classes, right = np.unique(named.labels[split.train]), 0
        for part, truth in zip(kinds["known"].split(500), torch.from_numpy(labels[labels != novel][:1000]).split(500), strict=True):
            with torch.no_grad():
                right += int((torch.from_numpy(classes)[plain.module().net(part).argmax(1)] == truth).sum())
        record |= {"accuracy": round(right / len(kinds["known"]), 4), "readings": read(config, plain, seed, kinds)}
        record["fit_cpu_s"] = fit_s
        append(given.results / "certainty.jsonl", [record])
        print(json.dumps({name: record[name] for name in ("seed", "accuracy", "readings", "fit_cpu_s")}, indent=1), flush=True)


if __name__ == "__main__":
    main()
