"""Plots as SVG text: a report's two, whose colours are the page's own CSS classes and follow its light and dark dress; and a stream's."""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from novelette.metrics import roc_curve

WIDTH, HEIGHT = 440, 330
LEFT, RIGHT, TOP, BOTTOM = 58, 20, 14, 44  # px around the plotting area
BINS = 48
MOST_CORNERS = 400  # of a curve: as many as pixels across
MOST_DOTS = 2000
ALONE = (  # the style of a plot that stands in no page
    "<style>svg { background: #fff; font: 12px system-ui, sans-serif } text { fill: #63676f }"
    " .strong { fill: #1c1e22; font-weight: 600; paint-order: stroke; stroke: #fff; stroke-width: 4px }"
    " .grid { stroke: #e2e0da } .curve { fill: none; stroke: #2b6cb0; stroke-width: 2 } .p { fill: #2b6cb0; fill-opacity: .45 }"
    " .dot { fill: #d0541f; stroke: #fff; stroke-width: 2 } .threshold { stroke: #1c1e22; stroke-dasharray: 5 3 }</style>"
)


def roc_chart(scores: NDArray[np.floating], labels: NDArray[np.integer], point: tuple[float, float] | None) -> str:
    """ROC curve of scores (N,) and labels (N,), both kinds present, with the threshold's (false-alarm rate, rate caught) as a dot."""
    fpr, tpr = _thinned(*roc_curve(scores, labels))
    x, y = _x(fpr), _y(tpr)
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    parts = [
        _grid([(float(_x(t)), _share(t)) for t in ticks], [(float(_y(t)), _share(t)) for t in ticks]),
        f'<line class="chance" x1="{_x(0):.0f}" y1="{_y(0):.0f}" x2="{_x(1):.0f}" y2="{_y(1):.0f}"/>',
        f'<polygon class="area" points="{line} {_x(1):.1f},{_y(0):.1f}"/>',
        f'<polyline class="curve" points="{line}"/>',
    ]
    if point is not None:
        right = point[0] < 0.6
        away, anchor = (12, "start") if right else (-12, "end")
        parts.append(f'<circle class="dot" cx="{_x(point[0]):.1f}" cy="{_y(point[1]):.1f}" r="5.5"/>')
        parts.append(
            f'<text class="strong" text-anchor="{anchor}" x="{_x(point[0]) + away:.1f}" y="{_y(point[1]) + 18:.1f}">threshold</text>'
        )
    parts += _axes("false alarms (normal pictures flagged)", "novel pictures caught")
    return _svg("ROC curve: share of novel pictures caught against share of normal pictures flagged", parts)


def histogram_chart(scores: NDArray[np.floating], labels: NDArray[np.integer], threshold: float | None) -> str:
    """Shares of normal and of novel pictures over the score, each class adding up to 1, with the threshold as a line.

    Scores that are positive and stretch over more than a factor of 30 are drawn on a logarithmic axis.
    """
    scores = np.asarray(scores, np.float64)
    seen = scores if threshold is None else np.append(scores, threshold)
    log = bool(seen.min() > 0 and seen.max() / seen.min() > 30)
    place = np.log10 if log else np.asarray
    low, high = float(place(seen.min())), float(place(seen.max()))
    pad = 0.02 * (high - low) or 0.5
    low, high = low - pad, high + pad
    edges = np.linspace(low, high, BINS + 1)
    shares = {}
    for name, label in (("normal", 0), ("novel", 1)):
        own = place(scores[labels == label])
        if len(own):
            shares[name] = np.histogram(own, edges)[0] / len(own)
    top = max(float(s.max()) for s in shares.values()) * 1.06
    x = _x((edges - low) / (high - low))
    parts = [_grid([(float(_x((at - low) / (high - low))), text) for at, text in _ticks(low, high, log)], _share_ticks(top))]
    for name, share in shares.items():
        y = _y(share / top)
        steps = " ".join(f"{x[i]:.1f},{y[i]:.1f} {x[i + 1]:.1f},{y[i]:.1f}" for i in range(BINS))
        parts.append(f'<polygon class="{name} bars" points="{x[0]:.1f},{_y(0):.1f} {steps} {x[-1]:.1f},{_y(0):.1f}"/>')
    if threshold is not None:
        at = float(_x((float(place(threshold)) - low) / (high - low)))
        away, anchor = (6, "start") if at < WIDTH * 0.7 else (-6, "end")
        parts.append(f'<line class="threshold" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{_y(0):.0f}"/>')
        parts.append(f'<text class="strong" text-anchor="{anchor}" x="{at + away:.1f}" y="{TOP + 12}">threshold</text>')
    parts += _axes("score, logarithmic" if log else "score", "share of its kind")
    return _svg("Histogram of the scores of normal and of novel pictures", parts)


