"""Drift: fair bets, an alarm that false streams rarely reach and shifted ones soon do, and the command that watches a folder."""

import json
import math

import numpy as np
import pytest
from pictures import assert_refused, checks, fitted, stripes, write

from novelette import drift, store
from novelette.cli import main
from novelette.drift import ODDS, Drift, bets, course_of


def test_every_bet_is_a_density_on_the_unit_interval():
    p = (np.arange(100_000) + 0.5) / 100_000
    paid = np.array([bets(float(value)) for value in p])
    assert (paid > 0).all()
    # the midpoint rule; of 1 / (2 sqrt(p)) it leaves out 0.3 widths' root at p = 0
    assert paid.mean(0) == pytest.approx(np.ones(7), abs=0.002)


def test_p_values_count_calibration_and_what_came_before():
    gambler = Drift([1.0, 2.0, 3.0], seed=0)
    u = np.random.default_rng(0).random(3)
    # 2.5 lies under one of three; 2.5 again ties with itself seen before; 9 lies above all five
    expected = [(1 + u[0]) / 4, (1 + 2 * u[1]) / 5, u[2] / 6]
    assert [p for p, _ in gambler.see([2.5, 2.5, 9.0])] == pytest.approx(expected)


def test_capital_is_the_sum_over_the_pictures_at_which_money_was_put_down():
    gambler = Drift(np.linspace(0, 1, 9), seed=3)
    found = gambler.see(np.random.default_rng(1).uniform(0, 1.5, 6))
    p = [p for p, _ in found]
    for m in range(1, 7):  # the docstring's formula in plain loops
        capital = 1 / (m + 1)
        for k in range(1, m + 1):
            products = [math.prod(bets(p[j - 1])[i] for j in range(k, m + 1)) for i in range(7)]
            capital += sum(products) / 7 / (k * (k + 1))
        assert 10 ** found[m - 1][1] == pytest.approx(capital)


def test_of_unshifted_streams_at_most_one_in_twenty_alarms():
    rng = np.random.default_rng(0)
    alarms = sum(course_of(rng.normal(size=400), rng.normal(size=100), seed=i).first is not None for i in range(100))
    assert alarms <= 5


@pytest.mark.parametrize("n_calibration", [20, 1000])
@pytest.mark.parametrize(("shift", "spread"), [(1, 1), (-1, 1), (0, 3)], ids=["higher", "lower", "further apart"])
def test_a_stream_whose_second_half_is_shifted_is_flagged_within_200_pictures(n_calibration, shift, spread):
    rng = np.random.default_rng(1)
    firsts = []
    for seed in range(20):
        stream = np.concatenate([rng.normal(size=500), rng.normal(shift, spread, 500)])
        firsts.append(course_of(stream, rng.normal(size=n_calibration), seed=seed).first)
    assert all(first is not None and first <= 700 for first in firsts)
    assert sum(first > 500 for first in firsts) >= 15  # the others are false alarms, of which the test above keeps count


def test_scores_that_are_all_equal_are_no_drift():
    assert course_of(np.ones(2000), np.ones(50)).first is None


def test_an_alarm_stays_when_the_scores_are_themselves_again():
    gambler = Drift(np.linspace(0, 1, 99))
    gambler.see(np.full(30, 5.0))
    first = gambler.first
    gambler.see(np.random.default_rng(0).uniform(0, 1, 2000))
    assert gambler.drifted
    assert gambler.first == first
    assert gambler.log10_capital < math.log10(ODDS)


def test_a_stream_that_drifts_for_ever_stays_finite_and_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(drift, "HISTORY", 200)
    gambler = Drift(np.linspace(0, 1, 100))
    gambler.see(np.arange(3000.0) + 2)
    assert len(gambler._known) == 200
    assert gambler.log10_capital == drift.MOST_LOG10


def test_drift_needs_calibration_scores():
    with pytest.raises(ValueError, match="calibration"):
        Drift([])


def test_a_score_that_is_not_finite_is_refused_and_changes_nothing():
    gambler = Drift([1.0, 2.0])
    with pytest.raises(ValueError, match="no rank"):
        gambler.see([float("nan")])
    assert (gambler.seen, gambler.log10_capital) == (0, 0.0)


# the command


@pytest.fixture(scope="module")
def det(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detectors")
    return fitted(folder / "knn.det", write(folder / "parts", stripes(60)))


@pytest.fixture(scope="module")
def changing(tmp_path_factory):
    """Thirty normal pictures, then thirty of another kind."""
    return write(tmp_path_factory.mktemp("stream") / "recent", np.concatenate([stripes(30, seed=5), checks(30)]))


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["detector", "bundle"])
def test_a_folder_that_changes_is_told_with_exit_status_1_and_a_plot(det, changing, tmp_path, capsys, kind):
    watched = det
    if kind == "bundle":
        watched = tmp_path / "knn.bundle"
        assert main(["export", str(det), "-o", str(watched)]) == 0
    capsys.readouterr()
    assert main(["drift", str(watched), str(changing), "-o", str(tmp_path / "drift.svg"), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["drifted"]
    assert said["pictures"] == 60
    assert 30 < said["first"] <= 45
    plot = (tmp_path / "drift.svg").read_text()
    assert plot.startswith("<svg")
    assert plot.count('class="p"') == 60


def test_a_folder_like_the_calibration_is_told_with_exit_status_0(det, tmp_path, capsys):
    assert main(["drift", str(det), str(write(tmp_path / "recent", stripes(40, seed=8)))]) == 0
    assert "no drift in 40 pictures: odds of at most " in capsys.readouterr().out


def test_a_picture_that_cannot_be_read_hides_no_drift(det, tmp_path, capsys):
    for name, pictures, status in (("same", stripes(20, seed=8), 3), ("changing", np.concatenate([stripes(20, seed=5), checks(30)]), 1)):
        folder = write(tmp_path / name, pictures)
        (folder / "00a.png").write_text("no picture")
        assert main(["drift", str(det), str(folder)]) == status
        assert "skipped 00a.png" in capsys.readouterr().err


def test_the_picture_of_the_alarm_is_named(det, changing, capsys):
    assert main(["drift", str(det), str(changing)]) == 1
    first = json.loads(_printed(capsys, "drift", str(det), str(changing), "--json"))["first"]
    assert f"drift: odds of 20 to 1 that something had changed by {first - 1:02}.png, {first} of 60 pictures" in _printed(
        capsys, "drift", str(det), str(changing)
    )


def test_a_detector_without_calibration_is_refused(det, changing, tmp_path, capsys):
    bare = tmp_path / "bare.det"
    loaded = store.load(det)
    store.save(loaded.recalibrated(np.zeros(0), 0.05), bare)
    assert_refused(["drift", str(bare), str(changing)], tmp_path, capsys, "no calibration")


def test_a_plot_that_is_no_svg_or_that_exists_is_refused(det, changing, tmp_path, capsys):
    (tmp_path / "old.svg").write_text("mine")
    assert_refused(["drift", str(det), str(changing), "-o", str(tmp_path / "plot.png")], tmp_path, capsys, "must end in .svg")
    assert_refused(["drift", str(det), str(changing), "-o", str(tmp_path / "old.svg")], tmp_path, capsys, "--force")
    assert (tmp_path / "old.svg").read_text() == "mine"


def _printed(capsys, *argv):
    capsys.readouterr()
    main(list(argv))
    return capsys.readouterr().out
