"""What the machine refuses: a package, memory, the standard output."""

import os
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from novelette.cli import COMMANDS, EXTRAS, main


def test_every_package_of_an_extra_is_known_by_the_modules_that_it_brings():
    wanted = [Requirement(line) for line in requires("novelette") or []]
    brought = {module: {name.lower().replace("_", "-") for name in names} for module, names in packages_distributions().items()}
    for need in wanted:
        for extra in ("train", "serve"):
            if need.marker and need.marker.evaluate({"extra": extra}) and not need.marker.evaluate({"extra": ""}) and need.name != "uvloop":
                modules = [module for module, names in brought.items() if need.name.lower() in names]
                assert any(EXTRAS.get(module) == extra for module in modules), need


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError("Unable to allocate 40 GiB"), 2),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] data. DefaultCPUAllocator: can't allocate memory: you tried to allocate"), 2),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), 2),
        (RuntimeError("of another kind"), None),
    ],
)
def test_no_memory_left_is_one_sentence_and_any_other_error_a_traceback(monkeypatch, capsys, error, status):
    def fails():
        raise error

    monkeypatch.setitem(COMMANDS, "methods", fails)
    if status is None:
        with pytest.raises(RuntimeError, match="of another kind"):
            main(["methods"])
        return
    assert main(["methods"]) == status
    assert capsys.readouterr().err.startswith("novelette: there is not enough memory: try a smaller --batch-size")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_output_that_is_full_is_told_in_one_sentence():
    with open("/dev/full", "w") as device:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        ended = subprocess.run(
            [sys.executable, "-m", "novelette.cli", "--help"], stdout=device, stderr=subprocess.PIPE, text=True, env=environment
        )
    assert ended.returncode == 2
    assert ended.stderr == "novelette: the output: the disk is full\n"


def test_reader_that_closes_the_pipe_is_no_fault():
    reading, writing = os.pipe()
    os.close(reading)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ended = subprocess.run(
        [sys.executable, "-m", "novelette.cli", "--help"], stdout=writing, stderr=subprocess.PIPE, text=True, env=environment
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")
