"""The players of the tagging game: a classifier that sees pictures alone, a teacher and a discriminator that read as well.

What they are shown is one tensor (B, F + V), vectors of pictures beside bags of words, of which the classifier takes the first F columns.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from novelette.classify.game import Player
from novelette.errors import InputError
from novelette.tags.examples import Examples
from novelette.tags.recipe import Recipe
from novelette.tags.words import bags, known_words
from novelette.training import generators

DROPOUT = 0.5  # of what the last layer takes, in training, as in the authors' code
CHUNK = 4096  # pictures shown at a time where all are


class Standard(nn.Module):
    """Vectors less the training pictures' mean, over their standard deviation, each feature by itself."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, v: Tensor) -> Tensor:
        return (v - self.mean) / self.std


class Classifier(nn.Module):
    """h(x, y): a picture's vector to scores of the tags, by one dense layer or two; whatever stands beside the vector is not seen."""

    def __init__(self, standard: Standard, hidden: int, labels: int) -> None:
        super().__init__()
        self.standard, self.features = standard, len(standard.mean)
        self.first = nn.Sequential(nn.Linear(self.features, hidden), nn.ReLU()) if hidden else nn.Identity()
        self.last = nn.Linear(hidden or self.features, labels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F + V) or (B, F) to (B, K)."""
        out: Tensor = self.last(dropout(self.first(self.standard(x[:, : self.features])), DROPOUT, self.training))
        return out


class Reader(nn.Module):
    """s(x, y), f and g: a dense layer on the product of a picture's and a text's features, both of one width (section 4.2).

        s = W relu(u ⊙ t),   u = U v + a,   t = E m + b

    v is the picture's vector and m the text's bag of words, so that E m is √n times the mean of its n words' vectors, which are learned
    here, on the training texts. They start at 0 and b at 1: the picture is seen, until words have a meaning and where there are none.
    Deviation: the paper has an LSTM over word vectors from elsewhere; its authors' code has the mean of learned ones, as here.
    """

    def __init__(self, standard: Standard, words: int, width: int, labels: int) -> None:
        super().__init__()
        self.standard, self.features = standard, len(standard.mean)
        self.picture, self.text = nn.Linear(self.features, width), nn.Linear(words, width)
        nn.init.ones_(self.text.bias)
        nn.init.zeros_(self.text.weight)
        self.last = nn.Sequential(nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(width, labels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, F + V) to (B, K)."""
        v, m = x[:, : self.features], x[:, self.features :]
        out: Tensor = self.last(self.picture(self.standard(v)) * self.text(m))
        return out


class Sights:
    """Training pictures as players are shown them; `truth` draws one of a picture's own tags, each as likely as the others: that is p_u."""

    def __init__(self, examples: Examples, device: torch.device, *, texts: bool) -> None:
        shown = [examples.vectors]
        if texts:
            words = known_words(examples.texts)
            if not words:
                raise InputError("no two training pictures share a word of text, and a teacher needs text: fit plain or rexmp instead")
            shown.append(torch.from_numpy(bags(examples.texts, words)))
        self.x = torch.cat(shown, 1).to(device)
        self.words = self.x.shape[1] - examples.vectors.shape[1]
        self.p_u = examples.tags.to(device, torch.float32)

    @property
    def device(self) -> torch.device:
        return self.x.device

    def at(self, epoch: int, index: Tensor) -> Tensor:
        """Those of `index`, (B,), the same in every epoch: (B, F + V)."""
        return self.x[index]

    def all(self, epoch: int) -> list[Tensor]:
        """All of them, in order, in chunks."""
        return list(self.x.split(CHUNK))

    def truth(self, index: Tensor) -> Tensor:
        """A tag of each picture of `index`, (B,), by torch's generator."""
        return torch.multinomial(self.p_u[index], 1)[:, 0]


def classifier(examples: Examples, sights: Sights, a: Recipe, seed: int) -> Player:
    """The player that sees pictures, with initial weights that are functions of the seed."""
    return _player(lambda standard, labels: Classifier(standard, a.hidden, labels), examples, sights, a.learning_rate, (seed, 0))


class Reading(Protocol):
    """Settings of a player that reads."""

    @property
    def width(self) -> int: ...
    @property
    def reading_rate(self) -> float: ...


def reader(examples: Examples, sights: Sights, a: Reading, seed: int, place: int) -> Player:
    """A player that reads as well; teacher and discriminator have places of their own, from 1, and so other initial weights."""
    net = partial(Reader, words=sights.words, width=a.width)
    return _player(lambda standard, labels: net(standard, labels=labels), examples, sights, a.reading_rate, (seed, place))


def _player(
    make: Callable[[Standard, int], nn.Module], examples: Examples, sights: Sights, learning_rate: float, seed: tuple[int, int]
) -> Player:
    v = examples.vectors
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generators(seed[:1], *seed[1:])[0].initial_seed())
        net = make(Standard(v.mean(0), v.std(0).clamp(min=1e-6)), examples.tags.shape[1])
    return Player(net.to(sights.device), learning_rate)


class Scorer(nn.Module):
    """A classifier: all that is left of the game."""

    def __init__(self, config: Recipe, state: dict[str, Tensor]) -> None:
        super().__init__()
        standard = Standard(state["net.standard.mean"], state["net.standard.std"])
        self.net = Classifier(standard, config.hidden, len(state["net.last.bias"]))
        self.load_state_dict(state)
        self.eval()

    @torch.inference_mode()
    def scores(self, v: Tensor) -> Tensor:
        """Vectors (Q, F) to scores (Q, K)."""
        out: Tensor = self.net(v)
        return out


def kept(config: Recipe, c: Player) -> Scorer:
    """The classifier as a scorer."""
    return Scorer(config, {f"net.{name}": value for name, value in c.net.state_dict().items()})
