"""Perturbations that move a score across a threshold: exact where scores are linear, refused without a threshold or a gradient."""

import re
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pictures import assert_refused, checks, fitted, stripes, write

from novelette import store
from novelette.cli import main
from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.methods import certainty
from novelette.studies import robustness
from novelette.studies.robustness import as_picture, crosses, deepfool, fast_gradient, margin, random_like
from novelette.studies.robustness_page import relative
from novelette.training import Run

W = torch.tensor([3.0, -4.0]).view(1, 2, 1, 1)


def linear(x):
    """3 x₁ - 4 x₂ - 1, of pictures of two channels and one pixel."""
    return (x * W).flatten(1).sum(1) - 1


def points(*values):
    return torch.tensor(values).view(-1, 2, 1, 1)


def test_deepfool_is_exact_in_one_step_on_a_linear_scorer(monkeypatch):
    monkeypatch.setattr(robustness, "STEPS", 1)
    x = points((1.0, 0.0), (0.0, 0.0))  # f = 2 and -1; the distances are |f| / 5
    moved = deepfool(linear, x)
    assert moved.crossed.all()
    expected = -1.02 * torch.tensor([2.0, -1.0]).view(-1, 1, 1, 1) / 25 * W
    torch.testing.assert_close(moved.r, expected.expand_as(moved.r))
    torch.testing.assert_close(moved.r.flatten(1).norm(dim=1), 1.02 * torch.tensor([2.0, 1.0]) / 5)


def test_the_fast_gradient_sign_is_exact_on_a_linear_scorer():
    moved = fast_gradient(linear, points((1.0, 0.0), (0.0, 0.0)))
    assert moved.crossed.all()
    # every pixel by ε: f changes by ε (3 + 4), so ε = |f| / 7
    torch.testing.assert_close(moved.r.flatten(1), torch.tensor([[-2.0, 2.0], [1.0, -1.0]]) / 7, rtol=1e-4, atol=1e-6)


def test_deepfool_follows_a_curved_boundary_until_it_is_crossed():
    def ball(x):  # novel outside of a ball of radius 1/2
        return x.flatten(1).square().sum(1) - 0.25

    x = points((0.75, 0.0), (0.27, 0.36))  # 0.25 outside of the sphere, 0.05 inside
    moved = deepfool(ball, x)
    assert crosses(ball, x, x + moved.r).all()
    lengths = moved.r.flatten(1).norm(dim=1)
    distances = torch.tensor([0.25, 0.05])
    assert (lengths >= distances).all()
    assert (lengths <= 1.1 * distances).all()


def test_in_range_a_change_makes_a_picture_and_goes_where_there_is_room():
    x = points((0.9, 1.0))  # f = -2.3, and grows with x₁, which has room for 0.1, and as x₂ falls
    free, kept = deepfool(linear, x), deepfool(linear, x, in_range=True)
    assert (x + free.r).abs().max() > 1
    assert (x + kept.r).abs().max() <= 1
    assert kept.crossed.all()
    # what x₁ cannot give, x₂ does: -4 r₂ is 2.3 - 0.3, and an overshoot of 2 % of each step
    assert kept.r.flatten().tolist() == pytest.approx([0.1, -0.5], abs=0.02)


def test_one_that_cannot_be_crossed_is_told():
    def bowl(x):  # above 0 everywhere
        return x.flatten(1).square().sum(1) + 1

    assert not deepfool(bowl, points((0.5, 0.5))).crossed.any()
    assert not fast_gradient(bowl, points((0.5, 0.5))).crossed.any()


def test_lengths_are_over_grey_levels_from_0_to_1():
    x = torch.tensor([1.0, -1, 1, -1]).view(1, 1, 1, 2, 2)  # two white pixels: ‖x‖ = √2
    r = torch.full_like(x, 0.2)  # a tenth of the grey levels on four pixels: ‖r‖ = 0.2
    length, share = relative(x, r)
    assert length.item() == pytest.approx(0.2)
    assert share.item() == pytest.approx(0.2 / 2**0.5)


def test_a_picture_of_256_levels_and_a_random_change_as_long():
    assert as_picture(torch.tensor([-1.5, 0.0005, 1.2])).tolist() == pytest.approx([-1, 128 / 127.5 - 1, 1], rel=1e-4)  # float32
    r = torch.rand(3, 1, 1, 8, 8)
    other = random_like(r, seed=0)
    torch.testing.assert_close(robustness.norms(other), robustness.norms(r))
    assert not torch.allclose(other, r)


