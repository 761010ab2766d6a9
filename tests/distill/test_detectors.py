"""From a detector to a student: what both are, calibration pictures, provenance, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from pictures import checks, stripes, write

import novelette
from novelette import calibrate, store
from novelette.calibrating import calibrate_detector
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


def test_a_teacher_that_trained_along_in_larger_batches_scores_in_its_own_before_and_after_it_is_saved(tmp_path):
    batch = {"norm": "batch", "statistics": "batch", "batch_size": 4}
    teacher = novelette.fit("ede-gan", ALL[:40], false_alarm_rate=0.3, seed=5, **GAN, **batch)
    moved = taught(teacher, config=QUICK.model_copy(update={"structure": 3, "batch_size": 8})).teacher
    loaded = store.load(store.save(moved, tmp_path / "t.det"))
    assert (moved.scorer.config.batch_size, loaded.config.batch_size) == (4, 4)
    assert (loaded.score(ALL[:9]) == moved.score(ALL[:9])).all()


def test_a_teacher_of_another_method_is_refused_by_p_kdgan():
    with pytest.raises(InputError, match=r"^P-KDGAN needs an ede-gan teacher, and this one's method is knn, which teaches through scores$"):
        taught(novelette.fit("knn", ALL))


def test_resume_with_another_split_of_the_same_pictures_is_refused(teacher, tmp_path):
    folder = write(tmp_path / "parts", ALL)
    distil_detector(teacher, folder, Where(group_by="[0-9]+"), QUICK, Run(tmp_path / "run"), device="cpu")  # each picture by itself
    with pytest.raises(InputError, match="was started with another set of training pictures"):
        distil_detector(teacher, folder, Where(group_by="[0-9]"), QUICK, Run(tmp_path / "run", resume=True), device="cpu")
