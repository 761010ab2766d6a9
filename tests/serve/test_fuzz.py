"""Spoiled requests by the hundred: the server refuses them and goes on. Ten thousand are a slow test, and a benchmark with a record."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.heavy

DEPLOY = Path(__file__).parents[2] / "benchmarks" / "deploy"


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_spoiled_requests_leave_the_server_answering_and_its_memory_flat(count, made, tmp_path):
    command = [sys.executable, DEPLOY / "fuzz.py", "--requests", str(count), "--bundle", made, "--results", tmp_path]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    record = json.loads((tmp_path / "deploy-fuzz.jsonl").read_text())
    assert record["same score"]
    assert sum(record["outcomes"].values()) == count
    assert {"200", "400", "422"} <= set(record["outcomes"])
