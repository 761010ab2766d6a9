"""Students in a bench: taught by their own class's teacher, whose weights are kept; a failure stays with whom it befell."""

import json

import pytest
import torch
from pictures import assert_refused
from pydantic import ValidationError

from novelette import watch
from novelette.bench import engine
from novelette.bench.costs import cost_of, steps_of
from novelette.bench.runs import Bench, Entry, Student, expand, read_bench
from novelette.bench.table import table
from novelette.cli import main
from novelette.data.named import load_named
from novelette.distill import progressive, scores
from novelette.errors import InputError
from novelette.methods import ede_gan

DIGITS = load_named("digits")
TEACHER = Entry(label="T", method="ede-gan", config={"widths": "2", "latent": 8, "steps": 4})
STUDENT = Student(label="S", teacher="T", config={"widths": "1", "steps": 3})
CLASSES = ("1", "3", "7")


def bench(*students, teacher=TEACHER, **changes):
    values = {"name": "b", "title": "B", "data": "digits", "classes": CLASSES, "detectors": (teacher,), "students": students or (STUDENT,)}
    return Bench(**(values | changes))


def lines(folder):
    return [json.loads(line) for line in (folder / "b.jsonl").read_text().splitlines()]


def aurocs(records, label="S"):
    return {r["normal"]: r["auroc"] for r in records if r["label"] == label}


class Lessons:
    """Records who taught whom, and which teachers were fitted."""

    def __init__(self, monkeypatch):
        self.taught, self.fitted = [], []
        distil_many, fit = progressive.distil_many, ede_gan.fit

        def distil(teachers, images, config, **more):
            self.taught += list(zip(teachers, images, more["seeds"], strict=True))
            return distil_many(teachers, images, config, **more)

        def fit_one(images, config, **more):
            self.fitted.append(more["seed"])
            return fit(images, config, **more)

        monkeypatch.setattr(progressive, "distil_many", distil)
        monkeypatch.setattr(ede_gan, "fit", fit_one)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A bench that has run: its folder and its records."""
    folder = tmp_path_factory.mktemp("results")
    return folder, engine.run_bench(bench(), folder)


def copied(ran, tmp_path, *, weights=True):
    """Its folder, for a test to spoil; with or without the teachers' weights."""
    (tmp_path / "b.jsonl").write_bytes((ran[0] / "b.jsonl").read_bytes())
    for file in (ran[0] / engine.MODELS).iterdir() if weights else ():
        (tmp_path / engine.MODELS).mkdir(exist_ok=True)
        (tmp_path / engine.MODELS / file.name).write_bytes(file.read_bytes())
    return tmp_path


# The grid


def test_every_student_has_a_teacher_of_its_own_class_and_seed():
    runs = expand(bench(seeds=(0, 2)), DIGITS)
    students = [run for run in runs if run.teacher]
    assert [(r.entry.label, r.seed, r.normal) for r in runs[:6]] == [("T", s, n) for s in (0, 2) for n in CLASSES]
    assert [(r.seed, r.normal) for r in students] == [(s, n) for s in (0, 2) for n in CLASSES]
    for run in students:
        assert (run.teacher.entry.label, run.teacher.normal, run.teacher.number, run.teacher.seed) == (
            "T",
            run.normal,
            run.number,
            run.seed,
        )
        assert run.method == "p-kdgan"


def test_a_students_key_tells_its_teachers_settings_and_its_own_and_no_labels():
    def key(b):
        return expand(b, DIGITS)[-1].key(b, "digits")

    renamed = bench(
        STUDENT.model_copy(update={"label": "x", "teacher": "y", "stack": 3}), teacher=TEACHER.model_copy(update={"label": "y"})
    )
    assert key(renamed) == key(bench())
    other_teacher = bench(teacher=TEACHER.model_copy(update={"config": TEACHER.config | {"steps": 5}}))
    other_student = bench(STUDENT.model_copy(update={"config": STUDENT.config | {"w_x": 2}}))
    assert len({key(b) for b in (bench(), other_teacher, other_student)}) == 3


