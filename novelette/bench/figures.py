"""Plots as data, and their drawing by matplotlib, as SVG and PNG: the same plot gives the same bytes."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")  # Okabe and Ito's, without yellow
MARKERS = "os^DvP<>"
DASHES = ("-", (0, (1, 1.2)))  # of lines: the first eight, the next eight
WIDTH, WIDE = 7.2, 10.0  # inches
STYLE: Any = {
    "svg.hashsalt": "novelette",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E2E2E2",
    "grid.linewidth": 0.6,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "legend.frameon": False,
    "legend.fontsize": 8,
}


Points = dict[str, tuple[float, float | None]]  # by name, a value and its standard deviation


@dataclass(frozen=True)
class Mark:
    """A series of a dot plot.   Attributes: hollow: printed, not measured."""

    label: str
    points: Points
    hollow: bool = False


@dataclass(frozen=True)
class Dots:
    """A dot plot.   Attributes: names: from above, one place each; `last` names stand apart below."""

    name: str
    alt: str
    marks: Sequence[Mark]
    names: Sequence[str]
    label: str
    last: int = 1


@dataclass(frozen=True)
class Line:
    """A line of a panel.   Attributes: colour: its number.   spread: a standard deviation a point, or nothing."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int
    dashed: bool = False
    spread: Sequence[float | None] = ()


@dataclass(frozen=True)
class Lines:
    """Panels of lines.

    Attributes:
        panels: by title.   x_label, y_label: of all.
        kinds: what solid and dashed lines are, where both are there.
        at: the places of x that are named, on a scale of doublings; by default a plain scale.
        settled: the share of x after which lines set a panel's scale of y; what is before may leave it.
    """

    name: str
    alt: str
    panels: Mapping[str, Sequence[Line]]
    x_label: str
    y_label: str
    kinds: tuple[str, str] | None = None
    at: Sequence[float] = field(default=())
    settled: float = 0.0


Plot = Dots | Lines


def draw(plot: Plot) -> tuple[bytes, bytes]:
    """A plot as SVG and as PNG."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever a person's matplotlibrc says
        matplotlib.rcParams.update(STYLE)
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        if isinstance(plot, Dots):
            _dots(figure, plot)
        else:
            _lines(figure, plot)
        return _bytes(figure, "svg", {"Date": None, "Creator": None}), _bytes(figure, "png", {"Software": None})


def _bytes(figure: "Figure", form: str, metadata: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format=form, dpi=160, metadata=metadata, facecolor="white")
    return out.getvalue()


def _dots(figure: "Figure", plot: Dots) -> None:
    """Names from above; within a name's band a place for each series, so that no mark hides another."""
    ours = [mark for mark in plot.marks if not mark.hollow]
    band = max(0.24, 0.085 * len(plot.marks) + 0.08)  # inches
    figure.set_size_inches(WIDTH, 0.9 + 0.16 * len(plot.marks) / 2 + band * len(plot.names))
    axes = figure.subplots()
    apart = len(plot.names) - plot.last
    places = {name: i + (0.35 if i >= apart else 0) for i, name in enumerate(plot.names)}
    step = 0.72 / max(1, len(plot.marks))
    for i, mark in enumerate(plot.marks):
        names = [name for name in plot.names if name in mark.points]
        y = [places[name] + (i - (len(plot.marks) - 1) / 2) * step for name in names]
        x = [mark.points[name][0] for name in names]
        colour = "#444444" if mark.hollow else COLOURS[ours.index(mark) % len(COLOURS)]
        marker = MARKERS[(i - len(ours) if mark.hollow else ours.index(mark)) % len(MARKERS)]
        look: dict[str, Any] = {"markerfacecolor": "white" if mark.hollow else colour, "markeredgewidth": 0.9, "markersize": 4.2}
        spread = [mark.points[name][1] or 0.0 for name in names]
        bars: dict[str, Any] = {"xerr": spread, "elinewidth": 0.9} if any(spread) else {}
        axes.errorbar(x, y, color=colour, marker=marker, linestyle="none", label=mark.label, **look, **bars)
    for name in plot.names[1:]:
        axes.axhline(places[name] - (0.675 if places[name] == apart + 0.35 else 0.5), color="#E2E2E2", linewidth=0.6, zorder=0)
    axes.set_yticks(list(places.values()), list(places))
    axes.set_ylim(max(places.values()) + 0.55, -0.55)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(plot.label)
    figure.legend(loc="outside upper center", ncols=3)


def _lines(figure: "Figure", plot: Lines) -> None:
    """A panel beside the other, five in a row at most, each on a scale of its own."""
    columns = min(5, len(plot.panels)) if len(plot.panels) != 6 else 3
    rows = -(-len(plot.panels) // columns)
    figure.set_size_inches(WIDE if columns > 2 else 5.4 * columns**0.5, (2.0 if columns > 2 else 3.1) * rows + 0.9)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in axes[len(plot.panels) :]:
        axis.remove()
    for axis, (title, lines) in zip(axes, plot.panels.items(), strict=False):
        _panel(axis, plot, lines)
        axis.set_title(textwrap.fill(title, 30))
    figure.supxlabel(plot.x_label, fontsize=8.5)
    figure.supylabel(plot.y_label, fontsize=8.5)
    handles = _legend(plot)
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 3 if columns < 3 else 5))


def _panel(axes: "Axes", plot: Lines, lines: Sequence[Line]) -> None:
    marker: dict[str, Any] = {"marker": "o", "markersize": 3} if plot.at else {}
    for line in lines:
        if line.spread and any(line.spread):
            y, s = np.array(line.y), np.array([value or 0.0 for value in line.spread])
            axes.fill_between(line.x, y - s, y + s, color=COLOURS[line.colour % len(COLOURS)], alpha=0.15, linewidth=0)
        axes.plot(line.x, line.y, **_look(line), **marker)
    if plot.at:
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(plot.at), [f"{x:g}" for x in plot.at])
        axes.minorticks_off()
    else:
        axes.locator_params(axis="x", nbins=4)
    settled = [
        y for line in lines for x, y in zip(line.x, line.y, strict=True) if x >= plot.settled * max(line.x)
    ]  # the first steps are far below
    if plot.settled and settled:
        margin = 0.08 * (max(settled) - min(settled)) or 0.01
        axes.set_ylim(min(settled) - margin, max(settled) + margin)


def _look(line: Line) -> dict[str, Any]:
    style: Any = "--" if line.dashed else DASHES[line.colour // len(COLOURS) % len(DASHES)]
    return {"color": COLOURS[line.colour % len(COLOURS)], "linestyle": style, "linewidth": 1.2}


def _legend(plot: Lines) -> list[Any]:
    """A line a label, in their order, and what solid and dashed mean."""
    from matplotlib.lines import Line2D

    named: dict[str, Line] = {}
    for lines in plot.panels.values():
        for line in lines:
            if line.label not in named or not line.dashed:
                named.setdefault(line.label, line)
    handles = [
        Line2D([], [], label=label, **(_look(line) | ({"linestyle": "-"} if line.dashed and plot.kinds else {})))
        for label, line in named.items()
    ]
    styles: Sequence[Any] = ("-", "--")
    for kind, style in zip(plot.kinds or (), styles, strict=False):
        handles.append(Line2D([], [], label=kind, color="#555555", linestyle=style, linewidth=1.2))
    return handles
