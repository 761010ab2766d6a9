"""The linear GAN: its gradients, its equilibrium and what the flow does around it, and whether it finds principal components."""

import numpy as np
import pytest
import torch
from torch.nn.functional import logsigmoid

from novelette.studies import linear_pca
from novelette.studies.linear_gan import curator_gradient, eigenvalues, flow, forger_gradient, lyapunov, sigmoid
from novelette.studies.linear_pca import leading_components, mean_angle, spectrum, train


def drawn(n=3, c=2, samples=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=n), rng.normal(size=(n, c)), rng.normal(size=(samples, n)), rng.normal(size=(samples, c))


def losses(a, b, x, z):
    """(L_C, L_F) as the report states them, means over samples."""
    g = z @ b.T
    return (-logsigmoid(x @ a) - logsigmoid(-(g @ a))).mean(), -logsigmoid(g @ a).mean()


@pytest.mark.parametrize("seed", range(5))
def test_the_gradients_are_those_of_automatic_differentiation(seed):
    a, b, x, z = drawn(seed=seed)
    at, bt = (torch.tensor(value, requires_grad=True) for value in (a, b))
    curator, forger = losses(at, bt, torch.tensor(x), torch.tensor(z))
    (of_a,) = torch.autograd.grad(curator, at, retain_graph=True)
    (of_b,) = torch.autograd.grad(forger, bt)
    np.testing.assert_allclose(curator_gradient(a, x, z @ b.T), of_a.numpy(), rtol=0, atol=1e-6)
    np.testing.assert_allclose(forger_gradient(a, b, z), of_b.numpy(), rtol=0, atol=1e-6)


def test_the_gradients_by_hand():
    # n = c = 1, a = 0: D = 1/2. ∂L_C/∂a = (1/2 - 1) 3 + 1/2 · 2 · 5; ∂L_F/∂B = (1/2 - 1) · 0 · 5
    x, z, b = np.array([[3.0]]), np.array([[5.0]]), np.array([[2.0]])
    assert curator_gradient(np.zeros(1), x, z @ b.T) == pytest.approx(-1.5 + 5)
    assert forger_gradient(np.zeros(1), b, z) == 0
    # a = log 3, g = 1: D(g) = 3/4, so (3/4 - 1) · log 3 · 1
    assert forger_gradient(np.log([3.0]), np.ones((1, 1)), np.ones((1, 1))) == pytest.approx(-np.log(3) / 4)


def test_the_reports_appendix_is_no_gradient_of_either_loss():
    # n = c = 1, a = log 3, x = 1, B = 1, z = 2, so g = 2, D(x) = 3/4, D(g) = 9/10
    a, b, x, z = np.log([3.0]), np.ones((1, 1)), np.ones((1, 1)), np.full((1, 1), 2.0)
    reports_a, reports_b = (3 / 4 - 1) * 1, (1 - 2 * 9 / 10) * 2
    assert curator_gradient(a, x, z @ b.T) - reports_a == pytest.approx(9 / 10 * 2)  # it drops the term of g
    assert forger_gradient(a, b, z) - reports_b == pytest.approx((9 / 10 - 1) * np.log(3) * 2 + 1.6)


def jacobian(x, z):
    """Of (ȧ, ġ) at a = 0, g = x, by automatic differentiation of the losses."""
    n = len(x)

    def slope(state):
        a, g = state[:n], state[n:]
        of_a = torch.autograd.functional.jacobian(lambda a: -logsigmoid(x @ a) - logsigmoid(-(g @ a)), a, create_graph=True)
        of_g = torch.autograd.functional.jacobian(lambda g: -logsigmoid(g @ a), g, create_graph=True)
        return -torch.cat([of_a, (z @ z) * of_g])  # ġ = Ḃ z = -∂L_F/∂g |z|²

    x, z = torch.tensor(x), torch.tensor(z)
    return torch.autograd.functional.jacobian(slope, torch.cat([torch.zeros(n, dtype=torch.double), x])).numpy()


