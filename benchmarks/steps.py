"""Milliseconds an update on one core: an EDE-GAN and each structure of distillation, and what bfloat16 gains at the papers' widths.

    python benchmarks/steps.py [--widths 64 128 256] [--student 2 4 8] [--updates 12] [--results results]

All take turns, so that what else the machine does hits each. One JSON line goes to results/steps.jsonl: medians, and each structure's
ratio to an update of the student alone. In bfloat16 forward passes run under torch.autocast, sums and weights stay in float32.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from novelette.bench.stamps import append, commit, stamp
from novelette.distill.step import update
from novelette.distill.structures import STRUCTURES
from novelette.methods.ede_gan import Config, Gan

CPU = torch.device("cpu")
WEIGHTS = {"w_1": 10.0, "w_x": 1.0, "w_2": 10.0}


def gan_of(widths: tuple[int, ...]) -> Gan:
    gan = Gan(Config(widths=widths), 1, 32, CPU)
    gan.draw([0])
    return gan


def alone(gan: Gan, x: Tensor, *, bfloat16: bool = False) -> None:
    """An update of an EDE-GAN, as ede_gan.fit makes it."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        out = gan.net(x)
        l_g, f = gan.generator_loss(x, out, None)
    gan.descend_g(l_g)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        gan.descend_d(f, out[0], [0], 0)


def calls(widths: tuple[int, ...], student: tuple[int, ...]) -> dict[str, Callable[[], object]]:
    """The updates to be timed, by name."""
    rng = torch.Generator().manual_seed(0)
    eight, many = (torch.rand(n, 1, 32, 32, generator=rng) * 2 - 1 for n in (8, 32))
    teacher, small = gan_of(widths), gan_of(student)
    found: dict[str, Callable[[], object]] = {"student": lambda: alone(small, eight), "teacher": lambda: alone(teacher, eight)}
    for number, structure in STRUCTURES.items():
        found[f"structure {number}"] = lambda structure=structure: update(  # type: ignore[misc]
            eight, teacher, small, structure, WEIGHTS, teacher_follows=False, seeds=[0], step=0
        )
    found["teacher, bfloat16"] = lambda: alone(teacher, eight, bfloat16=True)
    found["teacher, batch 32"] = lambda: alone(teacher, many)
    found["teacher, batch 32, bfloat16"] = lambda: alone(teacher, many, bfloat16=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=(64, 128, 256))
    parser.add_argument("--student", type=int, nargs="+", default=(2, 4, 8))
    parser.add_argument("--updates", type=int, default=12)
    parser.add_argument("--results", type=Path, default=Path("results"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    record = stamp(commit()) | {"widths": list(given.widths), "student": list(given.student)}
    timed = calls(tuple(given.widths), tuple(given.student))
    taken: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(given.updates + 1):
        for name, call in timed.items():
            began = time.perf_counter()
            call()
            if turn:  # the first is a warm-up
                taken[name].append(1000 * (time.perf_counter() - began))
    ms = {name: round(statistics.median(values), 2) for name, values in taken.items()}
    record["ms"] = ms
    record |= {"times the student's": {name: round(ms[name] / ms["student"], 2) for name in ms if name.startswith("structure")}}
    record |= {
        "bfloat16 is faster by": {size: round(ms[f"teacher{size}"] / ms[f"teacher{size}, bfloat16"], 2) for size in ("", ", batch 32")}
    }
    append(given.results / "steps.jsonl", [record])
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
