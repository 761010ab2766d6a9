"""`novelette distill` from teachers of other methods than EDE-GAN, through their scores."""

import json
import signal

import numpy as np
import pytest
from pictures import assert_refused, checks, stripes, write

from novelette import info, store
from novelette.cli import main
from novelette.runtime import load as load_bundle
from novelette.training import Run

OWN = ("--widths", "1", "--latent", "8", "--steps", "3")
TEACHERS = {
    "feature-knn": ("--layer", "block-2", "--side", "0", "--k", "3"),
    "knn": (),
    "piad": ("--divide-widths", "16", "--layer", "block-2", "--steps", "2", "--batch-size", "4"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures, and a teacher of each method."""
    folder = tmp_path_factory.mktemp("taught")
    write(folder / "good", stripes(40))
    for method, settings in TEACHERS.items():
        assert main(["fit", method, str(folder / "good"), "-o", str(folder / f"{method}.det"), "--false-alarm-rate", "0.3", *settings]) == 0
    return folder


def command(folder, out, *more, method="feature-knn"):
    return ["distill", str(folder / f"{method}.det"), str(folder / "good"), "-o", str(out), *OWN, *more]


@pytest.mark.parametrize("method", TEACHERS)
def test_distill_makes_an_ede_gan_of_any_teacher(method, folder, tmp_path, capsys):
    out = tmp_path / "s.det"
    before = (folder / f"{method}.det" / "weights.safetensors").read_bytes()
    assert main(command(folder, out, method=method)) == 0
    said = capsys.readouterr().out
    assert "student distilled on" in said
    assert "student       teacher     ratio" in said
    student, teacher = store.load(out), store.load(folder / f"{method}.det")
    assert (student.method, student.config.distance, student.config.widths) == ("ede-gan", "euclidean", (1,))
    assert student.preprocessing == teacher.preprocessing
    assert student.false_alarm_rate == 0.3
    assert len(student.calibration) == len(teacher.calibration)
    told = student.provenance["distilled"]
    assert (told["teacher_method"], told["teacher"], told["latent"]) == (method, teacher.provenance, 8)
    assert {path.name for path in tmp_path.iterdir()} == {"s.det"}
    assert (folder / f"{method}.det" / "weights.safetensors").read_bytes() == before
    assert [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()] == [3]
    assert info.teacher_of(student, out) is None  # its teacher is no network that can be built from its settings alone
    assert main(["info", str(out)]) == 0


@pytest.mark.heavy
def test_a_student_taught_through_scores_exports_and_teaches_on(folder, tmp_path):
    out, bundle = tmp_path / "s.det", tmp_path / "s.bundle"
    assert main(command(folder, out)) == 0
    assert main(["export", str(out), "-o", str(bundle)]) == 0
    shown = np.concatenate([stripes(3, seed=2), checks(3)])
    assert load_bundle(bundle).predict(shown).score == pytest.approx(store.load(out).score(shown), rel=1e-4, abs=1e-5)  # export's own bound
    assert main(["distill", str(out), str(folder / "good"), "-o", str(tmp_path / "g.det"), "--widths", "1", "--steps", "2"]) == 0


def test_settings_of_the_other_way_are_refused(folder, tmp_path, capsys):
    for word in ("--w-1", "--teacher-learning-rate", "--structure"):
        assert_refused(command(folder, tmp_path / "s.det", word, "2"), tmp_path, capsys, word)
    assert_refused(command(folder, tmp_path / "s.det", "--paper"), tmp_path, capsys, "--paper is for P-KDGAN")
    out = tmp_path / "s.det"
    assert main(command(folder, out)) == 0
    assert_refused(["distill", str(out), str(folder / "good"), "-o", "x", "--boundary", "1"], tmp_path, capsys, "--boundary")


def test_the_teacher_comes_first(folder, tmp_path, capsys):
    teacher, good = str(folder / "knn.det"), str(folder / "good")
    assert_refused(["distill", "--widths", "1", teacher, good, "-o", str(tmp_path / "s.det")], tmp_path, capsys, "give the teacher first")


def test_resume_refuses_another_way_and_another_teacher(folder, tmp_path, capsys, monkeypatch):
    out = tmp_path / "s.det"

    def press(self, at):
        signal.raise_signal(signal.SIGINT)
        return False

    with monkeypatch.context() as patched:
        patched.setattr(Run, "wants_log", press)
        assert main(command(folder, out)) == 130
    assert_refused([*command(folder, out, method="knn"), "--resume"], tmp_path, capsys, "another teacher")
    assert_refused([*command(folder, out, "--softness", "2"), "--resume"], tmp_path, capsys, "another --softness:")
    assert main([*command(folder, out), "--resume"]) == 0
