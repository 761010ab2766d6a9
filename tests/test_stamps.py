"""The lines of results/*.jsonl: how they are added, and that the scripts of benchmarks/ find those that they are asked for."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from novelette.bench.stamps import append, read, stamp
from novelette.fitting import Recipe, configured

ROOT = Path(__file__).parents[1]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_record_is_added_in_a_folder_that_is_made_for_it(tmp_path):
    path, records = tmp_path / "new" / "folder" / "a.jsonl", [{"a": 1}, {"b": "EDÊ"}]
    append(path, records[:1])
    append(path, records[1:])
    assert read(path) == records
    assert read(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize(("left", "kept"), [('{"a": 1}\n{"b', [{"a": 1}]), ('{"a": 1}\n', [{"a": 1}]), ('{"a": 1}', [{"a": 1}]), ("{", [])])
def test_half_a_line_gives_way_and_a_whole_one_without_its_end_stays(left, kept, tmp_path):
    (tmp_path / "a.jsonl").write_text(left)
    assert read(tmp_path / "a.jsonl") == kept
    append(tmp_path / "a.jsonl", [{"c": 3}])
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == read(tmp_path / "a.jsonl") == [*kept, {"c": 3}]


def test_a_stamp_says_when_by_what_and_under_which_load():
    said = stamp("c0ffee+")
    assert said["commit"] == "c0ffee+"
    assert said.keys() == {"created", "commit", "cores", "load", "torch"}


@pytest.mark.parametrize("method", ["knn", "feature-knn", "ede-gan", "piad"])
def test_the_records_of_magnetic_tiles_are_those_of_its_settings(method):
    """Where a setting is added, older records get it with the value that they were made with: else its page is measured anew."""
    tiles = script("magnetic_tile")
    recipe = Recipe(method, configured(method, tiles.SETTINGS[method]), size=64, tiles=1)
    assert tiles.done(recipe, read(ROOT / "results" / "magnetic-tile.jsonl"))


def test_a_page_of_certainty_has_records_of_its_data_and_settings_alone(tmp_path, monkeypatch):
    lines = read(ROOT / "results" / "certainty.jsonl")
    strange = [line | {"accuracy": 0.1} for line in lines]
    others = [line | {"data": "Fashion-MNIST"} for line in strange] + [
        line | {"config": line["config"] | {"width": 96}} for line in strange
    ]
    append(tmp_path / "certainty.jsonl", lines + others)
    certainty = script("certainty")
    monkeypatch.setattr("sys.argv", ["certainty.py", "--seeds", "--results", str(tmp_path), "--output", str(tmp_path / "certainty")])
    certainty.main()
    assert (tmp_path / "certainty.md").read_text() == (ROOT / "docs" / "results" / "certainty.md").read_text()