def interval_chart(names: Sequence[str], values: Sequence[tuple[float, float, float]], label: str) -> str:
    """A line a name: (low, value, high) as a bar and a dot, from above. A dashed line marks chance, 0.5, where it is in sight."""
    left, row, bottom = 20 + 7.6 * max(map(len, names)), 24, 38
    width, height = max(2 * WIDTH, left + WIDTH), TOP + row * len(names) + bottom
    low, high = min(v[0] for v in values), max(v[2] for v in values)
    pad = 0.04 * (high - low) or 0.05
    low, high = low - pad, high + pad

    def x(value: float) -> float:
        return left + (width - left - RIGHT) * (value - low) / (high - low)

    below = TOP + row * len(names)
    parts = [f'<line class="grid" x1="{x(at):.1f}" y1="{TOP}" x2="{x(at):.1f}" y2="{below}"/>' for at, _ in _ticks(low, high, log=False)]
    parts += [f'<text text-anchor="middle" x="{x(at):.1f}" y="{below + 16}">{text}</text>' for at, text in _ticks(low, high, log=False)]
    if low < 0.5 < high:
        parts.append(f'<line class="chance" x1="{x(0.5):.1f}" y1="{TOP}" x2="{x(0.5):.1f}" y2="{below}"/>')
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        y = TOP + row * (i + 0.5)
        parts.append(f'<text class="strong" text-anchor="end" x="{left - 10:.1f}" y="{y + 4:.1f}">{escape(name)}</text>')
        parts.append(f'<line class="curve" x1="{x(value[0]):.1f}" y1="{y:.1f}" x2="{x(value[2]):.1f}" y2="{y:.1f}"/>')
        parts.append(f'<circle class="dot" cx="{x(value[1]):.1f}" cy="{y:.1f}" r="5"/>')
    parts.append(f'<text text-anchor="middle" x="{(left + width - RIGHT) / 2:.0f}" y="{height - 4}">{label}</text>')
    return f'<svg viewBox="0 0 {width:.0f} {height}" role="img" aria-label="{label} by name">{"".join(parts)}</svg>'