@pytest.mark.parametrize("teacher", ["nobody", "S"])
def test_a_teacher_that_is_no_detector_of_the_bench_is_refused(teacher, tmp_path, capsys):
    file = tmp_path / "b.toml"
    head = 'name = "b"\ntitle = "B"\ndata = "digits"\n'
    head += '[[detectors]]\nlabel = "kNN"\nmethod = "knn"\n[[detectors]]\nlabel = "T"\nmethod = "ede-gan"\n[[students]]\nlabel = "S"\n'
    file.write_text(f'{head}teacher = "{teacher}"\n')
    says = f"the teacher '{teacher}' of 'S' is not the label of a detector above"
    assert_refused(["bench", str(file), "--results", str(tmp_path / "results")], tmp_path, capsys, says)
    file.write_text(f'{head}teacher = "T"\n')
    assert [student.teacher for student in read_bench(file).students] == ["T"]


def test_a_setting_of_the_distillation_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(InputError, match="latent"):
        engine.run_bench(bench(STUDENT.model_copy(update={"config": {"latent": 4}})), tmp_path)


# Running


def test_students_are_taught_by_the_teacher_of_their_class_on_its_pictures(tmp_path, monkeypatch):
    lessons, b = Lessons(monkeypatch), bench()
    records = engine.run_bench(b, tmp_path)
    assert [(r["label"], r["normal"]) for r in records] == [(label, n) for label in "TS" for n in CLASSES]
    runs = expand(b, DIGITS)
    known = engine.Known(DIGITS.title, DIGITS.labels, DIGITS.is_train, None, None, tmp_path / engine.MODELS)
    pixels = engine.prepared(DIGITS, 32)
    assert len(lessons.taught) == 3
    for run, (teacher, images, seed) in zip(runs[3:], lessons.taught, strict=True):
        own = torch.from_numpy(pixels[known.split(b, run).train])
        assert torch.equal(images, own)
        assert seed == run.number
        expected = ede_gan.fit(own, run.teacher.config, seed=run.number, device=torch.device("cpu"), run=engine.Training())
        assert all(torch.equal(value, expected.state()[name]) for name, value in teacher.state().items())


def test_records_of_students_hold_both_recipes(ran):
    for record in ran[1][3:]:
        assert record["method"] == "p-kdgan"
        assert record["config"]["widths"] == [1]
        assert (record["config"]["teacher"]["widths"], record["config"]["teacher"]["steps"]) == ([2], 4)
        assert 0 <= record["auroc"] <= 1


def test_a_second_run_does_nothing(ran, tmp_path, monkeypatch):
    folder = copied(ran, tmp_path, weights=False)  # nobody needs the weights any more
    content = (folder / "b.jsonl").read_bytes()
    monkeypatch.setattr(engine, "run_stack", None)
    assert engine.run_bench(bench(), folder) == ran[1]
    assert (folder / "b.jsonl").read_bytes() == content
    assert not (folder / engine.MODELS).exists()


def test_teachers_weights_are_used_again_for_a_new_student(ran, tmp_path, monkeypatch):
    folder, lessons = copied(ran, tmp_path), Lessons(monkeypatch)
    new = Student(label="S2", teacher="T", config={"widths": "1", "steps": 2, "structure": 1})
    records = engine.run_bench(bench(STUDENT, new), folder)
    assert lessons.fitted == []
    assert len(lessons.taught) == 3
    assert records[:6] == ran[1]
    assert len(lines(folder)) == 9


