"""Going through the structures: their order, the switch between two, who trains, stopping and going on."""

import signal

import pytest
import torch
from distill.small_teachers import CPU, TEACHER, fitted, pictures, same_weights, taught, tiny

from novelette import training
from novelette.data.images import as_tensor
from novelette.distill import progressive
from novelette.distill.progressive import student_config
from novelette.distill.structures import STRUCTURES
from novelette.methods import ede_gan
from novelette.methods.ede_gan import Scorer
from novelette.training import Interrupted, Run


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
