"""A student taught through scores: the loop written out, what a teacher can tell, stopping and going on."""

import math
import signal

import numpy as np
import pytest
import torch
from pictures import checks, stripes
from torch import nn

from novelette.batches import batches
from novelette.data.images import as_tensor
from novelette.distill import scores
from novelette.distill.detectors import way
from novelette.distill.made import made
from novelette.distill.scores import HINTS, MADE, TINY, Config, Hints, distil, lesson, own_lesson, reconstructed
from novelette.errors import InputError
from novelette.methods import METHODS, ede_gan, feature_knn, knn, piad
from novelette.metrics import auroc
from novelette.nets import draw_weights
from novelette.training import Interrupted, Run, generators

CPU = torch.device("cpu")
SMALL = {"layer": "block-2", "side": 0, "k": 3}


def tiny(**changes):
    return Config(**({"widths": (2,), "latent": 6, "steps": 6, "batch_size": 4} | changes))


def pictures(n=12, channels=1, seed=0):
    return torch.randint(0, 256, (n, channels, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def fitted(module, config, images):
    return module.fit(images, config, seed=0, device=CPU, run=Run())


@pytest.fixture(scope="module")
def teacher():
    return fitted(feature_knn, feature_knn.Config(**SMALL), pictures())


@pytest.fixture(scope="module")
def painter():
    """A teacher that reconstructs."""
    return fitted(piad, piad.TINY.model_copy(update={"steps": 2}), pictures())


def taught(teacher, config, run=None, seed=0, images=None):
    images = pictures() if images is None else images
    return distil(teacher, images, config, seed=seed, device=CPU, run=Run() if run is None else run)[0]


def same_weights(a, b):
    return a.state().keys() == b.state().keys() and all(torch.equal(value, b.state()[name]) for name, value in a.state().items())


# The loop


def written_out(teacher, config, steps, images, seed=3):
    """The loop in plain terms, on networks of ede-gan and torch's own Adam."""
    net = ede_gan.Generator(config.student(), 1, 32)
    draw_weights(net, generators([seed], 0))
    weights = list(net.parameters())
    if isinstance(teacher, feature_knn.Scorer):
        with torch.no_grad():
            seen = teacher.scoring.seeing(as_tensor(images))
        hint = torch.empty(seen.shape[1], config.latent).normal_(0, config.latent**-0.5, generator=generators([seed], HINTS)[0])
        offset = torch.zeros(seen.shape[1])
        weights += [hint.requires_grad_(), offset.requires_grad_()]
    optimizer = torch.optim.Adam(weights, config.learning_rate, (0.9, 0.99), fused=True)
    own = teacher.score_own(as_tensor(images)).numpy()
    mean, std = own.mean(), own.std(ddof=1)
    order = np.random.default_rng((seed, 0)).permutation(len(images))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * (1 + math.cos(math.pi * step / config.steps)) / 2
        which = order[step * config.batch_size : (step + 1) * config.batch_size]
        x = as_tensor(images[which])
        y = made(x, generators([seed], MADE, step)[0])
        s = np.concatenate([own[which], teacher.score_own(y).numpy()])
        loss = 0.0
        x_hat, z, z_hat = net(torch.cat([x, y]))
        for i in range(2 * len(x)):
            p = 1 / (1 + math.exp((s[i] - mean - config.boundary * std) / (config.softness * std)))
            g = ((z[i] - z_hat[i]) ** 2).mean()
            loss = loss + (p * g - (1 - p) * torch.log(1 - torch.exp(-g - 1e-4))) / (2 * len(x))
        if isinstance(teacher, piad.Scorer):
            with torch.no_grad():
                target = teacher.scoring.net(torch.cat([x, y]))
            k_x = (x_hat - target).abs().mean()
        else:
            k_x = (x_hat[: len(x)] - x).abs().mean()
        k_f = torch.zeros(())
        if isinstance(teacher, feature_knn.Scorer):
            with torch.no_grad():
                sees = torch.cat([seen[which], teacher.scoring.seeing(y)])
            sees = (sees - seen.mean(0)) / seen.var(0).mean().sqrt()
            k_f = (z @ hint.T + offset - sees).square().mean()
        optimizer.zero_grad()
        (loss + config.w_x * k_x + config.w_f * k_f).backward()
        optimizer.step()
    return net.state_dict()


@pytest.mark.parametrize("which", ["teacher", "painter"])
def test_a_student_is_the_loop_written_out(which, request):
    """3 steps of 4 of 12 pictures: one pass. Matched are what feature-knn sees, and the painter's reconstructions, of normal and of made
    pictures."""
    own = request.getfixturevalue(which)
    config = tiny(steps=3, boundary=1.0, softness=0.7, w_x=3.0, w_f=2.0, learning_rate=1e-3)
    student = taught(own, config, seed=3)
    for name, value in written_out(own, config, 3, pictures()).items():
        torch.testing.assert_close(student.state()[name], value, rtol=1e-3, atol=1e-5)  # float32 sums in another order, by Adam's division


def test_training_pictures_are_asked_about_as_if_they_had_not_been_among_them(teacher):
    own = own_lesson(teacher, pictures(), CPU, bar=False)
    assert torch.equal(own.scores, teacher.score_own(as_tensor(pictures())))
    assert (own.scores > teacher.score(as_tensor(pictures()))).all()
    torch.testing.assert_close(own.features, teacher.scoring.vectors)


def test_a_lesson_has_what_the_teacher_can_tell(teacher, painter):
    x = as_tensor(pictures(3, seed=1))
    kinds = {"knn": fitted(knn, knn.Config(), pictures()), "feature-knn": teacher, "piad": painter}
    told = {name: lesson(scorer, x, CPU) for name, scorer in kinds.items()}
    for name, scorer in kinds.items():
        torch.testing.assert_close(told[name].scores, scorer.score_own(x), msg=name)
    assert {name: [part is not None for part in its[1:]] for name, its in told.items()} == {
        "knn": [False, False],
        "feature-knn": [True, False],
        "piad": [False, True],
    }


def test_the_hints_loss_by_hand():
    """Two pictures, f̄ = (1, 1), variances 2 and 0 and so σ_f = 1; latents (1, 2) told by W = ((1, 0), (0, 2)) as (1, 4)."""
    hints = Hints(2, torch.tensor([[0.0, 1.0], [2.0, 1.0]]), torch.Generator().manual_seed(0))
    assert (hints.told.weight.std() > 0, hints.told.bias.tolist()) == (True, [0.0, 0.0])
    hints.told.weight.data = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert hints(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 3.0]])).tolist() == [((1 - 0) ** 2 + (4 - 2) ** 2) / 2]


