"""How far the gradients of KDGAN's classifier lie apart on MNIST (Figure 7 of the paper): teacher's, discriminator's, both together.

    python benchmarks/gradient_variance.py [--seeds 0 1 2] [--pictures 100] [--epochs 100] [--stops 10] [--draws 50] [-o docs/results]

Trains KDGAN for each seed and stops at evenly spaced epochs, where novelette.classify.gradients looks at its players. Appends a line a seed
to results/gradient-variance.jsonl, leaves out what has one, and makes the page of all lines of these settings.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from novelette.bench.cells import Record
from novelette.bench.engine import prepared
from novelette.bench.origins import each
from novelette.bench.page import Made, write
from novelette.bench.stamps import append, commit, read, stamp
from novelette.classify import algorithm, gradients, kdgan
from novelette.classify.drawing import drawn
from novelette.classify.game import Turns, enter
from novelette.classify.pictures import Pictures
from novelette.data.images import as_tensor
from novelette.data.named import load_named
from novelette.training import Run
from novelette.words import counted, seconds_words

SETTINGS = {"pictures": 100, "epochs": 100, "stops": 10, "draws": 50}


def measured(images: torch.Tensor, labels: torch.Tensor, config: kdgan.Config, seed: int, stops: int, draws: int) -> list[dict[str, Any]]:
    """What is seen at so many epochs of a game on uint8 images (N, C, S, S)."""
    turns, x, pictures = Turns(len(images), config, seed), as_tensor(images), Pictures(images, config, seed)
    playing = enter((config.classifier, config.teacher, config.teacher), images, int(labels.max()) + 1, config, seed, images.device)

    def see(epoch: int) -> dict[str, Any]:
        tau = turns.temperature(turns.pretraining + epoch, config.temperature, config.last_temperature)
        return {"tau": tau, "gradients": gradients.look([p.net for p in playing], x, config, config.batch_size, tau, draws)}

    epochs = {round(epoch) for epoch in np.linspace(0, config.epochs - 1, stops)}
    looking = gradients.Looking(pictures, turns.pretraining, epochs, see)
    algorithm.kdgan(*playing, looking, labels.__getitem__, turns, config, Run(bar=True), seed=seed)
    return looking.looks


def page(records: list[Record]) -> Made:
    """The page of the records of one setting."""
    given = records[0]
    text = "Figure 7 of the KDGAN paper. [What is compared](../classify.md#the-game); the settings are KDGAN's own."
    options = " ".join(f"--{name} {given[name]}" for name in SETTINGS)
    seconds = seconds_words(sum(record["seconds"] for record in records))
    seeds = each(records, "seed").replace(",", "")
    origin = (
        "## Where these figures come from\n\n"
        f"`python benchmarks/gradient_variance.py --seeds {seeds} {options}`, {counted(len(records), 'record')} in "
        f"`results/gradient-variance.jsonl`, {seconds} of processor time, commits {each(records, 'commit')}, torch {each(records, 'torch')}"
    )
    what = gradients.section(records, f"{given['pictures']:,} pictures of {given['data']}")
    return Made("gradient-variance", "KDGAN: how far gradients lie apart on MNIST", text, [("", [what])], origin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    for name, value in SETTINGS.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    began_at = commit()
    path, named, config = given.results / "gradient-variance.jsonl", load_named("mnist"), kdgan.Config(epochs=given.epochs, explore=0.0)
    key = {name: vars(given)[name] for name in SETTINGS} | {"data": named.title, "config": config.model_dump(mode="json")}
    same = [record for record in read(path) if all(record.get(name) == value for name, value in key.items())]
    training, pixels = np.flatnonzero(named.is_train), prepared(named, 28)
    for seed in (seed for seed in given.seeds if seed not in {record["seed"] for record in same}):
        which = training[drawn(named.labels[training], given.pictures, np.random.default_rng((seed, 1)))]
        images, labels = torch.from_numpy(pixels[which]), torch.from_numpy(named.labels[which])
        record, began = stamp(began_at) | {"seed": seed} | key, time.process_time()
        record |= {"looks": measured(images, labels, config, seed, given.stops, given.draws)}
        record["seconds"] = round(time.process_time() - began, 1)
        append(path, [record])
        same.append(record)
    for made in write(page(same), given.output):
        print(made)


if __name__ == "__main__":
    main()
