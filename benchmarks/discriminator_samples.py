"""What generators make, side by side: an autoencoder's decoder, a GAN, a GAN with an autoencoder, and one initialized by it (Figure A.7).

    python benchmarks/discriminator_samples.py [--output docs/results/discriminator-samples.png] [--seed 0] [--data-root DIR]

The report's figure A.7, with the settings of benchmarks/report-discriminators.toml. Upper row of each: made from random latents;
lower row: reconstructions of test images.
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
from novelette.methods.discriminator import play
from novelette.training import Run

SHOWN, SCALE, GAP, HEADING = 8, 2, 12, 18  # pictures a row; px
ROWS = ("GAN", "GAN with an AE", "GAN, initialized by an AE")
BENCH = Path(__file__).with_name("report-discriminators.toml")


def configs() -> dict[str, Any]:
    """The bench's rows, and an autoencoder alone: as many updates, and one of a game that leaves it as it is."""
    given = {entry.label: entry.config for entry in read_bench(BENCH).detectors}
    alone = given["GAN, initialized by an AE"] | {"autoencoder_steps": 750, "steps": 1, "learning_rate": 5e-4}
    return {"autoencoder": configured("discriminator", alone)} | {row: configured("discriminator", given[row]) for row in ROWS}


def strip(x: torch.Tensor) -> np.ndarray:
    """Images (n, 1, S, S) in [-1, 1] beside each other, uint8 (S, n S)."""
    grey = ((x + 1) * 127.5).round().clamp(0, 255).byte()
    return grey[:, 0].permute(1, 0, 2).reshape(x.shape[2], -1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/results/discriminator-samples.png"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    named = load_named("mnist", data_roots=given.data_root)
    pixels = prepared(named, 32)
    split = leave_one_out(named.labels, named.is_train, 4)
    images, x = torch.from_numpy(pixels[split.train]), as_tensor(pixels[split.test[:SHOWN]])
    panels = []
    for label, config in configs().items():
        run = Run()
        game = play(images, config, seed=given.seed, device=torch.device("cpu"), run=run)
        z = torch.randn(SHOWN, config.latent, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            panels.append((label, np.concatenate([strip(game.net.generate(z)), strip(game.net(x))])))
        print(label, run.history[-1], run.notes, flush=True)
    height, width = panels[0][1].shape
    page = Image.new("L", (2 * (SCALE * width + GAP) - GAP, 2 * (SCALE * height + HEADING + GAP) - GAP), 255)
    for i, (label, panel) in enumerate(panels):
        left, top = i % 2 * (SCALE * width + GAP), i // 2 * (SCALE * height + HEADING + GAP)
        ImageDraw.Draw(page).text((left, top + 3), label, fill=0)
        page.paste(Image.fromarray(panel).resize((SCALE * width, SCALE * height), Image.Resampling.NEAREST), (left, top + HEADING))
    page.save(given.output)
    print(given.output)


if __name__ == "__main__":
    main()
