"""What a generator makes of pictures: originals above, reconstructions below, of PIAD or EDE-GAN (PIAD's Figures 4 and 5).

    python benchmarks/reconstructions.py SOURCE DETECTOR... [--normal CLASS] [--attribute NAME] [-o docs/results/NAME]
    python benchmarks/reconstructions.py --bench FILE --normal CLASS [--results results] [-o docs/results/NAME]
        [--show 10] [--seed 0] [--data-root DIR]

SOURCE is what `novelette evaluate` takes: a named set with --normal, of which the test pictures are shown, or a labelled folder. Of a bench
that keeps its weights every row is shown as it came out on one class and --seed. Two figures, as PNG and SVG: NAME-reconstructions, normal
and novel pictures drawn at random (Figure 4), and NAME-extremes, of all pictures those that score lowest and highest, with their scores,
bold where they are novel (Figure 5). Pictures are shown as the detector sees them, at its size.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context, rcdefaults, rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from novelette import store
from novelette.bench.engine import MODELS, Known, prepared, restored
from novelette.bench.figures import STYLE
from novelette.bench.runs import expand, read_bench
from novelette.data.images import as_tensor, load
from novelette.data.named import load_named
from novelette.data.protocol import is_novel
from novelette.data.select import Where, labelled_pictures
from novelette.methods import ede_gan, piad
from novelette.metrics import auroc

GAP = 2  # px between pictures


@dataclass(frozen=True)
class Shown:
    """A detector with pictures: uint8 (N, C, S, S), whether each is novel, and its score, (N,) each."""

    title: str
    scorer: Any
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]

    def drawn(self, show: int, seed: int) -> dict[str, NDArray[np.int64]]:
        """Pictures of either kind, drawn at random."""
        rng, kinds = np.random.default_rng(seed), {"normal": 0, "novel": 1}
        chosen = {name: rng.permutation(np.flatnonzero(self.labels == label))[:show] for name, label in kinds.items()}
        return {f"{self.title}: {name} pictures, drawn at random": np.sort(of) for name, of in chosen.items()}

    def extremes(self, show: int) -> dict[str, NDArray[np.int64]]:
        """Those that score lowest, and highest, both from the lowest up."""
        order = np.argsort(self.scores, kind="stable")
        title = f"{self.title}, AUROC {auroc(self.scores, self.labels):.3f}"
        return {f"{title}: the least novel": order[:show], f"{title}: the most novel": order[-show:]}


@torch.inference_mode()
def reconstructed(scorer: Any, x: Tensor) -> Tensor:
    """G(E(x)) of images (N, C, S, S), in [-1, 1]."""
    match scorer:
        case piad.Scorer():
            made = scorer.reconstructed(x)
        case ede_gan.Scorer():
            made = scorer.outputs(x)[0]
        case _:
            raise SystemExit("only detectors of piad and ede-gan make pictures: give one of these")
    return made.clamp(-1, 1)


def strip(above: NDArray[np.uint8], below: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two rows of images, (n, C, S, S) each, as one picture (H, W, 3), white between them."""
    n, _, size, _ = above.shape
    side = size + GAP
    out = np.full((2 * side - GAP, n * side - GAP, 3), 255, np.uint8)
    for row, images in enumerate((above, below)):
        for column, image in enumerate(images):
            out[row * side : row * side + size, column * side : column * side + size] = image.transpose(1, 2, 0)
    return out


