"""Do gradient-normalizing weights make PIAD's two losses pull alike? A run of Table 1 on one class of CIFAR-10, measured as it goes.

    python benchmarks/piad_gamma.py [--normal automobile] [--steps 2500] [--every 20] [--smoothing 0.3] [--history 5]
        [--data-root DIR] [--results results]

Every twenty steps, on pictures that γ has not been measured on: the gradients' norms, layer by layer, and how many times larger the
adversarial ones are than γ times those of the reconstruction. The mean over layers should be 1; so should that of whole networks, if no
layer is far larger than the others. One JSON line goes to results/piad-gamma.jsonl: each measurement, and the means over the second half.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from novelette.batches import batches
from novelette.bench.engine import prepared
from novelette.bench.stamps import append, commit, stamp
from novelette.data.named import class_index, load_named
from novelette.methods.piad import Config, Looking, Piad
from novelette.perceptual import load

CPU = torch.device("cpu")
EVERY = 20


def measured(made: Piad, x: Tensor) -> dict[str, dict[str, float]]:
    """Of images (B, C, S, S), by network: γ, and the ratio of gradients over layers, its mean and quartiles, and of the whole network."""
    _, _, l_rec, l_adv = made.losses(x)
    norms, found = made.gradient_norms(l_rec, l_adv), {}
    for name in ("e", "g"):
        adv, rec, gamma = norms[f"adv_{name}"], norms[f"rec_{name}"], made.gamma(name)
        ratio = adv / (gamma * rec)
        whole = adv.square().sum().sqrt() / (gamma * rec.square().sum().sqrt())
        low, high = ratio.quantile(torch.tensor([0.25, 0.75])).tolist()
        values = {"gamma": gamma, "over layers": float(ratio.mean()), "low": low, "high": high, "whole network": float(whole)}
        found[name] = {key: round(value, 4) for key, value in values.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--normal", default="automobile")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--every", type=int, default=EVERY, help="steps between two measurements that γ is made of")
    parser.add_argument("--smoothing", type=float, default=0.3)
    parser.add_argument("--history", type=int, default=5)
    parser.add_argument("--data-root", type=Path, action="append", default=[])
    parser.add_argument("--results", type=Path, default=Path("results"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    config = Config(steps=given.steps, balance_every=given.every, smoothing=given.smoothing, history=given.history)
    record, named = stamp(commit()), load_named("cifar10", data_roots=given.data_root)
    normal = named.is_train & (named.labels == class_index(named, given.normal))
    images = torch.from_numpy(prepared(named, 32)[normal])
    seen, weights = load(config.network, config.layer, 32)
    made = Piad(config, 3, 32, CPU, Looking(config.loss, seen).requires_grad_(False))
    made.draw(0)
    of_training, others = (batches([images], config.batch_size, [seed], CPU) for seed in (0, 1))
    measurements = []
    for step in range(given.steps):
        torch.manual_seed(step)
        for t in range(2):
            made.descend_d(of_training[3 * step + t][:, 0])
        made.descend_eg(of_training[3 * step + 2][:, 0], step)
        if step % EVERY == EVERY - 1:
            measurements.append({"step": step + 1} | measured(made, others[step][:, 0]))
            print(measurements[-1], flush=True)
    later = measurements[len(measurements) // 2 :]
    means = {net: {key: round(float(np.mean([m[net][key] for m in later])), 3) for key in later[0][net]} for net in ("e", "g")}
    record |= {"data": named.title, "normal": given.normal, "perceptual": weights, "config": config.model_dump(mode="json")}
    record |= {"means over the second half": means, "measurements": measurements}
    append(given.results / "piad-gamma.jsonl", [record])
    print(json.dumps(means, indent=1))


if __name__ == "__main__":
    main()