def drift_chart(p_values: NDArray[np.floating], log10_capital: NDArray[np.floating], odds: float, first: int | None) -> str:
    """A stream as a file of its own: below, the p-value of each picture; above, the capital that was won by betting on drift.

    Args: p_values, log10_capital: (n,), n at least 1, in the stream's order.   odds: of the alarm.   first: the picture of it, from 1.
    """
    n = len(p_values)
    low, high = min(0.0, float(log10_capital.min())) - 0.2, max(float(np.log10(odds)), float(log10_capital.max())) + 0.4
    along = [(float(_x(at / n)), text) for at, text in _ticks(0, n, log=False)]
    keep = np.unique(np.linspace(0, n - 1, MOST_CORNERS).round().astype(int))
    x, y = _x((keep + 1) / n), _y((log10_capital[keep] - low) / (high - low))
    alarm = float(_y((np.log10(odds) - low) / (high - low)))
    above = [
        _grid(along, [(float(_y((at - low) / (high - low))), text) for at, text in _powers(low, high)]),
        '<polyline class="curve" points="{}"/>'.format(" ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))),
        f'<line class="threshold" x1="{LEFT}" y1="{alarm:.1f}" x2="{WIDTH - RIGHT}" y2="{alarm:.1f}"/>',
        f'<text class="strong" x="{LEFT + 6}" y="{alarm - 6:.1f}">{odds:g} to 1: alarm</text>',
    ]
    if first is not None:
        place = log10_capital[first - 1]
        above.append(f'<circle class="dot" cx="{_x(first / n):.1f}" cy="{_y((place - low) / (high - low)):.1f}" r="5.5"/>')
    dots = np.unique(np.linspace(0, n - 1, MOST_DOTS).round().astype(int))
    below = [_grid(along, [(float(_y(t)), f"{t:g}") for t in (0.0, 0.25, 0.5, 0.75, 1.0)])]
    below += [f'<circle class="p" cx="{_x((i + 1) / n):.1f}" cy="{_y(p_values[i]):.1f}" r="1.8"/>' for i in dots]
    parts = [
        *above,
        *_axes("picture", "odds that something has changed"),
        f'<g transform="translate(0 {HEIGHT})">',
        *below,
        *_axes("picture", "p-value: an even band while nothing has"),
        "</g>",
    ]
    return _svg("Odds that a stream of pictures has drifted, and the p-value of each", parts, panels=2, style=ALONE)


def _x(share: NDArray[np.floating] | float) -> NDArray[np.floating]:
    """Horizontal place of a share in [0, 1] of the plotting area, px."""
    return np.asarray(LEFT + (WIDTH - LEFT - RIGHT) * np.asarray(share))


def _y(share: NDArray[np.floating] | float) -> NDArray[np.floating]:
    """Vertical place of a share in [0, 1] of the plotting area, px; 0 is below."""
    return np.asarray(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * np.asarray(share))


def _thinned(fpr: NDArray[np.floating], tpr: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """At most MOST_CORNERS points of a curve, evenly spaced along it, both ends among them."""
    along = fpr + tpr  # rises from 0 to 2 along any ROC curve
    keep = np.unique(np.searchsorted(along, np.linspace(0, 2 - 1e-12, MOST_CORNERS)))
    return fpr[keep], tpr[keep]


def _ticks(low: float, high: float, log: bool) -> list[tuple[float, str]]:
    """Round values within [low, high], 3 to 7 of them, and their text; on a logarithmic axis low and high are exponents."""
    if log:
        steps = [1, 2, 5] if high - low < 3 else [1]
        exponents = range(int(np.floor(low)), int(np.ceil(high)) + 1)
        found = [(float(np.log10(s) + e), f"{s * 10.0**e:g}") for e in exponents for s in steps]
    else:
        step = _round_step(high - low)
        found = [(float(v), f"{v:.10g}") for v in np.round(np.arange(np.ceil(low / step), high / step + 1) * step, 12)]
    return [(at, text) for at, text in found if low <= at <= high]


def _share_ticks(top: float) -> list[tuple[float, str]]:
    step = _round_step(top)
    return [(float(_y(v / top)), _share(float(v))) for v in np.arange(0, top, step)]


def _round_step(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that about five steps make the span."""
    power = 10.0 ** np.floor(np.log10(span / 5))
    return float(power * min((1, 2, 5, 10), key=lambda m: abs(np.log(m * power * 5 / span))))


def _share(share: float) -> str:
    return f"{round(100 * share, 6):g} %"


def _grid(xs: list[tuple[float, str]], ys: list[tuple[float, str]]) -> str:
    """Faint lines and their texts, at (px, text) along both axes."""
    lines = [f'<line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}"/>' for at, _ in xs]
    lines += [f'<line class="grid" x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}"/>' for at, _ in ys]
    lines += [f'<text text-anchor="middle" x="{at:.1f}" y="{HEIGHT - BOTTOM + 17}">{text}</text>' for at, text in xs]
    lines += [f'<text text-anchor="end" x="{LEFT - 7}" y="{at + 4:.1f}">{text}</text>' for at, text in ys]
    return "".join(lines)


def _axes(below: str, beside: str) -> list[str]:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return [
        f'<text text-anchor="middle" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}">{below}</text>',
        f'<text text-anchor="middle" transform="translate(11 {middle:.0f}) rotate(-90)">{beside}</text>',
    ]


def _svg(description: str, parts: list[str], *, panels: int = 1, style: str = "") -> str:
    """Args: panels: one below the other, the parts place themselves.   style: CSS where no page has it."""
    namespace = ' xmlns="http://www.w3.org/2000/svg"' if style else ""  # a page has it
    head = f'<svg{namespace} viewBox="0 0 {WIDTH} {panels * HEIGHT}" role="img" aria-label="{description}">'
    return f"{head}{style}{''.join(parts)}</svg>"


def _powers(low: float, high: float) -> list[tuple[float, str]]:
    """Powers of ten from 10^low to 10^high, at most seven, and their text."""
    step = max(1, int(np.ceil((high - low) / 7)))
    return [(float(e), f"{10**e}" if 0 <= e < 4 else f"1e{e}") for e in range(int(np.ceil(low)), int(np.floor(high)) + 1, step)]
