"""A bench that is killed, stopped, or left without room on the disk: what was finished stays, once and whole, and the rest is run."""

import contextlib
import errno
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from novelette.bench import engine
from novelette.bench.runs import Records, expand, read_bench
from novelette.cli import main
from novelette.data.named import load_named

pytestmark = pytest.mark.heavy

TESTS = Path(__file__).parents[1]
NEEDS_RAY = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: the extra cluster")
ON_RAY = pytest.param("ray", marks=NEEDS_RAY)
KNN = '[[detectors]]\nlabel = "kNN"\nmethod = "knn"\n'
TEACHER = '[[detectors]]\nlabel = "T"\nmethod = "ede-gan"\nstack = 2\nconfig = { widths = "2", latent = 8, steps = 40 }\n'
STUDENT = '[[students]]\nlabel = "S"\nteacher = "T"\nconfig = { widths = "1", steps = 20 }\n'
WAIT_S = 600  # for what takes seconds: a busy machine is no failure


class Command:
    """`novelette bench` on the digits, to be started again and again."""

    def __init__(self, folder, *rows, seeds=(0, 1), options=()):
        self.file, self.log, self.results = folder / "b.toml", folder / "begun", folder / "results"
        head = f'name = "b"\ntitle = "B"\ndata = "digits"\nclasses = ["1", "3", "7"]\nseeds = {list(seeds)}\n'
        self.file.write_text(head + "".join(rows))
        self.argv, self.options = ["bench", str(self.file), "--results", str(self.results)], options

    def keys(self):
        bench, named = read_bench(self.file), load_named("digits")
        return [run.key(bench, named.title) for run in expand(bench, named)]

    def begun(self):
        """Keys of runs, in the order in which they began."""
        return [line.split(" ", 1)[1] for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def recorded(self):
        """Lines that were written to their end, each a record."""
        file = self.results / "b.jsonl"
        return [json.loads(line) for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")] if file.exists() else []

    @contextlib.contextmanager
    def started(self):
        """The running command, leader of a process group. Whatever is left of the group ends with it."""
        environment = os.environ | {"PYTHONPATH": str(TESTS), "JOBLIB_TEMP_FOLDER": str(self.file.parent)}  # nobody else tidies up
        words = [sys.executable, "-m", "witnessed", str(self.log), *self.argv, *self.options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(words, env=environment, start_new_session=True, **pipes)
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=WAIT_S)

    def wait_for(self, process, done):
        """Until `done()`, or the process ends by itself."""
        end = time.monotonic() + WAIT_S
        while not done() and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.005)

    def ended(self, process):
        """Its exit status, and what it wrote to its two outputs but the lines that tell of progress, which come with the clock."""
        out, err = process.communicate(timeout=WAIT_S)
        return process.returncode, out, "".join(line for line in err.splitlines(keepends=True) if not line.startswith("runs "))

    def kill(self, process, in_flight):
        """SIGKILL. At most `in_flight` runs had begun that have no record now."""
        before = self.recorded()
        process.kill()
        process.wait(timeout=WAIT_S)
        assert self.recorded()[: len(before)] == before
        assert len(set(self.begun()) - {record["key"] for record in self.recorded()}) <= in_flight


def assert_complete(command, capsys):
    """Run to the end in this process: what had a record keeps it, every run has one, and the table has no gap."""
    before = command.recorded()
    capsys.readouterr()
    assert main(command.argv) == 0
    after = command.recorded()
    assert after[: len(before)] == before
    keys = [record["key"] for record in after]
    assert sorted(keys) == sorted(set(command.keys()))
    rows = capsys.readouterr().out.strip().splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| 1", "| 3", "| 7", "| **mean of 3**"]
    assert all("." in cell for row in rows for cell in row.strip("| ").split(" | ")[1:])


def test_killed_bench_loses_the_run_in_flight_alone(tmp_path, capsys):
    command = Command(tmp_path, KNN, TEACHER.replace("stack = 2\n", ""))
    with command.started() as process:
        command.wait_for(process, lambda: len(command.begun()) >= 9)  # in training
        command.kill(process, in_flight=1)
    assert 8 <= len(command.recorded()) < 12
    assert_complete(command, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("engine_name", ["joblib", ON_RAY])
@pytest.mark.parametrize("jobs", [1, 2])
def test_bench_killed_at_any_moment_keeps_what_was_finished(engine_name, jobs, tmp_path, capsys):
    command = Command(tmp_path, KNN, TEACHER, STUDENT, seeds=range(4), options=["--engine", engine_name, "--jobs", str(jobs)])
    rng = random.Random(jobs)
    for _ in range(4):
        count, pause = len(command.recorded()) + rng.randrange(6), rng.uniform(0, 0.5)
        with command.started() as process:
            command.wait_for(process, lambda wanted=count: len(command.recorded()) >= wanted)
            time.sleep(pause)
            command.kill(process, in_flight=2 * 2 * jobs)  # stacks of two; a process may begin the next while a result is on its way
        command.log.unlink(missing_ok=True)
    assert_complete(command, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("engine_name", ["joblib", ON_RAY])
@pytest.mark.parametrize("whom", [os.kill, os.killpg])
def test_ctrl_c_stops_with_its_status_and_the_bench_goes_on_later(engine_name, whom, tmp_path, capsys):
    """A terminal sends Ctrl-C to the whole group, and another program may send it to the command alone."""
    command = Command(tmp_path, KNN, TEACHER.replace("steps = 40", "steps = 400"), options=["--engine", engine_name, "--jobs", "2"])
    with command.started() as process:
        command.wait_for(process, lambda: len(command.begun()) > 6)  # in training
        whom(process.pid, signal.SIGINT)
        assert command.ended(process) == (130, "", "novelette: stopped\n")
    assert not any("error" in record for record in command.recorded())
    assert_complete(command, capsys)


@pytest.mark.slow
def test_killed_process_is_told_in_a_sentence(tmp_path, capsys):
    """As the system does when memory runs out."""
    command = Command(tmp_path, TEACHER.replace("steps = 40", "steps = 4000"), options=["--jobs", "2"])
    with command.started() as process:
        command.wait_for(process, lambda: len(command.begun()) >= 4)
        os.kill(int(command.log.read_text().split(" ", 1)[0]), signal.SIGKILL)
        said = "novelette: a process of the bench was killed, as happens when memory runs out: give fewer --jobs\n"
        assert command.ended(process) == (2, "", said)


def test_half_a_line_at_the_end_is_no_record_and_gives_way_to_the_next(tmp_path):
    """A process that is killed as it writes leaves one; its run is run again."""
    command = Command(tmp_path, KNN, seeds=[0])
    records = engine.run_bench(read_bench(command.file), command.results)
    file = command.results / "b.jsonl"
    first, second, third = file.read_bytes().splitlines(keepends=True)
    for half in (third[:1], third[:40], third[:-2]):
        file.write_bytes(first + second + half)
        assert Records(file).read() == records[:2]
        again = engine.run_bench(read_bench(command.file), command.results)
        assert [r["auroc"] for r in again] == [r["auroc"] for r in records]
        assert file.read_bytes().startswith(first + second)
        assert len(command.recorded()) == 3


def test_full_disk_takes_no_record_and_leaves_no_half_of_one(tmp_path, monkeypatch, capsys):
    command = Command(tmp_path, KNN)
    fsync, calls = os.fsync, []

    def full_at_the_third(descriptor):
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full_at_the_third)
    assert main(command.argv) == 2
    assert capsys.readouterr().err == f"novelette: {command.results / 'b.jsonl'}: the disk is full\n"
    assert len(Records(command.results / "b.jsonl").read()) == 2
    assert_complete(command, capsys)
