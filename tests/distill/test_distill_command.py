"""`novelette distill`: what it saves, what it never replaces, --resume, and what a person gets wrong."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from pictures import assert_refused, everything_in, fitted, stripes, write

from novelette import saying, store
from novelette.cli import main
from novelette.errors import InputError

DIGITS = ("digits", "--normal", "3")
SMALL = ("--widths", "1", "--steps", "3")


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A teacher of digit 3, on disk."""
    det = tmp_path_factory.mktemp("teachers") / "three.det"
    assert main(["fit", "ede-gan", *DIGITS, "-o", str(det), "--widths", "2", "--latent", "8", "--steps", "5"]) == 0
    return det


def distill(teacher, out, *more):
    return ["distill", str(teacher), *DIGITS, "-o", str(out), *SMALL, *more]


def weights(det):
    return (det / "weights.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("more", "with_teacher"),
    [
        ((), True),
        (("--progressive", "2-4"), True),
        (("--structure", "1"), False),
        (("--structure", "2"), False),
        (("--structure", "3"), True),
    ],
    ids=["2-3", "2-4", "1", "2", "3"],
)
def test_distill_saves_the_student_and_a_teacher_that_trained_along(more, with_teacher, tmp_path, three, capsys):
    before = everything_in(three)
    out = tmp_path / "s.det"
    assert main(distill(three, out, *more)) == 0
    said, err = capsys.readouterr()
    s, t = store.load(out).cost(), store.load(three).cost()
    assert re.search(r"s\.det: student distilled on \d+ pictures and calibrated on \d+ others in", said)
    rows = [line.rsplit(maxsplit=3) for line in said.splitlines()[-5:]]
    assert rows[:3] == [
        ["student", "teacher", "ratio"],
        ["parameters", f"{s.params:,}", f"{t.params:,}", f"{t.params / s.params:.2f}"],
        ["multiply-adds", f"{s.macs:,}", f"{t.macs:,}", f"{t.macs / s.macs:.2f}"],
    ]
    assert "--resume" not in err
    assert {path.name for path in tmp_path.iterdir()} == ({"s.det", "s.det.teacher"} if with_teacher else {"s.det"})
    assert everything_in(three) == before
    steps = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert steps == ([3] if "--structure" in more else [6])
    if with_teacher:
        assert weights(tmp_path / "s.det.teacher") != weights(three)
        assert main(["evaluate", str(tmp_path / "s.det.teacher"), *DIGITS]) == 0
    assert main(["evaluate", str(out), *DIGITS]) == 0


def test_outputs_that_exist_ask_for_force(tmp_path, three, capsys):
    out, beside = tmp_path / "s.det", tmp_path / "s.det.teacher"
    assert main(distill(three, out)) == 0
    assert_refused(distill(three, out), tmp_path, capsys, "exists", "--force")
    out.rename(tmp_path / "other.det")
    assert_refused(distill(three, out), tmp_path, capsys, "s.det.teacher exists", "--force")
    assert main(distill(three, out, "--structure", "2")) == 0  # which writes none
    assert beside.exists()
    assert main(distill(three, out, "--force", "--seed", "1")) == 0
    assert weights(beside) != weights(three)
    assert main(distill(three, out, "--force", "--structure", "2")) == 0
    assert not beside.exists()  # the teacher of the run that was replaced


@pytest.mark.parametrize("student_there", [True, False])
def test_detector_that_stands_where_a_teacher_goes_and_that_no_run_left_there_is_never_lost(student_there, tmp_path, three, capsys):
    out, beside = tmp_path / "s.det", tmp_path / "s.det.teacher"
    if student_there:
        assert main(distill(three, out, "--structure", "1")) == 0
    shutil.copytree(three, beside)
    for structure in ("1", "2", "3"):
        argv = distill(three, out, "--structure", structure, "--force")
        assert_refused(argv, tmp_path, capsys, f"{beside} is where the teacher", "the detector there is not one", "move it away")
    (beside / "detector.json").unlink()
    assert main(distill(three, out, "--structure", "1", "--force")) == 0  # no detector: it is nobody's to remove
    assert beside.exists()


def test_output_below_a_loop_of_links_is_told_in_a_sentence(tmp_path, three, capsys):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert_refused(distill(three, tmp_path / "loop" / "s.det"), tmp_path, capsys, "cannot write to", "loop")


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("own", ["s.det", "s.det.teacher", "link.det"])
def test_a_student_never_takes_the_place_of_its_own_teacher(own, force, tmp_path, three, capsys):
    its = Path(shutil.copytree(three, tmp_path / ("s.det" if own == "link.det" else own)))
    if own == "link.det":
        (tmp_path / own).symlink_to(its)
    for structure in ("1", "2"):
        argv = distill(tmp_path / own, tmp_path / "s.det", "--structure", structure, *force)
        assert_refused(argv, tmp_path, capsys, f"{own} is the teacher", "another -o")


def test_the_teacher_of_the_run_before_stays_until_the_new_student_is_saved(tmp_path, three, monkeypatch):
    out, beside = tmp_path / "s.det", tmp_path / "s.det.teacher"
    assert main(distill(three, out)) == 0

    def full(detector, path, **more):
        raise InputError(f"cannot write {path}: the disk is full; nothing was changed there")

    with monkeypatch.context() as patched:
        patched.setattr(store, "save", full)
        assert main(distill(three, out, "--structure", "1", "--force")) == 2
    assert beside.exists()


