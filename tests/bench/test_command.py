"""`novelette bench`: what it prints, and with which status it ends."""

import json
import re

from bench.made_benches import write_bench

from novelette.cli import main
from novelette.methods import knn


def test_command_prints_the_table_and_fails_when_a_run_did(tmp_path, capsys, monkeypatch):
    argv = ["bench", str(write_bench(tmp_path / "b.toml")), "--results", str(tmp_path / "results")]
    monkeypatch.setattr(knn, "fit", None)
    assert main(argv) == 1
    assert "failed: kNN, 3, seed 0: TypeError" in capsys.readouterr().out
    monkeypatch.undo()
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert out.startswith("| normal class | kNN |")
    record = json.loads((tmp_path / "results" / "b.jsonl").read_text().splitlines()[-1])
    assert f"| 3 | {record['auroc']:.4f} |" in out


def test_the_first_table_has_the_rows_beside_that_every_later_one_has(tmp_path, capsys):
    """What stands beside is known to be of the same data only when the bench has records of its own."""
    (tmp_path / "o.toml").write_text(write_bench(tmp_path / "b.toml").read_text().replace('"b"', '"o"').replace('"kNN"', '"other"'))
    write_bench(tmp_path / "b.toml", 'beside = ["o"]')
    results = ["--results", str(tmp_path / "results")]
    assert main(["bench", str(tmp_path / "o.toml"), *results]) == 0
    records = tmp_path / "results" / "o.jsonl"
    records.write_text(records.read_text().replace("digits", "digits, a copy"))
    capsys.readouterr()
    first, second = ((main(["bench", str(tmp_path / "b.toml"), *results]), capsys.readouterr().out) for _ in range(2))
    assert first == second
    assert "a copy" in first[1]


def test_records_that_lack_what_the_bench_asks_for_by_now_are_counted_and_none_is_lost(tmp_path, capsys):
    path, records = tmp_path / "b.toml", tmp_path / "results" / "b.jsonl"
    argv = ["bench", str(write_bench(path)), "--results", str(records.parent)]
    assert main(argv) == 0
    before = records.read_bytes()
    assert "lack" not in capsys.readouterr().err
    write_bench(path, 'measures = ["fit", "passes", "noise", "accuracy", "running"]\ncurve = 3')  # kNN has but the first two
    assert main(argv) == 0
    err = capsys.readouterr().err
    assert re.findall("1 record lacks '(.*?)'", err) == ["scores", "passes"]
    assert f"delete their lines in {records} and run the bench again" in err
    assert records.read_bytes() == before
    records.unlink()
    assert main(argv) == 0
    assert "lack" not in capsys.readouterr().err
