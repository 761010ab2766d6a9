"""Pages from records: every figure by hand, on records made up for these tests; nothing is trained, and no data set is read."""

import json
import re

import numpy as np
import pytest
from matplotlib import rc_context, rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pictures import assert_refused

from novelette.bench import page
from novelette.bench.batch_sizes import batch_sizes
from novelette.bench.costs import costs, step_ms
from novelette.bench.course import course
from novelette.bench.figures import STYLE, Dots, Line, Lines, Mark, _dots, _lines, draw
from novelette.bench.found import find
from novelette.bench.printed import printed, published
from novelette.bench.runs import Bench, expand, read_bench
from novelette.bench.sections import classes, teachers
from novelette.bench.trials import noise, passes, seen
from novelette.cli import main
from novelette.data.named import load_named, outline
from novelette.errors import InputError

TABLES = ("cifar10", "mnist", "fashion-mnist")
HEAD = 'name = "b"\ntitle = "B"\ndata = "mnist"\nclasses = ["0", "1"]\n'
KNN = '[[detectors]]\nlabel = "kNN"\nmethod = "knn"\n'
GAN = '[[detectors]]\nlabel = "GAN"\nmethod = "ede-gan"\n'
PAIR = (
    '[[detectors]]\nlabel = "T"\nmethod = "ede-gan"\nconfig = { widths = "64-128-256", steps = 1000 }\n'
    '[[students]]\nlabel = "S"\nteacher = "T"\nconfig = { widths = "2-4-8", steps = 500 }\n'
)


@pytest.fixture(autouse=True)
def _no_data(monkeypatch):
    """A page needs no data set."""
    monkeypatch.setattr("novelette.bench.engine.load_named", None)


