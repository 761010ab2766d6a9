"""KDGAN without its discriminator: the classifier learns from the teacher that reads, which stands still (DISTN's form).

It is a row of benchmarks/tags.py and no method of the toolkit: what is left of KDGAN when the game is taken away.
"""

import torch

from novelette.classify import distn
from novelette.classify.game import Turns, classification, moves, play
from novelette.classify.recipe import Phased
from novelette.settings import setting
from novelette.tags.examples import Examples
from novelette.tags.players import Scorer, Sights, classifier, kept, reader
from novelette.tags.recipe import Recipe
from novelette.training import Run

__all__ = ["PAPER", "Config", "Scorer", "fit"]

PAPER = distn.PAPER


class Config(Phased, Recipe, frozen=True, extra="forbid"):
    """KDGAN's schedule and readers, and what the classifier's loss is made of."""

    width: int = setting(256, "of the features of picture and text that the teacher multiplies", ge=1, le=4096)
    reading_rate: float = setting(1e-3, "Adam's step size of the teacher", gt=0, le=1)
    soft_weight: float = setting(1.0, "weight of the teacher's distribution; the tags have the rest", ge=0, le=1)


def fit(examples: Examples, config: Config, *, seed: int, device: torch.device, run: Run) -> Scorer:
    """Both by tags first, as KDGAN's are; then the classifier by (1 - w) cross-entropy + w KL(teacher || classifier).

    With w = 1 that is KDGAN's loss of the classifier, β L_DS, without α L_AD. KDGAN's teacher would learn from the classifier alone, by γ:
    here it stays as pretraining left it.
    """
    a, sights = config, Sights(examples, device, texts=True)
    c, t = classifier(examples, sights, a, seed), reader(examples, sights, a, seed, 1)
    turns = Turns(len(examples), a, seed)
    playing = {"c": c, "t": t}
    for step, (who, epoch, taken) in moves(run, playing, turns, forget=a.forget, seed=seed):
        i = torch.from_numpy(taken).to(sights.device)
        x, y = sights.at(epoch, i), sights.truth(i)
        if who == "all":
            l = {"c": classification(c(x), y), "t": classification(t(x), y)}
        else:
            l = {"c": distn.loss(c(x), t.still(sights, epoch, i), y, temperature=1.0, soft_weight=a.soft_weight, distance="kl")}
        play(playing, l, run, step)
    return kept(a, c)