def test_how_steep_a_piecewise_linear_classifier_is_does_not_change_with_the_picture():
    images, config = torch.from_numpy(stripes(12))[:, None], certainty.TINY.model_copy(update={"reading": "gradient", "steps": 2})
    scorer = certainty.fit(images, config, labels=torch.arange(12) % 2, seed=0, device=torch.device("cpu"), run=Run())
    x = as_tensor(images[:1]).requires_grad_()
    (slope,) = torch.autograd.grad(scorer.reading.net(x)[:, 0].sum(), x, create_graph=True)
    assert not torch.autograd.grad(slope.square().sum(), x)[0].any()
    with pytest.raises(InputError, match="have no gradient"):
        robustness.gradient(margin(SimpleNamespace(threshold=1.0, scorer=scorer, method="certainty")), as_tensor(images[:1])[:, None])


@pytest.fixture(scope="module")
def det(tmp_path_factory):
    folder = tmp_path_factory.mktemp("robust")
    return fitted(folder / "knn.det", write(folder / "parts", stripes(60)), "knn", "--k", "1")


def test_changes_of_a_detectors_pictures_cross_its_threshold(det):
    detector = store.load(det)
    f = margin(detector)
    pixels = np.concatenate([stripes(4, 5), checks(4)])[:, None, None]
    x = torch.from_numpy(pixels).float() / 127.5 - 1
    scores = detector.score_pixels(pixels)
    torch.testing.assert_close(f(x), torch.from_numpy(scores) - detector.threshold)
    near, sign = deepfool(f, x), fast_gradient(f, x)
    assert near.crossed.all()
    assert sign.crossed[:4].all()  # along one direction the chequered pictures come no nearer
    for moved in (near, sign):
        assert torch.equal(moved.crossed, crosses(f, x, x + moved.r))
    assert (near.r.flatten(1).norm(dim=1)[:4] < sign.r.flatten(1).norm(dim=1)[:4]).all()


def test_the_study_writes_pictures_and_a_line_for_each_verdict_and_attack(det, tmp_path, capsys):
    source = write(tmp_path / "new", np.concatenate([stripes(6, 5), checks(6)]))
    capsys.readouterr()
    assert main(["study", "robustness", str(det), str(source), "-o", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["normal"] * 3 + ["novel"] * 3
    assert (tmp_path / "out" / "robustness-pictures.svg").exists()
    text = (tmp_path / "out" / "robustness.md").read_text()
    assert "ρ_adv = " in text
    said = re.search(r"^- detector: knn.det, method knn; images 32 × 32 px, grey, stretch; (.*)$", text, re.MULTILINE)[1]
    assert re.fullmatch(r"false-alarm rate 0\.2; trained on 46 pictures of .*parts; made .*; seed 0; settings k 1, and the defaults", said)


def test_a_detector_without_a_threshold_or_without_a_gradient_is_refused(det, tmp_path, capsys):
    source = write(tmp_path / "new", stripes(3, 5))
    strict = tmp_path / "strict.det"
    store.save(store.load(det).recalibrated(None, 0.001), strict)
    argv = ["study", "robustness", str(strict), str(source), "-o", str(tmp_path / "out")]
    assert_refused(argv, tmp_path, capsys, "has no threshold", "novelette calibrate")

    class NoNetwork:
        def module(self):
            return None

    with pytest.raises(InputError, match="no network from pictures to scores"):
        margin(replace(store.load(det), scorer=NoNetwork()))
    with pytest.raises(InputError, match="have no gradient"):
        deepfool(lambda x: torch.ones(len(x)), points((1.0, 0.0)))
    with pytest.raises(InputError, match="is zero"):
        robustness.check_slope(lambda x: (0 * x).flatten(1).sum(1) + 1, points((1.0, 0.0)))


def test_one_picture_at_which_the_score_is_flat_is_not_moved_and_the_others_are():
    def cut_off(x):  # linear, but no more than 1
        return linear(x).clamp_max(1)

    x = points((1.0, -1.0), (0.5, 0.0))  # f = 1 with a slope of 0, and 0.5
    robustness.check_slope(cut_off, x)
    for attack in (deepfool, partial(deepfool, in_range=True), fast_gradient):
        moved = attack(cut_off, x)
        assert moved.crossed.tolist() == [False, True]
        assert not attack(cut_off, x[:1]).crossed.any()
        assert not attack(cut_off, x[:1]).r.isnan().any()


def test_a_source_without_a_readable_picture_is_refused(det, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    argv = ["study", "robustness", str(det), str(tmp_path / "broken.png"), "-o", str(tmp_path / "out")]
    assert_refused(argv, tmp_path, capsys, "broken.png cannot be read")
