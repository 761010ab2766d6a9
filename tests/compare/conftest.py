"""Pictures, and what the command made of four methods; no test changes them."""

import json

import pytest
from compare.contestants import GAN, MISSING, here
from pictures import stripes, write, write_labelled

from novelette.cli import main
from novelette.compare import contest


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pictures") / "parts", stripes(60))


@pytest.fixture(scope="session")
def labelled(tmp_path_factory):
    return write_labelled(tmp_path_factory.mktemp("pictures") / "labelled")


@pytest.fixture(scope="session")
def made(tmp_path_factory, parts, labelled):
    """What the command made of four methods, one of them without its weights, in this process: (status, folder, JSON)."""
    folder = tmp_path_factory.mktemp("compared") / "report"
    out = folder.with_name("out.json")
    command = ["compare", str(parts), "--test", str(labelled), "--methods", f"{GAN} --steps 12, {MISSING}", "-o", str(folder), "--json"]
    with out.open("w") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", file)
        patch.setattr(contest, "answered", here)
        status = main([*command, "--false-alarm-rate", "0.2"])
    return status, folder, json.loads(out.read_text())
