"""PCA, kernel densities and one-class support vector machines against scikit-learn's."""

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, LeaveOneOut
from sklearn.neighbors import KernelDensity
from sklearn.svm import OneClassSVM

from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.kernels import Kernels
from novelette.methods import kde, oc_svm, pca
from novelette.vectors import Vectors, normalized, vectors_of

CPU = torch.device("cpu")
CLOSE = 1e-4  # sums of some hundred float32 numbers against float64 ones


def pictures(n, channels=1, size=8, seed=0):
    """Smooth enough to have leading components: sums of a few fixed pictures, and noise."""
    rng, base = np.random.default_rng(seed), np.random.default_rng(99).normal(size=(4, channels, size, size))
    mixed = np.tensordot(rng.normal(size=(n, 4)), base, 1) + 0.3 * rng.normal(size=(n, channels, size, size))
    return torch.from_numpy((128 + 25 * mixed).clip(0, 255).astype(np.uint8))


def rows(images, contrast="none"):
    """In plain float64."""
    x = images.numpy().reshape(len(images), -1) / 127.5 - 1
    if contrast != "none":
        x = x - x.mean(1, keepdims=True)
        x = x / (np.linalg.norm(x, axis=1, keepdims=True) if contrast == "l2" else np.abs(x).mean(1, keepdims=True))
    return x


@pytest.mark.parametrize("contrast", ["l1", "l2"])
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (1, 32), (3, 256)])
def test_an_image_of_one_grey_is_zeros_and_one_of_the_faintest_spot_is_not(contrast, channels, size):
    greys = torch.arange(256, dtype=torch.uint8)[:, None, None, None].expand(-1, channels, size, size).clone()
    assert all((normalized(as_tensor(grey[None]), contrast) == 0).all() for grey in greys)
    greys[100, 0, 0, 0] += 1
    assert normalized(as_tensor(greys[100:101]), contrast).norm() >= 1 - CLOSE


def density(x, h):
    """scikit-learn's, as one leaf: its trees' bounds lose their digits in so many dimensions, and the sums are then off by e^100."""
    return KernelDensity(kernel="gaussian", bandwidth=h, leaf_size=1000).fit(x)


def fitted(method, images, **config):
    return method.fit(images, method.Config(**config), seed=0, device=CPU)


TRAIN, TEST = pictures(90, channels=3), pictures(25, channels=3, seed=1)
every_contrast = pytest.mark.parametrize("contrast", ["none", "l1", "l2"])


@every_contrast
def test_contrast_normalization_is_what_its_formula_says(contrast):
    assert normalized(as_tensor(TEST), contrast).numpy() == pytest.approx(rows(TEST, contrast), abs=1e-5)  # float32 of values up to 5


def test_an_image_of_one_grey_becomes_nearly_zeros():
    grey = as_tensor(torch.full((2, 1, 8, 8), 77, dtype=torch.uint8))
    assert normalized(grey, "l1").abs().max() < 0.07  # the mean's rounding, 6e-8 at most, over 1e-6
    assert torch.isfinite(normalized(grey, "l2")).all()


# PCA


@every_contrast
@pytest.mark.parametrize("variance", [0.5, 0.9])
@pytest.mark.parametrize("n", [90, 400])  # fewer images than pixels, and more
def test_the_reconstruction_error_is_scikit_learns(contrast, variance, n):
    train = pictures(n, channels=3)
    oracle = PCA(variance, svd_solver="full").fit(rows(train, contrast))
    x = rows(TEST, contrast)
    expected = x - oracle.inverse_transform(oracle.transform(x))
    scorer = fitted(pca, train, variance=variance, contrast=contrast)
    assert scorer.module().vectors.axes.shape[0] == oracle.n_components_
    assert scorer.score(as_tensor(TEST)).numpy() == pytest.approx(np.square(expected).mean(1), rel=CLOSE)
    assert scorer.heatmap(as_tensor(TEST)).numpy() == pytest.approx(np.abs(expected).reshape(-1, 3, 8, 8).mean(1), abs=1e-4)


def test_what_the_components_can_make_is_not_novel_by_hand():
    """Two pictures on a line: their one component makes every picture of that line, and nothing across it."""
    dark, light = torch.full((1, 1, 2, 2), 50, dtype=torch.uint8), torch.full((1, 1, 2, 2), 150, dtype=torch.uint8)
    half = torch.tensor([[[[50, 50], [150, 150]]]], dtype=torch.uint8)
    scorer = fitted(pca, torch.cat([dark, light]), variance=0.5, contrast="none")
    on_line, across = scorer.score(as_tensor(torch.cat([light + 50, half]))).tolist()
    assert on_line == pytest.approx(0, abs=1e-12)  # the square of a rounding
    assert across == pytest.approx((50 / 127.5) ** 2, rel=1e-5)  # each pixel 50 from the mean of the two


@pytest.mark.parametrize("method", [pca, kde, oc_svm])
def test_training_pictures_that_are_all_alike_are_refused(method):
    with pytest.raises(InputError, match="all alike"):
        fitted(method, torch.full((5, 1, 8, 8), 7, dtype=torch.uint8))


# kernel densities


@every_contrast
@pytest.mark.parametrize("variance", [0.8, 1])
def test_the_density_is_scikit_learns(contrast, variance):
    x, x_test = rows(TRAIN, contrast), rows(TEST, contrast)
    if variance < 1:
        components = PCA(variance, svd_solver="full").fit(x)
        x, x_test = components.transform(x), components.transform(x_test)
    h = float(x.std()) / 2
    scores = fitted(kde, TRAIN, contrast=contrast, variance=variance, bandwidth=h).score(as_tensor(TEST))
    constant = x.shape[1] / 2 * math.log(2 * math.pi * h**2)
    oracle = density(x, h).score_samples(x_test)
    assert (scores + constant).numpy() == pytest.approx(-oracle, abs=2e-3)  # float32 sums of terms of some hundred


