"""Bench files and records made up for the tests of pages, and the tables in the text of one."""

import json

from novelette.bench import page
from novelette.bench.found import find
from novelette.bench.runs import expand, read_bench
from novelette.data.named import outline

HEAD = 'name = "b"\ntitle = "B"\ndata = "mnist"\nclasses = ["0", "1"]\n'
KNN = '[[detectors]]\nlabel = "kNN"\nmethod = "knn"\n'
GAN = '[[detectors]]\nlabel = "GAN"\nmethod = "ede-gan"\n'
PAIR = (
    '[[detectors]]\nlabel = "T"\nmethod = "ede-gan"\nconfig = { widths = "64-128-256", steps = 1000 }\n'
    '[[students]]\nlabel = "S"\nteacher = "T"\nconfig = { widths = "2-4-8", steps = 500 }\n'
)
CURVE = [[20, 0.5], [40, 0.9], [60, 0.95], [80, 0.6], [90, 0.7], [100, 0.8]]


class Place:
    """A folder of bench files and one of records."""

    def __init__(self, root):
        self.root, self.benchmarks, self.results = root, root / "benchmarks", root / "results"
        self.benchmarks.mkdir()
        self.results.mkdir()

    def bench(self, text, name="b"):
        path = self.benchmarks / f"{name}.toml"
        path.write_text(text.replace('name = "b"', f'name = "{name}"'))
        return path

    def records(self, path, auroc, **more):
        """A record of each run for which `auroc` has (label, class, seed).   Args: more: a field, or a function of the run."""
        bench = read_bench(path)
        lines = []
        for run in expand(bench, outline(bench.data)):
            figure = auroc.get((run.entry.label, run.normal, run.seed))
            if figure is not None:
                lines.append(record(bench, run, figure) | {name: f(run) if callable(f) else f for name, f in more.items()})
        (self.results / f"{bench.name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return find(path, self.results)

    def argv(self, *words):
        return ["table", *words, "--benchmarks", str(self.benchmarks), "--results", str(self.results)]

    def text(self, name="b"):
        return page.text_of(page.make(name, self.benchmarks, self.results), figures=False)


def record(bench, run, auroc):
    said = {
        "key": run.key(bench, "MNIST"),
        "label": run.entry.label,
        "data": "MNIST",
        "protocol": bench.protocol,
        "normal": run.normal,
        "seed": run.seed,
        "method": run.method,
        "config": run.settings(),
        "size": bench.size,
        "device": "a CPU",
        "threads": 1,
        "load": 1.5,
        "commit": "abc1234",
        "versions": {"novelette": "0.1.0"},
        "created": f"2026-01-0{run.seed + 1}T12:00:00+00:00",
        "fit_seconds": 30.0,
        "stacked": 2,
        "split": {"train": 6000, "validation": 0, "test": 10000},
    }
    return said | ({"error": auroc} if isinstance(auroc, str) else {"auroc": auroc})


def rows(text):
    """The cells of every row of a text's tables."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("|")]
