"""Plots: any number of series, and a legend within its plot."""

import pytest
from matplotlib import rc_context, rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from novelette.bench.figures import STYLE, Dots, Line, Lines, Mark, _dots, _lines, draw


def test_plots_take_any_number_of_series_and_panels():
    """As many as there are colours and more; one point; printed figures alone where a class has no run yet."""
    marks = [Mark(f"m{i}", {"a": (0.5 + i / 100, 0.01)}, {"b": 0.4}, aside=i > 15) for i in range(20)]
    plots = [Dots("d", "d", marks, ["a", "b"], "AUROC", last=1)]
    for n in (1, 6):
        lines = [Line(f"l{i}", [1.0, 2.0], [0.5, 0.6], i, dashed=i % 2 == 1) for i in range(n)]
        plots.append(Lines("l", "l", {f"p{i}": lines for i in range(n)}, "x", "y", ("solid", "dashed"), at=(1, 2), shared=n > 2))
    plots.append(Lines("l", "l", {"": [Line("one point", [1.0], [0.5], 0)]}, "x", "y", settled=0.2))
    for plot in plots:
        svg, png = draw(plot)
        assert b"</svg>" in svg
        assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize("letters", [4, 30, 55])
def test_a_legend_lies_within_its_plot_however_long_its_labels(letters):
    labels = [f"{i} {'m' * (letters // 2)}{'i' * (letters // 2)}" for i in range(9)]
    series = [Line(label, [1.0, 2.0], [0.5, 0.6], k) for k, label in enumerate(labels)]
    lines = Lines("l", "l", {f"p{i}": series for i in range(3)}, "x", "y")
    dots = Dots("d", "d", [Mark(label, {"a": (0.5, 0.01)}) for label in labels], ["a", "b"], "AUROC", last=1)
    for paint, plot in ((_lines, lines), (_dots, dots)):
        figure = Figure(layout="constrained")
        canvas = FigureCanvasAgg(figure)
        with rc_context():
            rcParams.update(STYLE)
            paint(figure, plot)
            canvas.draw()
        (legend,) = figure.legends
        box = legend.get_window_extent(canvas.get_renderer())
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width


def test_a_panel_shows_the_bands_of_its_lines_whole():
    line = Line("l", [1.0, 2.0], [0.5, 0.6], 0, spread=[0.3, 0.1])
    figure = Figure(layout="constrained")
    _lines(figure, Lines("l", "l", {"": [line]}, "x", "y"))
    low, high = figure.axes[0].get_ylim()
    assert low < 0.5 - 0.3
    assert high > 0.5 + 0.3
