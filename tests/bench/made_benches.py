"""Benches of the digits, as objects and as files."""

from novelette.bench.runs import Bench, Entry
from novelette.data.named import load_named

DIGITS = load_named("digits")
KNN = Entry(label="kNN", method="knn")
GAN = {"widths": "2", "latent": 8, "steps": 5}


def bench(*detectors, **changes):
    values = {"name": "b", "title": "B", "data": "digits", "classes": ("1", "3", "7"), "size": 32, "detectors": detectors or (KNN,)}
    return Bench(**(values | changes))


def write_bench(path, text=""):
    path.write_text(f'name = "b"\ntitle = "B"\ndata = "digits"\nclasses = ["3"]\n{text}\n[[detectors]]\nlabel = "kNN"\nmethod = "knn"\n')
    return path
