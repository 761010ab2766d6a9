"""KDGAN's value function and its optimum, the order of moves, and the losses by hand."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from novelette.classify import kdgan, plain
from novelette.classify.concrete import draw
from novelette.classify.game import Player, Turns, detection, discrimination, moves, persuasion
from novelette.classify.losses import distillation, log_made, log_true, value
from novelette.training import Run

P_U = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], dtype=torch.float64)
P_C = torch.tensor([[0.2, 0.2, 0.6], [0.3, 0.4, 0.3]], dtype=torch.float64)
P_T = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]], dtype=torch.float64)


def test_the_value_at_the_equilibrium_is_minus_log_4():
    half = torch.full_like(P_U, 0.5)
    assert torch.allclose(value(P_U, P_U, P_U, half, alpha=0.3), torch.full((2,), -math.log(4), dtype=torch.float64))


def test_the_best_discriminator_is_that_of_lemma_4_1():
    g = torch.zeros_like(P_U, requires_grad=True)
    optimizer = torch.optim.LBFGS([g], max_iter=200)

    def loss() -> Tensor:
        optimizer.zero_grad()
        total = -value(P_U, P_C, P_T, torch.sigmoid(g), alpha=0.3).sum()
        total.backward()
        return total

    optimizer.step(loss)
    mixed = 0.3 * P_C + 0.7 * P_T
    assert torch.allclose(torch.sigmoid(g), P_U / (P_U + mixed), atol=1e-4)
    best = value(P_U, P_C, P_T, P_U / (P_U + mixed), alpha=0.3)
    middle = (P_U + mixed) / 2
    js = ((P_U * (P_U / middle).log()).sum(-1) + (mixed * (mixed / middle).log()).sum(-1)) / 2
    assert torch.allclose(best, 2 * js - math.log(4))  # Eq. 5


def test_distillation_by_hand():
    h, f = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[1.0, 0.0, 6.0]])
    assert distillation(h, f, "l2").item() == pytest.approx((0 + 4 + 9) / 2)
    p, q = torch.softmax(h, -1)[0], torch.softmax(f, -1)[0]
    assert distillation(h, f, "kl").item() == pytest.approx(sum(float(b * math.log(b / a)) for a, b in zip(p, q, strict=True)), rel=1e-5)
    assert distillation(h, h + 1, "kl").item() == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="differ"):
        distillation(h, f[:, :2], "l2")


def test_only_the_learner_moves_in_distillation():
    h, f = torch.zeros(2, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    distillation(h, f, "l2").sum().backward()
    assert h.grad is not None
    assert f.grad is None


def test_detection_by_hand():
    # p_d of the labels: σ(0) = ½, σ(log 3) = ¾. A player certain of label 1 draws nothing else.
    g, certain = torch.tensor([[0.0, math.log(3)]]), torch.tensor([[-1e4, 1e4]])
    got = detection(g, torch.tensor([0]), [(0.25, certain), (0.75, -certain)], 7)
    assert got.item() == pytest.approx(-math.log(0.5) - 0.25 * math.log(0.25) - 0.75 * math.log(0.5))


def test_a_discriminator_that_explores_is_shown_every_label_alike():
    g, y, certain = torch.tensor([[0.5, -1.0, 2.0]]), torch.tensor([0]), torch.tensor([[0.0, 50.0, 0.0]])
    got = detection(g, y, [(1.0, certain)], 7, explore=0.3)
    p = torch.sigmoid(g)[0]
    by_hand = -math.log(p[0]) - 0.7 * math.log(1 - p[1]) - 0.3 * sum(math.log(1 - each) for each in p) / 3
    assert got.item() == pytest.approx(by_hand, rel=1e-5)


def test_discrimination_by_hand():
    g, y = torch.tensor([[0.0, math.log(3), -math.log(3)]]), torch.tensor([1])  # p_d: ½, ¾, ¼
    assert discrimination(g, y).item() == pytest.approx(-math.log(0.75) - (math.log(0.5) + math.log(0.75)) / 2)


def test_logs_of_a_discriminator_stay_finite():
    g, y = torch.tensor([[1e4, -1e4]]), torch.tensor([0])
    assert log_true(g, y).item() == 0
    assert log_made(g, y).item() == -1e4
    assert torch.isfinite(persuasion(torch.zeros(1, 2), g, temperature=0.1, samples=4, estimator="concrete", baseline=False)).all()


def test_turns_follow_algorithm_1():
    turns = Turns(10, kdgan.Config(batch_size=4, pretraining=1, epochs=2, passes_d=2, passes_t=1, passes_c=1), seed=0)
    assert len(turns) == 2 * (1 + 2 * 4)  # two moves a pass: 10 pictures have two batches of 4
    assert [turns[i].who for i in range(0, len(turns), 2)] == ["all", "d", "d", "t", "c", "d", "d", "t", "c"]
    assert [turns[i].epoch for i in range(0, len(turns), 2)] == [0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert turns.ends() == [2, 10, 18]


def test_a_pass_takes_a_picture_once():
    turns = Turns(10, plain.Config(batch_size=5, pretraining=2, epochs=1, passes_c=1), seed=4)
    for start in (0, 2, 4):
        assert sorted(np.concatenate([turns[start].taken, turns[start + 1].taken]).tolist()) == list(range(10))
    assert turns[0].taken.tolist() != turns[2].taken.tolist()


def test_the_temperature_falls_exponentially():
    turns = Turns(10, plain.Config(batch_size=5, pretraining=3, epochs=3, passes_c=1), seed=0)
    assert [turns.temperature(epoch, 1.0, 0.01) for epoch in (3, 4, 5)] == pytest.approx([1.0, 0.1, 0.01])


def test_the_temperature_has_not_begun_to_fall_in_pretraining_however_long():
    turns = Turns(10, plain.Config(batch_size=5, pretraining=400, epochs=1, passes_c=1), seed=0)
    assert [turns.temperature(epoch, 1.0, 0.1) for epoch in (0, 399, 400)] == [1.0, 1.0, 1.0]


def test_a_label_is_drawn_where_score_and_noise_together_are_highest():
    scores = torch.tensor([[0.5, -1.0, 2.0], [0.0, 0.3, -0.2]])
    torch.manual_seed(0)
    a = draw(scores, 40)
    for s in range(40):
        for n in range(2):
            assert a.z[s, n] == max(range(3), key=lambda k: float(scores[n, k] + a.g[s, n, k]))
    assert len(set(a.z[:, 1].tolist())) == 3  # and is not always the likeliest
    torch.manual_seed(0)
    assert torch.equal(draw(scores + 7, 40).z, a.z)  # the same distribution


def test_bfloat16_is_for_products_alone():
    torch.manual_seed(0)
    net, x = torch.nn.Linear(50, 3), torch.randn(8, 50)
    full, short = Player(net, 1e-3)(x), Player(net, 1e-3, "bfloat16")(x)
    assert short.dtype == net.weight.dtype == torch.float32
    assert 0 < (full - short).abs().max() < 0.05


@pytest.mark.parametrize("forget", [True, False])
def test_adam_begins_anew_where_pretraining_ends_and_its_first_steps_are_as_long_as_the_learning_rate_says(forget):
    """Gradients of 1e-3 a thousand times, then of 1: by what was gathered before, the first steps are several times too long."""
    w, turns = torch.nn.Linear(1, 1, bias=False), Turns(20, kdgan.Config(pretraining=500, epochs=1), seed=0)
    player, at, steps = Player(w, 0.01), [], []
    for step, (who, _, taken) in moves(Run(), {"c": player}, turns, forget=forget, seed=0):
        assert (who == "all") == (step < turns.begins == 1000)
        at.append(w.weight.item())
        player.descend((1e-3 if who == "all" else 1.0) * w.weight.sum().expand(len(taken)))
        steps.append(at[-1] - w.weight.item())
    assert steps[:1000] == pytest.approx([0.01] * 1000, rel=1e-2)
    longest = max(steps[1000:1020])
    assert longest == pytest.approx(0.01, rel=1e-2) if forget else longest > 0.05
