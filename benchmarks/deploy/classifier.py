"""A classifier of MNIST and its teacher: accuracy, size and speed, exported and served (KDGAN, section 4.1).

    python benchmarks/deploy/classifier.py [--fitted digits.clf | --pictures 100 [--SETTING VALUE ...]] [--seconds 5]
        [--results results] [-o docs/results]

Without --fitted KDGAN is fitted first, by `novelette classify fit` with what settings are given. Both are measured on the test images,
by torch and as bundles by onnxruntime, and a bundle of each is served in a process of its own, to one connection that asks again when it is
answered. Times are of one thread. A JSON line goes to results/deploy-classifier.jsonl, and its tables to a page.
"""

import argparse
import http.client
import io
import json
import statistics
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from load import record_of, serving
from PIL import Image

from novelette import runtime
from novelette.bench.cells import markdown
from novelette.bench.page import Made, write
from novelette.bench.sections import Section
from novelette.bench.stamps import append
from novelette.classify import evaluate, store
from novelette.classify.classifier import Classifier
from novelette.cli import main as novelette
from novelette.data.select import Labelled, Where, pictures_by_class
from novelette.info import ratios

WARM_UP = 20  # calls that are not counted
FIGURES = {  # by row of the page: how it is found in what is measured of a network, and written
    "accuracy on the test images, %": ("accuracy", lambda value: f"{100 * value:.2f}"),
    "parameters": ("params", lambda value: f"{value:,}"),
    "multiply-adds of an image": ("macs", lambda value: f"{value:,}"),
    "torch: ms for one image, median": ("torch_ms", lambda value: f"{value:.3f}"),
    "bundle on disk, MB": ("bundle_bytes", lambda value: f"{value / 1e6:.2f}"),
    "bundle: accuracy, %": ("bundle_accuracy", lambda value: f"{100 * value:.2f}"),
    "bundle: test images of another class than by torch": ("differ", lambda value: f"{value:,}"),
    "bundle: ms for one image, median": ("bundle_ms", lambda value: f"{value:.3f}"),
    "served: ms for one picture, median": ("served_ms", lambda value: f"{value:.2f}"),
    "served: requests a second, one connection": ("requests_per_second", lambda value: f"{value:,.0f}"),
}


def run(*argv: str | Path) -> None:
    """A command of novelette, which must succeed."""
    with redirect_stdout(io.StringIO()):
        status = novelette([str(arg) for arg in argv])
    if status:
        raise SystemExit(f"novelette {argv[0]} ended with status {status}")


def fitted(given: argparse.Namespace, settings: list[str], folder: Path) -> Path:
    """The classifier that is measured."""
    if given.fitted is not None:
        return Path(given.fitted)
    path = folder / "fitted.clf"
    run("classify", "fit", "kdgan", given.source, "-o", path, "--pictures", str(given.pictures), "--seed", str(given.seed), *settings)
    return path


def timed(call: Any, seconds: float) -> list[float]:
    """Milliseconds of calls, one after another, for so long."""
    for _ in range(WARM_UP):
        call()
    found, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        call()
        found.append(1000 * (time.perf_counter() - began))
    return found


