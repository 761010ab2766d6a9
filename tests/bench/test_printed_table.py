"""The table that a bench prints, by hand, and the published figures beside it."""

import numpy as np
import pytest
from bench.made_benches import KNN, bench

from novelette.bench.printed import published
from novelette.bench.runs import Entry
from novelette.bench.table import table
from novelette.errors import InputError


def records_of(label, figures):
    return [{"label": label, "normal": normal, "seed": seed, "auroc": a} for (normal, seed), a in figures.items()]


def test_table_by_hand():
    b = bench(KNN, Entry(label="GAN", method="ede-gan"), Entry(label="not run", method="ede-gan"), classes=("1", "2"))
    records = records_of("kNN", {("1", 0): 0.9, ("2", 0): 0.8})
    records += records_of("GAN", {("1", 0): 0.70, ("1", 1): 0.74, ("2", 0): 0.80, ("2", 1): 0.90})
    # class 1: mean 0.72, std sqrt(2 * 0.02² / 1) = 0.0283; mean over classes, a seed: 0.75 and 0.82, so 0.785 ± 0.0495
    assert table(b, records).splitlines() == [
        "| normal class | kNN | GAN |",
        "| --- | ---: | ---: |",
        "| 1 | 0.9000 | 0.7200 ± 0.0283 (2) |",
        "| 2 | 0.8000 | 0.8500 ± 0.0707 (2) |",
        "| **mean of 2** | **0.8500** | **0.7850 ± 0.0495 (2)** |",
    ]


def test_mean_row_is_blank_for_a_column_that_lacks_a_class_and_counts_the_seeds_that_all_have():
    records = records_of("kNN", {("1", 0): 0.9}) + records_of("GAN", {("1", 0): 0.7, ("1", 1): 0.9, ("2", 0): 0.8})
    lines = table(bench(KNN, Entry(label="GAN", method="ede-gan")), records).splitlines()
    assert lines[3] == "| 2 |  | 0.8000 |"
    assert lines[-1] == "| **mean of 2** |  | **0.7500** |"


def test_published_figures_stand_beside_ours():
    paper = published("pkdgan-mnist")
    b = bench(published="pkdgan-mnist")
    two = table(b, records_of("kNN", {("0", 0): 0.9, ("1", 0): 0.8})).splitlines()
    ocsvm = [cell.strip() for cell in two[0].split("|")].index(f"OCSVM ({paper['source']})")
    assert [line.split("|")[ocsvm].strip() for line in two[2:]] == ["0.9880", "0.9990", "0.9935"]  # as printed; the mean is of these two
    ten = table(b, records_of("kNN", {(str(d), 0): 0.9 for d in range(10)})).splitlines()
    assert ten[-1].split("|")[ocsvm].strip() == "0.9513"  # of all ten, the paper's own mean


@pytest.mark.parametrize("name", ["piad-mnist", "piad-cifar10"])
def test_the_columns_of_piads_table_2_have_the_means_that_it_prints(name):
    for column, figures in published(name)["columns"].items():
        classes = [value for normal, value in figures.items() if normal != "mean"]
        if classes:
            assert np.mean(classes) == pytest.approx(figures["mean"], abs=0.00101), column  # classes and means are printed to 0.001


def test_published_tables_name_their_source_and_hold_areas():
    for name in ("pkdgan-mnist", "pkdgan-fashion-mnist", "pkdgan-cifar10", "piad-mnist", "piad-cifar10", "piad-coil100", "piad-lsun"):
        paper = published(name)
        assert "Table" in paper["source"] or "section" in paper["source"]
        for figures in paper["columns"].values():
            assert all(0 < value <= 1 for value in figures.values())
    with pytest.raises(InputError, match="no published figures 'mine'"):
        published("mine")
