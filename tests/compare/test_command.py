"""`novelette compare`: several methods, each in a process of its own; what is measured, what is said, and what goes wrong."""

import inspect
import json
import multiprocessing
import re
import signal
import tempfile
import time
from dataclasses import replace

import joblib
import numpy as np
import pytest
import torch
from pictures import assert_refused, checks, stripes, write, write_labelled

from novelette import calibrate, charts, cli_compare, metrics, store
from novelette.cli import main
from novelette.cli_compare import entrants
from novelette.compare import contest, findings, page, trial
from novelette.data import download
from novelette.data.images import Preprocessing
from novelette.data.select import Where, normal_pictures
from novelette.errors import InputError
from novelette.fitting import Recipe, gather
from novelette.methods import METHODS, deep_svdd, discriminator, ede_gan, knn
from novelette.words import text_table

MISSING = "feature-knn --perceptual-weights gone.npz"
GAN = "ede-gan --widths 2 --latent 8"


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pictures") / "parts", stripes(60))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return write_labelled(tmp_path_factory.mktemp("pictures") / "labelled")


@pytest.fixture(scope="module")
def made(tmp_path_factory, parts, labelled):
    """What the command made of four methods, one of them without its weights, in this process: (status, folder, JSON)."""
    folder = tmp_path_factory.mktemp("compared") / "report"
    out = folder.with_name("out.json")
    command = ["compare", str(parts), "--test", str(labelled), "--methods", f"{GAN} --steps 12, {MISSING}", "-o", str(folder), "--json"]
    with out.open("w") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", file)
        patch.setattr(contest, "answered", here)
        status = main([*command, "--false-alarm-rate", "0.2"])
    return status, folder, json.loads(out.read_text())


def recipe(method, config):
    return Recipe(method, config, false_alarm_rate=0.2)


def here(task, limit_s):
    """`answered` without a process."""
    try:
        return trial.trial(task)
    except InputError as error:
        return str(error)


# the command


def test_the_rate_is_that_of_fit_unless_given():
    """A literal there, since importing the command must not load numpy."""
    assert inspect.signature(cli_compare.compare).parameters["false_alarm_rate"].default == calibrate.FALSE_ALARM_RATE


def test_every_method_is_a_row_best_first_with_both_knns_though_they_were_not_asked_for(made):
    _, _, found = made
    *rows, last = found["rows"]
    assert {row["method"] for row in rows} == {"knn", "knn --metric euclidean", f"{GAN} --steps 12"}
    assert last["method"] == MISSING
    areas = [row["auroc"] for row in rows]
    assert areas == sorted(areas, reverse=True)
    assert all(row["low"] <= row["auroc"] <= row["high"] for row in rows)


def test_a_method_that_fails_is_a_row_with_its_reason_and_the_others_go_on(made):
    status, folder, found = made
    assert status == 1
    assert [row["failed"] is None for row in found["rows"]] == [True] * 3 + [False]
    assert "gone.npz" in found["rows"][-1]["failed"]
    assert not (folder / "feature-knn-perceptual-weights-gone.npz.det").exists()
    *_, last = re.findall(r"<tr>.*?</tr>", (folder / "index.html").read_text().partition("</table>")[0])
    assert re.search(rf'<th scope="row">{MISSING}</th><td colspan="9">failed: .*gone\.npz', last)


def test_the_printed_table_has_a_line_for_what_failed_under_the_same_columns():
    lines = text_table(["method", "AUROC", "fit"], [["knn", "0.912", "1 s"], ["pca, long", "failed: too few pictures for it"]])
    assert list(lines) == ["method     AUROC  fit", "knn        0.912  1 s", "pca, long  failed: too few pictures for it"]


