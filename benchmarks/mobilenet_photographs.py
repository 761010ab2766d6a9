"""Does the complete MobileNet v1 0.25 see what people wrote under photographs? A check of its weights, its padding and its input.

    python benchmarks/mobilenet_photographs.py PHOTOGRAPHS CAPTIONS [--results results]

CAPTIONS: lines of file name, caption number, caption, parted by tabs. A word's classes are ImageNet's, by number. A photograph is of a word
when two captions of it or more have the word, and not of it when none has. One JSON line goes to results/mobilenet-photographs.jsonl.
"""

import argparse
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from novelette.bench.cells import markdown
from novelette.bench.stamps import append, commit, stamp
from novelette.data.images import Preprocessing, as_tensor, load
from novelette.data.sources import FolderSource
from novelette.metrics import auroc
from novelette.perceptual import Perceptual
from novelette.perceptual.weights import PUBLIC, found, load_weights, read

NAME = "mobilenet-0.25"
WORDS = {  # what captions say: ImageNet's numbers
    "dog": range(151, 269),
    "bike|bikes|bicycle|bicycles": (444, 671),
    "snow|snowy": (537, 795, 802, 970),
    "ball|soccer|football|basketball|baseball|tennis": (429, 430, 560, 722, 768, 805, 852, 890),
    "beach|ocean|sea|shore": (975, 977, 978),
    "mountain|mountains|cliff": (970, 972),
}


def probabilities(files: list[str], folder: Path) -> np.ndarray:
    """Of ImageNet's classes, (N, 1000): global average, `conv_preds`, softmax."""
    net = Perceptual(NAME, "block-13").eval()
    net.layers.load_state_dict(load_weights(NAME, "block-13").state)
    path = found(NAME)
    if path is None:
        raise SystemExit(f"the weights of {PUBLIC[NAME].title} are in no data root")
    arrays = read(path)
    head, bias = torch.from_numpy(arrays["conv_preds/kernel"][0, 0].copy()), torch.from_numpy(arrays["conv_preds/bias"].copy())
    preprocessing = Preprocessing.model_construct(size=224, channels=3, frame="crop", tiles=1, colour="refuse")
    pixels = torch.from_numpy(load(FolderSource(folder, files), preprocessing).pixels[:, 0])
    with torch.inference_mode():
        return torch.cat([(net(as_tensor(part)).mean((2, 3)) @ head + bias).softmax(1) for part in pixels.split(25)]).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--results", type=Path, default=Path("results"))
    given = parser.parse_args()
    record = stamp(commit())
    captions: dict[str, list[str]] = defaultdict(list)
    for line in given.captions.read_text(encoding="utf-8").splitlines():
        file, _, caption = line.split("\t")
        if (given.photographs / file).is_file():
            captions[file].append(caption.lower())
    files = sorted(captions)
    p = probabilities(files, given.photographs)
    top5 = np.argsort(-p, 1)[:, :5]
    rows = {}
    for words, classes in WORDS.items():
        count = np.array([sum(bool(re.search(rf"\b({words})\b", caption)) for caption in captions[file]) for file in files])
        has, hasnt = count >= 2, count == 0
        hit, known = np.isin(top5, list(classes)).any(1), has | hasnt
        area = auroc(p[known][:, list(classes)].sum(1), has[known].astype(int))
        rows[words] = {"photographs": int(has.sum()), "hit": float(hit[has].mean()), "hit without": float(hit[hasnt].mean()), "auroc": area}
    lines = [
        [words.replace("|", ", "), str(row["photographs"]), f"{row['hit']:.0%}", f"{row['hit without']:.1%}", f"{row['auroc']:.3f}"]
        for words, row in rows.items()
    ]
    heads = ["captions say", "photographs", "one of the five likeliest classes", "without the word", "AUROC of their probability"]
    print(f"{len(files):,} photographs\n\n{markdown(heads, lines)}")
    record |= {"perceptual": PUBLIC[NAME].title, "photographs": len(files), "words": rows}
    append(given.results / "mobilenet-photographs.jsonl", [record])


if __name__ == "__main__":
    main()
