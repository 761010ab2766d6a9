"""The table of classes: ours beside the printed figures and the rows of other benches, by hand."""

from pictures import assert_refused
from table.made_records import GAN, HEAD, KNN, rows

from novelette.bench.found import find
from novelette.bench.sections import classes
from novelette.cli import main


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
    assert_refused(place.argv("b"), place.root, capsys, "other cannot stand beside it, since its data or protocol differs")


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
