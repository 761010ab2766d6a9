"""ALAD: three discriminators' losses against the cross-entropy of labels, who moves whom, and a score without spectral normalization."""

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from novelette.data.images import as_tensor
from novelette.methods.alad import TINY, Alad, RoundTrip, fit, paper
from novelette.spectral import add_spectral_norm, plain_state
from novelette.training import Run, descend

CPU = torch.device("cpu")


def pictures(n=4, channels=1, seed=0):
    return torch.randint(0, 256, (n, channels, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def of_label(logits, label):
    return cross_entropy(logits, torch.full_like(logits, float(label)), reduction="none")


def test_the_losses_are_cross_entropies_of_pairs():
    gan, x = Alad(TINY, 1, 32, CPU, seed=0), as_tensor(pictures())
    net = gan.net.eval()
    gan.d_xz.eval(), gan.d_zz.eval()  # so that no power iteration goes on between the two computations
    torch.manual_seed(3)
    l_d, l_eg, x_hat = gan.losses(x)
    torch.manual_seed(3)
    z = torch.randn(4, TINY.latent)
    with torch.no_grad():
        code, made = net.encode(x), net.generate(z)
        torch.testing.assert_close(x_hat, net.generate(code))
        zz, zz_hat = (gan.d_zz(torch.cat([z, other], 1)).squeeze(1) for other in (z, net.encode(made)))
        real = gan.d_xz(x, code), net.xx(x, x), zz
        fake = gan.d_xz(made, z), net.xx(x, x_hat), zz_hat
    expected_d = sum(of_label(r, 1) + of_label(f, 0) for r, f in zip(real, fake, strict=True)) / 2
    expected_eg = of_label(real[0], 0) + sum(of_label(f, 1) for f in fake)
    torch.testing.assert_close(l_d, expected_d)
    torch.testing.assert_close(l_eg, expected_eg)


def test_each_player_moves_its_own_weights_alone():
    gan, x = Alad(TINY, 1, 32, CPU, seed=0), as_tensor(pictures())
    nets = {"e": gan.net.encode, "g": gan.net.generate, "xz": gan.d_xz, "xx": gan.net.d_xx, "zz": gan.d_zz}
    l_d, l_eg, _ = gan.losses(x)
    for optimizer, l, own in ((gan.opt_eg, l_eg, {"e", "g"}), (gan.opt_d, l_d, {"xz", "xx", "zz"})):
        before = {name: [p.detach().clone() for p in net.parameters()] for name, net in nets.items()}
        descend(optimizer, l.mean())
        moved = {
            name for name, net in nets.items() if any(not torch.equal(p, q) for p, q in zip(net.parameters(), before[name], strict=True))
        }
        assert moved == own


def test_the_score_is_what_d_xx_sees_between_a_picture_twice_and_a_picture_and_its_reconstruction():
    scorer, x = fit(pictures(12), TINY.model_copy(update={"steps": 2}), seed=0, device=CPU, run=Run()), as_tensor(pictures(3, seed=1))
    with torch.no_grad():
        x_hat = scorer.net.generate(scorer.net.encode(x))
        for image, image_hat, score in zip(x, x_hat, scorer.score(x), strict=True):
            twice, other = torch.cat([image, image])[None], torch.cat([image, image_hat])[None]
            expected = (scorer.net.d_xx.features(twice) - scorer.net.d_xx.features(other)).abs().mean()
            assert float(score) == pytest.approx(float(expected), rel=1e-4)


def test_what_is_saved_has_plain_weights_of_spectral_norm_one():
    scorer = fit(pictures(12), TINY.model_copy(update={"steps": 40, "learning_rate": 1e-4}), seed=0, device=CPU, run=Run())
    assert set(scorer.state()) == set(RoundTrip(TINY, 1, 32).state_dict())
    for layer in (*scorer.net.d_xx.features, scorer.net.d_xx.head):
        if isinstance(layer, torch.nn.Conv2d):
            largest = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]
            assert float(largest) == pytest.approx(1, rel=0.05)  # the iteration follows weights that move


def test_spectral_norm_is_the_weight_over_its_largest_singular_value():
    layer = torch.nn.Linear(5, 3)
    weight = layer.weight.detach().clone()
    add_spectral_norm(layer, torch.Generator().manual_seed(0))
    for _ in range(50):
        layer(torch.zeros(1, 5))
    state = plain_state(torch.nn.Sequential(layer))
    assert set(state) == {"0.weight", "0.bias"}
    torch.testing.assert_close(state["0.weight"], weight / torch.linalg.svdvals(weight)[0])


def test_spectral_norm_leaves_torchs_own_chance_alone_and_repeats():
    first, second = torch.nn.Linear(5, 3), torch.nn.Linear(5, 3)
    second.load_state_dict(first.state_dict())
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    for layer in (first, second):
        add_spectral_norm(layer, torch.Generator().manual_seed(1))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a, b) for a, b in zip(first.buffers(), second.buffers(), strict=True))


def test_the_papers_recipe_is_the_papers():
    assert (paper().widths, paper().latent, paper().batch_size, paper().learning_rate) == ((128, 256, 512), 100, 32, 2e-4)
