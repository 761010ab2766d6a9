"""What a second process gains, and what stacking gains: medians on this machine, one JSON line to results/fanout.jsonl.

    python benchmarks/fanout.py [--results results] [--steps 1000] [--classes 10] [--repeats 3]

Run it on an idle machine with two cores or more; with the defaults it takes about half an hour. Both grids are of scikit-learn's digits.

1. Students 2-4-8, one a class, of teachers that have been trained before: seconds of the whole command, its start among them, with --jobs 1
   and with --jobs 2, in fresh results folders.
2. Detectors 2-4-8, one a class, all as one stack and one by one, on the same single core: seconds of training a model, from the records.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from novelette.bench.stamps import append, commit, stamp

HEAD = 'name = "b"\ntitle = "B"\ndata = "digits"\nclasses = {classes}\n'
TEACHER = '[[detectors]]\nlabel = "T"\nmethod = "ede-gan"\nstack = 10\nconfig = {{ widths = "8-16-32", steps = 50 }}\n'
STUDENT = '[[students]]\nlabel = "S"\nteacher = "T"\nconfig = {{ widths = "2-4-8", steps = {steps} }}\n'
DETECTOR = '[[detectors]]\nlabel = "D"\nmethod = "ede-gan"\nstack = {stack}\nconfig = {{ widths = "2-4-8", steps = {steps} }}\n'


def bench(results: Path, text: str, *options: str) -> list[dict]:
    """Run a bench file's text. Returns: its records."""
    results.mkdir(parents=True, exist_ok=True)
    (results / "b.toml").write_text(text)
    words = [sys.executable, "-m", "novelette.cli", "bench", str(results / "b.toml"), "--results", str(results), *options]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return [json.loads(line) for line in (results / "b.jsonl").read_text().splitlines()]


def seconds_of_students(folder: Path, head: str, steps: int, jobs: int) -> float:
    """Wall time of a grid of students alone, in a copy of the folder where their teachers are."""
    results = folder / f"jobs-{jobs}"
    shutil.copytree(folder / "teachers", results)
    began = time.perf_counter()
    bench(results, head + TEACHER.format() + STUDENT.format(steps=steps), "--jobs", str(jobs))
    seconds = time.perf_counter() - began
    shutil.rmtree(results)
    return seconds


def seconds_a_model(folder: Path, head: str, steps: int, stack: int) -> float:
    """Mean time of training one detector, `stack` of them as one program."""
    records = bench(folder / "stacked", head + DETECTOR.format(steps=steps, stack=stack))
    shutil.rmtree(folder / "stacked")
    return statistics.mean(record["fit_seconds"] for record in records)


def measured(folder: Path, steps: int, classes: int, repeats: int) -> dict[str, float]:
    """Medians of `repeats` measurements of each kind, in turn, so that what else the machine does falls on all alike."""
    head = HEAD.format(classes=[str(i) for i in range(classes)])
    bench(folder / "teachers", head + TEACHER.format() + STUDENT.format(steps=1))  # students of another setting: they count for nothing
    one, two, stacked, alone = [], [], [], []
    for _ in range(repeats):
        one.append(seconds_of_students(folder, head, steps, 1))
        two.append(seconds_of_students(folder, head, steps, 2))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for _ in range(repeats):
        stacked.append(seconds_a_model(folder, head, steps, classes))
        alone.append(seconds_a_model(folder, head, steps, 1))
    times = {"students, 1 process s": one, "students, 2 processes s": two, "model in a stack s": stacked, "model alone s": alone}
    found = {name: round(statistics.median(values), 2) for name, values in times.items()}
    found["two processes are faster by"] = round(statistics.median(one) / statistics.median(two), 2)
    found["a stack is faster by"] = round(statistics.median(alone) / statistics.median(stacked), 2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--steps", type=int, default=1000, help="of a detector, and of each of a student's two steps")
    parser.add_argument("--classes", type=int, default=10, help="models of each grid, from 1 to 10")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    record = stamp(commit()) | {"steps": args.steps, "classes": args.classes, "repeats": args.repeats}
    with TemporaryDirectory() as folder:
        record |= measured(Path(folder), args.steps, args.classes, args.repeats)
    append(args.results / "fanout.jsonl", [record])
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
