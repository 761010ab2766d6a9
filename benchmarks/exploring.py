"""Whether KDGAN's discriminator goes on knowing wrong labels that nobody draws, and what becomes of the others where it does not.

    python benchmarks/exploring.py [--seeds 0] [--pictures 10000] [--pretraining 10] [--epochs 16] [--explore 0 0.1] [-o docs/results]

Trains KDGAN on augmented pictures of MNIST for each seed and each share of made labels that are spread over all labels, at τ = 1, and asks
all three players for the labels of held-out training images before each epoch of the game. Appends a line a run to results/exploring.jsonl,
leaves out what has one, and makes the page of all lines of these settings.
"""

import argparse
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from novelette.bench.cells import Record, markdown
from novelette.bench.engine import prepared
from novelette.bench.figures import Line, Lines
from novelette.bench.origins import each
from novelette.bench.page import Made, write
from novelette.bench.sections import Section
from novelette.bench.stamps import append, commit, read, stamp
from novelette.classify import algorithm, kdgan
from novelette.classify.drawing import drawn
from novelette.classify.game import Player, Turns, enter
from novelette.classify.gradients import Looking
from novelette.classify.pictures import Pictures
from novelette.data.images import as_tensor
from novelette.data.named import load_named
from novelette.training import Run
from novelette.words import counted, seconds_words

SETTINGS = {"pictures": 10_000, "pretraining": 10, "epochs": 16}
HELD_OUT = 2000
CONFIG = kdgan.Config(
    batch_size=100, precision="bfloat16", alpha=0.2, rotate=15, shift=0.1, zoom=0.1,
    passes_d=2, passes_t=1, passes_c=4, last_temperature=1.0,
)  # fmt: skip
PLAYERS = ("classifier", "teacher", "discriminator")
OWN, WRONG = "p_d of the true label", "p_d of the best wrong one"


@torch.no_grad()
def known(players: Sequence[Player], x: Tensor, labels: Tensor) -> dict[str, float]:
    """The share of images (N, ...) whose label, (N,), has a player's highest score, and D's mean p_d, from 0 made to 1 true, of labels."""
    scores = {}
    for name, player in zip(PLAYERS, players, strict=True):
        scores[name] = player.net.eval()(x).float()
        player.net.train()
    p_d, own = torch.sigmoid(scores["discriminator"]), labels[:, None]
    found = {name: float((s.argmax(1) == labels).float().mean()) for name, s in scores.items()}
    return found | {OWN: float(p_d.gather(1, own).mean()), WRONG: float(p_d.scatter(1, own, 0).amax(1).mean())}


def measured(images: Tensor, labels: Tensor, held_out: tuple[Tensor, Tensor], config: kdgan.Config, seed: int) -> list[dict[str, Any]]:
    """What the players know before each epoch of a game on uint8 images (N, C, S, S), asked about others and their labels."""
    turns, pictures = Turns(len(images), config, seed), Pictures(images, config, seed)
    playing = enter((config.classifier, config.teacher, config.teacher), images, int(labels.max()) + 1, config, seed, images.device)
    x, y = as_tensor(held_out[0]), held_out[1]
    looking = Looking(pictures, turns.pretraining, range(config.epochs), lambda epoch: known(playing, x, y))
    algorithm.kdgan(*playing, looking, labels.__getitem__, turns, config, Run(bar=True), seed=seed)
    return looking.looks


def page(records: list[Record]) -> Made:
    """The page of the records of one setting."""
    given, names = records[0], (*PLAYERS, OWN, WRONG)
    epochs = [look["epoch"] for look in given["looks"]]
    shares = sorted({record["config"]["explore"] for record in records})
    runs = {share: [record["looks"] for record in records if record["config"]["explore"] == share] for share in shares}

    def course(share: float, name: str) -> list[float]:
        return [100 * float(np.mean([looks[i][name] for looks in runs[share]])) for i in range(len(epochs))]

    def lines(name: str) -> list[Line]:
        return [Line(f"ε = {share:g}", epochs, course(share, name), colour) for colour, share in enumerate(shares)]

    shown = [i for i, epoch in enumerate(epochs) if epoch in (0, 1, 2, 4, 8, epochs[-1])]
    table = [[f"{share:g}", str(epochs[i]), *(f"{course(share, name)[i]:.1f}" for name in names)] for share in shares for i in shown]
    text = (
        f"{counted(len(records), 'run')} of KDGAN on {given['pictures']:,} augmented pictures of {given['data']}, with τ held at 1. Before "
        f"each epoch of the game, of {HELD_OUT:,} held-out training images, in per cent: how many have their label as a player's highest "
        "score, and the discriminator's mean p_d, from 0 made to 1 true, of their label and of the wrong one whose p_d is highest. ε is "
        "`--explore`, 0 in the paper."
    )
    alt = "What the players know of held-out labels by epoch of the game, with and without exploring, in per cent"
    plot = Lines("known", alt, {name: lines(name) for name in names}, "epoch of the game", "")
    section = Section("What the players know", f"{text}\n\n{markdown(['ε', 'epoch', *names], table)}", (plot,))
    seconds = seconds_words(sum(record["seconds"] for record in records))
    options = " ".join(f"--{name} {given[name]}" for name in SETTINGS)
    origin = (
        "## Where these figures come from\n\n"
        f"`python benchmarks/exploring.py --seeds {each(records, 'seed').replace(',', '')} {options} "
        f"--explore {' '.join(f'{share:g}' for share in shares)}`, {counted(len(records), 'record')} in `results/exploring.jsonl`, "
        f"{seconds} of processor time, commits {each(records, 'commit')}, torch {each(records, 'torch')}"
    )
    about = "Why the discriminator explores: [what nobody draws, nothing holds down](../classify.md#the-game)."
    return Made("exploring", "KDGAN: labels that nobody draws", about, [("", [section])], origin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--explore", type=float, nargs="+", default=[0.0, 0.1])
    for name, value in SETTINGS.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    began_at = commit()
    path, named = given.results / "exploring.jsonl", load_named("mnist")
    key = {name: vars(given)[name] for name in SETTINGS} | {"data": named.title}
    config = CONFIG.model_copy(update={"pretraining": given.pretraining, "epochs": given.epochs})
    plain = config.model_dump(mode="json", exclude={"explore"})
    same = [record for record in read(path) if (key | plain).items() <= (record | record["config"]).items()]
    done = {(record["seed"], record["config"]["explore"]) for record in same}
    training, pixels = np.flatnonzero(named.is_train), prepared(named, 28)
    for seed, share in (pair for pair in product(given.seeds, given.explore) if pair not in done):
        own = config.model_copy(update={"explore": share})
        which = training[drawn(named.labels[training], given.pictures, np.random.default_rng((seed, 1)))]
        others = np.random.default_rng((seed, 2)).permutation(np.setdiff1d(training, which))[:HELD_OUT]
        (images, labels), held_out = ((torch.from_numpy(pixels[i]), torch.from_numpy(named.labels[i])) for i in (which, others))
        record, began = stamp(began_at) | key | {"config": own.model_dump(mode="json"), "seed": seed}, time.process_time()
        record["looks"] = measured(images, labels, held_out, own, seed)
        record["seconds"] = round(time.process_time() - began, 1)
        append(path, [record])
        same.append(record)
    for made in write(page(same), given.output):
        print(made)


if __name__ == "__main__":
    main()
