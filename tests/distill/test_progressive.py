"""Going through the structures: what the student takes over, the switch, stopping and going on, models taught together."""

import signal

import pytest
import torch

from novelette import training
from novelette.data.images import as_tensor
from novelette.distill import progressive
from novelette.distill.progressive import TINY, Config, distil, distil_many, paper, student_config
from novelette.distill.structures import STRUCTURES
from novelette.errors import InputError
from novelette.fitting import adjusted
from novelette.methods import ede_gan
from novelette.methods.ede_gan import Scorer
from novelette.nets import block_widths
from novelette.training import Interrupted, Run

CPU = torch.device("cpu")
TEACHER = ede_gan.Config(widths=(4,), latent=6, steps=5, batch_size=4)


def tiny(**changes):
    return Config(**({"widths": (2,), "steps": 6, "batch_size": 4} | changes))


def pictures(n=12, seed=0):
    return torch.randint(0, 256, (n, 1, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def fitted(seed=0, images=None, **changes):
    config = TEACHER.model_copy(update=changes)
    return ede_gan.fit(pictures() if images is None else images, config, seed=seed, device=CPU, run=Run())


@pytest.fixture(scope="module")
def teacher():
    return fitted()


def taught(teacher, config, run=None, seed=0, images=None):
    images = pictures() if images is None else images
    return distil(teacher, images, config, seed=seed, device=CPU, run=Run() if run is None else run)


def same_weights(a, b):
    return a.state().keys() == b.state().keys() and all(torch.equal(value, b.state()[name]) for name, value in a.state().items())


# What the student takes over


def test_the_student_has_its_teachers_latent_pipeline_normalization_and_weights_of_losses():
    own = ede_gan.Config(
        pipeline="ed-hat", widths=(8,), latent=9, norm="batch", norm_first=False, beta1=0.3, beta2=0.8, w_con=7, w_enc=2, w_adv=3, steps=999
    )
    config = Config(widths=(2, 3, 5), steps=11, batch_size=3, learning_rate=0.01, schedule="constant")
    student = student_config(own, config, 32)
    of_the_student = {"widths", "steps", "epochs", "batch_size", "learning_rate", "schedule"}
    inherited, recipe = (
        {name: getattr(c, name) for name in ede_gan.Config.model_fields if name not in of_the_student} for c in (own, student)
    )
    assert inherited == recipe
    assert {name: getattr(student, name) for name in of_the_student} == {
        "widths": (2, 3, 5),
        "steps": 11,
        "epochs": 0,
        "batch_size": 3,
        "learning_rate": 0.01,
        "schedule": "constant",
    }


@pytest.mark.parametrize("size", [32, 64])
def test_one_number_is_doubled_as_a_teachers_is(size):
    assert student_config(TEACHER, Config(widths=(2,)), size).widths == block_widths((2,), size)


@pytest.mark.parametrize(("widths", "shown"), [((5,), "5-10-20 and 4-8-16"), ((1, 2, 17), "1-2-17 and 4-8-16")])
def test_a_student_wider_than_its_teacher_anywhere_is_refused(widths, shown):
    with pytest.raises(InputError, match=f"^the student is wider than its teacher \\({shown}\\): give --widths that are smaller$"):
        student_config(TEACHER, Config(widths=widths), 32)


def test_a_student_as_wide_as_its_teacher_is_not_refused():
    assert student_config(TEACHER, Config(widths=(4, 8, 16)), 32).widths == (4, 8, 16)


def test_widths_that_do_not_fit_the_image_are_a_persons_error():
    with pytest.raises(InputError, match="names 2 blocks, but images of 32 px need 3"):
        student_config(TEACHER, Config(widths=(2, 4)), 32)


def test_the_papers_recipe_is_the_papers():
    c = paper()
    assert (c.epochs, c.batch_size, c.schedule, c.structures()) == (500, 1, "constant", (2, 3))
    assert (c.learning_rate, c.teacher_learning_rate, c.w_1, c.w_x, c.w_2) == (0.002, 0.002, 1, 1, 1)
    assert not c.teacher_follows


def test_epochs_are_so_many_steps_in_each_step_of_the_two(teacher):
    assert [tiny(epochs=3, batch_size=b).steps_for(10) for b in (1, 4, 10)] == [30, 9, 3]
    run = Run()
    taught(teacher, tiny(epochs=2, batch_size=4), run, images=pictures(10))
    assert run.history[-1]["step"] == 12
    assert adjusted(progressive, {"steps": 7}, paper=True).steps_for(1000) == 7


# The loop


class Spy:
    """Records, of each step, the structure, the four learning rates, and how often each optimizer has stepped."""

    def __init__(self, monkeypatch, before=lambda step: None):
        self.structures, self.rates, self.stepped = [], [], []
        original = progressive.update

        def update(x, teacher, student, structure, weights, **more):
            before(more["step"])
            optimizers = [optimizer for gan in (teacher, student) for optimizer in (gan.opt_g, gan.opt_d)]
            self.structures.append(next(n for n, row in STRUCTURES.items() if row == structure))
            self.rates.append([optimizer.param_groups[0]["lr"] for optimizer in optimizers])
            self.stepped.append([max((int(s["step"]) for s in optimizer.state.values()), default=0) for optimizer in optimizers])
            return original(x, teacher, student, structure, weights, **more)

        monkeypatch.setattr(progressive, "update", update)


@pytest.mark.parametrize(
    ("changes", "structures"),
    [({"progressive": "2-3"}, [2, 2, 3, 3]), ({"progressive": "2-4"}, [2, 2, 4, 4]), *(({"structure": n}, [n, n]) for n in STRUCTURES)],
)
def test_the_structures_are_gone_through_in_their_order(teacher, monkeypatch, changes, structures):
    spy = Spy(monkeypatch)
    taught(teacher, tiny(steps=2, **changes))
    assert spy.structures == structures


@pytest.mark.parametrize(
    ("how", "stepped"),
    [
        ("2-3", [[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 0]]),
        ("2-4", [[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]]),
    ],
)
def test_adams_moments_are_forgotten_at_the_switch(teacher, monkeypatch, how, stepped):
    """Columns: teacher's G and D, student's G and D."""
    spy = Spy(monkeypatch)
    taught(teacher, tiny(steps=2, progressive=how))
    assert spy.stepped == stepped


def test_the_learning_rates_begin_anew_at_the_switch(teacher, monkeypatch):
    """A cosine over four steps is at 1, (1 + √½)/2, ½, (1 - √½)/2 of its peak."""
    spy = Spy(monkeypatch)
    taught(teacher, tiny(steps=4, learning_rate=0.01, teacher_learning_rate=0.003))
    factors = [1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2] * 2
    for rates, factor in zip(spy.rates, factors, strict=True):
        assert rates == pytest.approx([0.003 * factor, 0.003 * factor, 0.01 * factor, 0.01 * factor])
    constant = Spy(monkeypatch)
    taught(teacher, tiny(steps=2, schedule="constant"))
    assert constant.rates == [[0.00002, 0.00002, 0.002, 0.002]] * 4


def restored(state, like):
    return Scorer.from_state(like.config, state, 1, 32)


def test_step_two_goes_on_from_the_last_weights_of_both():
    """What step I left is structure 2's end, and with a learning rate of next to nothing the teacher ends where it began."""
    teacher = fitted(distance="euclidean")  # whitening, at the end of each, would move the weights further than the steps do
    run = Run(snapshot_steps=frozenset({6, 12}))
    student, moved = taught(teacher, tiny(schedule="constant", teacher_learning_rate=1e-9), run)
    (after_one,), (after_two,) = ([restored(state, student) for state in run.snapshots[step]] for step in (6, 12))
    assert same_weights(after_two, student)
    step_one, _ = taught(teacher, tiny(schedule="constant", structure=2))
    assert same_weights(after_one, step_one)
    assert not same_weights(after_one, student)
    far, _ = taught(teacher, tiny(schedule="constant", structure=3))
    assert not same_weights(far, student)
    for name, value in student.state().items():  # six steps of Adam, each of about the learning rate, 0.002
        torch.testing.assert_close(value, after_one.state()[name], rtol=0, atol=0.02)
    assert not same_weights(moved, teacher)
    for name, value in moved.state().items():
        torch.testing.assert_close(value, teacher.state()[name], rtol=0, atol=1e-6)  # six steps, each of about 1e-9


def test_structure_2_without_k_l_is_a_fit_from_scratch(teacher):
    """The student's own game is EDE-GAN's, with the same weights to begin with and the same pictures in the same order."""
    config = tiny(structure=2, w_1=0, w_x=0, w_2=0, steps=10)
    student, _ = taught(teacher, config, seed=3)
    alone = ede_gan.fit(pictures(), student_config(TEACHER, config, 32), seed=3, device=CPU, run=Run())
    assert same_weights(student, alone)
    assert student.config == alone.config


def test_teaching_brings_the_student_nearer_to_its_teacher(teacher):
    x = as_tensor(pictures())
    far, near = (taught(teacher, tiny(structure=1, steps=steps))[0] for steps in (1, 200))

    def distance(student):
        net_t, net_s = teacher.module().net, student.module().net
        with torch.no_grad():
            return [(t - s).abs().mean().item() for t, s in zip(net_t(x), net_s(x), strict=True)]

    assert all(after < 0.8 * before for before, after in zip(distance(far), distance(near), strict=True))


@pytest.mark.parametrize("changes", [{"structure": 1}, {"structure": 2}])
def test_a_frozen_teacher_is_returned_as_it_was(teacher, changes):
    assert not tiny(**changes).trains_teacher()
    assert taught(teacher, tiny(**changes))[1] is teacher


@pytest.mark.parametrize("changes", [{"structure": 1}, {"progressive": "2-3"}, {"progressive": "2-4"}])
@pytest.mark.parametrize("norm", ["image", "batch"])
def test_the_given_teacher_is_never_changed_in_place(changes, norm):
    teacher = fitted(norm=norm)
    before, config = {name: value.clone() for name, value in teacher.state().items()}, teacher.config
    _, moved = taught(teacher, tiny(**changes))
    assert all(torch.equal(value, before[name]) for name, value in teacher.state().items())
    assert teacher.config == config
    if tiny(**changes).trains_teacher():
        assert moved is not teacher
        assert not same_weights(moved, teacher)
        assert moved.config.widths == teacher.config.widths


def test_a_teacher_that_trained_along_can_be_built_again(teacher):
    _, moved = taught(teacher, tiny())
    again, x = Scorer.from_state(moved.config, moved.state(), 1, 32), as_tensor(pictures(3))
    assert torch.equal(again.score(x), moved.score(x))


@pytest.mark.parametrize("how", ["2-3", "2-4"])
def test_a_teacher_without_a_second_latent_teaches(how):
    teacher = fitted(pipeline="ed")
    student, moved = taught(teacher, tiny(progressive=how))
    for scorer in (student, moved):
        assert scorer.config.pipeline == "ed"
        assert not any(name.startswith("encode_again") for name in scorer.state())


def test_the_same_seed_gives_the_same_student_and_another_seed_another(teacher):
    first, again, other = (taught(teacher, tiny(), seed=seed)[0] for seed in (0, 0, 1))
    assert same_weights(first, again)
    assert not same_weights(first, other)


# Stopping and going on


@pytest.mark.parametrize("how", ["2-3", "2-4"])
@pytest.mark.parametrize("stopped_at", [2, 5, 8], ids=["in step I", "at the switch", "in step II"])
def test_a_run_stopped_and_resumed_ends_as_one_never_stopped(teacher, tmp_path, monkeypatch, stopped_at, how):
    monkeypatch.setattr(training, "LOG_EVERY", 2)
    whole = Run()
    expected = taught(teacher, tiny(progressive=how), whole)

    def press(step):
        if step == stopped_at:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        Spy(patch, before=press)
        with pytest.raises(Interrupted) as stopped:
            taught(teacher, tiny(progressive=how), Run(folder=tmp_path))
    assert stopped.value.step == stopped_at + 1  # 6 is the switch: step I is over, and step II has not begun
    resumed = Run(folder=tmp_path, resume=True)
    ended = taught(teacher, tiny(progressive=how), resumed)
    assert all(same_weights(a, b) for a, b in zip(ended, expected, strict=True))
    assert resumed.history == whole.history


# Taught together


@pytest.fixture
def _float64(monkeypatch):
    monkeypatch.setattr("novelette.batches.as_tensor", lambda pixels: as_tensor(pixels).double())
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("changes", [{"progressive": "2-3", "teacher_follows": True}, {"progressive": "2-4"}, {"structure": 1}])
def test_students_taught_together_end_as_each_would_alone(changes):
    """In float64, so that the steps do not grow the rounding of sums taken in another order past 1e-6."""
    config = tiny(steps=12, **changes)
    images, seeds = [pictures(12, seed=1), pictures(9, seed=2), pictures(20, seed=3)], [4, 5, 6]
    teachers = [fitted(seed, own) for seed, own in zip(seeds, images, strict=True)]
    students, moved = distil_many(teachers, images, config, seeds=seeds, device=CPU, run=Run())
    for m in range(3):
        alone = taught(teachers[m], config, seed=seeds[m], images=images[m])
        for together, single in zip((students[m], moved[m]), alone, strict=True):
            assert together.config == single.config
            for name, value in single.state().items():
                assert value.dtype == torch.float64
                torch.testing.assert_close(together.state()[name], value, rtol=1e-6, atol=1e-9)
    assert all(m is t for m, t in zip(moved, teachers, strict=True)) is not config.trains_teacher()


def test_models_that_need_different_numbers_of_steps_are_not_taught_together(teacher):
    with pytest.raises(InputError, match="give steps instead of epochs, or do not stack"):
        distil_many([teacher] * 2, [pictures(12), pictures(20)], tiny(epochs=1), seeds=[0, 1], device=CPU, run=Run())


# Golden: the first losses, which change only with a reason in the commit


# Tolerance: as in tests/golden.
@pytest.mark.parametrize(
    ("how", "golden"),
    [
        (
            "2-3",
            {
                "k": [0.103314, 0.109431, 0.060772, 0.054766],
                "con": [0.502400, 0.499739, 0.503840, 0.498758],
                "g_s": [5.778138, 5.673705],
                "d_s": [0.633985, 0.594004],
                "g_t": [5.805394, 5.758265],
                "d_t": [0.650538, 0.631772],
            },
        ),
        (
            "2-4",
            {
                "k": [0.103314, 0.109431, 0.087179, 0.084447],
                "con": [0.502400, 0.499739, 0.503970, 0.499186],
                "g_s": [5.778138, 5.673705, 5.772174, 5.710979],
                "d_s": [0.633985, 0.594004, 0.579920, 0.563795],
                "g_t": [5.805394, 5.758265],
                "d_t": [0.650538, 0.631772],
            },
        ),
    ],
)
def test_the_first_losses_are_what_they_were(monkeypatch, how, golden):
    monkeypatch.setattr(training, "LOG_EVERY", 5)
    gan = ede_gan.Gan(ede_gan.TINY.model_copy(update={"distance": "euclidean"}), 1, 32, CPU)
    gan.draw([7])  # a teacher before its first step, so that nothing of its own training enters
    (teacher,), run = gan.scorers([pictures(20)]), Run()
    papers = {"w_1": 1.0, "w_2": 1.0, "teacher_learning_rate": 0.0002}
    taught(teacher, TINY.model_copy(update={"steps": 10, "progressive": how, **papers}), run, images=pictures(20))
    assert [line["step"] for line in run.history] == [5, 10, 15, 20]
    for name, values in golden.items():
        assert [line[name] for line in run.history if name in line] == pytest.approx(values, rel=1e-3), name
    assert {name for line in run.history for name in line} == {"step", *golden}