def test_a_teacher_whose_weights_are_gone_is_trained_again_without_a_second_record(ran, tmp_path, monkeypatch):
    folder = copied(ran, tmp_path)
    kept = [line for line in lines(folder) if not (line["label"] == "S" and line["normal"] in "37")]
    (folder / "b.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    gone = expand(bench(), DIGITS)[1]
    (folder / engine.MODELS / gone.weights_file(bench(), DIGITS.title)).unlink()
    lessons = Lessons(monkeypatch)
    records = engine.run_bench(bench(), folder)
    assert lessons.fitted == [3]  # class 3 alone; 7 has its weights, and 1 is done
    assert [(line["label"], line["normal"]) for line in lines(folder)] == [
        ("T", "1"),
        ("T", "3"),
        ("T", "7"),
        ("S", "1"),
        ("S", "3"),
        ("S", "7"),
    ]
    assert aurocs(records) == aurocs(ran[1])
    assert records[:3] == ran[1][:3]


def test_weights_are_kept_of_teachers_alone(tmp_path):
    other = Entry(label="no teacher", method="ede-gan", config={"widths": "1", "latent": 4, "steps": 2})
    engine.run_bench(bench(detectors=(TEACHER, other), classes=("3",)), tmp_path)
    assert len(list((tmp_path / engine.MODELS).iterdir())) == 1


def test_weights_of_every_detector_are_kept_where_the_bench_says_so(tmp_path):
    other = Entry(label="no teacher", method="ede-gan", config={"widths": "1", "latent": 4, "steps": 2})
    engine.run_bench(bench(detectors=(TEACHER, other), classes=("3",), keep=True), tmp_path)
    assert len(list((tmp_path / engine.MODELS).iterdir())) == 2


def test_a_students_record_says_by_whose_eyes_its_teacher_saw(tmp_path):
    teacher = Entry(label="T", method="feature-knn", config={"layer": "block-2", "side": 0})
    student = Student(label="S", teacher="T", config={"widths": "1", "latent": 4, "steps": 2})
    of_teacher, of_student = engine.run_bench(bench(student, teacher=teacher, classes=("3",)), tmp_path)
    assert of_student["teacher's perceptual"] == of_teacher["perceptual"]


def test_a_stack_of_two_gives_what_one_by_one_gives(ran, tmp_path):
    """The same teachers' weights, so that only the students are stacked."""
    folder = copied(ran, tmp_path)
    teachers = [line for line in lines(folder) if line["label"] == "T"]
    (folder / "b.jsonl").write_text("".join(json.dumps(line) + "\n" for line in teachers))
    records = engine.run_bench(bench(STUDENT.model_copy(update={"stack": 2})), folder)
    assert [r["stacked"] for r in records[3:]] == [2, 2, 1]
    # grouped convolutions add in another order: after six steps a few neighbouring ranks of ~700 test pictures may have changed places
    assert aurocs(records) == pytest.approx(aurocs(ran[1]), abs=2e-3)


def test_a_teacher_that_is_no_ede_gan_teaches_through_its_scores(tmp_path):
    """It is fitted once, teaches its own class, and its student is counted as the network that it is."""
    teacher = Entry(label="T", method="knn")
    student = Student(label="S", teacher="T", config={"widths": "1", "latent": 4, "steps": 3})
    b = bench(student, teacher=teacher, classes=("1", "3"), curve=1)
    records = engine.run_bench(b, tmp_path)
    assert [(r["label"], r["method"], "error" in r) for r in records] == [("T", "knn", False)] * 2 + [("S", "scores", False)] * 2
    assert records[2]["config"] == expand(b, DIGITS)[2].config.model_dump(mode="json") | {"teacher": records[0]["config"]}
    assert [step for step, _ in records[2]["curve"]] == [3]
    net = scores.Config(**student.config).student()
    counted = sum(p.numel() for p in ede_gan.Generator(net, 1, 32).parameters())
    assert (cost_of(records[2], "digits").params, steps_of(records[2])) == (counted, 3)
    assert engine.run_bench(b, tmp_path) == records


@pytest.mark.parametrize("row", ["detectors", "students"])
def test_a_row_that_cannot_be_stacked_is_refused(row, tmp_path):
    teacher, student = Entry(label="T", method="knn"), Student(label="S", teacher="T", config={"widths": "1", "steps": 3})
    rows = {"detectors": teacher, "students": student}
    rows[row] = rows[row].model_copy(update={"stack": 2})
    with pytest.raises(InputError, match=r"^(T: knn|S: scores) cannot be stacked: leave out its stack$"):
        engine.run_bench(bench(rows["students"], teacher=rows["detectors"]), tmp_path)


# Failing


@pytest.mark.parametrize("stack", [1, 3])
def test_a_failed_teacher_fails_its_own_student_alone(stack, ran, tmp_path, monkeypatch):
    fit = ede_gan.fit

    def fails_on_three(images, config, **more):
        if more["seed"] == 3:
            raise RuntimeError("out of memory")
        return fit(images, config, **more)

    b = bench(STUDENT.model_copy(update={"stack": stack}))
    with monkeypatch.context() as patched:
        patched.setattr(ede_gan, "fit", fails_on_three)
        records = engine.run_bench(b, tmp_path)
    errors = {(r["label"], r["normal"]): r["error"] for r in records if "error" in r}
    assert errors == {
        ("T", "3"): "RuntimeError: out of memory",
        ("S", "3"): "InputError: there is no teacher: T on 3 failed",
    }
    well = {normal: auroc for normal, auroc in aurocs(ran[1]).items() if normal != "3"}
    assert {r["normal"]: r["auroc"] for r in records[3:] if "auroc" in r} == pytest.approx(well, abs=2e-3)  # stacked: see above
    assert "failed: S, 3, seed 0: InputError: there is no teacher" in table(b, records)
    mended = engine.run_bench(b, tmp_path)  # tried again: the teacher, then its student
    assert not any("error" in r for r in mended)


@pytest.mark.parametrize("diverging", [{0}, {0, 1}])
def test_students_that_diverge_beside_one_without_a_teacher_are_named_as_they_are(diverging, ran, tmp_path, monkeypatch):
    """Of classes 1, 3 and 7 the first has no teacher, so that the stack's model 0 is class 3."""
    folder = copied(ran, tmp_path)
    (folder / "b.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines(folder) if line["label"] == "T"))
    b = bench(STUDENT.model_copy(update={"stack": 3}))
    (folder / engine.MODELS / expand(b, DIGITS)[0].weights_file(b, DIGITS.title)).unlink()
    monkeypatch.setattr(ede_gan, "fit", None)
    monkeypatch.setattr(watch.Watch, "_nonsense", lambda self, step, losses, m: f"g of {m} is nan" if m in diverging else None)
    errors = [r.get("error", "") for r in engine.run_bench(b, folder)[3:]]
    assert errors[0] == "InputError: there is no teacher: T on 1 failed"
    assert errors[1].startswith("Diverged: g of 0 is nan")
    assert errors[2].startswith("Diverged: g of 1 is nan" if 1 in diverging else "")
    assert bool(errors[2]) is (1 in diverging)


def test_a_student_wider_than_its_teacher_leaves_its_error_and_the_teacher_its_record(tmp_path):
    wide = STUDENT.model_copy(update={"config": {"widths": "3", "steps": 3}})
    teacher, student = engine.run_bench(bench(wide, classes=("3",)), tmp_path)
    assert "auroc" in teacher
    assert student["error"].startswith("InputError: the student is wider than its teacher (3-6-12 and 2-4-8)")


def test_the_command_runs_students_after_their_teachers_and_prints_both(tmp_path, capsys):
    text = 'name = "b"\ntitle = "B"\ndata = "digits"\nclasses = ["3"]\n[[detectors]]\nlabel = "T"\nmethod = "ede-gan"\n'
    text += (
        'config = { widths = "2", latent = 8, steps = 4 }\n[[students]]\nlabel = "S"\nteacher = "T"\nconfig = { widths = "1", steps = 3 }\n'
    )
    (tmp_path / "b.toml").write_text(text)
    assert main(["bench", str(tmp_path / "b.toml"), "--results", str(tmp_path)]) == 0
    assert [line["label"] for line in lines(tmp_path)] == ["T", "S"]
    assert capsys.readouterr().out.startswith("| normal class | T | S |")


def test_a_label_that_stands_twice_is_refused():
    rows = [{"label": "a", "method": "knn"}, {"label": "a", "method": "knn", "config": {"k": 3}}]
    with pytest.raises(ValidationError, match="is used twice"):
        Bench(name="b", title="t", data="digits", detectors=rows)
