"""Small EDE-GANs and pictures for them."""

import torch

from novelette.methods.ede_gan import Config, Generator, Scorer, fit
from novelette.nets import draw_weights
from novelette.training import Run, generators

CPU = torch.device("cpu")


def tiny(**changes):
    return Config(**({"widths": (2,), "latent": 6, "steps": 20, "batch_size": 4} | changes))


def pictures(n=12, channels=1, seed=0):
    return torch.randint(0, 256, (n, channels, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def untrained(config, channels=1, seed=0):
    net = Generator(config, channels, 32)
    draw_weights(net, generators([seed], 0))
    return Scorer(config, net, {})


def trained(config, seed=0, images=None):
    return fit(pictures() if images is None else images, config, seed=seed, device=CPU, run=Run())


def same_weights(a, b):
    return all(torch.equal(value, b.state()[name]) for name, value in a.state().items())
