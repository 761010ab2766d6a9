"""The mean and the spread of each filter of perceptual networks over a folder of photographs, as novelette/perceptual/tables.safetensors.

    python benchmarks/perceptual_tables.py PHOTOGRAPHS -o tables.safetensors [--networks mobilenet-0.25 mobilenet-1.0] [--weights FILE]

Every layer of a network, on the middle square of every photograph at 224 px, the size that the networks were trained at. Tables that
stand in the file already and are not computed anew stay. The package's own are of 1,000 photographs of Flickr8k for the MobileNets; for
VGG-19 it has the ones that PIAD's authors measured on ImageNet (`--vgg FILE`: their dict of layers, such as r42 for relu4_2). A file of
one's own, say of weights of one's own (`--weights`), goes to `novelette fit piad --filter-table`.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from novelette.data.images import Preprocessing, as_tensor, stream
from novelette.data.sources import open_source
from novelette.perceptual import NETWORKS, Perceptual
from novelette.perceptual.tables import Statistics
from novelette.perceptual.weights import load_weights
from novelette.progress import progress

SIZE_PX = 224


def images(folder: str, name: str) -> Iterator[Tensor]:
    """Photographs (n, 3, 224, 224) in [-1, 1], in parts."""
    preprocessing = Preprocessing.model_construct(size=SIZE_PX, channels=3, frame="crop", tiles=1, colour="refuse")
    source, unreadable = open_source(folder), {}
    with progress(name, len(source), shown=True) as show:
        for chunk in stream(source, preprocessing, unreadable=unreadable, progress=show):
            yield from (as_tensor(part) for part in torch.from_numpy(chunk.pixels[:, 0]).split(25))


def tables(name: str, folder: str, weights: str = "") -> dict[str, Tensor]:
    """μ and σ of every layer of a network, in one pass through its deepest."""
    network = NETWORKS[name]
    deepest = network.names[-1]
    made = Perceptual(name, deepest).eval()
    made.layers.load_state_dict(load_weights(name, deepest, weights).state)
    statistics = {layer: Statistics() for layer in network.names}

    def note(layer: str, module: Any, inputs: Any, out: Tensor) -> None:
        statistics[layer].add(out)

    for layer in network.names:
        made.layers[len(network.layers(layer)) - 1].register_forward_hook(partial(note, layer))
    with torch.inference_mode():
        for part in images(folder, name):
            made(part)
    return {
        f"{name}/{layer}/{which}": values
        for layer, gathered in statistics.items()
        for which, values in zip(("mean", "std"), gathered.table(), strict=True)
    }


def of_authors(path: Path) -> dict[str, Tensor]:
    """VGG-19's, from the file of PIAD's authors."""
    table = torch.load(path, weights_only=True)
    return {
        f"vgg-19/{layer}/{which}": values.flatten().float().clone()
        for layer in NETWORKS["vgg-19"].names
        for which, values in zip(("mean", "std"), table["r" + layer[4:].replace("_", "")], strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--networks", nargs="*", default=[], choices=NETWORKS)
    parser.add_argument("--weights", default="", help="of the one network that is named")
    parser.add_argument("--vgg", type=Path)
    given = parser.parse_args()
    found = load_file(given.output) if given.output.exists() else {}
    for name in given.networks:
        found |= tables(name, given.photographs, given.weights)
    found |= of_authors(given.vgg) if given.vgg else {}
    save_file(dict(sorted(found.items())), given.output)
    print(f"{given.output}: {', '.join(sorted({key.split('/')[0] for key in found}))}")


if __name__ == "__main__":
    main()
