"""What a person gets wrong, and what the machine refuses: one sentence, status 2, and nothing is lost."""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement
from pictures import assert_refused, checks, everything_in, fitted, stripes, write, write_bomb, write_labelled
from PIL import Image

from novelette import store, work
from novelette.cards import digest
from novelette.cli import COMMANDS, EXTRAS, main
from novelette.detector import Detector
from novelette.training import Run

GAN = ("--widths", "2", "--latent", "8", "--steps", "4")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pictures") / "parts", stripes(40))


@pytest.fixture(scope="module")
def saved(tmp_path_factory, parts):
    return fitted(tmp_path_factory.mktemp("detectors") / "knn.det", parts)


@pytest.fixture
def det(tmp_path, saved):
    """A detector that a test may spoil."""
    return Path(shutil.copytree(saved, tmp_path / "knn.det"))


def no_folder(folder):
    return folder / "nowhere"


def empty_folder(folder):
    (folder / "empty").mkdir()
    return folder / "empty"


def text_only(folder):
    (folder / "notes").mkdir()
    (folder / "notes" / "read.me").write_text("no pictures here")
    return folder / "notes"


def all_unreadable(folder):
    write(folder / "broken", stripes(12))
    for path in (folder / "broken").iterdir():
        path.write_bytes(path.read_bytes()[:50])
    return folder / "broken"


def empty_file(folder):
    (folder / "empty.png").touch()
    return folder / "empty.png"


def text_named_png(folder):
    (folder / "text.png").write_text("this is no picture\n" * 50)
    return folder / "text.png"


def folder_of_text_named_png(folder):
    (folder / "sole").mkdir()
    return text_named_png(folder / "sole").parent


def bomb(folder):
    return write_bomb(folder / "bomb.png")


def pickle_array(folder):
    np.save(folder / "objects.npy", np.array([{}], object), allow_pickle=True)
    return folder / "objects.npy"


UNUSABLE = {
    no_folder: "does not exist",
    empty_folder: "no pictures",
    text_only: "no pictures",
    all_unreadable: "12 pictures can be read",
    empty_file: "empty file",
    text_named_png: "not an image",
    folder_of_text_named_png: "not an image",
    bomb: "900 Mpx",
    pickle_array: "pickled",
}


@pytest.mark.parametrize("source", UNUSABLE, ids=lambda make: make.__name__)
@pytest.mark.parametrize("command", ["fit", "score", "calibrate"])
def test_source_without_a_readable_picture_is_refused_in_one_sentence(command, source, tmp_path, det, capsys):
    given = str(source(tmp_path))
    argv = {
        "fit": ["fit", "knn", given, "-o", str(tmp_path / "new" / "new.det")],
        "score": ["score", str(det), given, "-o", str(tmp_path / "new" / "scores.csv"), "--heatmaps", str(tmp_path / "new" / "maps")],
        "calibrate": ["calibrate", str(det), given],
    }[command]
    assert_refused(argv, tmp_path, capsys, UNUSABLE[source])


def test_two_pictures_are_too_few_to_fit(tmp_path, capsys):
    source = write(tmp_path / "two", stripes(2))
    assert_refused(
        ["fit", "knn", str(source), "-o", str(tmp_path / "a.det")], tmp_path, capsys, "2 different readable pictures", "at least 10"
    )


