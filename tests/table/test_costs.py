"""Students beside their teachers, and what each costs, by hand."""

import pytest
from table.made_records import GAN, HEAD, KNN, PAIR, rows

from novelette.bench.costs import costs, step_ms
from novelette.bench.found import find
from novelette.bench.sections import teachers


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
    assert step_ms(found.records[0]) == pytest.approx(30_000 / 1715)  # ceil(2 * 6000 / 7)


def test_pictures_in_colour_have_three_channels(place):
    text = HEAD.replace('"mnist"', '"cifar10"').replace('["0", "1"]', '["cat"]') + GAN + 'config = { widths = "8-16-64" }\n'
    path = place.bench(text)
    place.records(path, {("GAN", "cat", 0): 0.6})
    assert rows(costs(find(path, place.results)).text)[2][2:4] == ["843,408", "2,260,992"]
    assert costs(place.records(place.bench(HEAD + KNN), {("kNN", "0", 0): 0.5})) is None
