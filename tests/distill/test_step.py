"""K_l by hand and in plain loops, whom its gradients reach, and a whole step against the algorithm written out."""

import pytest
import torch
from torch.nn import functional as F
from torch.optim import Adam

from novelette.data.images import as_tensor
from novelette.distill.progressive import Config, student_config
from novelette.distill.step import distillation_loss, match, update
from novelette.distill.structures import STRUCTURES
from novelette.methods import ede_gan
from novelette.methods.ede_gan import Discriminator, Gan, Generator

ONES = {"w_1": 1.0, "w_x": 1.0, "w_2": 1.0}
ODD = {"w_1": 0.5, "w_x": 3.0, "w_2": 2.0}
TEACHER = ede_gan.Config(widths=(4,), latent=6)


@pytest.fixture
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def images(n=4, seed=0):
    pixels = torch.randint(0, 256, (n, 1, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return as_tensor(pixels).to(torch.get_default_dtype())


def gans(teacher=TEACHER, seeds=(0, 1)):
    """A teacher and a student of it, with weights of their own."""
    both = [Gan(config, 1, 32, torch.device("cpu")) for config in (teacher, student_config(teacher, Config(), 32))]
    for gan, seed in zip(both, seeds, strict=True):
        gan.draw([seed])
    return both


def step(x, teacher, student, structure, weights=ONES, follows=False, at=0):
    return update(x, teacher, student, STRUCTURES[structure], weights, teacher_follows=follows, seeds=[0], step=at)


def weights_of(*nets):
    return [p.detach().clone() for net in nets for p in net.parameters()]


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a, b, strict=True))


# K_l


def some_outputs(n=3, latent=5, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, 2, 4, 3, generator=rng), torch.randn(n, latent, generator=rng), torch.randn(n, latent, generator=rng)


def test_k_l_by_hand():
    """Two latents of two numbers and a picture of two pixels: K_1 = (1 + 9) / 2, K_x = (0.5 + 1) / 2, K_2 = (0 + 4) / 2."""
    x_hat_t, x_hat_s = torch.tensor([[[[0.5, -1.0]]]]), torch.tensor([[[[1.0, 0.0]]]])
    z = [torch.tensor([values]) for values in ([1.0, 2.0], [3.0, 3.0], [2.0, -1.0], [3.0, 1.0])]
    k = distillation_loss(x_hat_t, z[0], z[1], x_hat_s, z[2], z[3], w_1=1.0, w_x=1.0, w_2=1.0)
    assert k.tolist() == [5 + 0.75 + 2]
    k = distillation_loss(x_hat_t, z[0], z[1], x_hat_s, z[2], z[3], w_1=0.5, w_x=4.0, w_2=3.0)
    assert k.tolist() == [0.5 * 5 + 4 * 0.75 + 3 * 2]


@pytest.mark.parametrize("weights", [ONES, ODD, *(dict.fromkeys(ONES, 0.0) | {name: 1.0} for name in ONES)], ids=str)
def test_k_l_in_plain_loops(weights):
    """P-KDGAN, Eq. 6 and the words before it, image by image: squares of latents, absolutes of pictures, each averaged."""
    t, s = some_outputs(), some_outputs(seed=1)
    expected = []
    for i in range(3):
        (x_t, z_1_t, z_2_t), (x_s, z_1_s, z_2_s) = ([part[i].flatten().tolist() for part in out] for out in (t, s))
        k_1 = sum((a - b) ** 2 for a, b in zip(z_1_t, z_1_s, strict=True)) / 5
        k_x = sum(abs(a - b) for a, b in zip(x_t, x_s, strict=True)) / 24
        k_2 = sum((a - b) ** 2 for a, b in zip(z_2_t, z_2_s, strict=True)) / 5
        expected.append(weights["w_1"] * k_1 + weights["w_x"] * k_x + weights["w_2"] * k_2)
    assert distillation_loss(*t, *s, **weights).tolist() == pytest.approx(expected, rel=1e-5)  # float32 sums


