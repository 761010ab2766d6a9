"""From a detector to a student: calibration, provenance, what is refused; and the command `distill`."""

import json
import os
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import assert_refused, checks, everything_in, fitted, stripes, write

import novelette
from novelette import calibrate, saying, store
from novelette.calibrating import calibrate_detector
from novelette.cli import main
from novelette.data.images import load
from novelette.data.select import Where
from novelette.data.sources import open_source
from novelette.distill.detectors import distil_detector
from novelette.distill.progressive import TINY
from novelette.errors import InputError
from novelette.methods import ede_gan
from novelette.training import Run

QUICK = TINY.model_copy(update={"steps": 3})
FROZEN = QUICK.model_copy(update={"structure": 1})
GAN = {"widths": "2", "latent": 8, "steps": 5}
ALL = stripes(80)


@pytest.fixture(scope="module")
def teacher():
    """Of the first half of the pictures."""
    return novelette.fit("ede-gan", ALL[:40], false_alarm_rate=0.3, seed=5, **GAN)


def hashes_of(pictures, detector):
    return load(open_source(pictures), detector.preprocessing).hashes


def taught(teacher, pictures=ALL, config=QUICK, where=None, **more):
    return distil_detector(teacher, pictures, where or Where(), config, Run(), device="cpu", **more)


def same_weights(a, b):
    return all((value == b.scorer.state()[name]).all() for name, value in a.scorer.state().items())


# Calibration and provenance


def test_a_student_is_a_detector_of_its_own_that_prepares_pictures_as_its_teacher_does(teacher):
    student = taught(teacher, seed=9).student.detector
    assert (student.method, student.preprocessing) == ("ede-gan", teacher.preprocessing)
    assert isinstance(student.config, ede_gan.Config)
    assert student.config == student.scorer.config
    assert (student.config.widths, student.config.latent, student.seed) == ((1, 2, 4), 8, 9)
    assert student.cost().params < teacher.cost().params
    assert student.score(checks(3)).shape == (3,)


