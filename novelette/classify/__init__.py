"""KDGAN: a small classifier taught by a large one and a discriminator, and the methods that it is compared with.

A method has PAPER, Config, TINY and `fit(images, labels, config, *, classes, seed, device, run) -> Taught`.
"""

from types import ModuleType

from novelette.classify import codis, distn, kdgan, mimic, nagan, noisy, plain

METHODS: dict[str, ModuleType] = {
    "kdgan": kdgan,
    "nagan": nagan,
    "codis": codis,
    "distn": distn,
    "noisy": noisy,
    "mimic": mimic,
    "plain": plain,
}
