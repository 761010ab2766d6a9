"""What every method's scores keep: batches, order, seeds, heat maps, gradients, graphs."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from contract.fitted_methods import BATCH, CPU, WITHOUT_GRAPH, begun, brief, discs, every_method, fitted, kept, mixed, noise
from torch import nn

from novelette.data.images import Preprocessing, as_tensor
from novelette.detector import Detector
from novelette.distill import scores as by_scores
from novelette.errors import InputError
from novelette.studies.robustness import gradient, margin, norms
from novelette.training import Run

WITHOUT_CHANCE = {"bayes-factor", "feature-knn", "kde", "knn", "oc-svm", "pca"}  # nothing is drawn: another seed gives the same scores
WITH_MEMORY = {
    "bayes-factor",
    "feature-knn",
    "kde",
    "knn",
    "oc-svm",
}  # of each training picture by itself, so that its own score must leave it out
WITHOUT_MAP = {"certainty", "deep-svdd", "discriminator"}  # they judge a picture as a whole
WITHOUT_GRADIENT = {"bayes-factor"}  # its scores are steps


@every_method
@pytest.mark.parametrize(("channels", "size"), [(1, 32), (3, 32), (1, 64), (3, 64)])
def test_scores_are_finite_one_an_image_grey_and_in_colour_at_two_sizes(name, channels, size):
    scores = begun(name, channels, size).score(mixed(channels, size))
    assert (scores.shape, scores.dtype) == ((19,), torch.float32)
    assert torch.isfinite(scores).all()


@every_method
def test_the_score_of_an_image_does_not_depend_on_its_batch(name):
    scorer, x = kept(name, 1), mixed()[9:17]
    together = scorer.score(x)
    for size in (1, 2, 7):
        torch.testing.assert_close(torch.cat([scorer.score(part) for part in x.split(size)]), together, rtol=BATCH, atol=1e-7)


@every_method
def test_the_score_of_an_image_does_not_depend_on_the_order(name):
    scorer, x = kept(name, 1), mixed()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(scorer.score(x[order]), scorer.score(x)[order], rtol=BATCH, atol=1e-7)


@every_method
def test_a_training_pictures_own_score_does_not_take_it_for_its_neighbour(name):
    scorer, x = kept(name, 1), as_tensor(discs(48))
    own, score = scorer.score_own(x), scorer.score(x)
    assert (own.shape, own.dtype) == (score.shape, score.dtype)
    if name in WITH_MEMORY:
        assert (own > score).all()
    else:
        assert torch.equal(own, score)


@every_method
def test_scores_of_parts_on_two_threads_are_those_on_one(name, monkeypatch):
    scorer, none = begun(name, 1, 32), np.zeros(0, np.uint64)
    detector = Detector(name, brief(name), Preprocessing(), scorer, np.zeros(0), none, 0.05, 0, {})
    monkeypatch.setattr("novelette.detector.FORWARD", 4)
    one, *often = (on_threads(n, detector, torch.cat([discs(17), noise(3)])) for n in (1, 2, 2, 2))  # chance decides how threads meet
    for two in often:
        torch.testing.assert_close(two, one, rtol=BATCH, atol=1e-7)


def on_threads(threads, detector, images):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return torch.from_numpy(detector.score_pixels(images[:, None].numpy()))  # a tile a picture
    finally:
        torch.set_num_threads(before)


@every_method
def test_scoring_changes_neither_the_images_nor_the_scorer(name):
    scorer, x = kept(name, 1), mixed()
    before, images = {key: value.clone() for key, value in scorer.state().items()}, x.clone()
    first = scorer.score(x)
    scorer.heatmap(x)
    assert torch.equal(scorer.score(x), first)
    assert torch.equal(x, images)
    assert all(torch.equal(value, before[key]) for key, value in scorer.state().items())


@every_method
def test_a_detector_teaches_a_student_through_its_scores_and_stays_as_it_is(name):
    scorer, config = kept(name, 1), by_scores.TINY.model_copy(update={"steps": 2})
    before = {key: value.clone() for key, value in scorer.state().items()}
    student, _ = by_scores.distil(scorer, discs(48), config, seed=0, device=CPU, run=Run())
    assert torch.isfinite(student.score(mixed())).all()
    assert all(torch.equal(value, before[key]) for key, value in scorer.state().items())


@every_method
def test_a_fresh_scorer_has_the_gradient_of_its_score(name):
    """By differences along it. The pictures lie between the grey levels, where no pooling has two maxima."""
    scorer, x = begun(name, 1, 32), mixed()[10:16]  # both kinds
    x = (x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)))[:, None]
    f = margin(SimpleNamespace(threshold=0.0, scorer=scorer, method=name))
    if name in WITHOUT_GRADIENT:
        with pytest.raises(InputError, match="have no gradient"):
            gradient(f, x)
        return
    value, slope = gradient(f, x)
    torch.testing.assert_close(value, scorer.score(x[:, 0]), rtol=1e-4, atol=1e-6)
    length = norms(slope)
    step = 0.002 * slope / length.view(-1, 1, 1, 1, 1)
    with torch.no_grad():
        rise = (f(x + step) - f(x - step)) / 0.004
    assert (rise > 0).all()
    if name not in WITHOUT_GRAPH:  # whose slope is that with the latent kept
        assert (rise / length).median().item() == pytest.approx(1, rel=0.02)  # of one picture a neighbour may change within the step


@every_method
def test_the_same_seed_gives_the_same_scores_and_another_seed_others(name):
    x = mixed()
    scores = begun(name, 1, 32).score(x)
    torch.rand(3)  # torch's own state is no part of it
    assert torch.equal(fitted(name, brief(name)).score(x), scores)
    assert torch.equal(fitted(name, brief(name), seed=1).score(x), scores) is (name in WITHOUT_CHANCE)


@every_method
@pytest.mark.parametrize(("channels", "size"), [(1, 32), (3, 64)])
def test_a_heat_map_is_as_large_as_the_image_and_not_negative(name, channels, size):
    maps = begun(name, channels, size).heatmap(mixed(channels, size))
    if name in WITHOUT_MAP:
        assert maps is None
        return
    assert maps.shape == (19, size, size)
    assert torch.isfinite(maps).all()
    assert maps.min() >= 0
    assert maps.max() > 0


@every_method
def test_the_module_gives_the_scores(name):
    scorer, x = kept(name, 1), mixed()
    module = scorer.module()
    if name in WITHOUT_GRAPH:
        assert module is None
        return
    assert isinstance(module, nn.Module)
    with torch.no_grad():
        torch.testing.assert_close(module(x), scorer.score(x), rtol=BATCH, atol=1e-7)
