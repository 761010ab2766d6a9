"""Skip-GANomaly: the U-Net's skips, the score and the losses by hand, and the score's scale, which is the training images' own."""

import pytest
import torch
from descended import assert_gradient, gradients_of
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from novelette.batches import batches
from novelette.data.images import as_tensor
from novelette.methods import skip_ganomaly
from novelette.methods.skip_ganomaly import TINY, Config, SkipGanomaly, UNet, fit, paper
from novelette.training import Run

CPU = torch.device("cpu")


def pictures(n=12, channels=1, seed=0):
    return torch.randint(0, 256, (n, channels, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def trained(**changes):
    return fit(pictures(), Config(**(TINY.model_dump() | {"steps": 3} | changes)), seed=0, device=CPU, run=Run())


@pytest.mark.parametrize(("size", "widths"), [(32, (2, 4, 8)), (64, (2, 4, 8, 16))])
def test_every_block_on_the_way_up_sees_one_of_the_way_down(size, widths):
    net = UNet(3, widths, 8)
    assert net(torch.zeros(2, 3, size, size)).shape == (2, 3, size, size)
    inputs = [block[0].in_channels for block in (*net.up, net.last)]
    assert inputs == [2 * width for width in reversed(widths)]


def test_a_picture_passes_the_skips_when_the_innermost_pixel_is_shut():
    net = UNet(1, (2, 4, 8), 8).eval()
    with torch.no_grad():
        for p in net.innermost.parameters():
            p.zero_()
        one, other = net(as_tensor(pictures(2)))
    assert not torch.allclose(one, other)


def test_the_score_before_scaling_by_hand():
    net, x = SkipGanomaly(Config(**(TINY.model_dump() | {"weight": 0.75})), 1, 32).eval(), as_tensor(pictures(3))
    with torch.no_grad():
        x_hat = net.draw_again(x)
        for i in range(3):
            f, f_hat = (net.critic.features(image[i : i + 1]) for image in (x, x_hat))
            expected = 0.75 * float((x[i] - x_hat[i]).abs().mean()) + 0.25 * float((f - f_hat).square().mean())
            assert float(net(x)[i]) == pytest.approx(expected, rel=1e-4)


def test_a_step_of_either_player_by_hand(monkeypatch):
    noted = gradients_of(skip_ganomaly, monkeypatch)
    net = trained(steps=1, batch_size=4, w_adv=2.0, w_con=3.0, w_lat=5.0).net
    x = batches([pictures()], 4, [0], CPU)[0][:, 0]
    x_hat = net.draw_again(x)
    differ = (net.critic.features(x) - net.critic.features(x_hat)).square().mean()
    one, zero = torch.ones(4, 1), torch.zeros(4, 1)
    l_g = 2 * cross_entropy(net.critic(x_hat), one) + 3 * (x - x_hat).abs().mean() + 5 * differ
    l_d = (cross_entropy(net.critic(x), one) + cross_entropy(net.critic(x_hat), zero)) / 2
    of_g, of_d = noted
    assert_gradient(of_g, l_g, net.draw_again)
    assert_gradient(of_d, l_d, net.critic)


def test_scores_of_the_training_images_go_from_0_to_1_and_those_of_others_are_not_bounded():
    scorer = trained(steps=30)
    own = scorer.score(as_tensor(pictures()))
    assert float(own.min()) == pytest.approx(0, abs=1e-4)
    assert float(own.max()) == pytest.approx(1, abs=1e-4)
    grey = torch.full((1, 1, 32, 32), -1.0)
    assert not 0 <= float(scorer.score(grey)) <= 1


def test_the_scale_changes_no_order():
    scorer, x = trained(), as_tensor(pictures(seed=1))
    scaled = scorer.score(x)
    scorer.net.lowest.zero_(), scorer.net.highest.fill_(1)
    assert torch.equal(scaled.argsort(), scorer.score(x).argsort())


def test_training_images_that_are_all_alike_leave_finite_scores():
    alike = pictures(1).expand(12, -1, -1, -1)
    scorer = fit(alike, TINY.model_copy(update={"steps": 1}), seed=0, device=CPU, run=Run())
    assert torch.isfinite(scorer.score(as_tensor(pictures()))).all()


def test_the_papers_recipe_is_the_papers():
    c = paper()
    assert (c.w_adv, c.w_con, c.w_lat, c.weight, c.batch_size, c.learning_rate) == (1, 40, 1, 0.9, 64, 2e-4)
