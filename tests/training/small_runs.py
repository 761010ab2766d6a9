"""Short runs of EDE-GAN, something that happens in the middle of one, and whether two ended alike."""

import torch

from novelette.methods import ede_gan

CPU = torch.device("cpu")
CONFIG = ede_gan.TINY.model_copy(update={"steps": 30})


def pictures(n=20, seed=0):
    return torch.randint(0, 256, (n, 1, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def fit(run, config=CONFIG, seed=3):
    return ede_gan.fit(pictures(), config, seed=seed, device=CPU, run=run)


def at_step(monkeypatch, step, act):
    """Do something in the middle of a step of EDE-GAN's loop."""
    original = ede_gan.set_learning_rate

    def wrapped(optimizer, peak, schedule, now, total):
        if now == step:
            act()
        original(optimizer, peak, schedule, now, total)

    monkeypatch.setattr(ede_gan, "set_learning_rate", wrapped)


def crash():
    raise KeyError("the power went out")


def same_state(a, b):
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


def same_weights(a, b):
    return same_state(a.state(), b.state())