@pytest.mark.parametrize("x", [[1.0], [2.0], [0.0], [0.6, -0.8], [1.0, 2.0, -0.5], [0.0, 0.0]])
def test_the_eigenvalues_are_those_of_the_linearized_flow(x):
    x, z = np.array(x), np.array([0.7, -1.1])
    found, by_hand = np.linalg.eigvals(jacobian(x, z)), eigenvalues(x, z)
    for value in by_hand:
        assert np.abs(found - value).min() < 1e-6
    assert len(found) == len(by_hand)


def test_eigenvalues_by_hand():
    one = np.ones(1)
    assert eigenvalues(one, one) == pytest.approx([(-1 + np.sqrt(3) * 1j) / 4, (-1 - np.sqrt(3) * 1j) / 4])  # a spiral
    assert eigenvalues(np.array([2.0]), one) == pytest.approx([(-2 + np.sqrt(3)) / 2, (-2 - np.sqrt(3)) / 2])  # a node
    assert eigenvalues(np.zeros(1), 3 * one) == pytest.approx([1.5j, -1.5j])  # a centre
    assert eigenvalues(np.array([1.0, 0, 0]), one)[2:] == pytest.approx([0.5j, -0.5j] * 2)  # orthogonal to x


@pytest.mark.parametrize(("x", "z", "turns"), [(1.0, 1.0, True), (2.0, 1.0, False), (2.0, 3.0, True)])
def test_one_number_is_reached_by_a_spiral_or_without_turns(x, z, turns):
    course = flow(np.array([0.3]), np.array([[x - 0.5]]) / z, np.array([[x]]), np.array([[z]]), np.linspace(0, 80, 8001))
    g, a = course.b[:, 0, 0] * z, course.a[:, 0]
    assert (g[-1], a[-1]) == pytest.approx((x, 0), abs=1e-4)
    assert sigmoid(a[-1:] * x) == pytest.approx(0.5, abs=1e-4)
    crossings = np.count_nonzero(np.diff(np.sign((g - x)[np.abs(g - x) > 1e-6])))
    assert (crossings >= 3) == turns


@pytest.mark.parametrize("n", [1, 2, 3])
def test_v_never_rises_and_falls_as_its_formula_says(n):
    rng = np.random.default_rng(n)
    x, z, t = rng.normal(size=n), rng.normal(size=2), np.linspace(0, 20, 20_001)
    course = flow(rng.normal(size=n), rng.normal(size=(n, 2)), x[None], z[None], t)
    g = course.b @ z
    v = lyapunov(course.a, g, x, z)
    assert np.diff(v).max() <= 1e-9  # the solver's tolerance
    p, q = course.a @ x, (course.a * g).sum(1)
    slope = 2 * (z @ z) * (p * (sigmoid(q) - sigmoid(p)) - q * np.tanh(q / 2))
    np.testing.assert_allclose(np.gradient(v, t)[1:-1], slope[1:-1], rtol=1e-3, atol=1e-3)  # differences over 0.001


def test_the_centre_at_zero_is_a_slow_spiral_of_the_flow():
    for z in (1.0, 2.0):
        course = flow(np.ones(1), np.zeros((1, 1)), np.zeros((1, 1)), np.full((1, 1), z), np.array([0.0, 200.0, 400.0]))
        v = lyapunov(course.a, course.b[:, :, 0] * z, np.zeros(1), np.array([z]))
        assert 1 / v[2] - 1 / v[1] == pytest.approx(200 / 8, rel=0.02)  # V = 8 / (t + constant), up to its ripple within a turn


def test_in_three_dimensions_the_generator_may_circle_for_ever_with_a_discriminator_at_a_half():
    x, r, z, t = np.array([1.0, 0, 0]), 0.9, 2.0, np.linspace(0, 60, 601)
    course = flow(np.array([0, r, 0]), np.array([[1.0], [0], [-r * z]]) / z, x[None], np.full((1, 1), z), t)
    g = course.b[:, :, 0] * z
    expected = np.stack([0 * t, r * np.cos(z * t / 2), r * np.sin(z * t / 2)], 1)
    np.testing.assert_allclose(course.a, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(g - x, axis=1), r * z, atol=1e-6)
    np.testing.assert_allclose(sigmoid((course.a * g).sum(1)), 0.5, atol=1e-6)


