"""CODIS: two classifiers of the same kind learn from labels and from each other. The first is kept."""

import torch
from torch import Tensor

from novelette.classify.game import Taught, Turns, classification, enter, moves, play
from novelette.classify.losses import distillation
from novelette.classify.pictures import Pictures
from novelette.classify.recipe import QUICK, Phased, Recipe
from novelette.settings import setting
from novelette.training import Run

PAPER = "Anil et al.: Large scale distributed neural network training through online distillation (ICLR 2018), Algorithm 1"


class Config(Phased, Recipe, frozen=True, extra="forbid"):
    """Pretraining is the paper's burn-in, in which the two do not listen to each other."""

    peer_weight: float = setting(1.0, "weight of the divergence from the other classifier's distribution", ge=0, le=1000)


TINY = Config(**QUICK)


def fit(images: Tensor, labels: Tensor, config: Config, *, classes: int, seed: int, device: torch.device, run: Run) -> Taught:
    """Train on images, uint8 (N, C, S, S), and labels, int64 (N,) below `classes`. The other classifier is what it calls the teacher.

    Deviation: the paper's peers have exchanged weights long ago, since that is cheap over a network; here they are as of the last step.
    """
    a, pictures, y_of = config, Pictures(images.to(device), config, seed), labels.to(device)
    c, peer = enter((a.classifier, a.classifier), images, classes, a, seed, device)
    turns = Turns(len(images), a, seed)
    playing = {"c": c, "peer": peer}
    for step, (who, epoch, taken) in moves(run, playing, turns, forget=a.forget, seed=seed):
        i = torch.from_numpy(taken).to(device)
        x, y = pictures.at(epoch, i), y_of[i]
        h, h_peer = c(x), peer(x)
        l = {"c": classification(h, y), "peer": classification(h_peer, y)}
        if who == "c":
            l["c"] = l["c"] + a.peer_weight * distillation(h, h_peer, "kl")
            l["peer"] = l["peer"] + a.peer_weight * distillation(h_peer, h, "kl")
        play(playing, l, run, step)
    return Taught(c.net.eval(), peer.net.eval())
