"""The formulas: values worked by hand, plain loops, and GANomaly's own terms."""

import math

import pytest
import torch
from torch import nn

from novelette.losses import contrast_loss, discriminator_loss, fooling_loss, generator_loss, mean_squared, reconstruction_l1

# A sum of a few thousand float32 numbers in two orders agrees to about 1e-6.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def draws(n=3, channels=2, size=4, latent=5, features=6, seed=0):
    rng = torch.Generator().manual_seed(seed)
    shapes = [(n, channels, size, size)] * 2 + [(n, latent)] * 2 + [(n, features, 4, 4)] * 2
    return [torch.rand(shape, generator=rng) * 2 - 1 for shape in shapes]


def test_reconstruction_by_hand():
    x = torch.tensor([[[[1.0, -1.0], [0.0, 0.5]]], [[[0.0, 0.0], [0.0, 0.0]]]])
    x_hat = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]], [[[0.0, 0.0], [0.0, 0.0]]]])
    assert reconstruction_l1(x, x_hat).tolist() == [(1 + 2 + 0 + 0.5) / 4, 0]


def test_generator_loss_by_hand():
    # con = (1 + 3) / 2 = 2, enc = (4 + 0) / 2 = 2, adv = (9 + 1) / 2 = 5: 10 * 2 + 1 * 2 + 0.1 * 5
    x, x_hat = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[0.0, -1.0]]]])
    z, z_hat = torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, 1.0]])
    f, f_hat = torch.tensor([[3.0, 1.0]]), torch.tensor([[0.0, 2.0]])
    assert generator_loss(x, x_hat, z, z_hat, f, f_hat, w_con=10, w_enc=1, w_adv=0.1).tolist() == pytest.approx([22.5])


def test_discriminator_loss_by_hand():
    # D = 1/2 on both: -[log ½ + log ½] / 2 = log 2.   D(x) = 3/4, D(x̂) = 1/4: -log ¾.
    logit = math.log(3)
    loss = discriminator_loss(torch.tensor([0.0, logit]), torch.tensor([0.0, -logit]))
    assert loss.tolist() == pytest.approx([math.log(2), -math.log(0.75)])


def test_generator_loss_against_plain_loops():
    x, x_hat, z, z_hat, f, f_hat = args = draws()

    def mean(a, b, power):
        pairs = list(zip(a.flatten().tolist(), b.flatten().tolist(), strict=True))
        return sum(abs(p - q) ** power for p, q in pairs) / len(pairs)

    expected = [10 * mean(x[i], x_hat[i], 1) + 2 * mean(z[i], z_hat[i], 2) + 3 * mean(f[i], f_hat[i], 2) for i in range(len(x))]
    torch.testing.assert_close(generator_loss(*args, w_con=10, w_enc=2, w_adv=3), torch.tensor(expected), **CLOSE)


def test_generator_loss_is_ganomalys_on_average():
    """Oracle: GANomaly (Akcay et al., ACCV 2018), its code's terms: L1Loss for images, mean squared error for latents and D's features."""
    x, x_hat, z, z_hat, f, f_hat = args = draws(n=5)
    theirs = 50 * nn.L1Loss()(x_hat, x) + 1 * nn.MSELoss()(z_hat, z) + 1 * nn.MSELoss()(f, f_hat)
    torch.testing.assert_close(generator_loss(*args, w_con=50, w_enc=1, w_adv=1).mean(), theirs, **CLOSE)


def test_discriminator_loss_is_ganomalys_on_average():
    """Oracle: GANomaly's code, half the sum of the binary cross-entropies of D's probabilities with 1 for real and 0 for fake."""
    rng = torch.Generator().manual_seed(1)
    real, fake = torch.randn(50, generator=rng), torch.randn(50, generator=rng)
    bce = nn.BCELoss()
    theirs = (bce(real.sigmoid(), torch.ones(50)) + bce(fake.sigmoid(), torch.zeros(50))) / 2
    torch.testing.assert_close(discriminator_loss(real, fake).mean(), theirs, **CLOSE)