def test_when_every_method_fails_the_table_has_their_reasons(parts, monkeypatch, capsys):
    monkeypatch.setattr(contest, "answered", lambda task, limit_s: "no memory")
    assert main(["compare", str(parts), "--methods", "knn"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "method                  agreement  steps  fit  a picture  on disk  memory",
        "knn                     failed: no memory",
        "knn --metric euclidean  failed: no memory",
        "None of the methods came to an end.",
    ]


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No weights, and no internet to fetch them from."""

    def no_connection(*args):
        raise InputError("no connection")

    monkeypatch.setenv("NOVELETTE_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(download, "_fetch_file", no_connection)


@pytest.mark.usefixtures("offline")
def test_only_the_default_feature_knn_may_be_without_its_weights(parts, monkeypatch, capsys):
    def answered(task, limit_s):  # kNN in the place of whatever needs no weights
        return here(task if task.recipe.method == "feature-knn" else replace(task, recipe=recipe("knn", knn.TINY), seconds=None), limit_s)

    monkeypatch.setattr(contest, "answered", answered)
    assert main(["compare", str(parts)]) == 0
    out, err = capsys.readouterr()
    assert re.search("^feature-knn +failed: the weights of MobileNet v1 0.25 .* are not there", out, re.MULTILINE)
    assert err.splitlines()[-1] == "feature-knn is left out: its network's weights are not there, and --methods did not ask for it"

    assert main(["compare", str(parts), "--methods", "feature-knn"]) == 1
    assert "is left out" not in capsys.readouterr().err
    monkeypatch.setattr(contest, "answered", lambda task, limit_s: "no memory" if task.recipe.method == "pca" else answered(task, limit_s))
    assert main(["compare", str(parts)]) == 1


def test_files_that_are_taken_for_masks_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(contest, "answered", lambda task, limit_s: "no memory")
    write(tmp_path / "parts", stripes(20))
    write(tmp_path / "parts" / "masks", checks(1))
    write_labelled(tmp_path / "labelled")
    write(tmp_path / "labelled" / "mask", checks(2))
    assert main(["compare", str(tmp_path / "parts"), "--test", str(tmp_path / "labelled"), "--methods", "knn"]) == 1
    told = re.findall("taken for masks and left out: (.*); if they are pictures", capsys.readouterr().err)
    assert told == ["masks/00.png", "mask/00.png, mask/01.png"]


def test_a_process_can_be_waited_for_as_long_as_minutes_may_be_given():
    mine, its = multiprocessing.Pipe()
    its.send("done")
    assert mine.poll(60 * (contest.GRACE * cli_compare.MOST_MINUTES + 1))


def test_detectors_are_kept_and_are_what_fit_makes(made, parts, labelled, tmp_path):
    _, folder, found = made
    row = next(row for row in found["rows"] if row["method"].startswith("ede-gan"))
    words = row["command"].split()
    kept, again = folder / words[words.index("-o") + 1], tmp_path / "again.det"
    words[words.index("-o") + 1] = str(again)
    assert words[:4] == ["novelette", "fit", "ede-gan", str(parts)]
    assert main(words[1:]) == 0
    assert (again / store.WEIGHTS).read_bytes() == (kept / store.WEIGHTS).read_bytes()
    assert store.load(kept).threshold == row["threshold"]


def test_figures_are_those_of_the_kept_detector(made, labelled):
    _, folder, found = made
    row = next(row for row in found["rows"] if row["method"] == "knn")
    detector = store.load(folder / "knn.det")
    scores, labels = detector.score(labelled), np.repeat([0, 1], 12)  # normal/ comes before novel/
    assert row["auroc"] == metrics.auroc(scores, labels)
    assert (row["false_alarms"], row["misses"]) == metrics.rates_at(scores, labels, detector.threshold)
    assert row["disk_bytes"] == sum(file.stat().st_size for file in (folder / "knn.det").iterdir())


def test_the_page_stands_alone_and_shows_every_row(made):
    text = (made[1] / "index.html").read_text()
    assert text.count("<svg") == 1
    assert "<script" not in text
    assert "$" not in text
    assert "http" not in re.sub(r'http-equiv="[^"]*"', "", text)
    assert all(text.count(row["command"].split(" -o ")[1]) == 1 for row in made[2]["rows"][:-1])


def test_a_method_that_needs_the_classes_of_the_pictures_has_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(contest, "answered", here)
    for name, picture in (("waves", stripes(20)), ("boards", checks(20))):
        write(tmp_path / "parts" / name, picture)
    methods = "certainty --reading plain --width 4 --steps 2"
    assert main(["compare", str(tmp_path / "parts"), "--methods", methods]) == 0
    assert "failed" not in capsys.readouterr().out


def test_without_labelled_pictures_nothing_is_ranked_and_the_strangest_are_shown(parts, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(contest, "answered", here)
    odd = write(tmp_path / "parts", np.concatenate([stripes(40), np.full((1, 32, 32), 255, np.uint8)]))
    assert main(["compare", str(odd), "--methods", "knn --k 1", "-o", str(tmp_path / "report"), "--false-alarm-rate", "0.3"]) == 0
    out, page_text = capsys.readouterr().out, (tmp_path / "report" / "index.html").read_text()
    assert "AUROC" not in out
    assert "cannot be known from normal ones" in out
    assert "Strangest to all together, and worth a look before they are called normal: 40.png," in out
    assert page_text.index("40.png</figcaption>") < page_text.index("</figcaption>") + 20  # the first shown


def test_an_unreadable_picture_is_skipped_and_told(tmp_path, labelled, monkeypatch, capsys):
    monkeypatch.setattr(contest, "answered", here)
    parts = write(tmp_path / "parts", stripes(30))
    (parts / "07.png").write_bytes(b"no picture")
    assert main(["compare", str(parts), "--methods", "knn", "--test", str(labelled)]) == 3
    assert "skipped 07.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("methods", "says"),
    [
        ("nothing", "there is no method 'nothing': choose one of"),
        ("knn --k 0", "--k"),
        ("knn --neighbours 3", "--neighbours"),
        ("ede-gan --widths x", "widths"),
    ],
)
def test_a_method_that_is_none_is_refused_before_any_work(methods, says, parts, tmp_path, capsys):
    assert_refused(["compare", str(parts), "--methods", methods], tmp_path, capsys, says)


def test_what_must_not_be_replaced_is_refused_before_any_work(made, parts, tmp_path, capsys):
    folder = made[1]
    assert_refused(["compare", str(parts), "-o", str(folder)], folder, capsys, "index.html exists", "--force")
    write(tmp_path / "out" / "knn.det", stripes(1))
    assert_refused(["compare", str(parts), "-o", str(tmp_path / "out")], tmp_path, capsys, "knn.det exists")
    for minutes in ("0", "nan", "8000", "inf"):
        says = f"--minutes-each {minutes} is not above 0 and up to 7,000"
        assert_refused(["compare", str(parts), "--minutes-each", minutes], tmp_path, capsys, says)


# processes


@pytest.mark.heavy
def test_a_process_comes_to_the_same_as_none(parts, tmp_path):
    normal = gather(normal_pictures(str(parts), Where()), Preprocessing(), bar=False)
    joblib.dump(trial.Material(normal, Preprocessing(), None, None), tmp_path / "material")
    task = trial.Task(recipe("knn", knn.TINY), tmp_path / "material", None, tmp_path / "a.det")
    its, own = contest.answered(task, 120), here(replace(task, output=tmp_path / "b.det"), 0)
    assert np.array_equal(its.normal, own.normal)
    assert its.threshold == own.threshold
    assert (tmp_path / "a.det" / store.WEIGHTS).read_bytes() == (tmp_path / "b.det" / store.WEIGHTS).read_bytes()
    assert 5e7 < its.peak_bytes < 1e9
    failed = contest.answered(replace(task, material=tmp_path / "gone"), 120)
    assert failed.startswith("FileNotFoundError: ")


def sleeps(task, answer):
    time.sleep(60)


def test_a_method_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr(contest, "attempt", sleeps)
    before = set(multiprocessing.active_children())
    assert contest.answered(None, 0.01) == "not done after 0 s, and stopped; --minutes-each gives it longer"
    assert set(multiprocessing.active_children()) == before


def test_a_process_that_ends_without_an_answer_is_a_reason(monkeypatch):
    monkeypatch.setattr(contest, "attempt", print)
    assert contest.answered(None, 120) == "its process crashed (exit code 0)"
    assert contest.died(-signal.SIGKILL) == "its process was killed, as the system does that has no memory left"


def test_ctrl_c_leaves_no_process_and_no_files(parts, tmp_path, monkeypatch, capsys):
    def press(self, timeout):
        raise KeyboardInterrupt

    monkeypatch.setattr(contest, "attempt", sleeps)
    monkeypatch.setattr(multiprocessing.connection.Connection, "poll", press)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = set(multiprocessing.active_children())
    assert main(["compare", str(parts)]) == 130
    assert set(multiprocessing.active_children()) == before
    assert list(tmp_path.iterdir()) == []


def test_scores_that_are_no_numbers_are_a_failure():
    scores = np.zeros(3, np.float32)
    outcome = trial.Outcome(knn.TINY, 0, 0, None, 1.0, 1.0, 1, 1, scores, np.array([0, np.nan], np.float32))
    assert contest.judged(entered("knn"), outcome, None, 0).reason == "1 score that it gave is no number"


# pacing


def entered(label):
    return entrants(label, recipe)[-1]


def test_steps_follow_from_the_minutes_unless_they_are_given():
    assert [one.paced for one in entrants("ede-gan, ede-gan --steps 7, ede-gan --epochs 2", recipe)[2:]] == [True, False, False]
    assert entered("ede-gan --steps 7").recipe.config == ede_gan.Config(steps=7)
    assert entered("ede-gan --paper --widths 2").recipe.config == ede_gan.paper().model_copy(update={"widths": (2,)})
    assert trial.steps_of(ede_gan.paper()) == 0  # its epochs count
    assert trial.steps_of(knn.Config()) == 0


def test_parts_of_training_are_shortened_in_proportion():
    whole = deep_svdd.Config(pretraining=3000, steps=1000)
    short = trial.shortened(whole, 200)
    assert (short.pretraining, short.steps, trial.steps_of(short)) == (150, 50, 200)
    assert trial.shortened(deep_svdd.Config(pretraining=0, steps=1000), 200) == deep_svdd.Config(pretraining=0, steps=200)


@pytest.mark.parametrize("name", METHODS)
def test_every_update_of_a_method_counts(name):
    config = METHODS[name].Config()
    if not getattr(config, "epochs", 0):
        assert trial.steps_of(config) == (config.steps_for(1) if hasattr(config, "steps_for") else 0)


def test_the_autoencoder_of_a_discriminator_counts_where_it_has_one():
    whole = discriminator.Config(autoencoder="joint", autoencoder_steps=500, steps=2000)
    short = trial.shortened(whole, 250)
    assert (short.autoencoder_steps, short.steps, trial.steps_of(short), short.steps_for(1)) == (50, 200, 250, 250)
    assert trial.shortened(discriminator.Config(steps=2000), 200) == discriminator.Config(steps=200)
    assert not entered("discriminator --autoencoder initial --autoencoder-steps 9").paced
    assert entered("discriminator --autoencoder initial").paced


def test_the_time_of_a_step_is_that_of_the_steps_alone():
    calls = []

    def takes(steps):  # three seconds beside the steps, a quarter a step
        calls.append(steps)
        return 3 + 0.25 * steps

    assert trial.each_takes(takes, long_enough=10, most=10_000) == pytest.approx(0.25)
    assert calls == [4, 8, 16, 32]  # 3 + 32 / 4 is the first of 10 s
    assert trial.each_takes(takes, long_enough=1e9, most=20) == pytest.approx(0.25)
    assert calls[4:] == [4, 8, 16, 32]  # no more than the recipe's steps are tried


@pytest.mark.parametrize(("number", "cut"), [(0.3, 1), (9.9, 9), (42, 42), (129, 120), (1287.5, 1200), (98_765, 98_000)])
def test_steps_are_cut_to_two_digits(number, cut):
    assert trial.two_digits(number) == cut


def test_a_trial_trains_for_what_its_seconds_allow_and_never_longer_than_the_recipe(parts, tmp_path, monkeypatch):
    normal = gather(normal_pictures(str(parts), Where()), Preprocessing(), bar=False)
    joblib.dump(trial.Material(normal, Preprocessing(), None, None), tmp_path / "material")
    monkeypatch.setattr(trial, "each_takes", lambda takes, long_enough, most: 0.5)
    config = ede_gan.Config(widths=(2,), latent=8, steps=9)
    task = trial.Task(recipe("ede-gan", config), tmp_path / "material", 3.0, tmp_path / "a.det")
    outcome = trial.trial(task)
    assert (outcome.steps, outcome.recipe_steps, outcome.config.steps) == (6, 9, 6)
    assert store.load(tmp_path / "a.det").config.steps == 6
    assert trial.trial(replace(task, seconds=100.0)).steps == 9
    assert len(outcome.normal) == 60
    assert len(outcome.scores) == normal.calibrating.sum()


# what is found


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
    where = Where(normal="3")
    entrant = replace(entrant, recipe=replace(entrant.recipe, size=64, where=where))
    row = contest.Row(entrant, outcome_of([0, 1], config=ede_gan.Config(widths=(2,), steps=40)))
    assert page.command(row, "my parts") == (
        "novelette fit ede-gan 'my parts' -o ede-gan-widths-2.det --widths 2 --steps 40 --size 64 --false-alarm-rate 0.2 --normal 3"
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