def test_k_l_of_equal_outputs_is_zero_and_of_each_image_its_own():
    t, s = some_outputs(), tuple(part.clone() for part in some_outputs())
    assert distillation_loss(*t, *s, **ONES).tolist() == [0, 0, 0]
    for part in s:
        part[1] += 1
    assert distillation_loss(*t, *s, **ONES).tolist() == pytest.approx([0, 3, 0], rel=1e-6)  # 1 of each of the three; float32


def test_k_l_refuses_pictures_of_another_shape():
    (_, *t), (x_hat, *s) = some_outputs(), some_outputs()
    with pytest.raises(ValueError, match="differ"):
        distillation_loss(x_hat[:, :1], *t, x_hat, *s, **ONES)


def test_k_l_of_stacked_models_is_each_models_own():
    """Rows come image by image: (B * M,)."""
    apart = [(some_outputs(seed=m), some_outputs(seed=m + 9)) for m in range(3)]
    t, s = (tuple(torch.cat(parts, dim=1) for parts in zip(*(pair[side] for pair in apart), strict=True)) for side in (0, 1))
    together = match(t, s, ODD, 3, learner="student").view(3, 3)
    for m, (t_m, s_m) in enumerate(apart):
        torch.testing.assert_close(together[:, m], distillation_loss(*t_m, *s_m, **ODD))


# Whom it reaches


@pytest.mark.parametrize("learner", ["student", "teacher"])
def test_gradients_of_k_l_reach_the_learner_alone(learner):
    t, s = ([part.requires_grad_() for part in some_outputs(seed=seed)] for seed in (0, 1))
    match(tuple(t), tuple(s), ONES, 1, learner=learner).sum().backward()
    reached, left = (s, t) if learner == "student" else (t, s)
    assert all(part.grad is not None and part.grad.abs().min() > 0 for part in reached)
    assert all(part.grad is None for part in left)


@pytest.mark.parametrize("structure", [3, 4])
@pytest.mark.parametrize("follows", [False, True])
def test_a_teacher_that_trains_is_moved_by_k_l_only_where_it_is_to_follow(structure, follows):
    ends = []
    for weights, student_seed in ((ONES, 1), (ONES, 2), (ODD, 1)):
        teacher, student = gans(seeds=(0, student_seed))
        for at in range(2):
            step(images(seed=at), teacher, student, structure, weights, follows, at)
        ends.append(weights_of(teacher.net, teacher.critic))
    for other in ends[1:]:
        assert same(ends[0], other) is not follows


@pytest.mark.parametrize("structure", [1, 2])
def test_a_frozen_teacher_never_follows(structure):
    teacher, student = gans()
    before = weights_of(teacher.net, teacher.critic)
    step(images(), teacher, student, structure, follows=True)
    assert same(before, weights_of(teacher.net, teacher.critic))
    assert not teacher.opt_g.state
    assert all(p.grad is None for p in teacher.net.parameters())


@pytest.mark.parametrize("structure", [1, 3])
def test_weights_of_zero_switch_k_l_off(structure):
    """Adam does not move what has a gradient of zero."""
    teacher, student = gans()
    before = weights_of(student.net)
    _, losses = step(images(), teacher, student, structure, dict.fromkeys(ONES, 0.0))
    assert losses["k"].tolist() == [0] * 4
    assert same(before, weights_of(student.net))


def test_the_second_encoder_learns_from_w_2_alone():
    for w_2, moves in ((0.0, False), (1.0, True)):
        teacher, student = gans()
        before = weights_of(student.net.encode_again)
        step(images(), teacher, student, 1, ONES | {"w_2": w_2})
        assert same(before, weights_of(student.net.encode_again)) is not moves


def test_where_there_is_no_second_latent_the_first_stands_in_for_it():
    """docs/methods/p-kdgan.md, Pipelines: K_1 counts with both weights."""
    teacher, student = gans(TEACHER.model_copy(update={"pipeline": "ed"}))
    x = images()
    with torch.no_grad():
        (x_hat_t, z_t, none_t), (x_hat_s, z_s, none_s) = teacher.net(x), student.net(x)
    assert none_t is none_s is None
    expected = (0.5 + 2) * (z_t - z_s).square().mean(1) + 3 * (x_hat_t - x_hat_s).abs().mean((1, 2, 3))
    for structure in STRUCTURES:
        teacher, student = gans(TEACHER.model_copy(update={"pipeline": "ed"}))
        torch.testing.assert_close(step(x, teacher, student, structure, ODD)[1]["k"], expected)


