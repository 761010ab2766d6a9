"""EDE-GANs of a few steps, pictures, and students that they teach through the structures."""

import torch

from novelette.distill.progressive import Config, distil
from novelette.methods import ede_gan
from novelette.training import Run

CPU = torch.device("cpu")
TEACHER = ede_gan.Config(widths=(4,), latent=6, steps=5, batch_size=4)


def tiny(**changes):
    return Config(**({"widths": (2,), "steps": 6, "batch_size": 4} | changes))


def pictures(n=12, seed=0):
    return torch.randint(0, 256, (n, 1, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def fitted(seed=0, images=None, **changes):
    config = TEACHER.model_copy(update=changes)
    return ede_gan.fit(pictures() if images is None else images, config, seed=seed, device=CPU, run=Run())


def taught(teacher, config, run=None, seed=0, images=None):
    images = pictures() if images is None else images
    return distil(teacher, images, config, seed=seed, device=CPU, run=Run() if run is None else run)


def same_weights(a, b):
    return a.state().keys() == b.state().keys() and all(torch.equal(value, b.state()[name]) for name, value in a.state().items())
