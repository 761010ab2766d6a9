"""How much smaller and faster P-KDGAN's students are than their teachers, beside the printed ratios, as Markdown.

    python benchmarks/compression.py [--results results] [--seconds 5]

Parameters and operations are counted; times are measured on one thread, teacher and student in turns. One JSON line goes to
results/compression.jsonl. docs/results/compression.md holds the tables and explains the differences.
"""

import argparse
import os
import platform
import re
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch

from novelette.accounting import Cost, Speed, count, measure
from novelette.bench.stamps import append, commit, stamp
from novelette.methods.ede_gan import Config, Generator, Scorer

SIZE = 32  # px
TEACHER = (64, 128, 256)


class Row(NamedTuple):
    """A data set of P-KDGAN's Table 4: its channels, the student's widths, and the printed ratios."""

    data: str
    channels: int
    student: tuple[int, ...]
    params: float
    flops: float


ROWS = (
    Row("CIFAR-10", 3, (8, 16, 64), 6.22, 24.45),
    Row("MNIST", 1, (2, 4, 8), 52.22, 311.11),
    Row("Fashion-MNIST", 1, (1, 2, 4), 105.45, 700.0),
)


def scorer_of(widths: tuple[int, ...], channels: int) -> Scorer:
    """An EDE-GAN with weights that know nothing."""
    config = Config(widths=widths)
    return Scorer(config, Generator(config, channels, SIZE), {})


def cost_of(widths: tuple[int, ...], channels: int) -> Cost:
    return count(scorer_of(widths, channels).module(), torch.zeros(1, channels, SIZE, SIZE))


def counts_table() -> str:
    """Parameters and operations of every network."""
    lines = [
        "| data | network | parameters | multiply-adds | elementwise | operations together |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in ROWS:
        for player, widths in ("teacher", TEACHER), ("student", row.student):
            cost = cost_of(widths, row.channels)
            network = f"{player} {'-'.join(map(str, widths))}"
            together = (cost.macs + cost.elementwise) / 1e6
            lines.append(f"| {row.data} | {network} | {cost.params:,} | {cost.macs:,} | {cost.elementwise:,} | {together:.2f} million |")
    return "\n".join(lines)


def ratios_table() -> str:
    """Teacher over student, counted by us, and printed in P-KDGAN's Table 4."""
    lines = ["| data | of | ours | printed | printed is |", "| --- | --- | ---: | ---: | ---: |"]
    for row in ROWS:
        teacher, student = cost_of(TEACHER, row.channels), cost_of(row.student, row.channels)
        for name, ours, printed in (
            ("parameters", teacher.params / student.params, row.params),
            ("multiply-adds", teacher.macs / student.macs, row.flops),
            ("operations together", (teacher.macs + teacher.elementwise) / (student.macs + student.elementwise), row.flops),
        ):
            lines.append(f"| {row.data} | {name} | {ours:.2f} × | {printed:.2f} × | {100 * (printed / ours - 1):+.1f} % |")
    return "\n".join(lines)


def speeds_of(row: Row, seconds: float) -> tuple[Speed, Speed]:
    """Teacher and student in turns."""
    widths = (TEACHER, row.student)
    macs = [cost_of(w, row.channels).macs for w in widths]
    teacher, student = measure([scorer_of(w, row.channels).score for w in widths], (row.channels, SIZE, SIZE), macs, seconds=seconds)
    return teacher, student


def speeds_table(speeds: dict[str, tuple[Speed, Speed]]) -> str:
    """Times of teacher and student, and how many times better the student is."""
    lines = ["| data | of | teacher | student | ratio |", "| --- | --- | ---: | ---: | ---: |"]
    for data, (t, s) in speeds.items():
        for name, its, ours in (
            ("ms for one image, median", t.latency_ms, s.latency_ms),
            ("ms for one image, 99 of 100", t.latency_p99_ms, s.latency_p99_ms),
        ):
            lines.append(f"| {data} | {name} | {its:.2f} | {ours:.2f} | {its / ours:.1f} × |")
        slow, fast = t.images_per_second, s.images_per_second
        lines.append(f"| {data} | images a second, {s.batch} at a time | {slow:,.0f} | {fast:,.0f} | {fast / slow:.1f} × |")
    return "\n".join(lines)


def machine() -> str:
    """This machine in words: `2 cores of an AMD EPYC, PyTorch 2.13`."""
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    model = named.group(1) if named else platform.processor() or platform.machine()
    article = "an" if model[:1].upper() in "AEIOU" else "a"
    return f"{os.cpu_count()} cores of {article} {model}, PyTorch {'.'.join(torch.__version__.split('.')[:2])}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--seconds", type=float, default=5.0, help="for latencies, and again for batches, of each data set")
    given = parser.parse_args()
    record = stamp(commit()) | {"machine": machine()}
    speeds = {row.data: speeds_of(row, given.seconds) for row in ROWS}
    for row in ROWS:
        for player, widths, speed in zip(("teacher", "student"), (TEACHER, row.student), speeds[row.data], strict=True):
            record[f"{row.data} {player}"] = {"widths": widths} | asdict(cost_of(widths, row.channels)) | asdict(speed)
    append(given.results / "compression.jsonl", [record])
    print("\n\n".join([counts_table(), ratios_table(), speeds_table(speeds)]))
    print(f"\nTimed on {record['machine']}, one thread, load {record['load']:.1f}.")


if __name__ == "__main__":
    main()
