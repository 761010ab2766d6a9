"""Bench files: read as they are written, those of the repository, and sets that cannot be run."""

import tomllib
from pathlib import Path

import pytest
from bench.made_benches import KNN, bench, write_bench
from named.made_sets import write_celeba

from novelette.bench import engine
from novelette.bench.printed import printed
from novelette.bench.runs import expand, read_bench
from novelette.data.named import outline
from novelette.errors import InputError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_bench_file_reads_as_it_is_written(tmp_path):
    read = read_bench(write_bench(tmp_path / "b.toml", "seeds = [0, 1]\nsize = 28"))
    assert (read.name, read.data, read.classes, read.seeds, read.size, read.detectors) == ("b", "digits", ("3",), (0, 1), 28, (KNN,))


def test_every_bench_of_detectors_in_the_repository_can_be_run():
    """Its classes, settings and published columns exist; a page names benches that do."""
    for path in BENCHMARKS.glob("*.toml"):
        if "benches" in (values := tomllib.loads(path.read_text())):
            assert all((BENCHMARKS / f"{name}.toml").is_file() for name in values["benches"]), path
        elif "detectors" in values:
            b = read_bench(path)
            assert b.name == path.stem
            assert all((BENCHMARKS / f"{name}.toml").is_file() for name in b.beside), path
            assert expand(b, outline(b.data))
            columns = printed(b.published)
            assert all(columns.column(row.label, row.paper) for row in b.rows if row.paper)


def test_a_bench_of_celeba_names_an_attribute(tmp_path):
    write_celeba(tmp_path / "celeba")
    faces = bench(data="celeba", classes=("absent",), attribute="Bald")
    (record,) = engine.run_bench(faces, tmp_path / "results", data_roots=(tmp_path,))
    assert "error" not in record
    assert record["data"].startswith("CelebA (Bald, ")
    with pytest.raises(InputError, match="CelebA needs an attribute"):
        engine.run_bench(bench(data="celeba", classes=("absent",)), tmp_path / "results", data_roots=(tmp_path,))


def test_a_picture_that_cannot_be_read_is_named_before_it_shifts_the_labels_after_it(tmp_path):
    write_celeba(tmp_path / "celeba")
    whole = (tmp_path / "celeba" / "img_align_celeba" / "000002.jpg").read_bytes()
    (tmp_path / "celeba" / "img_align_celeba" / "000002.jpg").write_bytes(whole[: len(whole) // 2])
    faces = bench(data="celeba", classes=("absent",), attribute="Bald")
    with pytest.raises(InputError, match=r"CelebA.*: 000002\.jpg cannot be read \(.+\), and a bench needs every picture"):
        engine.run_bench(faces, tmp_path / "results", data_roots=(tmp_path,))
    assert not (tmp_path / "results").exists()
