"""Published figures: their tables agree with each other, and which of several stands."""

import numpy as np
import pytest

from novelette.bench.printed import printed, published
from novelette.bench.runs import Bench

TABLES = ("cifar10", "mnist", "fashion-mnist")


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