class Place:
    """A folder of bench files and one of records."""

    def __init__(self, root):
        self.root, self.benchmarks, self.results = root, root / "benchmarks", root / "results"
        self.benchmarks.mkdir()
        self.results.mkdir()

    def bench(self, text, name="b"):
        path = self.benchmarks / f"{name}.toml"
        path.write_text(text.replace('name = "b"', f'name = "{name}"'))
        return path

    def records(self, path, auroc, **more):
        """A record of each run for which `auroc` has (label, class, seed).   Args: more: a field, or a function of the run."""
        bench = read_bench(path)
        lines = []
        for run in expand(bench, outline(bench.data)):
            figure = auroc.get((run.entry.label, run.normal, run.seed))
            if figure is not None:
                lines.append(record(bench, run, figure) | {name: f(run) if callable(f) else f for name, f in more.items()})
        (self.results / f"{bench.name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return find(path, self.results)

    def argv(self, *words):
        return ["table", *words, "--benchmarks", str(self.benchmarks), "--results", str(self.results)]

    def text(self, name="b"):
        return page.text_of(page.make(name, self.benchmarks, self.results), figures=False)


def record(bench, run, auroc):
    said = {
        "key": run.key(bench, "MNIST"),
        "label": run.entry.label,
        "data": "MNIST",
        "protocol": bench.protocol,
        "normal": run.normal,
        "seed": run.seed,
        "method": run.method,
        "config": run.settings(),
        "size": bench.size,
        "device": "a CPU",
        "threads": 1,
        "load": 1.5,
        "commit": "abc1234",
        "versions": {"novelette": "0.1.0"},
        "created": f"2026-01-0{run.seed + 1}T12:00:00+00:00",
        "fit_seconds": 30.0,
        "stacked": 2,
        "split": {"train": 6000, "validation": 0, "test": 10000},
    }
    return said | ({"error": auroc} if isinstance(auroc, str) else {"auroc": auroc})


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def rows(text):
    """The cells of every row of a text's tables."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("|")]


def test_published_means_are_those_of_their_classes():
    for name in ("pkdgan-cifar10", "pkdgan-mnist"):
        for figures in published(name)["columns"].values():
            by_class = [value for normal, value in figures.items() if normal != "mean"]
            assert len(by_class) == 10
            assert figures["mean"] == pytest.approx(np.mean(by_class), abs=5.1e-4)  # of classes that are printed to three decimals


def test_published_tables_of_students_agree_with_each_other():
    """Table 4 prints what is lost: 3.15 and 0.71, 2.32 and 0.55, 1.91 and 0.18 points; Table 3 has the same P-KDGAN."""
    for name, teacher, scratch, student in zip(
        TABLES, (0.7376, 0.9780, 0.9311), (0.7061, 0.9548, 0.9120), (0.7305, 0.9725, 0.9293), strict=True
    ):
        tables = printed(["pkdgan-fashion-mnist" if name == "fashion-mnist" else f"pkdgan-{name}-students", f"pkdgan-{name}-structures"])
        means = {column: tables.columns[column].figures["mean"] for column in tables.columns}
        assert (means["EDE-GAN (teacher)"], means["student from scratch"], means["P-KDGAN"]) == (teacher, scratch, student)
        assert means["P-KDGAN-II-23"] == means["P-KDGAN"] == max(value for column, value in means.items() if "KDGAN-" in column)
        assert len(means) == 9
        assert tables.columns["EDE-GAN (teacher)"].cost == {"params": 5_120_000, "operations": 56_000_000}
        assert tables.columns["P-KDGAN"].cost == tables.columns["student from scratch"].cost


def test_several_published_tables_are_one_and_the_first_has_the_word():
    tables = printed(("pkdgan-mnist", "pkdgan-mnist-students"))
    teacher = tables.columns["EDE-GAN (teacher)"]
    assert teacher.source == "P-KDGAN, Table 2"
    assert teacher.by_class["8"] == 0.965
    assert teacher.cost["params"] == 5_120_000  # from the second
    assert tables.columns["P-KDGAN"].source == "P-KDGAN, Table 4"
    assert printed(["pkdgan-pipelines"]).gains["mnist"]["ede_over_runner_up"] == 36.92


def test_where_two_papers_print_other_figures_both_stand():
    """AnoGAN has a mean of 0.9127 in P-KDGAN and of 0.866 in PIAD; of KDE both print the same, but for the mean's digits."""
    columns = printed(("pkdgan-mnist", "piad-mnist")).columns
    assert (columns["AnoGAN"].figures["mean"], columns["AnoGAN, PIAD"].figures["mean"]) == (0.9127, 0.866)
    assert (columns["AnoGAN, PIAD"].source, columns["KDE"].source) == ("PIAD, Table 2", "P-KDGAN, Table 2")
    assert "KDE, PIAD" not in columns


def test_bench_names_one_published_table_or_several():
    values = {"name": "b", "title": "B", "data": "mnist", "detectors": [{"label": "kNN", "method": "knn"}]}
    assert Bench(**values).published == ()
    assert Bench(**values, published="pkdgan-mnist").published == ("pkdgan-mnist",)
    assert Bench(**values, published=["a", "b"]).published == ("a", "b")


def test_row_stands_beside_its_published_column_and_the_difference(place):
    text = HEAD + 'published = "pkdgan-mnist"\nseeds = [0, 1]\n' + GAN + 'paper = "EDE-GAN (teacher)"\n' + KNN
    aurocs = {("GAN", "0", 0): 0.99, ("GAN", "0", 1): 0.97, ("GAN", "1", 0): 0.95, ("GAN", "1", 1): 0.91, ("kNN", "0", 0): 0.9}
    section = classes(place.records(place.bench(text), aurocs))
    head, _, zero, one, mean = rows(section.text)
    assert head[:5] == ["normal class", "GAN", "EDE-GAN (teacher) (P-KDGAN, Table 2)", "difference", "kNN"]
    assert head[5] == "OCSVM (P-KDGAN, Table 2)"
    # 0: mean .98, std sqrt(2 · .01²) = .0141; 1: mean .93, std .0283; over classes, a seed: .97 and .94, so .955 ± .0212;
    # printed .996 and .999, mean .9975
    assert zero[1:5] == ["0.9800 ± 0.0141 (2)", "0.9960", "-0.0160", "0.9000"]
    assert one[1:5] == ["0.9300 ± 0.0283 (2)", "0.9990", "-0.0690", ""]
    assert mean[:5] == ["**mean of 2**", "**0.9550 ± 0.0212 (2)**", "0.9975", "**-0.0425**", ""]


def test_a_class_that_is_left_out_is_called_novel(place):
    left_out = HEAD + 'protocol = "leave-one-out"\n'
    nine = "".join(f'[[detectors]]\nlabel = "k{k}"\nmethod = "knn"\nconfig = {{ k = {k} }}\n' for k in range(1, 10))
    for entries, labels in ((KNN, ["kNN"]), (nine, [f"k{k}" for k in range(1, 10)])):
        aurocs = {(label, normal, 0): 0.7 for label in labels for normal in "01"}
        section = classes(place.records(place.bench(left_out + entries), aurocs))
        assert rows(section.text)[0][0] == ("novel class" if len(labels) == 1 else "detector")
        assert "novel class" in section.plots[0].alt
        assert "normal class" not in section.text + section.plots[0].alt


def test_mean_that_is_printed_without_classes_stands_below_ours(place):
    ten = HEAD.replace('classes = ["0", "1"]\n', 'published = "pkdgan-mnist-structures"\n') + GAN + 'paper = "KDGAN-1"\n'
    found = place.records(place.bench(ten), {("GAN", str(digit), 0): 0.97 for digit in range(10)})
    *_, mean, theirs, gap = rows(classes(found).text)
    assert (mean[1], theirs[:2], gap[:2]) == (
        "**0.9700**",
        ["printed (P-KDGAN, Table 3)", "0.9670, KDGAN-1"],
        ["difference", "+0.0030"],
    )


def test_no_difference_is_taken_to_a_mean_of_other_classes(place):
    text = HEAD + 'published = "pkdgan-mnist-structures"\n' + GAN + 'paper = "KDGAN-1"\n'
    found = place.records(place.bench(text), {("GAN", "0", 0): 0.97, ("GAN", "1", 0): 0.97})
    *_, theirs = rows(classes(found).text)
    assert theirs[1] == "0.9670 (10 classes), KDGAN-1"
    assert "difference" not in classes(found).text
    assert not any(mark.printed for mark in classes(found).plots[0].marks)


def test_many_detectors_stand_below_one_another(place):
    entries = "".join(f'[[detectors]]\nlabel = "k{k}"\nmethod = "knn"\nconfig = {{ k = {k} }}\n' for k in range(1, 10))
    text = HEAD + 'published = "pkdgan-mnist"\n' + entries + 'paper = "OCSVM"\n'
    aurocs = {(f"k{k}", normal, 0): 0.9 + k / 100 for k in range(1, 10) for normal in "01"}
    table = rows(classes(place.records(place.bench(text), aurocs)).text)
    assert table[0] == ["detector", "0", "1", "mean of 2", "printed", "difference"]
    assert table[2] == ["k1", "0.9100", "0.9100", "**0.9100**", "", ""]
    assert table[10] == ["k9", "0.9900", "0.9900", "**0.9900**", "0.9935", "-0.0035"]
    assert table[11][0] == "OCSVM (P-KDGAN, Table 2)"


def test_rows_of_other_benches_stand_beside(place, capsys):
    other = place.bench(HEAD + "size = 28\n" + KNN, "other")
    place.records(other, {("kNN", "0", 0): 0.7, ("kNN", "1", 0): 0.8})
    path = place.bench(HEAD + 'beside = ["other"]\n' + GAN + KNN)
    found = place.records(path, {("GAN", "0", 0): 0.9, ("kNN", "0", 0): 0.6})
    section = classes(found)
    assert rows(section.text)[0] == ["normal class", "GAN", "kNN", "kNN (other)"]
    assert rows(section.text)[2] == ["0", "0.9000", "0.6000", "0.7000"]
    assert [mark.aside for mark in section.plots[0].marks] == [False, False, True]
    lines = (place.results / "other.jsonl").read_text().replace("MNIST", "MNIST (other contents)")
    (place.results / "other.jsonl").write_text(lines)
    assert rows(classes(find(path, place.results)).text)[0][-1] == "kNN (other), MNIST (other contents)"
    (place.results / "other.jsonl").unlink()
    assert rows(classes(find(path, place.results)).text)[0] == ["normal class", "GAN", "kNN"]
    place.bench(HEAD + 'protocol = "gpnd"\n' + KNN, "other")
    assert_refused(place.argv("b"), place.root, capsys, "other cannot stand beside it, since it is of other data or another protocol")


def test_rows_beside_keep_what_they_stand_against_in_their_own_table(place):
    other = place.bench(HEAD + 'published = "pkdgan-mnist"\ntest_at_most = 100\n' + KNN + 'paper = "OCSVM"\n', "other")
    place.records(other, {("kNN", "0", 0): 0.98, ("kNN", "1", 0): 0.99})
    found = place.records(place.bench(HEAD + 'beside = ["other"]\n' + GAN), {("GAN", "0", 0): 0.9})
    head, _, zero, _ = rows(classes(found).text)
    assert head == ["normal class", "GAN", "kNN", "OCSVM (P-KDGAN, Table 2)", "difference"]
    assert zero == ["0", "0.9000", "0.9800", "0.9880", "-0.0080"]
    assert "`other`, pictures of 32 px, on the test images (of these 100 at most, half of them normal" in classes(found).text


def test_bench_prints_rows_of_other_benches_too(place, capsys, monkeypatch):
    place.records(place.bench(HEAD + KNN, "other"), {("kNN", "0", 0): 0.7, ("kNN", "1", 0): 0.8})
    path = place.bench(HEAD + 'beside = ["other"]\n' + GAN)
    found = place.records(path, {("GAN", "0", 0): 0.9, ("GAN", "1", 0): 0.8})
    monkeypatch.setattr("novelette.bench.engine.run_bench", lambda bench, results, **options: found.records)
    assert main(["bench", str(path), "--results", str(place.results)]) == 0
    assert rows(capsys.readouterr().out)[-1] == ["**mean of 2**", "**0.8500**", "**0.7500**"]


def test_students_that_beat_their_teacher(place):
    aurocs = {("T", "0", 0): 0.9, ("T", "1", 0): 0.8, ("S", "0", 0): 0.93, ("S", "1", 0): 0.78}
    found = place.records(place.bench(HEAD + PAIR), aurocs)
    assert rows(teachers(found).text)[2] == ["S", "T", "1 of 2: 0", "+0.0050"]  # (.03 - .02) / 2
    assert teachers(place.records(place.bench(HEAD + KNN), {("kNN", "0", 0): 0.5})) is None


def test_only_seeds_of_both_compare_student_and_teacher(place):
    aurocs = {("T", "0", 0): 0.9, ("T", "0", 1): 0.5, ("S", "0", 0): 0.91}
    found = place.records(place.bench(HEAD + "seeds = [0, 1]\n" + PAIR), aurocs)
    assert rows(teachers(found).text)[2][2:] == ["1 of 1: 0", "+0.0100"]


def test_cost_by_hand(place):
    """The papers' teacher and its student for one channel: docs/results/compression.md."""
    text = HEAD + 'published = "pkdgan-mnist-students"\n' + PAIR.replace('"S"', '"S"\npaper = "P-KDGAN"')
    found = place.records(place.bench(text), {(label, normal, 0): 0.9 for label in "TS" for normal in "01"})
    head, _, teacher, student = rows(costs(found).text)
    assert head == [
        *("detector", "mean AUROC", "printed", "parameters", "fewer", "printed", "multiply-adds", "fewer", "printed"),
        *("ms a step", "stacked"),
    ]
    assert teacher == ["T", "0.9000", "", "5,117,568", "1.00 ×", "", "54,263,808", "1.00 ×", "", "30.00", "2"]  # 30 s over 1,000 steps
    assert student[2:6] == ["0.9725 (10 classes)", "100,404", "50.97 ×", "52.22 ×"]
    assert student[6:] == ["172,032", "315.43 ×", "311.11 ×", "30.00", "2"]  # two phases of 500 steps


def test_a_step_in_epochs_is_counted_by_the_images(place):
    found = place.records(place.bench(HEAD + GAN + "config = { epochs = 2, batch_size = 7 }\n"), {("GAN", "0", 0): 0.9})
    assert step_ms(found.records[0]) == pytest.approx(30_000 / (2 * 858))  # ceil(6000 / 7) = 858


def test_pictures_in_colour_have_three_channels(place):
    text = HEAD.replace('"mnist"', '"cifar10"').replace('["0", "1"]', '["cat"]') + GAN + 'config = { widths = "8-16-64" }\n'
    path = place.bench(text)
    place.records(path, {("GAN", "cat", 0): 0.6})
    assert rows(costs(find(path, place.results)).text)[2][2:4] == ["843,408", "2,260,992"]
    assert costs(place.records(place.bench(HEAD + KNN), {("kNN", "0", 0): 0.5})) is None


CURVE = [[20, 0.5], [40, 0.9], [60, 0.95], [80, 0.6], [90, 0.7], [100, 0.8]]


def test_course_by_hand(place):
    text = HEAD + "seeds = [0, 1]\ncurve = 6\ncurve_every = 5\n" + GAN
    aurocs = {("GAN", normal, seed): 0.99 for normal in "01" for seed in (0, 1)}
    found = place.records(place.bench(text), aurocs, curve=lambda run: [[step, a + run.seed / 100] for step, a in CURVE])
    section = course(found)
    # last fifth: from step 80 on: .6, .7, .8, std .1; seed 1 lies .01 above: last .8 and .81, std sqrt(2 · .005²) = .0071
    assert rows(section.text)[2] == ["GAN", "0.8050 ± 0.0071 (2)", "0.9550 ± 0.0071 (2)", "0.1000 ± 0.0000 (2)"]
    assert "one in 5 of the test images" in section.text
    (line,) = section.plots[0].panels["0"]
    assert list(line.x) == [20, 40, 60, 80, 90, 100]
    assert list(line.y) == pytest.approx([0.505, 0.905, 0.955, 0.605, 0.705, 0.805])
    assert course(place.records(place.bench(HEAD + KNN), {("kNN", "0", 0): 0.5})) is None


def test_spread_is_blank_where_the_last_fifth_has_one_point(place):
    found = place.records(place.bench(HEAD + GAN), {("GAN", "0", 0): 0.9}, curve=[[50, 0.8], [100, 0.9]])
    assert rows(course(found).text)[2][-1] == ""


def gan(label, batch, pipeline="ede", more=""):
    config = f'{{ pipeline = "{pipeline}", batch_size = {batch}{more} }}'
    return f'[[detectors]]\nlabel = "{label}"\nmethod = "ede-gan"\nconfig = {config}\n'


def test_batch_sizes_by_hand(place):
    text = HEAD + 'published = "pkdgan-pipelines"\n'
    figures = {}
    for pipeline, at_one, at_four in (("ede", 0.9, 0.8), ("ed", 0.7, 0.75), ("ed-hat", 0.72, 0.6)):
        for batch, auroc in ((1, at_one), (4, at_four)):
            text += gan(f"{pipeline} {batch}", batch, pipeline)
            figures |= {(f"{pipeline} {batch}", "0", 0): auroc, (f"{pipeline} {batch}", "1", 0): auroc + 0.02}
    found = place.records(place.bench(text), figures, curve=[[1, 0.95], [2, 0.5]])
    section = batch_sizes(found)
    table = rows(section.text)
    assert table[0] == ["detector", "normalization", "epoch", "batch 1", "batch 4"]
    assert table[2] == ["EDE-GAN", "per-image normalization", "LAST", "0.9100", "0.8100"]
    assert table[3] == ["EDE-GAN", "per-image normalization", "BEST (peeks)", "0.9500", "0.9500"]
    # at batch 1: .91 against .73 (EDÊ) and .71 (ED); at their best .91 against .76 (ED at 4); EDÊ .73 against ED .71, at best .73 and .76
    name = "EDE-GAN over the better of the two others"
    assert table[-2] == [name, "per-image normalization", "+18.00 (batch 1)", "+15.00", "36.92"]
    assert table[-1] == ["EDÊ-GAN over ED-GAN", "per-image normalization", "+2.00 (batch 1)", "-3.00", "4.66"]
    lines = section.plots[0].panels["per-image normalization"]
    assert [(line.label, line.dashed) for line in lines[:2]] == [("EDE-GAN", False), ("EDE-GAN", True)]


def test_network_with_batchnorm_by_its_running_averages_is_a_line_of_its_own(place):
    text = HEAD + gan("one", 1, more=', norm = "batch"') + gan("four", 4, more=', norm = "batch"')
    aurocs = {(label, normal, 0): 0.9 for label in ("one", "four") for normal in "01"}
    found = place.records(place.bench(text), aurocs, running={"auroc": 0.6, "curve": [[1, 0.65], [2, 0.55]]})
    table = rows(batch_sizes(found).text)
    assert table[2][1:] == ["BatchNorm, batch statistics", "LAST", "0.9000", "0.9000"]
    assert table[3][1:] == ["BatchNorm, running averages", "LAST", "0.6000", "0.6000"]
    assert table[4][1:] == ["BatchNorm, running averages", "BEST (peeks)", "0.6500", "0.6500"]


def test_batch_sizes_compares_only_rows_that_are_otherwise_alike(place):
    text = HEAD + gan("recipe", 8) + gan("batch 2", 2) + gan("wide", 8, more=', widths = "16"')
    found = place.records(place.bench(text), {("recipe", "0", 0): 0.9, ("batch 2", "0", 0): 0.8, ("wide", "0", 0): 0.99})
    table = rows(batch_sizes(found).text)
    assert table[2:] == [["EDE-GAN", "per-image normalization", "LAST", "0.8000", "0.9000"]]
    assert batch_sizes(place.records(place.bench(HEAD + gan("a", 8) + gan("b", 8, more=", steps = 5")), {("a", "0", 0): 0.9})) is None


def test_seen_and_unseen_by_hand(place):
    scores = {"train": 2.0, "normal": 3.0, "novel": 6.0, "told_apart": 0.75}
    found = place.records(place.bench(HEAD + GAN), {("GAN", normal, 0): 0.9 for normal in "01"}, scores=scores)
    assert rows(seen(found).text)[2] == ["GAN", "2", "3", "6", "1.50", "2.00", "0.7500"]


def test_noise_by_hand(place):
    shown = {"0": {"latent": 0.9, "image": 0.8}, "0.4": {"image": 0.6}}
    found = place.records(place.bench(HEAD + GAN), {("GAN", normal, 0): 0.9 for normal in "01"}, noise=shown)
    section = noise(found)
    assert rows(section.text)[0] == ["detector", "score", "σ = 0", "σ = 0.4"]
    assert rows(section.text)[2:] == [["GAN", "latent", "0.9000", ""], ["GAN", "image", "0.8000", "0.6000"]]
    latent, image = section.plots[0].panels[""]
    assert (list(latent.x), list(image.x), latent.dashed, image.dashed) == ([0.0], [0.0, 0.4], False, True)


def test_passes_by_hand(place):
    found = place.records(place.bench(HEAD + GAN), {("GAN", normal, 0): 0.9 for normal in "01"}, passes=0.92)
    assert rows(passes(found).text)[2] == ["GAN", "0.9000", "0.9200", "+0.0200"]


def test_what_the_records_do_not_hold_has_no_section(place):
    place.records(place.bench(HEAD + KNN), {("kNN", "0", 0): 0.5})
    assert re.findall("^## (.*)", place.text(), re.MULTILINE) == ["Classes", "Where these figures come from"]


def test_page_of_several_benches_has_a_row_a_label_and_a_column_a_set(place):
    ten = HEAD.replace('classes = ["0", "1"]\n', 'published = "pkdgan-mnist-structures"\nbeside = ["near"]\n')
    place.records(place.bench(HEAD + KNN, "near"), {("kNN", normal, 0): 0.8 for normal in "01"})
    place.records(place.bench(ten + GAN + 'paper = "KDGAN-1"\n', "one"), {("GAN", str(digit), 0): 0.97 for digit in range(10)})
    place.records(place.bench(HEAD.replace("B", "Two") + GAN, "two"), {("GAN", normal, 0): 0.9 for normal in "01"})
    place.bench(HEAD + GAN, "none")
    (place.benchmarks / "all.toml").write_text('name = "all"\ntitle = "All"\ntext = "Of them."\nbenches = ["one", "two", "none"]\n')
    text = place.text("all")
    assert text.startswith("# All\n\nOf them.\n\n## Sets\n")
    table = rows(text)
    assert table[0] == ["mean over classes", "B, 10 classes", "printed", "difference", "Two, 2 classes", "printed", "difference"]
    assert table[2] == ["GAN", "0.9700", "0.9670", "+0.0030", "0.9000", "", ""]
    assert table[3] == ["kNN", "", "", "", "", "", ""]  # its mean is of two classes, not of ten
    assert "\n## B\n\n### Classes\n" in text
    assert "\n## Two\n\n### Classes\n" in text
    assert "none of its 2 runs has a record yet" in text


def test_rows_of_one_published_column_are_one_row_whatever_their_labels(place):
    ten = HEAD.replace('classes = ["0", "1"]\n', 'published = "pkdgan-mnist-structures"\n')
    aurocs = {(label, str(digit), 0): auroc for digit in range(10) for label, auroc in (("GAN", 0.97), ("G", 0.95), ("H", 0.9))}
    place.records(place.bench(ten + GAN + 'paper = "KDGAN-1"\n', "one"), aurocs)
    two = GAN.replace("GAN", "G") + 'paper = "KDGAN-1"\n'
    place.records(place.bench(ten.replace("B", "Two") + two, "two"), aurocs)
    place.records(place.bench(ten.replace("B", "Three") + two + GAN.replace("GAN", "H") + 'paper = "KDGAN-1"\n', "three"), aurocs)
    (place.benchmarks / "all.toml").write_text('name = "all"\ntitle = "All"\nbenches = ["one", "two", "three"]\n')
    table = rows(place.text("all"))
    assert table[0][1::3] == ["B, 10 classes", "Two, 10 classes", "Three, 10 classes"]
    assert table[2] == ["GAN, G", "0.9700", "0.9670", "+0.0030", "0.9500", "0.9670", "-0.0170", "", "", ""]
    assert [line[0] for line in table[3:5]] == ["G", "H"]  # two rows of the third stand against that column
    assert table[4][-3:] == ["0.9000", "0.9670", "-0.0670"]


def test_page_says_where_its_figures_come_from(place):
    text = HEAD + "seeds = [0, 1]\n" + KNN + GAN
    aurocs = {("kNN", "0", 0): 0.9, ("kNN", "0", 1): 0.8, ("GAN", "0", 0): "ValueError: no", ("GAN", "1", 0): 0.5}
    place.records(place.bench(text), aurocs)
    ending = place.text().partition("## Where these figures come from")[2]
    for words in (
        "`novelette table b -o docs/results`",
        "`novelette bench benchmarks/b.toml`",
        "- runs: 3 of 8; 5 are missing or failed",
        "- data: MNIST, protocol `standard`, 32 px; seeds 0, 1",
        "- on: a CPU; threads a run: 1; stacked runs: 2",
        "- training: 1 min 30 s in all, on 2026-01-01 to 2026-01-02",
        "- commits: abc1234; versions: novelette 0.1.0",
        "Failed:\n\n- GAN, 0, seed 0: ValueError: no",
    ):
        assert words in ending
    assert str(place.root) not in ending


def test_records_of_other_settings_or_other_contents_are_not_shown(place, capsys):
    path = place.bench(HEAD + KNN)
    place.records(path, {("kNN", "0", 0): 0.9})
    place.bench(HEAD + KNN + "config = { k = 9 }\n")
    assert_refused(place.argv("b"), place.root, capsys, "there are no records of it", "but 1 of other settings")


def test_outline_of_a_set_is_the_set_without_its_pictures():
    digits, whole = outline("digits"), load_named("digits")
    assert (digits.title, digits.classes, len(digits.source)) == (whole.title, whole.classes, 0)
    assert outline("fashion-mnist").classes[8] == "Bag"
    with pytest.raises(InputError, match="nothing is not a named data set"):
        outline("nothing")


@pytest.mark.parametrize("name", ["c", "../benchmarks/b", "b.toml", ""])
def test_unknown_name_is_told_with_those_that_there_are(place, name, capsys):
    place.bench(HEAD + KNN)
    assert_refused(place.argv(name), place.root, capsys, f"there is no bench or page {name!r} in", "choose one of b")


def test_bench_without_records_names_the_command_that_makes_them(place, capsys):
    place.bench(HEAD + KNN)
    assert_refused(place.argv("b"), place.root, capsys, "there are no records of it", ": run `novelette bench benchmarks/b.toml`")
    (place.benchmarks / "all.toml").write_text('name = "all"\ntitle = "All"\nbenches = ["b", "b"]\n')
    assert_refused(place.argv("all"), place.root, capsys, "`novelette bench benchmarks/b.toml`")


def test_damaged_records_are_named(place, capsys):
    path = place.bench(HEAD + GAN)
    damaged = {"fit_seconds": None, "split": [], "curve": [[1]], "noise": {"a": {}}, "stacked": 0, "load": "high", "running": {"auroc": 2}}
    damaged |= {"losses": [[1, 0.5]], "variance": [[1, "a"]], "accuracy": [[1]], "passes": "b"}
    for field, value in damaged.items():
        with pytest.raises(InputError, match=rf"b\.jsonl: the record of GAN, 0, seed 0 is damaged at '{field}"):
            place.records(path, {("GAN", "0", 0): 0.9}, **{field: value})
    with pytest.raises(InputError, match="damaged at 'auroc'"):
        place.records(path, {("GAN", "0", 0): float("nan")})
    with (place.results / "b.jsonl").open("a") as file:
        file.write("half a line\n")
    assert_refused(place.argv("b"), place.root, capsys, "b.jsonl, line 2 is damaged")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + KNN + 'paper = "OCSVM"\n', "kNN: there is no published column 'OCSVM': the bench names no published table"),
        (HEAD + 'published = "pkdgan-mnist"\n' + KNN + 'paper = "X"\n', "there is no published column 'X': choose from OCSVM, KDE"),
        (HEAD + 'published = "mine"\n' + KNN, "there are no published figures 'mine': choose from kdgan-compression"),
        (HEAD + 'beside = ["gone"]\n' + KNN, "there is no bench file"),
        ("name = ", "b.toml is not a TOML file"),
        ('name = "b"\ntitle = "B"\nbenches = []\n', "benches"),
        ('name = "b"\ntitle = "B"\nbenches = ["a"]\nseeds = [1]\n', "there is no setting --seeds"),
        ('name = "b"\ntitle = "B"\nbenches = ["a"]\n', "there is no bench file"),
    ],
)
def test_faults_in_files_are_one_sentence(place, text, says, capsys):
    path = place.bench(HEAD + KNN)
    place.records(path, {("kNN", "0", 0): 0.9})
    path.write_text(text)
    assert_refused(place.argv("b"), place.root, capsys, says)


