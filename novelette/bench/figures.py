"""Plots as data, and their drawing by matplotlib, as SVG and PNG: the same plot gives the same bytes."""

import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")  # Okabe and Ito's, without yellow
MARKERS, ASIDE = "os^Dv<>h", "xX+1"
GREY, PALE = "#444444", "#E2E2E2"
WIDTH, WIDE = 7.2, 10.0  # inches
FEW_POINTS = 8  # of a line, which are marked
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
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "legend.frameon": False,
    "legend.fontsize": 8,
}


Points = dict[str, tuple[float, float | None]]  # by name, a value and its standard deviation


@dataclass(frozen=True)
class Mark:
    """A series of a dot plot.   Attributes: printed: what it stands against, drawn hollow.   aside: of another kind, drawn in grey."""

    label: str
    points: Points
    printed: Mapping[str, float] = field(default_factory=dict)
    aside: bool = False


@dataclass(frozen=True)
class Dots:
    """A dot plot.   Attributes: names: from above, a band each.   last: how many of them stand apart below."""

    name: str
    alt: str
    marks: Sequence[Mark]
    names: Sequence[str]
    label: str
    last: int = 0


@dataclass(frozen=True)
class Line:
    """A line of a panel.   Attributes: colour: its number.   spread: of each y, drawn as a band about the line."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int
    dashed: bool = False
    spread: Sequence[float] = ()


@dataclass(frozen=True)
class Lines:
    """Panels of lines.

    Attributes:
        panels: by title.   x_label, y_label: of all.
        kinds: what solid and dashed lines are, where both are there.
        at: the places of x that are named, on a scale of doublings; by default a plain scale.
        shared: all panels have one scale of y.
        settled: the share of x after which lines set a panel's scale of y; what is before may leave it.
    """

    name: str
    alt: str
    panels: Mapping[str, Sequence[Line]]
    x_label: str
    y_label: str
    kinds: tuple[str, str] | None = None
    at: Sequence[float] = ()
    shared: bool = False
    settled: float = 0.0


Plot = Dots | Lines


def draw(plot: Plot) -> tuple[bytes, bytes]:
    """A plot as SVG and as PNG."""
    return drawn(lambda figure: _dots(figure, plot) if isinstance(plot, Dots) else _lines(figure, plot))


def drawn(paint: Callable[["Figure"], None]) -> tuple[bytes, bytes]:
    """What `paint` draws on an empty figure, in this house's style, as SVG and as PNG."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever a person's matplotlibrc says
        matplotlib.rcParams.update(STYLE)
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        paint(figure)
        return _bytes(figure, "svg", {"Date": None, "Creator": None}), _bytes(figure, "png", {"Software": None})


def _bytes(figure: "Figure", form: str, metadata: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format=form, dpi=160, metadata=metadata, facecolor="white")
    return out.getvalue()


