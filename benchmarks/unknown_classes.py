"""What a classifier says of a class that it was never shown: how much of it is called unknown, at a stated rate on known ones.

    python benchmarks/unknown_classes.py [--method kdgan] [--SETTING VALUE ...] [--novel 0 1 ...] [--each 125] [--data mnist] [--seed 0]
        [--data-root DIR] [--results results] [--output docs/results/unknown-classes]

For each class left out a classifier is fitted, as by `novelette classify fit METHOD`, on a folder with so many training images of each
other class, of which a fifth is held out for its threshold; and measured on 100 test images of each, the one left out in the folder
`unknown`. Beside it stands plain kNN on the same folder. A JSON line a class goes to results/unknown-classes.jsonl, and all to the page.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import novelette
from novelette import metrics
from novelette.bench.cells import bold, markdown, mean, number
from novelette.bench.origins import each
from novelette.bench.stamps import append, commit, read, stamp
from novelette.classify import store
from novelette.classify.evaluate import evaluate
from novelette.cli import main as novelette_command
from novelette.data.named import NamedSet, class_index, load_named
from novelette.data.select import UNKNOWN, Where, pictures_by_class
from novelette.files import write_whole
from novelette.methods.certainty import entropy

TESTED = 100  # test images of a class
HEAD = """# What a classifier says of a class that it was never shown

A classifier calls unknown what it is less certain of than all but 5 % of held-out pictures of its classes
([how](../classify.md#unknown-classes)). AUROC is of the class left out among test images of the known ones: by the uncertainty under
dropout, by that of the plain prediction, and by plain kNN on the same pictures, whose classes it does not know."""
FIGURES = {
    "accuracy": "accuracy on known classes",
    "auroc": "AUROC, under dropout",
    "auroc_plain": "without",
    "auroc_knn": "kNN",
    "alarms": "called unknown: of known",
    "caught": "of the class left out",
    "alarms_knn": "kNN: of known",
    "caught_knn": "of the class left out",
}


def spread_out(named: NamedSet, novel: int, each: int, folder: Path) -> tuple[Path, Path]:
    """The folders to fit on and to measure on, a subfolder a class."""
    fitting, testing = folder / "known", folder / "test"
    for k, name in enumerate(named.classes):
        own = named.labels == k
        if k != novel:
            write(named, np.flatnonzero(own & named.is_train)[:each], fitting / name)
        write(named, np.flatnonzero(own & ~named.is_train)[:TESTED], testing / (UNKNOWN if k == novel else name))
    return fitting, testing


def write(named: NamedSet, which: NDArray[np.int64], folder: Path) -> None:
    """Pictures of a named set as files."""
    folder.mkdir(parents=True)
    for i in which:
        Image.fromarray(named.source.read(int(i))).save(folder / f"{i}.png")


def measured(path: Path, fitting: Path, testing: Path) -> dict[str, Any]:
    """The figures of one classifier, and of kNN on the same pictures."""
    classifier, labelled = store.load(path), pictures_by_class(testing, Where(), test=True)
    found = evaluate(classifier, None, labelled)
    alarms, caught = found.rates()
    unsure = entropy(torch.from_numpy(classifier.read(labelled.source).probability)).numpy()
    knn = novelette.fit("knn", fitting).predict(testing)
    assert knn.novel is not None
    figures = {
        "accuracy": found.accuracy,
        "auroc": found.unknown_auroc(),
        "auroc_plain": metrics.auroc(unsure, ~found.known),
        "auroc_knn": metrics.auroc(knn.score, ~found.known),
        "alarms": alarms,
        "caught": caught,
        "alarms_knn": knn.novel[found.known].mean(),
        "caught_knn": knn.novel[~found.known].mean(),
    }
    return {name: None if value is None else round(float(value), 4) for name, value in figures.items()}


def page(records: list[dict[str, Any]]) -> str:
    """A table a command, a row a class left out."""
    parts = []
    for made_by in dict.fromkeys(record["command"] for record in records):
        own = [record for record in records if record["command"] == made_by]
        rows = [[r["novel"], *(number(r["figures"][name]) for name in FIGURES)] for r in own]
        means = [mean([r["figures"][name] for r in own if r["figures"][name] is not None]) for name in FIGURES]
        rows.append([bold(f"mean of {len(own)}"), *(bold(number(value)) for value in means)])
        first = own[0]
        parts.append(
            f"## {first['method']}, {first['each']} pictures of each known class of {first['data']}\n\n"
            f"{markdown(['left out', *FIGURES.values()], rows)}\n\n"
            f"Made by `{made_by}`, records in `results/unknown-classes.jsonl`; commits {each(own, 'commit')}."
        )
    return "\n\n".join([HEAD, *parts]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="kdgan")
    parser.add_argument("--novel", nargs="*", help="the classes left out, one after another; all by default")
    parser.add_argument("--each", type=int, default=125, help="pictures of a known class, of which a fifth is held out")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--output", type=Path, default=Path("docs/results/unknown-classes"))
    given, settings = parser.parse_known_args()
    torch.set_num_threads(1)
    began_at, named, lines = commit(), load_named(given.data, data_roots=given.data_root), given.results / "unknown-classes.jsonl"
    asked = [f"--method {given.method}", *settings, f"--each {given.each} --data {given.data} --seed {given.seed}"]
    about = {"command": " ".join(["python benchmarks/unknown_classes.py", *asked]), "data": named.title}
    about |= {"method": given.method, "each": given.each, "seed": given.seed}
    for name in named.classes if given.novel is None else given.novel:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "fitted.clf"
            fitting, testing = spread_out(named, class_index(named, name), given.each, Path(folder))
            argv = ["classify", "fit", given.method, fitting, "-o", path, "--seed", given.seed, *settings]
            if status := novelette_command([str(arg) for arg in argv]):
                raise SystemExit(status)
            record = stamp(began_at) | about | {"novel": name, "config": store.load(path).detector.config.model_dump(mode="json")}
            record["figures"] = measured(path, fitting, testing)
        append(lines, [record])
        print(json.dumps({"novel": name, **record["figures"]}), flush=True)
    last = {(line["command"], line["novel"]): line for line in read(lines)}
    write_whole(given.output.with_suffix(".md"), page(list(last.values())))


if __name__ == "__main__":
    main()