def test_page_is_written_with_its_plots_and_twice_the_same(place, capsys):
    place.records(place.bench(HEAD + PAIR), {(label, normal, 0): 0.9 for label in "TS" for normal in "01"}, curve=CURVE)
    written = []
    for folder in (place.root / "one", place.root / "two"):
        assert main([*place.argv("b"), "-o", str(folder)]) == 0
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert capsys.readouterr().out.endswith("b.md: 2 plots beside it, each as .svg and .png\n")
    assert sorted(written[0]) == ["b-classes.png", "b-classes.svg", "b-course.png", "b-course.svg", "b.md"]
    assert written[0] == written[1]
    assert "](b-course.svg)" in written[0]["b.md"].decode()
    assert written[0]["b-classes.svg"].startswith(b"<?xml")
    assert b"dc:date" not in written[0]["b-classes.svg"]
    assert written[0]["b-classes.png"].startswith(b"\x89PNG")


def test_page_is_printed_without_plots_and_draws_none(place, capsys, monkeypatch):
    place.records(place.bench(HEAD + KNN), {("kNN", "0", 0): 0.9})
    monkeypatch.setattr(page, "draw", None)
    assert main(place.argv("b")) == 0
    out = capsys.readouterr().out
    assert out.startswith("# B\n\n## Classes\n")
    assert ".svg" not in out
    assert not (place.root / "docs").exists()


def test_output_that_cannot_be_written_is_told(place, capsys):
    place.records(place.bench(HEAD + KNN), {("kNN", "0", 0): 0.9})
    (place.root / "file").write_text("a file")
    assert_refused([*place.argv("b"), "-o", str(place.root / "file" / "folder")], place.root, capsys, "cannot write to")


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