def test_without_their_weight_there_are_no_hints(teacher):
    logs = []
    for w_f in (0.0, 1.0):
        run = Run()
        taught(teacher, tiny(w_f=w_f), run)
        logs.append(set(run.history[-1]))
    assert logs[1] - logs[0] == {"k_f"}


def test_what_is_reconstructed_is_the_teachers_where_it_reconstructs(teacher, painter):
    x, y = as_tensor(pictures(3)), as_tensor(pictures(3, seed=1))
    assert reconstructed(teacher, x, lesson(teacher, y, CPU)) is x
    target = reconstructed(painter, x, lesson(painter, y, CPU))
    assert target.shape == (6, 1, 32, 32)
    assert not target.requires_grad
    torch.testing.assert_close(target[3:], painter.scoring.net(y).detach())


def test_the_teacher_is_as_it_was(painter):
    before = {name: value.clone() for name, value in painter.state().items()}
    _, after = distil(painter, pictures(), tiny(), seed=0, device=CPU, run=Run())
    assert after is painter
    assert all(torch.equal(value, before[name]) for name, value in painter.state().items())


def test_same_seed_same_student_and_another_seed_another(teacher):
    first = taught(teacher, tiny(), seed=1)
    assert same_weights(first, taught(teacher, tiny(), seed=1))
    assert not same_weights(first, taught(teacher, tiny(), seed=2))


@pytest.mark.parametrize("step", [0, 3])
def test_a_stopped_distillation_goes_on_to_the_very_weights_of_one_never_stopped(step, teacher, tmp_path, monkeypatch):
    whole = taught(teacher, tiny())

    def press(self, at):
        if at == step:
            signal.raise_signal(signal.SIGINT)
        return False

    with monkeypatch.context() as patched:
        patched.setattr(Run, "wants_log", press)
        with pytest.raises(Interrupted):
            taught(teacher, tiny(), Run(tmp_path))
    assert same_weights(whole, taught(teacher, tiny(), Run(tmp_path, resume=True)))


def test_snapshots_are_of_the_student_as_it_was(teacher):
    run = Run(snapshot_steps=frozenset({2, 6}))
    student = taught(teacher, tiny(schedule="constant"), run)
    assert sorted(run.snapshots) == [2, 6]
    assert all(torch.equal(value, student.state()[name]) for name, value in run.snapshots[6][0].items())
    shorter = taught(teacher, tiny(schedule="constant", steps=2))
    assert all(torch.equal(value, shorter.state()[name]) for name, value in run.snapshots[2][0].items())


def test_batches_say_which_pictures_they_are():
    images = pictures(10)
    x_of = batches([images], 4, [5], CPU)
    for step in range(6):
        assert torch.equal(as_tensor(images[x_of.numbers(step)]), x_of[step][:, 0])


def test_a_student_finds_novel_what_its_teacher_finds_novel():
    """Stripes are normal and chequered boards are not; 60 updates of the smallest student."""
    images = torch.from_numpy(stripes(60))[:, None]
    student = taught(fitted(knn, knn.Config(), images), tiny(steps=60, batch_size=8, learning_rate=0.005), images=images)
    shown = np.concatenate([stripes(40, seed=1), checks(40)])
    found = student.score(as_tensor(torch.from_numpy(shown)[:, None])).numpy()
    assert auroc(found, np.arange(80) >= 40) > 0.9


def test_tiny_is_a_config():
    assert TINY.steps_for(1_000) == 20
    assert TINY.model_copy(update={"epochs": 2}).steps_for(17) == 5  # 34 pictures in batches of 8


# What is refused


class Indifferent(nn.Module):
    """Finds every picture equally novel."""

    keeps_pictures = False

    def score_own(self, x):
        return torch.ones(len(x))

    def module(self):
        return None


def test_a_teacher_to_whom_all_pictures_are_alike_has_nothing_to_teach():
    with pytest.raises(InputError, match="gives all of these pictures the same score"):
        taught(Indifferent(), tiny())


def test_widths_that_do_not_fit_the_image_are_refused_before_the_teacher_is_asked(teacher, monkeypatch):
    monkeypatch.setattr(scores, "own_lesson", None)
    with pytest.raises(InputError, match="names 2 blocks, but images of 32 px need 3"):
        taught(teacher, tiny(widths=(2, 4)))


def test_no_paper_has_a_recipe_for_such_teachers():
    with pytest.raises(InputError, match=r"^--paper is for P-KDGAN"):
        scores.paper()


def test_every_method_teaches_in_one_of_two_ways():
    assert {name: way(name).__name__.rpartition(".")[2] for name in METHODS} == {
        name: "progressive" if name == "ede-gan" else "scores" for name in METHODS
    }
