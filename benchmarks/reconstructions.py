"""What a generator makes of pictures: originals above, reconstructions below (PIAD's Figures 4 and 5), of a PIAD or EDE-GAN detector.

    python benchmarks/reconstructions.py DETECTOR SOURCE [--normal CLASS] [--attribute NAME] [--show 10] [--seed 0] [--data-root DIR]
        [-o docs/results/NAME]

SOURCE is what `novelette evaluate` takes: a named set with --normal, of which the test pictures are shown, or a labelled folder. Two
figures, as PNG and SVG: NAME-reconstructions, normal and novel pictures drawn at random (Figure 4), and NAME-extremes, those that score
lowest and highest of either kind, with their scores (Figure 5). Pictures are shown as the detector sees them, at its size.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib import rc_context, rcdefaults, rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from novelette import store
from novelette.bench.figures import STYLE
from novelette.data.images import as_tensor, load
from novelette.data.select import Where, labelled_pictures
from novelette.detector import Detector
from novelette.methods import ede_gan, piad

GAP = 2  # px between pictures
Group = tuple[str, NDArray[np.int64]]  # a title, and which pictures


@torch.inference_mode()
def reconstructed(detector: Detector, x: Tensor) -> Tensor:
    """G(E(x)) of images (N, C, S, S), in [-1, 1]."""
    match detector.scorer:
        case piad.Scorer():
            made: Tensor = detector.scorer.scoring.net(x)
        case ede_gan.Scorer():
            made = detector.scorer.outputs(x)[0]
        case _:
            raise SystemExit(f"{detector.method} makes no pictures: give a detector of piad or ede-gan")
    return made.clamp(-1, 1)


def drawn(labels: NDArray[np.int64], show: int, seed: int) -> list[Group]:
    """Pictures of either kind, drawn at random."""
    rng = np.random.default_rng(seed)
    kinds = [(name, np.flatnonzero(labels == label)) for label, name in enumerate(("normal", "novel"))]
    return [(f"{name} pictures, drawn at random", np.sort(rng.permutation(of)[:show])) for name, of in kinds]


def extremes(scores: NDArray[np.float32], labels: NDArray[np.int64], show: int) -> list[Group]:
    """Of either kind those that score lowest, and highest, both from the lowest up."""
    order = np.argsort(scores, kind="stable")
    normal, novel = order[labels[order] == 0], order[labels[order] == 1]
    groups = [("least novel of the normal", normal[:show]), ("most novel of the normal", normal[-show:])]
    return [*groups, ("least novel of the novel", novel[:show]), ("most novel of the novel", novel[-show:])]


def strip(above: NDArray[np.uint8], below: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two rows of images, (n, C, S, S) each, as one picture (H, W, 3), white between them."""
    n, _, size, _ = above.shape
    side = size + GAP
    out = np.full((2 * side - GAP, n * side - GAP, 3), 255, np.uint8)
    for row, images in enumerate((above, below)):
        for column, image in enumerate(images):
            out[row * side : row * side + size, column * side : column * side + size] = image.transpose(1, 2, 0)
    return out


def draw(path: Path, groups: Sequence[Group], pixels: NDArray[np.uint8], detector: Detector, scores: NDArray[np.float32] | None) -> None:
    """A panel a group."""
    strips = []
    for title, chosen in groups:
        x = torch.from_numpy(pixels[chosen])
        made = ((reconstructed(detector, as_tensor(x)) + 1) * 127.5).round().to(torch.uint8)
        strips.append((title, chosen, strip(x.numpy(), made.numpy())))
    with rc_context():
        rcdefaults()
        rcParams.update(STYLE)
        figure = Figure(figsize=(7.2, 0.1 + sum(7.0 * s.shape[0] / s.shape[1] + 0.38 for _, _, s in strips)), layout="constrained")
        FigureCanvasAgg(figure)
        for axes, (title, chosen, picture) in zip(figure.subplots(len(strips), squeeze=False).flatten(), strips, strict=True):
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(title, loc="left")
            axes.grid(visible=False)
            side = (picture.shape[0] + GAP) / 2
            axes.set_yticks([])
            axes.set_xticks([] if scores is None else [side * (k + 0.5) - GAP for k in range(len(chosen))])
            axes.set_xticklabels([] if scores is None else [f"{scores[i]:.3g}" for i in chosen], fontsize=6)
            axes.tick_params(length=0, pad=2)
            for spine in axes.spines.values():
                spine.set_visible(False)
        figure.savefig(path.with_suffix(".png"), dpi=160, facecolor="white", metadata={"Software": None})
        figure.savefig(path.with_suffix(".svg"), facecolor="white", metadata={"Date": None, "Creator": None})
    print(f"{path}.png and .svg written")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector", type=Path)
    parser.add_argument("source")
    parser.add_argument("--normal")
    parser.add_argument("--attribute")
    parser.add_argument("--show", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    detector = store.load(given.detector)
    if detector.preprocessing.tiles > 1:
        raise SystemExit("a detector of tiles has no reconstruction of a whole picture")
    where = Where(given.normal, attribute=given.attribute, data_roots=tuple(given.data_root))
    selection = labelled_pictures(given.source, where)
    assert selection.labels is not None
    loaded = load(selection.source, detector.preprocessing)
    labels, pixels = selection.labels[loaded.indices], loaded.pixels
    scores = detector.score_pixels(pixels)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    name = given.output.name
    draw(given.output.with_name(f"{name}-reconstructions"), drawn(labels, given.show, given.seed), pixels[:, 0], detector, None)
    draw(given.output.with_name(f"{name}-extremes"), extremes(scores, labels, given.show), pixels[:, 0], detector, scores)


if __name__ == "__main__":
    main()
