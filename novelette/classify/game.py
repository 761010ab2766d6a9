"""The players' moves and their order: what KDGAN and NaGAN have in common (Algorithm 1 of the KDGAN paper)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.optim import Adam

from novelette.checkpoint import HasState
from novelette.classify import players
from novelette.classify.concrete import Estimator, draw, log_q
from novelette.classify.losses import log_made, log_true
from novelette.classify.recipe import Recipe, Who
from novelette.training import Precision, Run, descend, precise


class Sights(Protocol):
    """What players are shown: training images, or what stands for them."""

    @property
    def device(self) -> torch.device: ...
    def at(self, epoch: int, index: Tensor) -> Tensor:
        """Those of `index`, (B,) int64, as they are in an epoch: (B, ...)."""

    def all(self, epoch: int) -> list[Tensor]:
        """All of them in an epoch, in order, in chunks."""


class Player:
    """A network with its optimizer, whose scores of every picture are kept while it stands still.

    With bfloat16 it multiplies in that; weights, scores and what Adam does stay float32.
    """

    def __init__(self, net: nn.Module, learning_rate: float, precision: Precision = "float32", epsilon: float = 1e-8) -> None:
        self.net = convert_conv2d_weight_memory_format(net, torch.channels_last).train()  # a fifth less time, and the same scores
        self.optimizer = Adam(net.parameters(), learning_rate, eps=epsilon, fused=True)
        self.precision = precision
        self._still: tuple[int, Tensor] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Scores (B, K) of what is shown, (B, ...), in training: with dropout, and a gradient."""
        return precise(self.net, x, precision=self.precision)

    def forget(self) -> None:
        """Adam begins anew."""
        self.optimizer.state.clear()

    def descend(self, l: Tensor) -> None:
        """A step down the mean of (B,) losses."""
        self._still = None
        descend(self.optimizer, l.mean())

    def still(self, sights: Sights, epoch: int, index: Tensor) -> Tensor:
        """Its scores of the pictures `index`, (B,), as they are in an epoch, without dropout and gradient: (B, K).

        Those of every picture are worked out once between two of its own moves.
        """
        if self._still is None or self._still[0] != epoch:
            self.net.eval()
            with torch.no_grad():
                self._still = epoch, torch.cat([self(x) for x in sights.all(epoch)])
            self.net.train()
        return self._still[1][index]


class Taught(NamedTuple):
    """What training leaves: networks from images (N, C, S, S) in [-1, 1] to scores (N, K), the teacher None where there is none."""

    classifier: nn.Module
    teacher: nn.Module | None


def enter(chosen: Sequence[players.Player], images: Tensor, classes: int, recipe: Recipe, seed: int, device: torch.device) -> list[Player]:
    """Players for uint8 images (N, C, S, S), with initial weights.   Raises: InputError for a size that a network does not take."""
    nets = players.initial(images, classes, chosen, divide_widths=recipe.divide_widths, subtract_mean=recipe.subtract_mean, seed=seed)
    return [Player(net.to(device), recipe.learning_rate, recipe.precision, recipe.epsilon) for net in nets]


def parts(playing: Mapping[str, Player]) -> dict[str, HasState]:
    """What a checkpoint holds of the players."""
    return {name: p.net for name, p in playing.items()} | {f"opt_{name}": p.optimizer for name, p in playing.items()}


def play(playing: Mapping[str, Player], losses: Mapping[str, Tensor], run: Run, step: int) -> None:
    """Each player down its own loss, (B,); then the log, and a snapshot of the classifier where the run wants them."""
    for name, l in losses.items():
        playing[name].descend(l)
    if run.wants_log(step):
        run.log(step, **{f"loss_{name}": l.detach() for name, l in losses.items()})
    if step + 1 in run.snapshot_steps:
        run.keep(
            step + 1, [{name: value.clone(memory_format=torch.contiguous_format) for name, value in playing["c"].net.state_dict().items()}]
        )


class Schedule(Protocol):
    """The settings that say how often who moves; `passes` is over the pictures in an epoch, of each player in turn."""

    @property
    def batch_size(self) -> int: ...
    @property
    def pretraining(self) -> int: ...
    @property
    def epochs(self) -> int: ...
    def passes(self) -> dict[Who, int]: ...


class Turn(NamedTuple):
    """Whose move a step is, in which epoch, and on which pictures.

    Attributes: who: `all` in pretraining.   epoch: counted through pretraining and game.   taken: indices of the pictures, (B,).
    """

    who: Who
    epoch: int
    taken: np.ndarray