# A whole step


def game(net, critic, x, out, config):
    """L_g with PyTorch's own losses, as GANomaly's code has them."""
    x_hat, z, z_hat = out
    l_adv = F.mse_loss(critic.features(x_hat), critic.features(x).detach())
    return config.w_con * F.l1_loss(x_hat, x) + config.w_enc * F.mse_loss(z, z_hat) + config.w_adv * l_adv


def descend(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def descend_critic(optimizer, critic, x, x_hat):
    real, fake = critic(x).flatten(), critic(x_hat.detach()).flatten()
    l_real = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    descend(optimizer, (l_real + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))) / 2)


def written_out(structure, follows, steps):
    """P-KDGAN's Algorithm 1, lines 5 and 12, on networks of their own, without Gan, match or update."""
    teacher, student = gans()
    nets = []
    for gan in (teacher, student):
        g, d = Generator(gan.config, 1, 32), Discriminator(gan.config, 1, 32)
        g.load_state_dict(gan.net.state_dict())
        d.load_state_dict(gan.critic.state_dict())
        nets.append((g, d, *(Adam(net.parameters(), gan.config.learning_rate, (0.5, 0.99)) for net in (g, d))))
    (g_t, d_t, opt_g_t, opt_d_t), (g_s, d_s, opt_g_s, opt_d_s) = nets
    for at in range(steps):
        x = images(seed=at)
        out_t, out_s = g_t(x), g_s(x)
        fixed_t, fixed_s = ([part.detach() for part in out] for out in (out_t, out_s))

        def k(t, s):
            return 0.5 * F.mse_loss(t[1], s[1]) + 3 * F.l1_loss(t[0], s[0]) + 2 * F.mse_loss(t[2], s[2])

        l_s = k(fixed_t, out_s) + (game(g_s, d_s, x, out_s, student.config) if structure in (2, 4) else 0)
        if structure in (3, 4):
            l_t = game(g_t, d_t, x, out_t, teacher.config) + (k(out_t, fixed_s) if follows else 0)
            descend(opt_g_t, l_t)
            descend_critic(opt_d_t, d_t, x, fixed_t[0])
        descend(opt_g_s, l_s)
        if structure in (2, 4):
            descend_critic(opt_d_s, d_s, x, fixed_s[0])
    return weights_of(g_t, d_t, g_s, d_s)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize(("structure", "follows"), [(1, False), (2, False), (3, False), (3, True), (4, False), (4, True)])
def test_steps_are_the_algorithm_written_out(structure, follows):
    teacher, student = gans()
    for at in range(4):
        step(images(seed=at), teacher, student, structure, ODD, follows, at)
    ended = weights_of(teacher.net, teacher.critic, student.net, student.critic)
    for ours, expected in zip(ended, written_out(structure, follows, 4), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-9)  # sums in another order, in float64, through Adam's division


@pytest.mark.parametrize("structure", [1, 2, 3, 4])
def test_a_teacher_of_turned_copies_teaches_them_too(structure):
    """K_l is of the images and of their turned copies; only structures with the student's own game have its contrast besides."""
    turning = TEACHER.model_copy(update={"w_turned": 2.0})
    x, at = images(), 4
    teacher, student = gans(turning)
    by_hand = match(teacher.net(x), student.net(x), ONES, 1, learner="student")
    y = x.rot90(1 + at % 3, (2, 3))
    by_hand = by_hand + match(teacher.net(y), student.net(y), ONES, 1, learner="student")
    own, _ = student.generator_loss(x, student.net(x), student.net(y))
    _, losses = step(x, teacher, student, structure, at=at)
    torch.testing.assert_close(losses["k"], by_hand)
    if structure in (2, 4):
        torch.testing.assert_close(losses["g_s"], own)