def _dots(figure: "Figure", plot: Dots) -> None:
    """Names from above; within a name's band a place for each series, so that no mark hides another."""
    n = len(plot.marks)
    apart = [0.3 if i >= len(plot.names) - plot.last else 0.0 for i in range(len(plot.names))]
    places = {name: i + more for i, (name, more) in enumerate(zip(plot.names, apart, strict=True))}
    labels = [mark.label for mark in plot.marks] + ["hollow: printed"] * any(mark.printed for mark in plot.marks)
    wide = _beside(labels, 3, WIDTH)
    figure.set_size_inches(WIDTH, 0.75 + 0.17 * -(-len(labels) // wide) + (0.12 + 0.07 * n) * (len(places) + max(apart)))
    axes = figure.subplots()
    for i, mark in enumerate(plot.marks):
        colour = GREY if mark.aside else COLOURS[i % len(COLOURS)]
        aside = sum(other.aside for other in plot.marks[:i])
        marker = ASIDE[aside % len(ASIDE)] if mark.aside else MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]
        at = {name: place + ((i + 0.5) / n - 0.5) * 0.84 for name, place in places.items()}
        names = [name for name in places if name in mark.points]
        x, spread = [mark.points[name][0] for name in names], [mark.points[name][1] or 0.0 for name in names]
        bars: dict[str, Any] = {"xerr": spread, "elinewidth": 0.9} if any(spread) else {}
        axes.errorbar(x, [at[name] for name in names], fmt=marker, color=colour, label=mark.label, markersize=4, **bars)
        hollow: dict[str, Any] = {"color": colour, "markerfacecolor": "white", "markersize": 4, "markeredgewidth": 0.9}
        axes.plot([mark.printed[name] for name in mark.printed], [at[name] for name in mark.printed], marker, zorder=1.9, **hollow)
    for above, below in pairwise(places.values()):
        axes.axhline((above + below) / 2, color=PALE, linewidth=0.6, zorder=0)
    axes.set_yticks(list(places.values()), list(places))
    axes.set_ylim(max(places.values()) + 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(plot.label)
    handles, _ = axes.get_legend_handles_labels()
    if len(labels) > n:
        handles.append(axes.plot([], [], "o", color=GREY, markerfacecolor="white", markersize=4, markeredgewidth=0.9)[0])
    figure.legend(handles, labels, loc="outside upper center", ncols=wide)


def _lines(figure: "Figure", plot: Lines) -> None:
    """A panel beside the other, five in a row at most."""
    columns = min(5, len(plot.panels)) if len(plot.panels) != 6 else 3
    rows = -(-len(plot.panels) // columns)
    handles = _legend(plot)
    wide = 3 if columns < 3 else 5 if columns > 3 else 4  # entries of the legend beside each other
    width = WIDE if columns > 3 else WIDTH if columns > 1 else 5.4
    wide = _beside([handle.get_label() for handle in handles], wide, width)
    height = (2.0 if columns > 3 else 2.6 if columns > 1 else 3.1) * rows + 0.55 + 0.17 * -(-len(handles) // wide)
    figure.set_size_inches(width, height)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=plot.shared).flatten()
    for axis in axes[len(plot.panels) :]:
        axis.remove()
    for axis, (title, lines) in zip(axes, plot.panels.items(), strict=False):
        _panel(axis, plot, lines)
        axis.set_title(textwrap.fill(title, 30))
    low, high = _scale([line for lines in plot.panels.values() for line in lines], plot.settled)
    if plot.shared:
        axes[0].set_ylim(low, high)
    figure.supxlabel(plot.x_label, fontsize=8.5)
    figure.supylabel(plot.y_label, fontsize=8.5)
    figure.legend(handles=handles, loc="outside upper center", ncols=wide)


def _beside(labels: Sequence[str], most: int, inches: float) -> int:
    """How many columns a legend may have, at most `most`, for its labels to fit into so many inches."""
    from matplotlib.textpath import TextPath

    text = [TextPath((0, 0), label, size=STYLE["legend.fontsize"]).get_extents().width / 72 for label in labels]

    def width(columns: int) -> float:
        rows, more = divmod(len(labels), columns)
        starts = [column * rows + min(column, more) for column in range(columns + 1)]
        return sum(0.53 + max(text[start:end]) for start, end in pairwise(starts))

    return next((n for n in range(min(most, len(labels)), 1, -1) if width(n) <= inches), 1)


def _panel(axes: "Axes", plot: Lines, lines: Sequence[Line]) -> None:
    bands = sum(bool(line.spread) for line in lines)
    for line in lines:
        marker: dict[str, Any] = {"marker": "o", "markersize": 3} if len(line.x) <= FEW_POINTS else {}
        axes.plot(line.x, line.y, **_look(line), **marker)
        if line.spread:
            low, high = (_moved(line, sign) for sign in (-1, 1))
            axes.fill_between(line.x, low, high, color=_look(line)["color"], alpha=min(0.15, 0.5 / bands), linewidth=0)
    if plot.at:
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(plot.at), [f"{x:g}" for x in plot.at])
        axes.minorticks_off()
    else:
        axes.locator_params(axis="x", nbins=4)
    if not plot.shared:
        axes.set_ylim(*_scale(lines, plot.settled))


def _scale(lines: Sequence[Line], settled: float) -> tuple[float, float]:
    """What a panel shows of y: all that lines and bands have from a share of their x on, and a margin."""
    edges = [(line, y) for line in lines for y in (_moved(line, -1), _moved(line, 1))]
    y = [y for line, edge in edges for x, y in zip(line.x, edge, strict=True) if x >= settled * max(line.x)]
    margin = 0.08 * (max(y) - min(y)) or 0.01
    return min(y) - margin, max(y) + margin


def _moved(line: Line, sign: int) -> Sequence[float]:
    """A line's y, moved by its spread where it has one."""
    return [y + sign * s for y, s in zip(line.y, line.spread, strict=True)] if line.spread else line.y


def _look(line: Line) -> dict[str, Any]:
    return {"color": COLOURS[line.colour % len(COLOURS)], "linestyle": "--" if line.dashed else "-", "linewidth": 1.2}


def _legend(plot: Lines) -> list[Any]:
    """A line a label, in their order, and what solid and dashed mean."""
    from matplotlib.lines import Line2D

    named = {line.label: replace(line, dashed=False) for lines in plot.panels.values() for line in lines}
    handles = [Line2D([], [], label=label, **_look(line)) for label, line in named.items()]
    styles: Sequence[Any] = ("-", "--")
    for kind, style in zip(plot.kinds or (), styles, strict=False):
        handles.append(Line2D([], [], label=kind, color=GREY, linestyle=style, linewidth=1.2))
    return handles
