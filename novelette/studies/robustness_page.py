"""The page of `novelette study robustness`: how small the changes are that move scores across a detector's threshold."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from novelette import facts
from novelette.data.framing import uncut
from novelette.data.images import as_tensor, load
from novelette.data.select import Selection
from novelette.data.sources import SubsetSource
from novelette.detector import Detector
from novelette.studies.page import Picture, Study
from novelette.studies.robustness import F, Moved, as_picture, check_slope, crosses, deepfool, fast_gradient, margin, norms, random_like
from novelette.words import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 4  # pictures of each verdict
BATCH = 32
DRAWN = "DeepFool, in range"
ATTACKS: dict[str, Callable[[F, Tensor], Moved]] = {
    "DeepFool": deepfool,
    "DeepFool, in range": partial(deepfool, in_range=True),
    "fast gradient sign": fast_gradient,
}
TEXT = """
How much does a picture have to change until the detector says the opposite of it? The technical report (section 5.1) measures the
robustness of a classifier f by the mean length of the smallest such change, ρ_adv(f) = E[Δ_adv(x; f)]. DeepFool's paper, which finds such
changes, divides each by the length of its picture, so that different pictures can be compared. Here f is the score less the threshold, and
the table has both measures.

The detector {name}, {method} at {size} px, was fitted on {fitted_on}; the {n:,} pictures are of {title}. Grey levels run from 0, black, to
1, white. Lengths are roots of sums of squares over grey levels. The report allows any change.

- *In range*: the change is cut, step by step, to what can be a picture.
- *Largest*: how much the pixel that changes most changes, of 255 levels, on average.
- *In 8 bits*: the share of pictures that are still across when they are cut to the range and rounded to 256 levels.
- *Random*: the share that crosses by an equally long change in a random direction.
"""


@dataclass(frozen=True, eq=False)
class Attacked:
    """Pictures of one verdict, (N, T, C, S, S) in [-1, 1], and what each attack made of them."""

    verdict: str
    x: Tensor
    by: dict[str, Moved]


def study(detector: Detector, selection: Selection, *, pictures: int, seed: int, name: str, command: str) -> Study:
    """Args: name: of the detector, for people.   Raises: InputError for one without a threshold or without a gradient."""
    f = margin(detector)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(selection.source))[:pictures])
    x = as_tensor(load(SubsetSource(selection.source, drawn), detector.preprocessing).pixels)
    check_slope(f, x[:BATCH])
    with torch.no_grad():
        novel = torch.cat([f(part) for part in x.split(BATCH)]) > 0
    found = [attacked(f, verdict, own) for verdict, own in (("normal", x[~novel]), ("novel", x[novel])) if len(own)]
    size, fitted_on = detector.preprocessing.size, detector.provenance.get("title", "pictures that it does not tell of")
    return Study(
        "robustness",
        "How small a change moves a score across the threshold",
        TEXT.format(name=name, method=detector.method, size=size, fitted_on=fitted_on, n=len(x), title=selection.title),
        ["called", "attack", "pictures", "moved across", "mean ‖r‖", "mean ‖r‖ / ‖x‖", "largest", "in 8 bits", "random"],
        [_line(f, one, attack, seed) for one in found for attack in one.by],
        [
            Picture(
                "pictures",
                "What is called normal (left) or novel (right); DeepFool's change, in range; what is then called the opposite",
                lambda figure: _pictures(figure, found),
            )
        ],
        _conclusion(found),
        command,
        {"seed": f"{seed}, of the pictures and of the random directions", "detector": f"{name}, {fit_words(detector)}"},
    )


def fit_words(detector: Detector) -> str:
    """How a detector was fitted, as its card tells."""
    said, plain = detector.config.model_dump(), type(detector.config)().model_dump()
    settings = [f"{name.replace('_', ' ')} {shown(value)}" for name, value in said.items() if value != plain[name]]
    known = facts.first(detector.describe(), detector.preprocessing.model_dump())
    told = ("method", "images", "false-alarm rate", "trained on", "made", "teacher", "seed")
    words = [f"{name} {shown(known[name])}" for name in told if shown(known[name])]
    return "; ".join([*words, f"settings {', '.join(settings)}, and the defaults" if settings else "default settings"])


def attacked(f: F, verdict: str, x: Tensor) -> Attacked:
    """Both attacks on pictures (N, T, C, S, S), a batch after the other."""
    parts = {attack: [move(f, part) for part in x.split(BATCH)] for attack, move in ATTACKS.items()}
    return Attacked(
        verdict,
        x,
        {attack: Moved(torch.cat([one.r for one in own]), torch.cat([one.crossed for one in own])) for attack, own in parts.items()},
    )


def relative(x: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """‖r‖ and ‖r‖ / ‖x‖ over grey levels from 0 to 1, (N,) each; ‖x‖ is no smaller than one level of one pixel."""
    length = norms(r) / 2
    return length, length / norms((x + 1) / 2).clamp_min(1 / 255)


def _line(f: F, one: Attacked, attack: str, seed: int) -> list[str]:
    moved = one.by[attack]
    x, r = one.x[moved.crossed], moved.r[moved.crossed]
    head = [one.verdict, attack, f"{len(one.x):,}", f"{len(x):,}"]
    if not len(x):
        return [*head, *[""] * 5]
    length, share = relative(x, r)
    rounded, random = (
        torch.cat([crosses(f, a, b) for a, b in zip(x.split(BATCH), other.split(BATCH), strict=True)]).float().mean()
        for other in (as_picture(x + r), x + random_like(r, seed))
    )
    largest = (r.flatten(1).abs().amax(1) * 127.5).mean()
    return [*head, f"{length.mean():.3f}", f"{share.mean():.4f}", f"{largest:.1f}", f"{100 * rounded:.0f} %", f"{100 * random:.0f} %"]


def _conclusion(found: list[Attacked]) -> str:
    said = []
    for one in found:
        moved = one.by["DeepFool"]
        if moved.crossed.any():
            length, share = relative(one.x[moved.crossed], moved.r[moved.crossed])
            said.append(f"**{one.verdict} pictures: ρ_adv = {length.mean():.3f}**, or {share.mean():.4f} of the picture's own length")
        else:
            said.append(f"**{one.verdict} pictures: none was moved across**")
    return (
        f"By DeepFool, {'; '.join(said)}. These are upper bounds: a shorter way across may not have been found. A detector guards against "
        "accidents, not against somebody who has it and wants to deceive it.\n"
    )


def _pictures(figure: "Figure", found: list[Attacked]) -> None:
    """Columns of pictures, changes and what came of them; those called normal to the left."""
    columns = [(one, int(i)) for one in found for i in torch.nonzero(one.by[DRAWN].crossed)[:SHOWN, 0]]
    figure.set_size_inches(0.2 + 1.1 * max(len(columns), 1), 3.5)
    grid = figure.subplots(3, max(len(columns), 1), squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for rows, (one, i) in zip(grid.T, columns, strict=False):
        x, r = one.x[i], one.by[DRAWN].r[i]
        for axes, image in zip(rows, (x, r, x + r), strict=True):
            grey = ((image.clamp(-1, 1) + 1) / 2 * 255).byte().numpy()
            axes.imshow(uncut(grey[None])[0].squeeze(), cmap="gray", vmin=0, vmax=255)
        rows[0].set_title(one.verdict, fontsize=8)
        rows[2].set_title("novel" if one.verdict == "normal" else "normal", fontsize=8)
