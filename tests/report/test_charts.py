"""Charts of any scores."""

import numpy as np

from novelette import charts


def test_charts_survive_constant_negative_and_extreme_scores():
    labels = np.array([0, 0, 1, 1])
    for scores in ([1, 1, 1, 1], [-3, -2, -1, 0], [1e-6, 1, 10, 1e6], [0, 0, 0, 1e-30]):
        for threshold in (None, 1.0):
            svg = charts.histogram_chart(np.array(scores, np.float32), labels, threshold)
            assert "nan" not in svg
            assert "inf" not in svg
    assert "logarithmic" in charts.histogram_chart(np.array([0.01, 1, 2, 9]), labels, 0.5)


def test_roc_chart_of_many_scores_stays_small():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 20_000)
    svg = charts.roc_chart(rng.normal(labels), labels, (0.1, 0.5))
    assert len(svg) < 20_000
    assert f"{charts.WIDTH - charts.RIGHT:.1f},{charts.TOP:.1f}" in svg
