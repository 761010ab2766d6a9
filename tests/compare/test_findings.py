"""What a comparison finds: ranks within sampling error, agreement, and the command to go on with."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compare.contestants import entered

from novelette import charts, metrics
from novelette.compare import contest, findings, page, trial
from novelette.data.images import Preprocessing
from novelette.data.select import Where, normal_pictures
from novelette.fitting import gather
from novelette.methods import ede_gan, knn


def outcome_of(scores, normal=(1, 2, 3), config=knn.TINY):
    scores, normal = (np.array(values, np.float32) for values in (scores, normal))
    steps = trial.steps_of(config)
    return trial.Outcome(config, steps, 100 if steps else 0, 0.5, 1.0, 1.0, 1000, 1000, scores, normal)


def comparison(outcomes, labels, parts):
    normal = gather(normal_pictures(str(parts), Where()), Preprocessing(), bar=False)
    test = contest.Test("labelled", normal.chosen.source, normal.loaded, np.array(labels), 0)
    rows = [contest.judged(replace(entered("knn --k 3"), label=name), outcome, test, 0) for name, outcome in outcomes.items()]
    return contest.Comparison(rows, [], normal, Preprocessing(), test, 1.0, 1.0)


def test_rows_as_good_as_the_best_are_those_within_sampling_error(parts):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    best = rng.normal(2.0 * labels)
    outcomes = {"best": outcome_of(best), "near": outcome_of(best + rng.normal(0, 0.05, 400)), "far": outcome_of(rng.normal(0.5 * labels))}
    found = comparison(outcomes, labels, parts)
    assert [row.entrant.label for row in found.as_good()] == ["best", "near"]
    said = " ".join(one.text for one in findings.findings(found))
    assert "best ranks best: AUROC" in said
    assert "Behind it by no more than sampling error: near." in said


def test_agreement_is_the_mean_correlation_with_the_others(parts):
    outcomes = {"a": outcome_of([0, 1], [1, 2, 3]), "b": outcome_of([0, 1], [1, 2, 3]), "c": outcome_of([0, 1], [3, 2, 1])}
    assert comparison(outcomes, [0, 1], parts).agreement() == pytest.approx([0, 0, -1])
    assert np.isnan(comparison({"a": outcomes["a"]}, [0, 1], parts).agreement()).all()


def test_a_command_has_what_differs_from_the_plain_one(parts):
    entrant = entered("ede-gan --widths 2")
    where = Where(normal="3", data_roots=(Path("my sets"),))
    entrant = replace(entrant, recipe=replace(entrant.recipe, size=64, where=where))
    row = contest.Row(entrant, outcome_of([0, 1], config=ede_gan.Config(widths=(2,), steps=40)))
    assert page.command(row, "my parts") == (
        "novelette fit ede-gan 'my parts' -o ede-gan-widths-2.det --widths 2 --steps 40 --size 64 --false-alarm-rate 0.2 --normal 3"
        " --data-root 'my sets'"
    )


def test_the_difference_of_two_aurocs_and_its_error_by_hand():
    # novel 2 and 4, normal 1 and 3 by a; ψ_a = [[1, 0], [1, 1]] (novel x normal): placements of the novel ones ½, 1, of the normal 1, ½
    # b has novel 2 and 0 against the same: ψ_b = [[1, 0], [0, 0]]: ½, 0 and ½, 0
    a, b, labels = [1, 3, 2, 4], [1, 3, 2, 0], [0, 0, 1, 1]
    difference, error = metrics.auroc_difference(a, b, labels)
    assert difference == pytest.approx(0.75 - 0.25)
    # v of the novel: 0, 1, variance ½; of the normal: ½, ½, variance 0; error² = ½ / 2
    assert error == pytest.approx(0.5)
    assert metrics.auroc_difference(a, a, labels) == (0, 0)


def test_the_error_of_a_difference_is_what_resampling_says():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [150, 100])
    a = rng.normal(labels)
    b = 0.7 * a + rng.normal(0.2 * labels)
    difference, error = metrics.auroc_difference(a, b, labels)
    assert difference == pytest.approx(metrics.auroc(a, labels) - metrics.auroc(b, labels))
    drawn = []
    for _ in range(400):
        i = np.r_[rng.integers(0, 150, 150), 150 + rng.integers(0, 100, 100)]
        drawn.append(metrics.auroc(a[i], labels[i]) - metrics.auroc(b[i], labels[i]))
    assert error == pytest.approx(np.std(drawn), rel=0.15)  # 400 draws tell a standard deviation to 4 %, a bootstrap to some more


def test_the_chart_places_values_on_one_scale():
    svg = charts.interval_chart(["a", "<b>"], [(0.4, 0.5, 0.6), (0.6, 0.7, 0.8)], "AUROC")
    x = [float(found) for found in re.findall(r'<circle class="dot" cx="([\d.]+)"', svg)]
    ends = [tuple(map(float, found)) for found in re.findall(r'<line class="curve" x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"', svg)]
    assert ends[0][1] == ends[1][0]
    assert x[0] == pytest.approx(sum(ends[0]) / 2, abs=0.1)
    assert "&lt;b&gt;" in svg
    assert 'class="chance"' in svg