def test_the_work_of_a_stopped_run_is_not_thrown_away(tmp_path, parts, capsys):
    folder = tmp_path / "a.det.run"
    with work.held(folder):
        (folder / "checkpoint.pt").write_bytes(b"hours of work")
    assert_refused(["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN], tmp_path, capsys, "--resume", "--force")


@pytest.mark.parametrize("method", ["knn", "ede-gan"])
@pytest.mark.parametrize("more", [(), ("--force",), ("--resume",)], ids=["plain", "force", "resume"])
def test_a_folder_of_a_person_is_not_taken_for_the_work_of_a_run(more, method, tmp_path, parts, capsys):
    """Whatever its files are called."""
    (tmp_path / "a.det.run").mkdir()
    (tmp_path / "a.det.run" / "log.jsonl").write_text("a thesis")
    argv = ["fit", method, str(parts), "-o", str(tmp_path / "a.det"), *(GAN if method == "ede-gan" else ()), *more]
    assert_refused(argv, tmp_path, capsys, "a.det.run", "something else stands there", "another -o")


def test_what_a_person_puts_into_the_work_of_a_run_stays(tmp_path, parts, monkeypatch):
    note, wants = tmp_path / "a.det.run" / "thesis.txt", Run.wants_log

    def write_note(self, step):
        note.write_text("a thesis")
        return wants(self, step)

    monkeypatch.setattr(Run, "wants_log", write_note)
    assert main(["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]) == 0
    assert set(everything_in(tmp_path / "a.det.run")) == {"thesis.txt"}


def test_a_refused_fit_leaves_no_folder_of_its_own(tmp_path, capsys):
    few = write(tmp_path / "few", stripes(3))
    assert_refused(["fit", "ede-gan", str(few), "-o", str(tmp_path / "new" / "a.det")], tmp_path, capsys, "at least 10")


def test_a_second_run_with_the_same_output_is_refused_while_the_first_lives(tmp_path, parts, capsys, monkeypatch):
    argv, refused = ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN], []

    def in_the_middle(self, step):
        for more in ((), ("--force",), ("--resume",)) if step == 1 else ():
            assert main([*argv, *more]) == 2
            refused.append(capsys.readouterr().err)
        return False

    monkeypatch.setattr(Run, "wants_log", in_the_middle)
    capsys.readouterr()
    assert main(argv) == 0
    assert len(refused) == 3
    assert all("another novelette is at work in" in err for err in refused)
    assert set(everything_in(tmp_path)) == {"a.det", "a.det/detector.json", "a.det/log.jsonl", "a.det/weights.safetensors"}


class Killed(BaseException):
    """As far as a run can see its own death."""


def test_a_killed_run_that_was_told_to_replace_a_detector_goes_on_with_resume_alone(tmp_path, det, parts, monkeypatch):
    argv, wants = ["fit", "ede-gan", str(parts), "-o", str(det), *GAN], Run.wants_log

    def die(self, step):
        if step == 2:
            raise Killed
        return wants(self, step)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "wants_log", die)
        with pytest.raises(Killed):
            main([*argv, "--force"])
    assert store.load(det).method == "knn"
    assert main([*argv, "--resume"]) == 0
    assert store.load(det).method == "ede-gan"


@pytest.mark.heavy
def test_the_lock_of_a_process_that_is_killed_holds_nobody_up(tmp_path, parts):
    argv, log = ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN], tmp_path / "a.det.run" / "log.jsonl"
    fit = subprocess.Popen([sys.executable, "-m", "novelette.cli", *argv, "--steps", "10000000"], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60  # torch takes seconds to load
        while time.monotonic() < deadline and not (log.exists() and log.stat().st_size):
            time.sleep(0.05)
        assert main([*argv, "--resume"]) == 2
    finally:
        fit.kill()
        fit.wait()
    assert main([*argv, "--resume"]) == 0
    assert set(everything_in(tmp_path)) == {"a.det", "a.det/detector.json", "a.det/log.jsonl", "a.det/weights.safetensors"}


def test_copies_of_one_picture_do_not_count_as_many(tmp_path, capsys):
    source = write(tmp_path / "copies", [stripes(1)[0]] * 20)
    assert_refused(["fit", "knn", str(source), "-o", str(tmp_path / "a.det")], tmp_path, capsys, "1 different readable picture")


WRONG_ARGUMENTS = {
    "unknown command": (["train", "SOURCE"], "no command 'train'"),
    "unknown method": (["fit", "gan", "SOURCE", "-o", "OUT"], "no method 'gan'", "ede-gan", "knn"),
    "method forgotten": (["fit", "-o", "OUT"], "the method comes first"),
    "unknown option": (["fit", "knn", "SOURCE", "-o", "OUT", "--epoch", "3"], "--epoch"),
    "another method's option": (["fit", "knn", "SOURCE", "-o", "OUT", "--widths", "2"], "--widths"),
    "no output": (["fit", "knn", "SOURCE"], "-o"),
    "no source": (["score", "DET"], "missing"),
    "size not offered": (["fit", "knn", "SOURCE", "-o", "OUT", "--size", "33"], "--size", "32", "256"),
    "setting out of range": (["fit", "knn", "SOURCE", "-o", "OUT", "--k", "0"], "--k", "1", "not 0"),
    "setting not a number": (["fit", "knn", "SOURCE", "-o", "OUT", "--k", "many"], "--k", "many"),
    "k above the pictures": (["fit", "knn", "SOURCE", "-o", "OUT", "--k", "500"], "--k 500", "500 training pictures"),
    "tiles out of range": (["fit", "knn", "SOURCE", "-o", "OUT", "--tiles", "9"], "--tiles", "8", "not 9"),
    "negative seed": (["fit", "ede-gan", "SOURCE", "-o", "OUT", "--seed", "-1"], "--seed -1"),
    "seed of more than 63 bits": (["fit", "knn", "SOURCE", "-o", "OUT", "--seed", str(2**63)], f"--seed {2**63} is not from 0 to"),
    "data root in no home": (["data", "--data-root", "~nobody-of-that-name/x"], "there is no such home folder"),
    "help within a comparison": (["compare", "SOURCE", "-o", "OUT", "--methods", "pca --help"], "novelette fit pca --help lists"),
    "negative protocol seed": (["fit", "knn", "digits", "--normal", "3", "-o", "OUT", "--protocol-seed", "-1"], "--protocol-seed -1"),
    "negative bootstrap seed": (["evaluate", "DET", "LABELLED", "--seed", "-1"], "--seed -1"),
    "rate of zero": (["fit", "knn", "SOURCE", "-o", "OUT", "--false-alarm-rate", "0"], "--false-alarm-rate", "between 0 and 1"),
    "rate of one": (["calibrate", "DET", "SOURCE", "--false-alarm-rate", "1"], "--false-alarm-rate", "between 0 and 1"),
    "rate that is not a number": (["calibrate", "DET", "SOURCE", "--false-alarm-rate", "nan"], "--false-alarm-rate"),
    "widths of the wrong count": (["fit", "ede-gan", "SOURCE", "-o", "OUT", "--widths", "2-4"], "--widths 2-4", "2 blocks", "need 3"),
    "widths that are no numbers": (["fit", "ede-gan", "SOURCE", "-o", "OUT", "--widths", "2,4,8"], "--widths", "2,4,8"),
    "width of zero": (["fit", "ede-gan", "SOURCE", "-o", "OUT", "--widths", "0"], "--widths"),
    "settings that contradict": (["fit", "ede-gan", "SOURCE", "-o", "OUT", "--statistics", "running"], "--norm batch"),
    "class of a named set forgotten": (["fit", "knn", "digits", "-o", "OUT"], "--normal", "0, 1, 2"),
    "class that does not exist": (["fit", "knn", "digits", "--normal", "ten", "-o", "OUT"], "digits has no class ten", "9"),
    "class number too high": (["fit", "knn", "digits", "--normal", "10", "-o", "OUT"], "no class 10"),
    "labelled pictures to fit on": (["fit", "knn", "LABELLED", "-o", "OUT"], "normal/ beside other folders", "the normal pictures alone"),
    "labelled pictures to calibrate on": (["calibrate", "DET", "LABELLED"], "normal/ beside other folders"),
    "class of two folders": (
        ["evaluate", "DET", "LABELLED", "--normal", "3", "--train", "SOURCE"],
        "--normal 3",
    ),
    "class of a folder": (["fit", "knn", "SOURCE", "--normal", "3", "-o", "OUT"], "--normal 3", "digits"),
    "unknown protocol": (["evaluate", "DET", "digits", "--normal", "3", "--protocol", "mine"], "--protocol mine", "standard"),
    "group-by that is no expression": (["fit", "knn", "SOURCE", "-o", "OUT", "--group-by", "("], "--group-by"),
    "group-by that finds nothing": (["fit", "knn", "SOURCE", "-o", "OUT", "--group-by", "part[0-9]"], "--group-by", "00.png"),
    "scores of no known type": (["score", "DET", "SOURCE", "-o", "OUT.txt"], ".csv or .jsonl"),
    "calibration pictures that training saw": (["calibrate", "DET", "TRAINED"], "trained on every one"),
    "no normal folder": (["evaluate", "DET", "SOURCE"], "normal/", "novel/"),
    "labelled folder missing": (["evaluate", "DET", "NOWHERE"], "NOWHERE"),
    "train missing": (["evaluate", "DET", "LABELLED", "--train", "NOWHERE"], "NOWHERE", "does not exist"),
    "no detector": (["score", "NOWHERE/a.det", "SOURCE"], "no detector", "a.det"),
    "no detector to calibrate": (["calibrate", "NOWHERE/a.det", "SOURCE"], "no detector", "a.det"),
    "no bench file": (["bench", "NOWHERE.toml"], "NOWHERE.toml"),
    "jobs of zero": (["bench", "NOWHERE.toml", "--jobs", "0"], "--jobs 0", "1 to 256"),
}


@pytest.mark.parametrize("wrong", WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
def test_wrong_argument_is_told_in_one_sentence(wrong, tmp_path, det, parts, capsys):
    names = {"SOURCE": str(parts), "DET": str(det), "OUT": str(tmp_path / "new" / "x.det"), "OUT.txt": str(tmp_path / "x.txt")}
    names |= {name: str(tmp_path / name) for name in ("NOWHERE", "NOWHERE/a.det", "NOWHERE.toml")}
    argv, *says = wrong
    if "LABELLED" in argv:
        names["LABELLED"] = str(write_labelled(tmp_path / "labelled", 2))
    if "TRAINED" in argv:
        names["TRAINED"] = str(write(tmp_path / "seen", kept_pictures(det)))
    assert_refused([names.get(word, word) for word in argv], tmp_path, capsys, *says)


def kept_pictures(det):
    return store.load(det).scorer.state()["images"][:, 0].numpy()


def test_cuda_where_there_is_none_is_told_in_one_sentence(tmp_path, det, parts, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    labelled = write_labelled(tmp_path / "labelled", 2)
    for argv in (
        ["fit", "knn", str(parts), "-o", str(tmp_path / "a.det")],
        ["score", str(det), str(parts), "-o", str(tmp_path / "a.csv")],
        ["evaluate", str(det), str(labelled)],
    ):
        assert_refused([*argv, "--device", "cuda"], tmp_path, capsys, "--device cuda", "cpu")


def test_one_channel_detector_refuses_colour_pictures(tmp_path, det, capsys):
    grey = checks(3)
    colour = write(tmp_path / "colour", np.stack([grey, grey[:, ::-1], grey[:, :, ::-1] // 2], axis=-1))
    argv = ["score", str(det), str(colour), "-o", str(tmp_path / "a.csv")]
    assert_refused(argv, tmp_path, capsys, "00.png", "it is in colour")
    write(tmp_path / "colour" / "grey", grey)
    assert main(argv) == 3  # what is grey is scored
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 4
    assert capsys.readouterr().err.count("it is in colour") == 3


def test_bench_that_asks_for_what_is_not_there_is_refused(tmp_path, capsys):
    file = tmp_path / "b.toml"
    start = 'name = "b"\ntitle = "B"\ndata = "digits"\nclasses = ["3"]\n'
    entry = '[[detectors]]\nlabel = "a"\nmethod = "knn"\n'
    for text, says in (
        ("title = ", "not a TOML file"),
        (start, "detectors"),
        (start.replace('"b"', '"../b"') + entry, "--name"),
        (start + "sizes = 3\n" + entry, "sizes"),
        (start.replace("digits", "digitz") + entry, "digitz"),
        (start + "seeds = [0, -1]\n" + entry, "seeds"),
        (start.replace('"3"', '"ten"') + entry, "no class ten"),
        (start + 'protocol = "mine"\n' + entry, "no protocol 'mine'"),
        (start + entry.replace("knn", "nn"), "no method 'nn'"),
        (start + entry + "config = { k = 0 }\n", "--k"),
        (start + entry + "stack = 2\n", "cannot be stacked"),
    ):
        file.write_text(text)
        assert_refused(["bench", str(file), "--results", str(tmp_path / "results")], tmp_path, capsys, says)


def test_output_that_exists_asks_for_force(tmp_path, det, parts, capsys):
    labelled = write_labelled(tmp_path / "labelled", 2)
    (tmp_path / "scores.csv").write_text("mine")
    write(tmp_path / "maps", stripes(1))
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("mine")
    for argv in (
        ["fit", "knn", str(parts), "-o", str(det)],
        ["calibrate", str(det), str(parts), "-o", str(det)],
        ["score", str(det), str(parts), "-o", str(tmp_path / "scores.csv")],
        ["score", str(det), str(parts), "--heatmaps", str(tmp_path / "maps")],
        ["evaluate", str(det), str(labelled), "-o", str(tmp_path / "report")],
    ):
        assert_refused(argv, tmp_path, capsys, "exists", "--force")


def test_force_replaces_what_the_command_writes(tmp_path, det, parts, capsys):
    labelled = write_labelled(tmp_path / "labelled", 4)
    scores, report = tmp_path / "scores.csv", tmp_path / "report"
    scores.write_text("mine")
    report.mkdir()
    (report / "index.html").write_text("mine")
    assert main(["score", str(det), str(parts), "-o", str(scores), "--force"]) == 0
    assert main(["evaluate", str(det), str(labelled), "-o", str(report), "--force"]) == 0
    assert main(["fit", "knn", str(parts), "-o", str(det), "--k", "3", "--force"]) == 0
    assert scores.read_text().startswith("path,score")
    assert "<html" in (report / "index.html").read_text()
    assert store.load(det).config.k == 3
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_folder_that_is_no_detector_is_never_replaced(force, tmp_path, parts, capsys):
    photos = write(tmp_path / "photos", stripes(3))
    assert_refused(["fit", "knn", str(parts), "-o", str(photos), *force], tmp_path, capsys, "exists", "another -o")


def test_folder_is_never_replaced_by_a_table_nor_a_file_by_heat_maps(tmp_path, det, parts, capsys):
    write(tmp_path / "a.csv", stripes(2))
    (tmp_path / "maps").write_text("mine")
    (tmp_path / "report").write_text("mine")
    assert_refused(["score", str(det), str(parts), "-o", str(tmp_path / "a.csv"), "--force"], tmp_path, capsys, "a folder")
    assert_refused(["score", str(det), str(parts), "--heatmaps", str(tmp_path / "maps"), "--force"], tmp_path, capsys, "a file")
    labelled = str(write_labelled(tmp_path / "labelled", 2))
    assert_refused(["evaluate", str(det), labelled, "-o", str(tmp_path / "report"), "--force"], tmp_path, capsys, "a file")


REFUSALS = {errno.EROFS: "read-only file system", errno.EACCES: "permission denied", errno.ENOSPC: "the disk is full"}


@pytest.mark.parametrize("number", REFUSALS, ids=errno.errorcode.get)
def test_output_that_cannot_be_written_is_told_before_the_work(number, tmp_path, det, parts, capsys, monkeypatch):
    labelled = write_labelled(tmp_path / "labelled", 2)
    bench = tmp_path / "b.toml"
    bench.write_text('name = "b"\ntitle = "B"\ndata = "digits"\n[[detectors]]\nlabel = "a"\nmethod = "knn"\n')

    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    new = tmp_path / "new"
    for argv in (
        ["fit", "knn", str(parts), "-o", str(new / "a.det")],
        ["calibrate", str(det), str(parts), "-o", str(new / "a.det")],
        ["score", str(det), str(parts), "-o", str(new / "a.csv")],
        ["score", str(det), str(parts), "--heatmaps", str(new / "maps")],
        ["evaluate", str(det), str(labelled), "-o", str(new / "report")],
        ["bench", str(bench), "--results", str(new / "results")],
    ):
        assert_refused(argv, tmp_path, capsys, f"cannot write to {tmp_path}", REFUSALS[number])


def test_output_below_a_file_is_refused(tmp_path, parts, capsys):
    (tmp_path / "file").write_text("mine")
    assert_refused(["fit", "knn", str(parts), "-o", str(tmp_path / "file" / "a.det")], tmp_path, capsys, "cannot write to")


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("at", ["write_bytes", "write_text", "rename"])
def test_disk_that_fills_while_a_detector_is_replaced_leaves_the_old_one_whole(at, tmp_path, det, parts, capsys, monkeypatch):
    monkeypatch.setattr(*((os, "rename") if at == "rename" else (Path, at)), full)
    argv = ["fit", "knn", str(parts), "-o", str(det), "--k", "3", "--force"]
    assert_refused(argv, tmp_path, capsys, "the disk is full", "nothing was changed")
    assert store.load(det).config.k == 5


def test_disk_that_fills_between_the_two_renames_puts_the_old_detector_back(tmp_path, det, parts, capsys, monkeypatch):
    rename, calls = os.rename, []

    def second_time_full(a, b):
        calls.append(a)
        if len(calls) == 2:
            full()
        rename(a, b)

    monkeypatch.setattr(os, "rename", second_time_full)
    argv = ["fit", "knn", str(parts), "-o", str(det), "--k", "3", "--force"]
    assert_refused(argv, tmp_path, capsys, "nothing was changed")
    assert len(calls) == 3


def test_old_detector_that_finds_no_way_back_is_not_thrown_away(tmp_path, det, parts, monkeypatch):
    before, rename, calls = everything_in(det), os.rename, []

    def full_from_the_second_time_on(a, b):
        calls.append(a)
        if len(calls) >= 2:
            full()
        rename(a, b)

    monkeypatch.setattr(os, "rename", full_from_the_second_time_on)
    assert main(["fit", "knn", str(parts), "-o", str(det), "--k", "3", "--force"]) == 2
    (kept,) = tmp_path.glob(".knn.det.*/knn.det")
    assert everything_in(kept) == before


def test_training_whose_detector_finds_no_room_is_kept_for_resume(tmp_path, parts, capsys, monkeypatch):
    det = tmp_path / "a.det"
    argv = ["fit", "ede-gan", str(parts), "-o", str(det), *GAN]
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", full)
        assert main(argv) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--resume" in err
    assert not det.exists()
    steps = []
    monkeypatch.setattr("novelette.methods.ede_gan.descend", lambda *args: steps.append(args))
    assert main([*argv, "--resume"]) == 0
    assert steps == []
    assert not (tmp_path / "a.det.run").exists()


def test_every_package_of_an_extra_is_known_by_the_modules_that_it_brings():
    wanted = [Requirement(line) for line in requires("novelette") or []]
    brought = {module: {name.lower().replace("_", "-") for name in names} for module, names in packages_distributions().items()}
    for need in wanted:
        for extra in ("train", "serve"):
            if need.marker and need.marker.evaluate({"extra": extra}) and not need.marker.evaluate({"extra": ""}) and need.name != "uvloop":
                modules = [module for module, names in brought.items() if need.name.lower() in names]
                assert any(EXTRAS.get(module) == extra for module in modules), need


@pytest.mark.usefixtures("one_infinite")
def test_a_picture_without_a_finite_score_is_skipped_and_the_others_have_theirs(tmp_path, det, parts, capsys):
    said = "skipped 02.png: its score is no finite number, and says nothing"
    novel = write_labelled(tmp_path / "labelled", 3) / "novel"
    assert main(["score", str(det), str(novel), "-o", str(tmp_path / "scores.csv")]) == 3
    assert [line.split(",")[0] for line in (tmp_path / "scores.csv").read_text().splitlines()] == ["path", "00.png", "01.png"]
    assert said in capsys.readouterr().err
    assert main(["drift", str(det), str(novel), "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["pictures"] == 2
    assert said in err


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
    assert capsys.readouterr().err.startswith("novelette: there is not enough memory: a smaller --batch-size")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("name", ["checkpoint.pt.part", "log.jsonl"])
def test_full_disk_while_training_keeps_the_last_checkpoint(name, tmp_path, parts, capsys, monkeypatch):
    folder = tmp_path / "a.det.run"
    folder.mkdir()
    (folder / work.MARK).touch()
    (folder / name).symlink_to("/dev/full")

    def saved_before(self, step):
        return (folder / "checkpoint.pt").write_bytes(b"the last one") > 0

    monkeypatch.setattr(Path, "write_text", lambda self, text: len(text))  # the log's emptying, which a full disk allows
    monkeypatch.setattr("novelette.training.Run.wants_log", saved_before)
    argv = ["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN]
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "the disk is full" in err
    assert "--resume" in err
    assert (folder / "checkpoint.pt").read_bytes() == b"the last one"


def test_disk_that_fills_while_scores_are_written_leaves_the_old_table(tmp_path, det, parts, capsys, monkeypatch):
    (tmp_path / "a.csv").write_text("mine")
    monkeypatch.setattr(os, "replace", full)
    argv = ["score", str(det), str(parts), "-o", str(tmp_path / "a.csv"), "--force"]
    assert_refused(argv, tmp_path, capsys, "a.csv", "the disk is full")


def test_disk_that_fills_while_heat_maps_or_a_report_are_written_is_told(tmp_path, det, parts, capsys, monkeypatch):
    labelled = write_labelled(tmp_path / "labelled", 3)
    (tmp_path / "maps").mkdir()
    (tmp_path / "report").mkdir()
    monkeypatch.setattr(Image.Image, "save", full)
    capsys.readouterr()
    assert main(["score", str(det), str(parts), "--heatmaps", str(tmp_path / "maps")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.undo()
    monkeypatch.setattr(os, "replace", full)
    assert main(["evaluate", str(det), str(labelled), "-o", str(tmp_path / "report")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "report" in err
    assert everything_in(tmp_path / "maps") == everything_in(tmp_path / "report") == {}


@pytest.fixture
def one_infinite(monkeypatch):
    """Every detector gives the last of the pictures that it sees together a score of infinity."""
    score = Detector.score_pixels

    def strange(self, pixels, **own):
        scores = score(self, pixels, **own)
        scores[-1] = np.inf
        return scores

    monkeypatch.setattr(Detector, "score_pixels", strange)


@pytest.mark.usefixtures("one_infinite")
def test_a_score_that_is_not_finite_ends_no_command_in_a_traceback_and_its_picture_is_named(tmp_path, det, parts, capsys):
    labelled = write_labelled(tmp_path / "labelled", 3)
    asked = ["--miss-cost", "2", "--novel-prior", "0.1"]
    for argv, name in (
        (["evaluate", str(det), str(labelled)], "novel/02.png"),
        (["calibrate", str(det), str(labelled / "novel")], "02.png"),
        (["calibrate", str(det), str(labelled), *asked], "novel/02.png"),
        (["fit", "knn", str(parts), "-o", str(tmp_path / "a.det")], ".png"),
        (["fit", "ede-gan", str(parts), "-o", str(tmp_path / "a.det"), *GAN], ".png"),  # nor is there work to resume
        (["distill", str(det), str(parts), "-o", str(tmp_path / "a.det"), "--widths", "2", "--steps", "2"], ".png"),
        (["classify", "fit", "plain", str(labelled), "-o", str(tmp_path / "a.clf"), "--divide-widths", "16", "--epochs", "1"], ".png"),
    ):
        assert_refused(argv, tmp_path, capsys, f"{name} is inf, which cannot be compared", "leave the picture out")


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


def card_of(det):
    return json.loads((det / "detector.json").read_text())


def rewrite(det, **changes):
    """Change the card and sign it, as nothing but a program would."""
    card = {name: value for name, value in (card_of(det) | changes).items() if name != "card_sha256"}
    (det / "detector.json").write_text(json.dumps(card | {"card_sha256": digest(card)}))


def edit(det, **changes):
    """Change the card by hand: its hash is the old one's, or None to leave it out."""
    card = card_of(det) | changes
    (det / "detector.json").write_text(json.dumps({name: value for name, value in card.items() if value is not None}))


DAMAGES = {
    "no card": (lambda det: (det / "detector.json").unlink(), "is not a detector"),
    "no weights": (lambda det: (det / "weights.safetensors").unlink(), "weights.safetensors cannot be read"),
    "truncated card": (lambda det: os.truncate(det / "detector.json", 200), "detector.json is damaged"),
    "empty card": (lambda det: os.truncate(det / "detector.json", 0), "detector.json is damaged"),
    "card in no text": (lambda det: (det / "detector.json").write_bytes(bytes(range(256))), "detector.json is damaged"),
    "truncated weights": (lambda det: os.truncate(det / "weights.safetensors", 1000), "weights.safetensors is damaged"),
    "foreign weights": (lambda det: (det / "weights.safetensors").write_bytes(b"PK\x03\x04"), "weights.safetensors is damaged"),
    "foreign card": (lambda det: (det / "detector.json").write_text('{"model": "other"}'), "not the card of a detector"),
    "card that is a list": (lambda det: (det / "detector.json").write_text("[1]"), "not the card of a detector"),
    "newer schema": (lambda det: rewrite(det, schema=store.SCHEMA + 1), "newer novelette"),
    "unknown method": (lambda det: rewrite(det, method="oracle"), "the method 'oracle'"),
    "method that is a list": (lambda det: rewrite(det, method=["knn"]), "the method ['knn']"),
    "another method's settings": (lambda det: rewrite(det, method="ede-gan"), "do not fit together"),
    "another size": (lambda det: rewrite(det, preprocessing=card_of(det)["preprocessing"] | {"size": 64}), "do not fit together"),
    "calibration halved": (lambda det: edit(det, calibration=card_of(det)["calibration"][::2]), "detector.json is damaged"),
    "another rate": (lambda det: edit(det, false_alarm_rate=0.3), "detector.json is damaged"),
    "card without its hash": (lambda det: edit(det, card_sha256=None), "detector.json is damaged"),
    "hash that is no text": (lambda det: edit(det, card_sha256=[1]), "detector.json is damaged"),
    "unknown setting": (lambda det: rewrite(det, config={"k": 5, "power": 9}), "do not fit together"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_or_foreign_detector_is_refused_by_every_command(damage, tmp_path, det, parts, capsys):
    spoil, says = damage
    spoil(det)
    labelled = write_labelled(tmp_path / "labelled", 2)
    for argv in (
        ["info", str(det)],
        ["score", str(det), str(parts), "-o", str(tmp_path / "a.csv")],
        ["calibrate", str(det), str(parts)],
        ["evaluate", str(det), str(labelled), "-o", str(tmp_path / "report")],
    ):
        assert_refused(argv, tmp_path, capsys, says, "knn.det")


KEYS = ("schema", "method", "config", "preprocessing", "seed", "false_alarm_rate", "calibration", "weights_sha256", "provenance")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [None, [], {}, "x", -1, True, 1e999, [None], [[1.0]], {"x": 1}], ids=repr)
def test_card_with_a_wrong_value_is_refused_or_harmless(key, value, tmp_path, det, parts, capsys):
    rewrite(det, **{key: value})
    capsys.readouterr()
    for argv in (["info", str(det)], ["score", str(det), str(parts)]):
        status = main(argv)
        err = capsys.readouterr().err
        assert (status, err) == (0, "") or (status == 2 and err.count("\n") == 1)


def test_file_where_a_detector_is_expected_is_refused(tmp_path, parts, capsys):
    (tmp_path / "a.det").write_text("a file")
    assert_refused(["score", str(tmp_path / "a.det"), str(parts)], tmp_path, capsys, "is not a detector")