def test_the_bandwidth_is_the_likeliest_of_left_out_pictures():
    x = rows(TRAIN[:12])
    spread = math.sqrt(x.var(0).mean())
    tried = {"bandwidth": [spread * factor for factor in kde.BANDWIDTHS]}
    search = GridSearchCV(KernelDensity(leaf_size=1000), tried, cv=LeaveOneOut()).fit(x)
    vectors = vectors_of(TRAIN[:12], "none", 1)
    found = kde.likeliest_bandwidth(vectors.of(TRAIN[:12]))
    assert found == pytest.approx(search.best_params_["bandwidth"], rel=1e-5)
    assert min(kde.BANDWIDTHS) * spread < found < max(kde.BANDWIDTHS) * spread
    gamma = fitted(kde, TRAIN[:12], contrast="none", variance=1).module().gamma
    assert float(gamma) == pytest.approx(1 / (2 * found**2), rel=1e-5)


def test_a_training_pictures_own_density_is_that_of_the_others():
    x, h = rows(TRAIN), 0.5
    own = fitted(kde, TRAIN, contrast="none", variance=1, bandwidth=h).score_own(as_tensor(TRAIN))
    for i in (0, 41, 89):
        others = density(np.delete(x, i, 0), h)
        constant = x.shape[1] / 2 * math.log(2 * math.pi * h**2)
        assert own[i].item() + constant == pytest.approx(-others.score_samples(x[i : i + 1])[0], rel=CLOSE)


def test_a_lone_kernel_by_hand():
    """‖(2, 0) - (0, 1)‖² = 5; two rows of weights 1/4 and 3/4 at 0 and at distance 1: -log(¼ e^0 + ¾ e^-2)."""
    vectors = Vectors("none", torch.zeros(1, 1, 2), None)

    def kernels(rows, weights, gamma):
        return Kernels(vectors, torch.tensor(rows), torch.tensor(weights).log(), torch.tensor(gamma))

    x = torch.tensor([[[[2.0, 0.0]]]])
    assert kernels([[0.0, 1.0]], [1.0], 3.0)(x).tolist() == pytest.approx([15])
    assert kernels([[0.0, 1.0]], [1.0], 3.0).without_the_nearest(x).tolist() == pytest.approx([15])
    two = kernels([[2.0, 0.0], [2.0, 1.0]], [0.25, 0.75], 2.0)
    assert two(x).tolist() == pytest.approx([-math.log(0.25 + 0.75 * math.exp(-2))], rel=1e-6)
    assert two.without_the_nearest(x).tolist() == pytest.approx([2])


def test_far_pictures_are_still_told_apart():
    """Where the density itself is 0 in float32."""
    scorer = fitted(kde, TRAIN, contrast="none", variance=1, bandwidth=0.05)
    black, white = torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
    half = torch.cat([black[:, :, :4], white[:, :, 4:]], 2)
    near, far = scorer.score(as_tensor(torch.cat([half, (half // 2 + 64)])))
    assert near != far
    assert min(near, far) > 104  # -log of the least float32


def test_the_heat_map_is_the_difference_from_the_weighted_mean_of_training_pictures():
    h, x, x_test = 0.8, rows(TRAIN), rows(TEST)
    weights = np.exp(-np.square(x_test[:, None] - x[None]).sum(2) / (2 * h**2))
    expected = (weights / weights.sum(1, keepdims=True)) @ x
    heat = fitted(kde, TRAIN, contrast="none", variance=1, bandwidth=h).heatmap(as_tensor(TEST))
    assert heat.numpy() == pytest.approx(np.abs(x_test - expected).reshape(-1, 3, 8, 8).mean(1), abs=1e-4)


# one-class support vector machines


@every_contrast
@pytest.mark.parametrize("variance", [0.8, 1])
@pytest.mark.parametrize("nu", [0.1, 0.5])
def test_the_decision_function_is_scikit_learns(contrast, variance, nu):
    x, x_test = rows(TRAIN, contrast), rows(TEST, contrast)
    if variance < 1:
        components = PCA(variance, svd_solver="full").fit(x)
        x, x_test = components.transform(x), components.transform(x_test)
    oracle = OneClassSVM(kernel="rbf", gamma=2 / x.var(0).sum(), nu=nu, tol=1e-6).fit(x)
    scores = fitted(oc_svm, TRAIN, contrast=contrast, variance=variance, nu=nu, gamma=2).score(as_tensor(TEST)).double()
    decision = oracle.dual_coef_.sum() * np.exp(-scores.numpy()) + oracle.intercept_[0]
    assert decision == pytest.approx(oracle.decision_function(x_test), abs=2e-3 * oracle.dual_coef_.sum())  # libsvm stops 1e-3 short


def test_gamma_1_is_scikit_learns_scale():
    x = rows(TRAIN)
    x = x - x.mean(0)
    svm = OneClassSVM(gamma="scale").fit(x)
    assert float(fitted(oc_svm, TRAIN, contrast="none", variance=1, gamma=1).module().gamma) == pytest.approx(svm._gamma, rel=1e-4)


def test_the_state_holds_the_support_vectors_alone():
    scorer = fitted(oc_svm, TRAIN, nu=0.2, gamma=1)
    count = len(scorer.state()["rows"])
    assert 0.2 * 90 <= count < 90  # ν bounds their share from below
    assert scorer.keeps_pictures


def test_the_papers_recipes():
    assert (kde.paper().contrast, kde.paper().variance) == (oc_svm.paper().contrast, oc_svm.paper().variance) == ("l1", 0.95)
    assert pca.paper() == pca.Config(variance=0.95, contrast="none")
