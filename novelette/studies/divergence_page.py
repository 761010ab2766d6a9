"""The page of `novelette study divergence`: the generator's loss checked by numbers, and which modes a fit by which divergence drops."""

from typing import TYPE_CHECKING

import numpy as np

from novelette.bench.figures import COLOURS, GREY
from novelette.studies.divergence import DIVERGENCES, GRID, Mixture, best_value, fit, js
from novelette.studies.page import Picture, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DATA = Mixture(np.array([0.5, 0.3, 0.2]), np.array([-12.0, 0.0, 12.0]), np.ones(3))
DISTANCES = np.arange(0.5, 8.01, 0.25)  # of two modes of deviation 1 from their middle
COLOUR = dict(zip(DIVERGENCES, (COLOURS[0], COLOURS[1], COLOURS[2]), strict=True))
TEXT = """
The technical report (section 5.2) objects to GANs that their generator "prefers to fit to a subset of the data": a discriminator that is
trained on what such a generator makes never sees most of the places where novelties could be. This objection rests on two claims. Both are
checked here on a line, where integrals are sums.

**The loss.** With the best discriminator for a generator, the value of the game is C(G) = -log 4 + 2 JSD(p ‖ q), where p is the data's
density and q the generator's. Here a golden-section search finds the best discriminator at every place, without the formula that the proof
uses. Over the six fits of the table, the two sides differ by at most {worst:.0e}.

**The modes.** The data have three modes of deviation 1, at -12, 0 and 12, with the weights 0.5, 0.3 and 0.2. One Gaussian, or two, are
fitted to them by each divergence, starting from every way to share out the modes. Maximum likelihood minimizes KL(p ‖ q); a generator
against the best discriminator minimizes JS; KL(q ‖ p) is KL with its arguments swapped. A mode is kept if, within two deviations of it, the
fit has at least a tenth of the data's mass.
"""


def study(*, command: str) -> Study:
    fits = {(name, k): fit(divergence, DATA, k) for k in (1, 2) for name, divergence in DIVERGENCES.items()}
    log_p = DATA.log()
    worst = max(abs(best_value(log_p, q.log()) - (2 * js(log_p, q.log()) - np.log(4))) for q in fits.values())
    widths = {name: [_pair(distance, name) for distance in DISTANCES] for name in DIVERGENCES}
    pictures = [
        Picture("fits", "Data of three modes, and the nearest one Gaussian and two Gaussians by each divergence", lambda f: _fits(f, fits)),
        Picture(
            "distance",
            "Deviation of one Gaussian fitted to two even modes of deviation 1, as these move apart; to cover both takes the dashed one",
            lambda f: _widths(f, widths),
        ),
    ]
    return Study(
        "divergence",
        "What a GAN's generator descends",
        TEXT.format(worst=worst),
        ["model, by", "means", "deviations", "weights", *DIVERGENCES, "modes kept"],
        [_line(name, k, q) for (name, k), q in fits.items()],
        pictures,
        _conclusion(fits, widths),
        command,
        {"seeds": "none, nothing is drawn"},
    )


def _pair(distance: float, name: str) -> float:
    """The deviation of one Gaussian fitted to two even modes."""
    pair = Mixture(np.full(2, 0.5), np.array([-distance, distance]), np.ones(2))
    return float(fit(DIVERGENCES[name], pair, 1).deviations[0])


def _line(name: str, k: int, q: Mixture) -> list[str]:
    figures = [f"{divergence(DATA.log(), q.log()):.3f}" for divergence in DIVERGENCES.values()]
    numbers = [", ".join(f"{value:.2f}" for value in values) for values in (q.means, q.deviations, q.weights)]
    return [f"{'one' if k == 1 else 'two'}, {name}", *numbers, *figures, f"{q.modes_kept(DATA)} of {len(DATA.means)}"]


def _conclusion(fits: dict[tuple[str, int], Mixture], widths: dict[str, list[float]]) -> str:
    kept = {key: q.modes_kept(DATA) for key, q in fits.items()}
    lets_go = {name: next((d for d, w in zip(DISTANCES, own, strict=True) if d > 2 and w < d / 2), None) for name, own in widths.items()}
    said = {name: f"from {d:g}" if d is not None else "never" for name, d in lets_go.items()}
    return (
        f"**JS drops modes that KL covers, once they lie far apart.** One Gaussian keeps {kept['KL(p ‖ q)', 1]} of 3 modes by KL(p ‖ q) "
        f"and {kept['JS', 1]} by JS; two keep {kept['KL(p ‖ q)', 2]} and {kept['JS', 2]}. But JS does not always do so. Of two even modes "
        f"that move apart, KL(q ‖ p) lets one go {said['KL(q ‖ p)']} deviations from their middle on, JS {said['JS']}, KL(p ‖ q) "
        f"{said['KL(p ‖ q)']}. Nearer than that, JS spreads over both as KL does. So the report's claim holds for data whose kinds are "
        "far apart, and for no others. It is also about the best fit by a model that is too small: real generators have other reasons to "
        "drop modes, which come from training.\n"
    )


def _fits(figure: "Figure", fits: dict[tuple[str, int], Mixture]) -> None:
    figure.set_size_inches(10, 3.4)
    panels: list[Axes] = list(figure.subplots(1, 2, sharey=True))
    for k, axes in zip((1, 2), panels, strict=True):
        axes.fill_between(GRID, np.exp(DATA.log()), color="#DDDDDD", label="data")
        for name in DIVERGENCES:
            style = ":" if name == "KL(q ‖ p)" else "-"
            axes.plot(GRID, np.exp(fits[name, k].log()), style, color=COLOUR[name], linewidth=1.5, label=name)
        axes.set_title("one Gaussian" if k == 1 else "two Gaussians")
        axes.set_xlim(-20, 20)
        axes.set_ylim(0, 0.45)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    figure.supylabel("density", fontsize=8.5)


def _widths(figure: "Figure", widths: dict[str, list[float]]) -> None:
    figure.set_size_inches(6.4, 3.4)
    axes = figure.subplots()
    axes.plot(DISTANCES, np.sqrt(1 + DISTANCES**2), "--", color=GREY, linewidth=1, label="covers both")
    for name, own in widths.items():
        axes.plot(DISTANCES, own, color=COLOUR[name], linewidth=1.5, label=name)
    axes.set_xlabel("distance of the modes from their middle, in their deviations")
    axes.set_ylabel("deviation of the fit")
    axes.legend()
