"""The engine of a bench: an option that makes no sense, or Ray that is not installed, is told before anything is run."""

import sys

import pytest
from pictures import assert_refused

from novelette.bench import fanout
from novelette.errors import InputError

BENCH = 'name = "b"\ntitle = "B"\ndata = "digits"\n[[detectors]]\nlabel = "kNN"\nmethod = "knn"\n'


@pytest.fixture
def argv(tmp_path):
    (tmp_path / "b.toml").write_text(BENCH)
    return ["bench", str(tmp_path / "b.toml"), "--results", str(tmp_path / "results")]


def test_address_without_ray_is_refused(argv, tmp_path, capsys):
    assert_refused([*argv, "--address", "a:1"], tmp_path, capsys, "--address a:1", "--engine ray")


def test_ray_that_is_not_installed_is_named_with_its_extra(argv, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    for address in ([], ["--address", "a:1"]):
        assert_refused([*argv, "--engine", "ray", *address], tmp_path, capsys, "--engine ray needs Ray", "its extra cluster")


def test_engine_that_does_not_exist_is_refused(argv, tmp_path, capsys):
    assert_refused([*argv, "--engine", "dask"], tmp_path, capsys, "joblib", "ray")
    with pytest.raises(InputError, match="no engine 'dask'"):
        fanout.check_engine("dask", None)


@pytest.mark.parametrize("jobs", [1, 2])
def test_wave_begins_when_the_one_before_has_ended(jobs):
    begun = []

    def waves():
        for wave in (["a", "b"], ["c"]):
            begun.append(wave)
            yield wave

    given = []
    for (runs,) in fanout.fan_out(lambda bench, runs, *more: [runs], waves(), None, None, None, "cpu", jobs=jobs):
        given.append(runs)
        assert len(begun) == (1 if len(given) <= 2 else 2)
    assert (sorted(given[:2]), given[2:]) == (["a", "b"], ["c"])