def test_a_folder_that_is_no_detector_is_never_replaced_by_the_teacher(tmp_path, three, capsys):
    photos = write(tmp_path / "s.det.teacher", stripes(2))
    for force in ((), ("--force",)):
        assert_refused(distill(three, tmp_path / "s.det", *force), tmp_path, capsys, "s.det.teacher exists", "another -o")
    assert main(distill(three, tmp_path / "s.det", "--structure", "1", "--force")) == 0
    assert len(list(photos.iterdir())) == 2


def press_ctrl_c(step, patched):
    def press(self, at):
        if at == step:
            signal.raise_signal(signal.SIGINT)
        return False

    patched.setattr("novelette.training.Run.wants_log", press)


@pytest.mark.parametrize("step", [0, 2, 4], ids=["in step I", "at the switch", "in step II"])
def test_stopped_distillation_goes_on_with_resume_to_the_very_weights_of_one_never_stopped(step, tmp_path, three, capsys, monkeypatch):
    whole, out = tmp_path / "whole.det", tmp_path / "s.det"
    assert main(distill(three, whole)) == 0
    capsys.readouterr()
    with monkeypatch.context() as patched:
        press_ctrl_c(step, patched)
        assert main(distill(three, out)) == saying.STOPPED == 130
    printed, err = capsys.readouterr()
    assert printed == ""
    assert f"stopped at step {step + 1}; the work is kept in {out}.run: give the same command with --resume" in err
    assert err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"whole.det", "whole.det.teacher", "s.det.run"}
    assert_refused(distill(three, out), tmp_path, capsys, "--resume", "--force")
    assert main(distill(three, out, "--resume")) == 0
    for ours, expected in ((out, whole), (Path(f"{out}.teacher"), Path(f"{whole}.teacher"))):
        assert weights(ours) == weights(expected)
        assert store.load(ours).calibration.tolist() == store.load(expected).calibration.tolist()
    assert not Path(f"{out}.run").exists()


def test_resume_refuses_another_teacher_other_settings_and_other_pictures(tmp_path, three, capsys, monkeypatch):
    """The checkpoint holds a teacher that trains along: another one would be told of in the student's card, and not have taught it."""
    longer, out = tmp_path / "longer.det", tmp_path / "s.det"
    assert main(["fit", "ede-gan", *DIGITS, "-o", str(longer), "--widths", "2", "--latent", "8", "--steps", "6"]) == 0
    with monkeypatch.context() as patched:
        press_ctrl_c(4, patched)
        assert main(distill(three, out)) == 130
    assert_refused([*distill(longer, out), "--resume"], tmp_path, capsys, "another teacher:")
    assert_refused([*distill(three, out), "--resume", "--w-1", "2"], tmp_path, capsys, "another --w-1:")
    assert_refused([*distill(three, out), "--resume", "--seed", "2"], tmp_path, capsys, "another --seed:")
    argv = [word if word != "3" or distill(three, out)[i - 1] != "--normal" else "4" for i, word in enumerate(distill(three, out))]
    assert_refused([*argv, "--resume"], tmp_path, capsys, "another set of training pictures:")
    assert main(distill(three, out, "--resume")) == 0


@pytest.mark.parametrize("saving", ["s.det", "s.det.teacher"])
def test_a_distillation_that_finds_no_room_is_kept_for_resume(saving, tmp_path, three, capsys, monkeypatch):
    out, save = tmp_path / "s.det", store.save

    def full(detector, path, **more):
        if Path(path).name == saving:
            raise InputError(f"cannot write {path}: the disk is full; nothing was changed there")
        return save(detector, path, **more)

    with monkeypatch.context() as patched:
        patched.setattr(store, "save", full)
        capsys.readouterr()
        assert main(distill(three, out)) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--resume" in err
    steps = []
    monkeypatch.setattr("novelette.distill.progressive.update", lambda *args: steps.append(args))
    assert main(distill(three, out, "--resume")) == 0
    assert steps == []
    assert {path.name for path in tmp_path.iterdir()} == {"s.det", "s.det.teacher"}


def test_what_a_person_gets_wrong_is_told_in_one_sentence(tmp_path, three, capsys):
    out = tmp_path / "new" / "s.det"
    knn = fitted(tmp_path / "knn.det", write(tmp_path / "parts", stripes(40)))
    os.truncate(store.save(store.load(three), tmp_path / "damaged.det") / "weights.safetensors", 100)
    for argv, *says in (
        ([*distill(three, out), "--widths", "3"], "wider than its teacher (3-6-12 and 2-4-8)", "--widths"),
        ([*distill(three, out), "--widths", "1-2"], "names 2 blocks"),
        ([*distill(three, out), "--structure", "5"], "--structure"),
        ([*distill(three, out), "--progressive", "3-2"], "--progressive"),
        ([*distill(three, out), "--seed", "-1"], "--seed -1"),
        ([*distill(three, out), "--false-alarm-rate", "1"], "--false-alarm-rate"),
        ([*distill(three, out), "--latent", "4"], "--latent"),
        (distill(tmp_path / "none.det", out), "there is no detector at", "none.det"),
        (distill(tmp_path / "parts", out), "is not a detector"),
        (distill(tmp_path / "damaged.det", out), "is damaged"),
        (distill(knn, out, "--w-1", "2"), "--w-1"),
        (["distill", str(three), "digits", "-o", str(out), *SMALL], "--normal"),
        (["distill", str(three), str(tmp_path / "nowhere"), "-o", str(out), *SMALL], "does not exist"),
        (["distill", str(three), *DIGITS], "-o"),
    ):
        assert_refused(argv, tmp_path, capsys, *says)
