"""The page of `novelette study order`: how many labels depend on the order in which pictures come."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from novelette.bench.figures import COLOURS
from novelette.data.images import load
from novelette.data.select import Where, labelled_pictures
from novelette.data.sources import SubsetSource
from novelette.errors import InputError
from novelette.fitting import Recipe, fit_recipe
from novelette.methods.knn import Config
from novelette.studies.order import always, score, shares, stream
from novelette.studies.page import Picture, Study
from novelette.training import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEIGHBOURS = (1, 5)
SHOWN = 12  # pictures a row
HEADS = (
    "k", "pictures", "novel without learning", "labelled novel, on average",
    "in each of the {orders} orders", "in some", "in none", "in every order there is",
)  # fmt: skip
TEXT = """
"Novelty equals new", says the technical report (section 5.3): once seen, a novelty is no longer novel, and a detector has to learn it
from one example. The order of arrival then decides what is novel, as the report's Figure 5.5 shows.

A detector by the k nearest neighbours (`knn`, Euclidean) is fitted on {title}, and calibrated for 5 % false alarms.
{n_novel} novel and {n_normal} normal test pictures then come as a stream. A picture that is labelled novel is learned at once. The
threshold stays, as `novelette learn` leaves it where the calibration pictures are not at hand. The same pictures come in {orders} random
orders.

With k = 1 the outcome has a shape. Draw a line between any two pictures that are both above the threshold and no farther apart than the
threshold. The pictures labelled novel are then a maximal set without a line between any two, and the order chooses which set. A picture
above the threshold that has no line is novel in every order there is; the last column counts these. **The label of any other picture above
the threshold depends on the order**, though {orders} orders may not show it.

With k = 5 no such rule is known. A picture that is novel in each of the drawn orders may not be so in another. At least the labels that
differ between the drawn orders depend on the order.
"""


@dataclass(frozen=True, eq=False)
class Found:
    """One k, and of each picture, (n,): whether it is novel without learning, in which share of the drawn orders it is labelled so, and
    whether it is in every order there is, which is known for k = 1."""

    k: int
    first: NDArray[np.bool_]
    share: NDArray[np.float64]
    always: NDArray[np.bool_] | None


def study(source: Any, where: Where, *, pictures: int, orders: int, seed: int, command: str) -> Study:
    """Raises: InputError, for too few pictures for a threshold too."""
    selection = labelled_pictures(source, where)
    assert selection.labels is not None
    drawn = np.sort(np.random.default_rng(seed).permutation(len(selection.source))[:pictures])
    found = []
    for k in NEIGHBOURS:
        config = Config(k=k, metric="euclidean")
        detector = fit_recipe(Recipe("knn", config, device="cpu", where=where), source, Run()).detector
        if detector.threshold is None:
            raise InputError(f"{selection.title}: too few normal pictures for a threshold, and without one nothing is novel")
        loaded = load(SubsetSource(selection.source, drawn), detector.preprocessing)
        its = stream(detector.scorer.state()["images"], torch.from_numpy(loaded.pixels[:, 0]), config)
        first = score(its.nearest, config.reduce) > detector.threshold
        share = shares(its, orders, detector.threshold, config, seed)
        found.append(Found(k, first, share, always(its, detector.threshold) if k == 1 else None))
    novel = selection.labels[drawn[loaded.indices]] == 1
    shown = np.moveaxis(loaded.pixels[:, 0], 1, -1)
    n = len(novel)
    return Study(
        "order",
        "A novelty is novel only once",
        TEXT.format(title=selection.title, n_novel=f"{novel.sum():,}", n_normal=f"{n - novel.sum():,}", orders=f"{orders:,}"),
        [head.format(orders=f"{orders:,}") for head in HEADS],
        [_line(one, kind, which) for one in found for kind, which in (("novel", novel), ("normal", ~novel))],
        [
            Picture(
                "shares", "In which share of the orders each picture is labelled novel, most often novel first", lambda f: _shares(f, found)
            ),
            Picture(
                "pictures",
                "With k = 1, novel in every order there is (above), and in about half of those drawn (below)",
                lambda f: _pictures(f, shown, found[0]),
            ),
        ],
        _conclusion(found),
        command,
        {
            "seed": f"{seed}, of the pictures and of the orders",
            "detectors": f"knn, k {' and '.join(map(str, NEIGHBOURS))}, metric euclidean, and the defaults",
        },
    )


def _line(one: Found, kind: str, which: NDArray[np.bool_]) -> list[str]:
    share = one.share[which]
    counts = [(share == 1).sum(), ((share > 0) & (share < 1)).sum(), (share == 0).sum()]
    return [
        f"k = {one.k}",
        f"{which.sum():,} {kind}",
        f"{one.first[which].sum():,}",
        f"{share.sum():.1f}",
        *(f"{count:,}" for count in counts),
        "" if one.always is None else f"{one.always[which].sum():,}",
    ]


def _conclusion(found: list[Found]) -> str:
    said = [
        f"With k = {one.k}, {_depend(one)} of {len(one.share):,} labels depend on the order; of {one.first.sum():,} pictures that are "
        f"novel without learning, {one.share.sum():.0f} on average are labelled novel."
        for one in found
    ]
    return (
        f"**Order matters.** {' '.join(said)} With k = 1 a learned picture is at distance 0 from itself and silences its neighbourhood. "
        "With k = 5 it takes several pictures of a kind until the mean distance is small, and the first of them are all labelled novel. "
        "If a detector learns what it flags, its labels are about the order as well as about the pictures.\n"
    )


def _depend(one: Found) -> str:
    """How many labels depend on the order: a picture that is novel without learning is labelled so where it comes first."""
    if one.always is None:
        return f"{((one.share > 0) & (one.share < 1)).sum():,} or more"
    return f"{(one.first & ~one.always).sum():,}"


def _shares(figure: "Figure", found: list[Found]) -> None:
    figure.set_size_inches(6.4, 3.2)
    axes = figure.subplots()
    for colour, one in zip(COLOURS, found, strict=False):
        axes.plot(np.arange(1, len(one.share) + 1), np.sort(one.share)[::-1], color=colour, linewidth=1.5, label=f"k = {one.k}")
        axes.axvline(one.first.sum(), color=colour, linestyle=":", linewidth=1)
    axes.plot([], [], ":", color="black", linewidth=1, label="novel without learning")
    axes.set_xlabel("pictures")
    axes.set_ylabel("share of orders in which it is novel")
    axes.legend()


def _pictures(figure: "Figure", shown: NDArray[np.uint8], one: Found) -> None:
    figure.set_size_inches(9, 1.9)
    assert one.always is not None
    every = np.flatnonzero(one.always)[:SHOWN]
    half = np.argsort(np.abs(one.share - 0.5), kind="stable")[:SHOWN]
    rows = figure.subplots(2, SHOWN, squeeze=False)
    for axes in rows.ravel():
        axes.set_axis_off()
    for row, which in zip(rows, (every, half), strict=True):
        for axes, i in zip(row, which, strict=False):
            axes.imshow(shown[i].squeeze(), cmap="gray", vmin=0, vmax=255)
            axes.set_title(f"{100 * one.share[i]:.0f} %", fontsize=8)