def draw(path: Path, panels: Sequence[tuple[Shown, str, NDArray[np.int64]]], *, scored: bool) -> None:
    """A panel each, pictures above what is made of them.   Args: scored: with their scores below."""
    strips = []
    for shown, _, chosen in panels:
        x = torch.from_numpy(shown.pixels[chosen])
        made = ((reconstructed(shown.scorer, as_tensor(x)) + 1) * 127.5).round().to(torch.uint8)
        strips.append(strip(x.numpy(), made.numpy()))
    with rc_context():
        rcdefaults()
        rcParams.update(STYLE)
        figure = Figure(figsize=(7.2, 0.1 + sum(7.0 * s.shape[0] / s.shape[1] + 0.38 for s in strips)), layout="constrained")
        FigureCanvasAgg(figure)
        for axes, (shown, title, chosen), picture in zip(
            figure.subplots(len(strips), squeeze=False).flatten(), panels, strips, strict=True
        ):
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(title, loc="left")
            axes.grid(visible=False)
            side = (picture.shape[0] + GAP) / 2
            axes.set_yticks([])
            axes.set_xticks([side * (k + 0.5) - GAP for k in range(len(chosen))] if scored else [])
            axes.set_xticklabels([f"{shown.scores[i]:.3g}" for i in chosen] if scored else [], fontsize=6)
            for text, i in zip(axes.get_xticklabels(), chosen, strict=False):
                text.set_fontweight("bold" if shown.labels[i] else "normal")
            axes.tick_params(length=0, pad=2)
            for spine in axes.spines.values():
                spine.set_visible(False)
        figure.savefig(path.with_suffix(".png"), dpi=160, facecolor="white", metadata={"Software": None})
        figure.savefig(path.with_suffix(".svg"), facecolor="white", metadata={"Date": None, "Creator": None})
    print(f"{path}.png and .svg written")


def of_detectors(source: str, detectors: Sequence[Path], where: Where) -> Iterator[Shown]:
    """Detectors on the labelled pictures of a source."""
    selection = labelled_pictures(source, where)
    assert selection.labels is not None
    for path in detectors:
        detector = store.load(path)
        if detector.preprocessing.tiles > 1:
            raise SystemExit(f"{path}: a detector of tiles has no reconstruction of a whole picture")
        loaded = load(selection.source, detector.preprocessing)
        scores = detector.score_pixels(loaded.pixels)
        yield Shown(path.stem, detector.scorer, loaded.pixels[:, 0], selection.labels[loaded.indices], scores)


def of_bench(path: Path, results: Path, normal: str, seed: int, data_roots: tuple[Path, ...]) -> Iterator[Shown]:
    """The detectors of a bench on the test pictures of a class."""
    bench = read_bench(path)
    named = load_named(bench.data, data_roots=data_roots, attribute=bench.attribute)
    pixels, known = prepared(named, bench.size), Known(named.title, named.labels, named.is_train, named.groups, None, results / MODELS)
    for run in expand(bench, named):
        if (run.normal, run.seed, run.teacher) != (normal, seed, None):
            continue
        weights = known.models / run.weights_file(bench, known.title)
        if not weights.exists():
            raise SystemExit(f"{run.entry.label} on {normal} has left no weights: run the bench with keep = true")
        test = known.split(bench, run).test
        scorer = restored(run, weights, *pixels.shape[1:3])
        scores = torch.cat([scorer.score(as_tensor(part)) for part in torch.from_numpy(pixels[test]).split(500)])
        yield Shown(run.entry.label, scorer, pixels[test], is_novel(bench.protocol, named.labels, run.number)[test], scores.numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?")
    parser.add_argument("detectors", nargs="*", type=Path)
    parser.add_argument("--bench", type=Path)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--normal")
    parser.add_argument("--attribute")
    parser.add_argument("--show", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    if bool(given.bench) == bool(given.source) or bool(given.source) != bool(given.detectors) or (given.bench and not given.normal):
        parser.error("give SOURCE and at least one DETECTOR, or --bench and --normal")
    roots = tuple(given.data_root)
    if given.bench:
        all_shown = list(of_bench(given.bench, given.results, given.normal, given.seed, roots))
    else:
        all_shown = list(of_detectors(given.source, given.detectors, Where(given.normal, attribute=given.attribute, data_roots=roots)))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    name = given.output.name
    drawn = [(s, *group) for s in all_shown for group in s.drawn(given.show, given.seed).items()]
    draw(given.output.with_name(f"{name}-reconstructions"), drawn, scored=False)
    extremes = [(s, *group) for s in all_shown for group in s.extremes(given.show).items()]
    draw(given.output.with_name(f"{name}-extremes"), extremes, scored=True)


if __name__ == "__main__":
    main()
