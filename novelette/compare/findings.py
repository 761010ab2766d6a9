"""What a comparison found, as a table and sentences for a person."""

from collections.abc import Iterator

import numpy as np

from novelette.compare.contest import Comparison, Row
from novelette.verdict import Finding, percent
from novelette.words import counted, names_words, seconds_words

AGREE = 0.3  # mean rank correlation, below which a method looks at something else than the others do


def heads(found: Comparison) -> list[str]:
    """The columns of `cells`."""
    judged = ["AUROC", "95 % interval", "false alarms", "misses"] if found.test else ["agreement"]
    return ["method", *judged, "steps", "fit", "a picture", "on disk", "memory"]


def cells(found: Comparison) -> list[list[str]]:
    """A line a method; of one that failed its name and the reason."""
    n_scored = int(found.normal.calibrating.sum()) if found.test is None else len(found.test.labels)
    rows = zip(found.rows, found.agreement(), strict=True)
    fitted = [[row.entrant.label, *_judged(found, row, r), *_costs(row, n_scored)] for row, r in rows]
    return fitted + [[failure.entrant.label, f"failed: {failure.reason}"] for failure in found.failures]


def _judged(found: Comparison, row: Row, agreement: float) -> list[str]:
    if found.test is None:
        return ["" if np.isnan(agreement) else f"{agreement:.2f}"]
    n_novel = int(found.test.labels.sum())
    shares = [(row.false_alarms, len(found.test.labels) - n_novel), (row.misses, n_novel)]
    return [f"{row.auroc:.3f}", f"{row.low:.3f} to {row.high:.3f}", *("" if share is None else percent(share, n) for share, n in shares)]


def _costs(row: Row, n_scored: int) -> list[str]:
    its = row.outcome
    each_ms = 1000 * its.score_seconds / n_scored
    return [
        f"{its.steps:,}" if its.steps else "",
        seconds_words(its.fit_seconds),
        f"{each_ms:.2g} ms" if each_ms < 10 else f"{each_ms:,.0f} ms",
        f"{its.disk_bytes / 1e6:,.2f} MB",
        f"{its.peak_bytes / 1e9:.2f} GB",
    ]


def findings(found: Comparison) -> Iterator[Finding]:
    """Sentences, the most important first."""
    if not found.rows:
        yield Finding("bad", "None of the methods finished.")
    elif found.test is None:
        yield from _without_labels(found)
    else:
        yield from _ranking(found)
    cut = [row.entrant.label for row in found.rows if row.outcome.steps < row.outcome.recipe_steps]
    if cut:
        yield Finding(
            "plain",
            f"Trained for {found.minutes:g} min each, with fewer steps than their recipes have: {names_words(cut)}. Longer may help them.",
        )
    if any(row.outcome.threshold is None for row in found.rows):
        n = int(found.normal.calibrating.sum())
        yield Finding("plain", f"There is no threshold: {counted(n, 'picture')} held out are too few for the false-alarm rate.")


def _ranking(found: Comparison) -> Iterator[Finding]:
    assert found.test is not None
    best, good = found.rows[0], found.as_good()
    assert best.low is not None
    interval = f"AUROC {best.auroc:.3f}, 95 % interval {best.low:.3f} to {best.high:.3f}"
    yield Finding("good" if best.low > 0.5 else "bad", f"{best.entrant.label} ranks best: {interval}.")
    if len(good) > 1:
        others = names_words([row.entrant.label for row in good[1:]])
        yield Finding("plain", f"Behind it by no more than sampling error: {others}.")
    knn = next((row for row in found.rows if row.entrant.recipe.method == "knn"), None)
    if knn is not None and knn in good:
        yield Finding("plain", "No method beats plain k-nearest-neighbours here by more than sampling error.")
    yield Finding(
        "plain",
        f"The best of {len(found.rows)} looks a little better than it is on the pictures that it was chosen by: "
        "measure it on others before relying on its figure.",
    )
    if found.test.seen:
        yield Finding(
            "bad", f"{found.test.seen:,} of the labelled pictures are also among the normal ones: the figures flatter, kNN's the most."
        )


def _without_labels(found: Comparison) -> Iterator[Finding]:
    n = len(found.normal.loaded.indices)
    yield Finding(
        "plain",
        f"Normal pictures alone do not show which of {counted(len(found.rows), 'method')} finds novel ones best. Here is what each "
        f"costs, and how far they agree on which of {n:,} normal pictures are strange. With labelled pictures, --test ranks them.",
    )
    apart = [row.entrant.label for row, r in zip(found.rows, found.agreement(), strict=True) if r < AGREE]
    if apart and len(found.rows) > 2:
        yield Finding("plain", f"What is strange to the others is not strange to {names_words(apart)} (rank correlation below {AGREE:g}).")
    names = [found.normal.chosen.source.names[i] for i in found.strangest(10)]
    yield Finding("plain", f"Strangest to all methods together, and worth a look before they are called normal: {names_words(names)}.")
