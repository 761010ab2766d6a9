"""What contrast does to PIAD's losses and features, and how much the filters' spreads differ: Figures 1 and 3 of the paper.

    python benchmarks/perceptual_figures.py PHOTOGRAPHS [--network mobilenet-0.25] [--layer block-5] [--at-most 1000]
        [--output docs/results] [--results results]

Figure 1: pictures against themselves moved by 5 pixels, both with the same contrast taken away; what is left of each loss. PHOTOGRAPHS at
64 px (the middle square), and pictures of CIFAR-10. Figure 3 on the right: what is left of the features' L1 norm; on the left:
spreads of a layer's filters over photographs (novelette/perceptual/tables.safetensors), of the network and of VGG-19's relu4_2, which needs
no weights. Writes perceptual-contrast and perceptual-spread as SVG and PNG, and a JSON line in results/perceptual-figures.jsonl.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from novelette.bench.figures import Line, Lines, draw
from novelette.bench.stamps import append, commit, stamp
from novelette.data.images import Preprocessing, as_tensor, load
from novelette.data.named import load_named
from novelette.data.sources import Source, SubsetSource, open_source
from novelette.files import write_whole
from novelette.methods.piad import Looking
from novelette.perceptual import Perceptual
from novelette.perceptual import load as load_network
from novelette.perceptual.difference import Loss
from novelette.perceptual.tables import filter_table

TAKEN = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of the contrast
MOVED = 5  # px
LOSSES: tuple[Loss, ...] = ("perceptual", "perceptual-l1", "relative-perceptual-l1")
Measure = Callable[[Tensor], Tensor]
NORMS = ("‖f‖₁", "‖f̃‖₁")
BINS = 30


def images(source: Source, size: int, at_most: int) -> Tensor:
    """Evenly chosen pictures of a source, (N, 3, size, size) in [-1, 1]."""
    preprocessing = Preprocessing.model_construct(size=size, channels=3, frame="crop", tiles=1, colour="refuse")
    chosen = np.linspace(0, len(source) - 1, min(at_most, len(source))).round().astype(int)
    return as_tensor(torch.from_numpy(load(SubsetSource(source, chosen), preprocessing).pixels[:, 0]))


def measures(net: Perceptual) -> dict[str, Measure]:
    """Images (N, C, H, W) to (N,): each loss against the same moved, and the L1 norms of f and f̃."""
    return {loss: partial(of_moved, Looking(loss, net)) for loss in LOSSES} | {
        name: partial(norm, see) for name, see in zip(NORMS, (net, net.normalized), strict=True)
    }


def of_moved(looking: Looking, x: Tensor) -> Tensor:
    return looking(x, x.roll(MOVED, 3)).flatten(1).mean(1)


def norm(see: Measure, x: Tensor) -> Tensor:
    return see(x).abs().flatten(1).mean(1)


@torch.inference_mode()
def left(x: Tensor, measure: Measure) -> list[list[float]]:
    """What is left of a measure where contrast is taken away, as a part of it at full contrast: three quartiles for each of TAKEN."""
    grey = x.mean((1, 2, 3), keepdim=True)
    values = [torch.cat([measure(part) for part in (grey + (1 - taken) * (x - grey)).split(100)]) for taken in TAKEN]
    return [(value / values[0]).quantile(torch.tensor([0.25, 0.5, 0.75])).tolist() for value in values]


def contrast_plot(found: dict[str, dict[str, list[list[float]]]]) -> Lines:
    panels = {}
    for title, by_measure in found.items():
        for names, what in ((LOSSES, "losses"), (NORMS, "features")):
            panels[f"{title}: {what}"] = [
                Line(name, TAKEN, [q[k] for q in by_measure[name]], list(by_measure).index(name), dashed=k != 1)
                for name in names
                for k in (1, 0, 2)
            ]
    alt = "What is left of three losses, and of the features' L1 norms, where contrast is taken away"
    return Lines("contrast", alt, panels, "contrast taken away", "part that is left", ("median", "quartiles"), shared=True)


def spread_plot(tables: dict[str, Tensor]) -> Lines:
    """Histograms of σ over its layer's mean."""
    panels = {}
    for i, (name, std) in enumerate(tables.items()):
        counts, edges = np.histogram(std / std.mean(), np.linspace(0, 3, BINS + 1))
        panels[name] = [Line(f"{len(std)} filters", np.repeat(edges, 2)[1:-1].tolist(), np.repeat(counts, 2).tolist(), i)]
    return Lines("spread", "Histograms of the filters' spreads over photographs", panels, "spread σ over the layer's mean σ", "filters")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs")
    parser.add_argument("--network", default="mobilenet-0.25")
    parser.add_argument("--layer", default="block-5")
    parser.add_argument("--at-most", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    record, named = stamp(commit()), load_named("cifar10")
    net, weights = load_network(given.network, given.layer, 32)
    cifar = images(named.source, 32, given.at_most)
    pictures = {"photographs, 64 px": images(open_source(given.photographs), 64, given.at_most), f"{named.title}, 32 px": cifar}
    found = {title: {name: left(x, measure) for name, measure in measures(net).items()} for title, x in pictures.items()}
    layers = {(given.network, given.layer): f"{given.network}, {given.layer}", ("vgg-19", "relu4_2"): "vgg-19, relu4_2"}
    tables = {title: filter_table(*layer)[1] for layer, title in layers.items()}
    for plot in (contrast_plot(found), spread_plot(tables)):
        for content, form in zip(draw(plot), ("svg", "png"), strict=True):
            write_whole(given.output / f"perceptual-{plot.name}.{form}", content)
    record |= {"perceptual": weights, "layer": given.layer, "pictures": {title: len(x) for title, x in pictures.items()}, "moved_px": MOVED}
    record |= {"contrast taken away": TAKEN, "quartiles left": found}
    record["spread over the mean, quantiles 0, 10, 50, 90 and 100 %"] = {
        title: (std / std.mean()).quantile(torch.tensor([0, 0.1, 0.5, 0.9, 1.0])).tolist() for title, std in tables.items()
    }
    append(given.results / "perceptual-figures.jsonl", [record])
    for title, by_measure in found.items():
        at = TAKEN.index(0.2), TAKEN.index(0.4)
        print(title, {name: [f"{1 - quartiles[k][1]:.1%}" for k in at] for name, quartiles in by_measure.items()})


if __name__ == "__main__":
    main()