def test_discriminator_loss_stays_finite_where_a_probability_would_be_0():
    real = torch.tensor([-200.0, 200.0], requires_grad=True)
    loss = discriminator_loss(real, torch.tensor([200.0, -200.0]))
    loss.sum().backward()
    assert loss.tolist() == [200, 0]
    assert real.grad.tolist() == [-0.5, 0]


def test_a_generator_fools_by_the_cross_entropy_of_its_images_called_true():
    fake = torch.tensor([-200.0, 0.0, 3.0])
    assert fooling_loss(fake).tolist() == pytest.approx([200, math.log(2), -math.log(1 / (1 + math.exp(-3)))])


def test_mean_squared_by_hand():
    a, b = torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    b[1, 0] = torch.tensor([[1.0, 2.0], [0.0, 3.0]])
    assert mean_squared(a, b).tolist() == [0, (1 + 4 + 9) / 4]
    with pytest.raises(ValueError, match="differ"):
        mean_squared(a, b[:1])


def test_losses_are_not_reduced_and_an_images_loss_is_its_own():
    args = draws(n=4)
    weights = {"w_con": 10, "w_enc": 1, "w_adv": 1}
    together = generator_loss(*args, **weights)
    assert together.shape == (4,)
    for i in range(4):
        torch.testing.assert_close(together[i : i + 1], generator_loss(*(a[i : i + 1] for a in args), **weights), **CLOSE)


def test_each_weight_weighs_its_own_term():
    args = draws()
    con = generator_loss(*args, w_con=1, w_enc=0, w_adv=0)
    enc = generator_loss(*args, w_con=0, w_enc=1, w_adv=0)
    adv = generator_loss(*args, w_con=0, w_enc=0, w_adv=1)
    torch.testing.assert_close(con, reconstruction_l1(args[0], args[1]), **CLOSE)
    torch.testing.assert_close(generator_loss(*args, w_con=5, w_enc=7, w_adv=11), 5 * con + 7 * enc + 11 * adv, **CLOSE)
    assert generator_loss(*(args[0], args[0], args[2], args[2], args[4], args[4]), w_con=5, w_enc=7, w_adv=11).tolist() == [0, 0, 0]


def test_the_size_of_the_image_does_not_change_the_meaning_of_a_weight():
    for size in (4, 32):
        x = torch.zeros(2, 3, size, size)
        assert reconstruction_l1(x, x + 0.25).tolist() == [0.25, 0.25]


@pytest.mark.parametrize(("real", "fake"), [((3, 1), (3,)), ((3,), (1,)), ((3, 1), (3, 1))])
def test_logits_of_another_shape_than_one_a_picture_are_not_broadcast(real, fake):
    with pytest.raises((ValueError, RuntimeError)):
        discriminator_loss(torch.zeros(real), torch.zeros(fake))


@pytest.mark.parametrize("which", range(6))
def test_a_single_row_is_not_broadcast_over_the_others(which):
    args = draws()
    args[which] = args[which][:1]
    with pytest.raises((ValueError, RuntimeError)):
        generator_loss(*args, w_con=1, w_enc=1, w_adv=1)


def test_contrast_by_hand():
    """exp(-s) is the probability of being normal: two coins, -log of each one's right side."""
    s, s_novel = torch.tensor([0.5, 0.0]), torch.tensor([2.0, 1.0])
    by_hand = [-math.log(math.exp(-0.5)) - math.log(1 - math.exp(-2.0)), 0.0 - math.log(1 - math.exp(-1.0))]
    assert contrast_loss(s, s_novel).tolist() == pytest.approx(by_hand, abs=1e-3)  # the 1e-4 that is added to s'


def test_contrast_is_finite_at_zero_and_falls_as_the_novel_score_rises():
    s = torch.zeros(3)
    losses = contrast_loss(s, torch.tensor([0.0, 1.0, 50.0]))
    assert losses.isfinite().all()
    assert losses[0] > losses[1] > losses[2] >= 0


def test_contrast_refuses_other_shapes():
    with pytest.raises(ValueError, match="differ"):
        contrast_loss(torch.zeros(3), torch.zeros(3, 1))