def test_frames_tiles_and_colours_are_the_teachers():
    colour = np.stack([ALL[:40], ALL[:40, ::-1], ALL[:40] // 2], axis=-1)
    teacher = novelette.fit("ede-gan", colour, tiles=2, frame="crop", false_alarm_rate=0.3, **GAN)
    distilled = taught(teacher, colour)
    for detector in (distilled.student.detector, distilled.teacher):
        assert detector.preprocessing == teacher.preprocessing
        assert detector.score(colour[:3]).shape == (3,)


def test_calibration_pictures_were_seen_by_neither(teacher):
    """The teacher is one that has seen some of the pictures that are held out here, as one fitted by other groups may have."""
    hashes = hashes_of(ALL, teacher)
    held = np.flatnonzero(calibrate.held_out(hashes))
    wise = replace(teacher, trained_on=np.union1d(teacher.trained_on, hashes[held[:3]]))
    distilled = taught(wise)
    expected = hashes[held[3:]]
    for detector in (distilled.student.detector, distilled.teacher):
        assert not detector.saw(expected).any()
        scores = detector.score(ALL[held[3:]])
        assert detector.calibration.tolist() == pytest.approx(sorted(scores.tolist()), rel=1e-5)  # float32, in other batches
    assert len(taught(teacher).student.detector.calibration) == len(held)


def test_another_view_of_what_the_teacher_saw_calibrates_nothing(tmp_path, teacher):
    """The teacher is one that has seen one view of a thing, four views each, whose others are held out here."""
    folder = write(tmp_path / "parts", ALL)
    for i, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"part{i // 4:02}-{i % 4}.png")
    hashes = hashes_of(folder, teacher)
    held = calibrate.held_out(hashes, np.arange(80) // 4).reshape(20, 4)[:, 0]
    things = hashes.reshape(20, 4)[held]
    assert len(things) > 1
    wise = replace(teacher, trained_on=np.sort(things[0, :1]))
    distilled = taught(wise, folder, where=Where(group_by="part[0-9]+"))
    for detector in (distilled.student.detector, distilled.teacher):
        assert len(detector.calibration) == 4 * (len(things) - 1)
        assert not detector.saw(things[1:].ravel()).any()


def test_a_student_has_trained_on_what_it_and_its_teacher_trained_on(teacher):
    pictures = ALL[30:]
    distilled = taught(teacher, pictures)
    own = hashes_of(pictures, teacher)
    own = own[~calibrate.held_out(own)]
    expected = np.union1d(own, teacher.trained_on)
    assert len(expected) > max(len(own), len(teacher.trained_on))
    for detector in (distilled.student.detector, distilled.teacher):
        assert detector.trained_on.tolist() == expected.tolist()
    the_teachers = ALL[:30][teacher.saw(hashes_of(ALL[:30], teacher))]
    with pytest.raises(InputError, match="trained on every one"):
        calibrate_detector(distilled.student.detector, the_teachers, Where(), 0.3)


def test_the_false_alarm_rate_is_the_teachers_unless_given(teacher):
    assert taught(teacher).student.detector.false_alarm_rate == 0.3
    distilled = taught(teacher, false_alarm_rate=0.2)
    assert distilled.student.detector.false_alarm_rate == 0.2
    assert distilled.teacher.false_alarm_rate == 0.3


def test_provenance_tells_the_teacher_and_the_distillation(teacher):
    distilled = taught(teacher, seed=4)
    told = distilled.student.detector.provenance
    assert told["distilled"]["teacher"] == teacher.provenance
    assert told["distilled"]["teacher_config"] == teacher.config.model_dump(mode="json")
    assert {name: told["distilled"][name] for name in QUICK.model_dump(mode="json")} == QUICK.model_dump(mode="json")
    held = calibrate.held_out(hashes_of(ALL, teacher))
    assert told["n_training"] == (~held).sum()
    assert told["pictures"] != teacher.provenance["pictures"]
    along = distilled.teacher.provenance
    assert {name: along[name] for name in teacher.provenance} == teacher.provenance
    assert (along["trained_along"]["seed"], along["trained_along"]["pictures"]) == (4, told["pictures"])


def test_the_teacher_given_is_as_it_was(teacher):
    before = {name: value.clone() for name, value in teacher.scorer.state().items()}
    calibration, trained_on = teacher.calibration.copy(), teacher.trained_on.copy()
    moved = taught(teacher).teacher
    assert all((value == before[name]).all() for name, value in teacher.scorer.state().items())
    assert (teacher.calibration == calibration).all()
    assert (teacher.trained_on == trained_on).all()
    assert "trained_along" not in teacher.provenance
    assert not same_weights(teacher, moved)
    assert taught(teacher, config=FROZEN).teacher is None


def test_student_and_teacher_are_saved_and_loaded_as_they_are_and_teach_on(tmp_path, teacher):
    distilled = taught(teacher)
    for name, detector in (("s.det", distilled.student.detector), ("t.det", distilled.teacher)):
        loaded = store.load(store.save(detector, tmp_path / name))
        assert (loaded.score(ALL[:5]) == detector.score(ALL[:5])).all()
        assert loaded.provenance == detector.provenance
    grandchild = taught(store.load(tmp_path / "s.det")).student.detector
    assert grandchild.provenance["distilled"]["teacher"]["distilled"]["teacher"] == teacher.provenance


def test_a_teacher_of_another_method_is_refused_by_p_kdgan():
    with pytest.raises(
        InputError, match=r"^P-KDGAN needs an ede-gan teacher, and this one is of the method knn: it teaches through scores$"
    ):
        taught(novelette.fit("knn", ALL))


# The command


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


def test_resume_with_another_split_of_the_same_pictures_is_refused(teacher, tmp_path):
    folder = write(tmp_path / "parts", ALL)
    distil_detector(teacher, folder, Where(group_by="[0-9]+"), QUICK, Run(tmp_path / "run"), device="cpu")  # each picture by itself
    with pytest.raises(InputError, match="was started with another set of training pictures"):
        distil_detector(teacher, folder, Where(group_by="[0-9]"), QUICK, Run(tmp_path / "run", resume=True), device="cpu")


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
