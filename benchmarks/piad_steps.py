"""Seconds of a core that a step of PIAD takes: two rounds of both critics, and an update of encoder and generator.

    python benchmarks/piad_steps.py [--architectures small cifar10] [--batches 32 16] [--precisions float32 bfloat16] [--channels 3]
                                    [--steps 7] [--results results]

All take turns. Processor time of one thread, so that other programs count only for what they take from caches. One JSON line goes to
results/piad-steps.jsonl: medians in ms, of the critics' round and of the whole step. The perceptual network is the default one.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from novelette.bench.stamps import append, commit, stamp
from novelette.methods.piad import Config, Looking, Piad
from novelette.perceptual import load

CPU = torch.device("cpu")
SIZE = 32  # px


def piad_of(architecture: str, precision: str, channels: int) -> Piad:
    config = Config.model_validate({"architecture": architecture, "precision": precision})
    made = Piad(config, channels, SIZE, CPU, Looking(config.loss, load(config.network, config.layer, SIZE)[0]).requires_grad_(False))
    made.draw(0)
    return made


def milliseconds(made: Piad, x: torch.Tensor) -> tuple[float, float]:
    """Of a critics' round and of a step: as many rounds as the method takes, and the update of E and G, which measures no gradients."""
    began = time.process_time()
    made.descend_d(x)
    middle = time.process_time()
    made.descend_eg(x, 1)
    a_round, rest = 1000 * (middle - began), 1000 * (time.process_time() - middle)
    return a_round, made.config.rounds * a_round + rest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architectures", nargs="+", default=["small", "cifar10"])
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 16])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--results", type=Path, default=Path("results"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    record = stamp(commit()) | {"channels": given.channels, "steps": given.steps}
    rng = torch.Generator().manual_seed(0)
    timed = {
        f"{name}, batch {batch}, {precision}": (made, torch.rand(batch, given.channels, SIZE, SIZE, generator=rng) * 2 - 1)
        for name in given.architectures
        for precision in given.precisions
        for made in (piad_of(name, precision, given.channels),)
        for batch in given.batches
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in timed}
    for turn in range(given.steps + 1):
        for name, (made, x) in timed.items():
            ms = milliseconds(made, x)
            if turn:  # the first is a warm-up
                taken[name].append(ms)
    for part, heading in enumerate(("ms a round", "ms a step")):
        record[heading] = {name: round(statistics.median(pair[part] for pair in pairs)) for name, pairs in taken.items()}
    append(given.results / "piad-steps.jsonl", [record])
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