def test_with_random_z_only_the_mean_is_matched():
    rng = np.random.default_rng(0)
    x, z = rng.normal(2, 1, (500, 1)), rng.normal(1, 1, (500, 1))
    g = z @ flow(np.zeros(1), np.full((1, 1), 0.3), x, z, np.array([0.0, 80.0])).b[-1].T
    assert g.mean() == pytest.approx(x.mean(), abs=0.01)  # of what is left after 80 units of time
    assert g.std() > 1.8 * x.std()


# principal components


def test_the_angle_between_subspaces_by_hand():
    v = np.eye(3)[:, :2]
    assert mean_angle(v @ np.array([[1, 2], [0, 3.0]]), v) == pytest.approx(0, abs=1e-5)
    turned = np.array([[1, 0], [0, np.sqrt(3)], [0, 1]])  # one direction kept, the other turned by 30 degrees
    assert mean_angle(turned, v) == pytest.approx(15)
    assert mean_angle(np.stack([turned, np.eye(3)[:, 1:]]), v) == pytest.approx([15, 45])


def test_made_up_data_have_the_spectrum_that_was_asked_for():
    x = spectrum(6, np.array([9.0, 4.0]), seed=1, samples=40_000)
    values = np.linalg.eigvalsh(np.cov(x.T))[::-1]
    np.testing.assert_allclose(values, [9, 4, 1, 1, 1, 1], rtol=0.05)  # of 40,000 samples
    assert np.abs(x.mean(0)).max() < 1e-9
    assert mean_angle(leading_components(x, 2), np.linalg.eigh(np.cov(x.T))[1][:, -2:]) == pytest.approx(0, abs=1e-3)


def test_a_step_of_training_is_a_step_down_the_gradients(monkeypatch):
    data = spectrum(4, np.array([5.0]), seed=0, samples=200)
    monkeypatch.setattr(linear_pca, "MARKS", 2)
    seen = []
    monkeypatch.setattr(linear_pca, "mean_angle", lambda b, v: seen.append(b) or np.zeros(len(b)))
    train(data, 2, 2, 1)
    rng = np.random.default_rng(0)
    data = data / np.sqrt(np.square(data).mean())
    a, b = rng.normal(size=(1, 4, 1))[0, :, 0], rng.normal(0, 0.3, (1, 4, 2))[0]
    decoder, encoder = rng.normal(0, 0.1, (1, 4, 2))[0], rng.normal(0, 0.1, (1, 2, 4))[0]
    rng.normal(size=(1000, 4, 2))
    rate = linear_pca.LEARNING_RATE
    for _ in range(2):
        x, z = data[rng.integers(0, 200, (1, 64))][0], rng.normal(size=(1, 64, 2))[0]
        a, b = a - rate * curator_gradient(a, x, z @ b.T), b - rate * forger_gradient(a, b, z)
        dt, et = (torch.tensor(value, requires_grad=True) for value in (decoder, encoder))
        loss = (torch.tensor(x) - torch.tensor(x) @ et.T @ dt.T).square().sum(1).mean() / 2
        loss.backward()
        decoder, encoder = decoder - rate * dt.grad.numpy(), encoder - rate * et.grad.numpy()
    np.testing.assert_allclose(seen[-2][0], b, atol=1e-12)
    np.testing.assert_allclose(seen[-1][0], decoder, atol=1e-12)


def test_the_autoencoder_finds_principal_components_and_the_gan_does_not():
    found = train(spectrum(8, np.array([9.0, 6.0]), seed=0), 2, 600, 3)
    assert found.autoencoder[-1].max() < 5
    assert found.gan[-1].min() > 20  # D's first steps, from a random A, turn B by some degrees, this way or that
    assert np.abs(found.gan[-1] - found.gan[len(found.step) // 2]).max() < 1