class Turns:
    """The order of moves: pretraining of all at once, then in each epoch of the game so many passes of each (Alg. 1, l. 1-3, 7, 10).

    A pass takes every picture once, in an order that is a function of (seed, pass), but for those that fill no batch.
    """

    def __init__(self, n: int, recipe: Schedule, seed: int) -> None:
        self.n, self.batch_size, self.seed = n, min(recipe.batch_size, n), seed
        self.pretraining, self.epochs = recipe.pretraining, recipe.epochs
        self.round: list[Who] = [who for who, count in recipe.passes().items() for _ in range(count)]
        self.moves = n // self.batch_size  # in a pass

    def __len__(self) -> int:
        return self.moves * (self.pretraining + self.epochs * len(self.round))

    def __getitem__(self, step: int) -> Turn:
        number, move = divmod(step, self.moves)
        order = np.random.default_rng((self.seed, number)).permutation(self.n)
        index = order[move * self.batch_size : (move + 1) * self.batch_size]
        if number < self.pretraining:
            return Turn("all", number, index)
        epoch, within = divmod(number - self.pretraining, len(self.round))
        return Turn(self.round[within], self.pretraining + epoch, index)

    @property
    def begins(self) -> int:
        """The step at which pretraining is over."""
        return self.moves * self.pretraining

    def ends(self) -> list[int]:
        """After how many steps each epoch of pretraining, then of the game, is over."""
        lengths = [self.moves] * self.pretraining + [self.moves * len(self.round)] * self.epochs
        return np.cumsum(lengths).tolist()

    def temperature(self, epoch: int, first: float, last: float) -> float:
        """τ: `first` up to the game's first epoch, falling exponentially from there to `last` in its last (section 4)."""
        return first * (last / first) ** (max(0, epoch - self.pretraining) / max(1, self.epochs - 1))


def moves(run: Run, playing: Mapping[str, Player], turns: Turns, *, forget: bool, seed: int) -> Iterator[tuple[int, Turn]]:
    """The steps of a run, each with its turn.

    Args: forget: where pretraining ends, whose gradients have become next to nothing, each Adam begins anew. It divides a gradient by the
        root of their mean square, so that the first ones of another loss would make several times as long steps as the learning rate says.
    """
    for step in run.steps(len(turns), parts(playing), seed=seed, images=turns.batch_size):
        if forget and step == turns.begins:
            for player in playing.values():
                player.forget()
        yield step, turns[step]


def classification(scores: Tensor, y: Tensor) -> Tensor:
    """-log p(y|x) of scores (B, K) and labels (B,): (B,)."""
    return cross_entropy(scores, y, reduction="none")


def discrimination(g: Tensor, y: Tensor) -> Tensor:
    """Before there are players to tell from the truth: true labels against all others alike, (B,).

    -log p_d(x, y) - ⟨log(1 - p_d(x, y′))⟩ over the K - 1 labels y′ ≠ y
    """
    others = log_made(g, every_label(g)).sum(0) - log_made(g, y)
    return -log_true(g, y) - others / (g.shape[1] - 1)


def persuasion(scores: Tensor, g: Tensor, *, temperature: float, samples: int, estimator: Estimator, baseline: bool) -> Tensor:
    """Whose gradient is that of E log(1 - p_d(x, z)) over labels z that the player draws: (B,), not the value itself (Eq. 8).

        ⟨log q(y|x) · r⟩ over draws,   r = log(1 - p_d(x, z)) held fixed

    Args:
        scores: the player's, (B, K).   g: the discriminator's, (B, K).
        baseline: r less its mean over the image's other draws, of which there must be one. That keeps the mean gradient of an estimator
            without bias, and a reward that is the same for all labels moves nothing. (Kool, van Hoof, Welling 2019.)
    """
    drawn = draw(scores, samples)
    r = log_made(g, drawn.z).detach()
    if baseline:
        r = (r - r.mean(0)) * samples / (samples - 1)
    return (log_q(scores, drawn, temperature, estimator) * r).mean(0)


def detection(g: Tensor, y: Tensor, made: list[tuple[float, Tensor]], samples: int, explore: float = 0.0) -> Tensor:
    """The discriminator's loss: true labels against those that the others draw, (B,) (Alg. 1, l. 6).

        -log p_d(x, y) - (1 - ε) Σ w ⟨log(1 - p_d(x, z))⟩ - ε ⟨log(1 - p_d(x, y′))⟩ over all labels y′

    Args: g: (B, K).   y: (B,).   made: weight and scores (B, K) of each player that draws labels.
        explore: ε, the share of the made labels that are every label alike. In the paper it is 0, and nothing then holds down the score
            of a label that nobody draws, to which a player that follows the rewards may turn.
    """
    l = -log_true(g, y)
    for weight, scores in made:
        l = l - (1 - explore) * weight * log_made(g, draw(scores, samples).z).mean(0)
    return l - explore * log_made(g, every_label(g)).mean(0)


def every_label(g: Tensor) -> Tensor:
    """Each of the K labels for each of B pictures, for scores g (B, K): (K, B) int64."""
    return torch.arange(g.shape[1], device=g.device)[:, None].expand(-1, len(g))
