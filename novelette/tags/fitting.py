"""From tagged pictures to a tagger, and what a tagger is worth on others."""

import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel

from novelette.calibrate import held_out
from novelette.errors import InputError
from novelette.fitting import fingerprint
from novelette.metrics import mean_interval
from novelette.tags import METHODS
from novelette.tags.examples import Examples
from novelette.tags.features import Look, loaded, see
from novelette.tags.ranking import FAtN, by_picture, means, most_frequent
from novelette.tags.readers import Tagged
from novelette.tags.tagger import Tagger
from novelette.tags.vocabulary import Kind, choose, incidence
from novelette.training import Run, pick_device
from novelette.words import counted
from novelette.work import VECTORS

FEWEST_PICTURES = 10
FEWEST_TELLING = 6  # pictures: with five, all on one side are chance at 1 / 2^4 = 6 %


@dataclass(frozen=True)
class Recipe:
    """Everything about a fit but the pictures.   Attributes: everything: no picture is held out for `evaluate`."""

    method: str
    config: BaseModel
    look: Look
    vocabulary: Kind = "popular"
    vocabulary_size: int = 200
    everything: bool = False
    seed: int = 0
    device: str = "auto"


@dataclass(frozen=True)
class Fitted:
    """A tagger, and how many pictures taught it nothing, or less.

    Attributes:
        held_out: that can be measured on.   untagged: without a tag of the vocabulary.   without_text: that trained it so.
        without_tags: of the source, without any tag.   unreadable: name -> why.
    """

    tagger: Tagger
    held_out: int
    untagged: int
    without_text: int
    without_tags: int
    unreadable: dict[str, str]


def fit(recipe: Recipe, tagged: Tagged, run: Run) -> Fitted:
    """Train on four fifths of tagged pictures, chosen by their contents, or on all.   Raises: InputError."""
    began, device = time.monotonic(), pick_device(recipe.device)
    seeing, title = loaded(recipe.look)
    seen = see(tagged.source, recipe.look, seeing.to(device), title, work=run.folder and run.folder / VECTORS, bar=run.bar)
    kept = np.ones(len(seen.hashes), bool) if recipe.everything else ~held_out(seen.hashes)
    of_kept = [tagged.tags[i] for i in seen.indices[kept]]
    vocabulary = choose(of_kept, recipe.vocabulary, recipe.vocabulary_size, recipe.seed)
    has = incidence([tagged.tags[i] for i in seen.indices], vocabulary)
    training = kept & has.any(1)
    if training.sum() < FEWEST_PICTURES:
        raise InputError(
            f"{tagged.title} has {training.sum()} training pictures with tags, and a tagger needs at least {FEWEST_PICTURES}: give more"
        )
    texts = tuple(tagged.texts[i] for i in seen.indices[training])
    run.begin(
        method=recipe.method,
        config=recipe.config.model_dump(mode="json"),
        seed=recipe.seed,
        tags=vocabulary,
        look=recipe.look.model_dump(mode="json"),
        network=title,
        pictures=fingerprint(seen.hashes[training]),
        tagged=hashlib.sha256(has[training].tobytes() + repr(texts).encode()).hexdigest()[:16],
    )
    examples = Examples(seen.vectors[torch.from_numpy(training)], torch.from_numpy(has[training]), texts)
    scorer = METHODS[recipe.method].fit(examples, recipe.config, seed=recipe.seed, device=device, run=run)
    provenance = {
        "source": tagged.title,
        "vocabulary": recipe.vocabulary,
        "n_training": int(training.sum()),
        "perceptual": title,
        "device": str(device),
        "seconds": round(time.monotonic() - began, 1),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in ("novelette", "torch", "numpy")},
    }
    trained_on, cpu = np.unique(seen.hashes[training]), torch.device("cpu")
    tagger = Tagger(
        recipe.method, recipe.config, recipe.look, vocabulary, scorer.to(cpu), seeing.to(cpu), trained_on, recipe.seed, provenance
    )
    unreadable = {tagged.source.names[i]: why for i, why in seen.unreadable.items()}
    to_measure_on = int((~kept & has.any(1)).sum())
    return Fitted(tagger, to_measure_on, int((kept & ~training).sum()), sum(not text for text in texts), tagged.untagged, unreadable)


@dataclass(frozen=True)
class Evaluation:
    """Measures over pictures that the tagger was not trained on and that have a tag of its vocabulary; how many others were left out.

    Attributes:
        values: by name.   most_frequent: those of suggesting to every picture the tags that were most frequent in training.
        difference: of both MAP.   interval: its 95 % bootstrap interval over pictures; None where they are too few.
        f_at_n: which recall the F@N are made with.
    """

    values: dict[str, float]
    most_frequent: dict[str, float]
    difference: float
    interval: tuple[float, float] | None
    pictures: int
    trained_on: int
    untagged: int
    unreadable: dict[str, str]
    f_at_n: FAtN = "standard"

    def to_json(self) -> dict[str, Any]:
        """The figures in JSON's types, null for an interval of too few pictures."""
        low, high = self.interval or (None, None)
        beside = {"most_frequent": self.most_frequent, "MAP_difference": self.difference}
        beside |= {"MAP_difference_low": low, "MAP_difference_high": high}
        return (
            self.values
            | {"f_at_n": self.f_at_n}
            | beside
            | {"pictures": self.pictures, "trained_on": self.trained_on, "untagged": self.untagged}
        )

    def sentence(self) -> str:
        """Whether its MAP is told from that of the most frequent tags."""
        always = "that of always suggesting the tags most frequent in training"
        if self.interval is None:
            return f"{counted(self.pictures, 'picture')} cannot tell its MAP from {always}: at least {FEWEST_TELLING} are needed."
        low, high = self.interval
        interval = f"95 % interval {low:+.4f} to {high:+.4f}"
        if low <= 0 <= high:
            return f"Its MAP cannot be distinguished from {always}: the difference is {self.difference:+.4f} ({interval})."
        return f"Its MAP is {abs(self.difference):.4f} {'above' if low > 0 else 'below'} {always} ({interval} of the difference)."


def evaluate(tagger: Tagger, tagged: Tagged, f_at_n: FAtN, *, bar: bool = False) -> Evaluation:
    """P@N, F@N, MAP and MRR of the tagger and of the most frequent tags.

    Raises: InputError when no picture is left to be measured on.
    """
    seen = tagger.see(tagged.source, bar=bar)
    has = incidence([tagged.tags[i] for i in seen.indices], tagger.vocabulary)
    fresh = ~tagger.saw(seen.hashes)
    judged: NDArray[np.bool_] = fresh & has.any(1)
    if not judged.any():
        raise InputError(
            f"{tagged.title}: of {len(fresh)} pictures the tagger was trained on {int((~fresh).sum())}, and the others have no tag of its "
            "vocabulary: evaluate it on others"
        )
    scores = tagger.scores(seen)[judged].astype(np.float64)
    unreadable = {tagged.source.names[i]: why for i, why in seen.unreadable.items()}
    left = int(judged.sum()), int((~fresh).sum()), int((fresh & ~judged).sum())
    its, always = (by_picture(each, has[judged], f_at_n) for each in (scores, most_frequent(has[judged])))
    ahead = its["MAP"] - always["MAP"]
    interval = mean_interval(ahead, seed=0) if len(ahead) >= FEWEST_TELLING else None
    return Evaluation(means(its), means(always), float(ahead.mean()), interval, *left, unreadable, f_at_n)
