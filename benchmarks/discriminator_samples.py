"""What generators make, side by side: the technical report's Figures A.7 and A.5, by the settings of report-discriminators.toml.

    python benchmarks/discriminator_samples.py [--output docs/results] [--seed 0] [--data-root DIR]

discriminator-samples.png: an autoencoder's decoder, a GAN, a GAN with an autoencoder, and one initialized by it. Upper row of each: made
from random latents; lower row: reconstructions of test images. discriminator-architectures.png: two rows of made pictures, by a GAN whose
discriminator is convolutional and by one whose is residual, with fours held out and with eights.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from novelette.bench.engine import prepared
from novelette.bench.runs import read_bench
from novelette.data.images import as_tensor
from novelette.data.named import load_named
from novelette.data.protocol import leave_one_out
from novelette.fitting import configured
from novelette.methods.discriminator import Game, play
from novelette.training import Run

SHOWN, SCALE, GAP, HEADING = 8, 2, 12, 18  # pictures a row; px
ROWS = ("GAN", "GAN with an AE", "GAN, initialized by an AE")
ARCHITECTURES = ("GAN", "GAN, residual")
BENCH = Path(__file__).with_name("report-discriminators.toml")


def configs() -> dict[str, Any]:
    """The bench's rows by label, and an autoencoder alone: as many updates, and one of a game that leaves it as it is."""
    given = {entry.label: entry.config for entry in read_bench(BENCH).detectors}
    alone = given["GAN, initialized by an AE"] | {"autoencoder_steps": 750, "steps": 1, "learning_rate": 5e-4}
    return {label: configured("discriminator", row) for label, row in {"autoencoder": alone, **given}.items()}


def strip(x: torch.Tensor) -> np.ndarray:
    """Images (n, 1, S, S) in [-1, 1] beside each other, uint8 (S, n S)."""
    grey = ((x + 1) * 127.5).round().clamp(0, 255).byte()
    return grey[:, 0].permute(1, 0, 2).reshape(x.shape[2], -1).numpy()


@torch.no_grad()
def made(game: Game, rows: int) -> list[np.ndarray]:
    """Rows of pictures from random latents."""
    z = torch.randn(rows * SHOWN, game.config.latent, generator=torch.Generator().manual_seed(0))
    return [strip(x) for x in game.net.generate(z).split(SHOWN)]


def save(panels: dict[str, list[np.ndarray]], path: Path) -> None:
    """Panels two by two, each its title above its strips."""
    height, width = np.concatenate(next(iter(panels.values()))).shape
    page = Image.new("L", (2 * (SCALE * width + GAP) - GAP, 2 * (SCALE * height + HEADING + GAP) - GAP), 255)
    for i, (label, strips) in enumerate(panels.items()):
        left, top = i % 2 * (SCALE * width + GAP), i // 2 * (SCALE * height + HEADING + GAP)
        ImageDraw.Draw(page).text((left, top + 3), label, fill=0)
        drawn = Image.fromarray(np.concatenate(strips))
        page.paste(drawn.resize((SCALE * width, SCALE * height), Image.Resampling.NEAREST), (left, top + HEADING))
    page.save(path)
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/results"), help="the folder of both pictures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    named, rows = load_named("mnist", data_roots=given.data_root), configs()
    pixels = prepared(named, 32)
    splits = {digit: leave_one_out(named.labels, named.is_train, digit) for digit in (4, 8)}
    x = as_tensor(pixels[splits[4].test[:SHOWN]])

    def played(label: str, held_out: int) -> Game:
        run, images = Run(), torch.from_numpy(pixels[splits[held_out].train])
        game = play(images, rows[label], seed=given.seed, device=torch.device("cpu"), run=run)
        print(label, held_out, run.history[-1], run.notes, flush=True)
        return game

    games = {label: played(label, 4) for label in ("autoencoder", *ROWS)}
    with torch.no_grad():
        save({n: [*made(g, 1), strip(g.net(x))] for n, g in games.items()}, given.output / "discriminator-samples.png")
    kinds = {f"{label}, {name} held out": played(label, d) for d, name in ((4, "fours"), (8, "eights")) for label in ARCHITECTURES}
    save({n: made(g, 2) for n, g in kinds.items()}, given.output / "discriminator-architectures.png")


if __name__ == "__main__":
    main()