def deployed(path: Path, labelled: Labelled, by_torch: np.ndarray, folder: Path, seconds: float) -> dict[str, Any]:
    """What a classifier is as a bundle and behind the server.   Args: by_torch: the class that it says each picture is of, by name."""
    bundle = folder / f"{path.name}.bundle"
    run("export", path, "-o", bundle)
    loaded = runtime.load(bundle, threads=1)
    says = np.array(loaded.predict(labelled.source).label)
    picture = np.zeros((1, loaded.preprocessing.size, loaded.preprocessing.size, loaded.preprocessing.channels), np.uint8)
    single = timed(lambda: loaded.run(picture), seconds)
    png = io.BytesIO()
    Image.fromarray(picture[0].squeeze()).save(png, "PNG")
    with serving(bundle, "--threads", "1") as (_, address):
        connection = http.client.HTTPConnection(address.removeprefix("http://"))

        def asked() -> None:
            connection.request("POST", "/v1/score", png.getvalue(), {"Content-Type": "image/png"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise SystemExit(f"the server answered {answer.status}")

        requests = timed(asked, seconds)
        connection.close()
    return {
        "bundle_bytes": sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file()),
        "bundle_accuracy": float((says == np.array(labelled.names)[labelled.classes]).mean()),
        "differ": int((says != by_torch).sum()),
        "bundle_ms": statistics.median(single),
        "served_ms": statistics.median(requests),
        "requests_per_second": 1000 / statistics.mean(requests),
    }


def measured(path: Path, source: str, folder: Path, seconds: float) -> dict[str, dict[str, Any]]:
    """All of a classifier, and of the teacher beside it.   Raises: SystemExit where there is none."""
    classifier, labelled = store.load(path), pictures_by_class(source, Where(), test=True)
    teacher = store.teacher_of(path)
    if teacher is None:
        raise SystemExit(f"{path} has no teacher beside it")
    found: dict[str, dict[str, Any]] = {}
    networks: dict[str, tuple[Path, Classifier]] = {"classifier": (path, classifier), "teacher": (store.beside(path), teacher)}
    costs = evaluate.costs([classifier, teacher])
    for (who, (where, network)), cost in zip(networks.items(), costs, strict=True):
        says = np.array(network.classes)[network.read(labelled.source).probability.argmax(1)]
        own = {"player": network.player, "accuracy": float((says == np.array(labelled.names)[labelled.classes]).mean())}
        own |= {"params": cost["params"], "macs": cost["macs"], "torch_ms": cost["speed"]["latency_ms"]}
        found[who] = own | deployed(where, labelled, says, folder, seconds)
    return found


def page(record: dict[str, Any]) -> Made:
    """The page of a record."""
    own, teacher = record["classifier"], record["teacher"]
    rows = [[name, words(own[key]), words(teacher[key])] for name, (key, words) in FIGURES.items()]
    times = ratios(own, teacher)
    text = (
        f"A classifier (`{own['player']}`) by `{record['method']}` of {record['data']} from {record['pictures']:,} labelled pictures, and "
        f"its teacher (`{teacher['player']}`), which has {times['params']:.2f} times its parameters and {times['macs']:.1f} times its "
        "multiply-adds. [What the names mean](../classify.md)."
    )
    origin = (
        f"## Where these figures come from\n\n`{record['command']}`, a record in `results/deploy-classifier.jsonl`, commit "
        f"{record['commit']}, {record['cores']} cores, load {record['load']:.1f}, onnxruntime {record['onnxruntime']}. Times are of one "
        "thread."
    )
    table = markdown(["", "classifier", "teacher"], rows)
    return Made("classifier-sizes", "A classifier and its teacher: accuracy, size, speed", text, [("", [Section("Both", table)])], origin)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fitted", type=Path, help="a classifier with its teacher beside it")
    parser.add_argument("--source", default="mnist", help="whose training images it is fitted on, and whose test images it is measured on")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5, help="for each latency")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results"))
    given, settings = parser.parse_known_args(argv)
    if given.fitted and settings:
        parser.error(f"{' '.join(settings)}: {given.fitted} is fitted, and takes no settings")
    with tempfile.TemporaryDirectory() as folder:
        path = fitted(given, settings, Path(folder))
        card = store.load(path).detector
        options = (
            [f"--fitted {given.fitted}"]
            if given.fitted
            else [f"--source {given.source} --pictures {given.pictures} --seed {given.seed}", *settings]
        )
        title = pictures_by_class(given.source, Where(), test=True).title
        record = record_of(command=" ".join(["python benchmarks/deploy/classifier.py", *options]), data=title)
        record |= {"method": card.method, "pictures": card.provenance["n_training"], "config": card.config.model_dump(mode="json")}
        record |= measured(path, given.source, Path(folder), given.seconds)
    append(given.results / "deploy-classifier.jsonl", [record])
    print(json.dumps(record, indent=1))
    for made in write(page(record), given.output):
        print(made)


if __name__ == "__main__":
    main()
