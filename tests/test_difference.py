"""PIAD's losses by hand, and what relative-perceptual-L1 is for: a change of contrast moves it less than it moves the perceptual loss."""

from pathlib import Path

import numpy as np
import pytest
import torch

from novelette.data.images import Preprocessing, as_tensor
from novelette.data.images import load as load_images
from novelette.data.sources import FolderSource
from novelette.methods.piad import Looking
from novelette.perceptual import Perceptual, load
from novelette.perceptual.difference import mse, perceptual, perceptual_l1, relative_perceptual_l1
from novelette.perceptual.weights import PUBLIC

SHARED = Path(__file__).parents[2] / "shared" / "data"
LOSSES = ("mse", "perceptual", "perceptual-l1", "relative-perceptual-l1")

# Two filters, two positions: f(x) = (1, 3 | 2, 0), f(y) = (2, 3 | 4, -4); μ = (1, 2), σ = (1, 2).
F_X, F_Y = torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]]), torch.tensor([[[[2.0, 3.0]], [[4.0, -4.0]]]])
MEAN, STD = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1), torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)


def normal(f):
    return (f - MEAN) / STD  # f̃(x) = (0, 2 | 0, -1), f̃(y) = (1, 2 | 1, -3)


def mean(d):
    return d.flatten(1).mean(1).tolist()


def test_the_four_by_hand():
    assert mean(perceptual(F_X, F_Y)) == pytest.approx([(1 + 0 + 4 + 16) / 4])
    assert mean(perceptual_l1(normal(F_X), normal(F_Y))) == pytest.approx([(1 + 0 + 1 + 2) / 4])
    assert mean(relative_perceptual_l1(normal(F_X), normal(F_Y))) == pytest.approx([(1 + 0 + 1 + 2) / (0 + 2 + 0 + 1)])
    assert mean(mse(F_X, F_Y)) == pytest.approx([21 / 4])


def test_by_position_they_are_by_hand_too():
    assert perceptual_l1(normal(F_X), normal(F_Y)).tolist() == [[[1.0, 1.0]]]
    assert relative_perceptual_l1(normal(F_X), normal(F_Y))[0, 0].tolist() == pytest.approx([1 / 0.75, 1 / 0.75])


def test_relative_perceptual_l1_does_not_change_when_both_are_scaled_alike():
    f_x, f_y = torch.randn(4, 3, 5, 5), torch.randn(4, 3, 5, 5)
    once, scaled = relative_perceptual_l1(f_x, f_y), relative_perceptual_l1(0.3 * f_x, 0.3 * f_y)
    torch.testing.assert_close(once, scaled)
    assert not torch.allclose(perceptual_l1(f_x, f_y), perceptual_l1(0.3 * f_x, 0.3 * f_y))


def test_the_gradient_by_the_original_flows_through_the_denominator_too():
    f_x, f_y = torch.randn(1, 2, 3, 3, requires_grad=True), torch.randn(1, 2, 3, 3)
    relative_perceptual_l1(f_x, f_y).mean().backward()
    whole, value = f_x.detach().abs().sum(), relative_perceptual_l1(f_x, f_y).mean().detach()
    by_hand = (torch.sign(f_x - f_y) - value * torch.sign(f_x)).detach() / whole  # of a quotient
    torch.testing.assert_close(f_x.grad, by_hand)


def test_a_picture_without_features_has_a_finite_value():
    assert torch.isfinite(relative_perceptual_l1(torch.zeros(1, 2, 3, 3), torch.ones(1, 2, 3, 3))).all()


def test_features_of_other_shapes_are_refused():
    for loss in (mse, perceptual, perceptual_l1, relative_perceptual_l1):
        with pytest.raises(ValueError, match="differ"):
            loss(torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4))


@pytest.mark.parametrize("loss", LOSSES)
def test_equal_images_differ_by_nothing_and_others_by_something(loss):
    looking = Looking(loss, None if loss == "mse" else load("mobilenet-0.25", "block-3", 32)[0])
    x = torch.rand(3, 3, 32, 32) * 2 - 1
    with torch.inference_mode():
        assert not looking(x, x.clone()).any()
        assert (looking(x, x.flip(3)).flatten(1).mean(1) > 0).all()


def test_lower_contrast_lowers_relative_perceptual_l1_less_than_the_perceptual_loss():
    """Figures 1 and 3: photographs against themselves moved by 5 pixels, both at 80 % and at 60 % of their contrast."""
    folder, path = SHARED / "flickr8k_1000" / "images", SHARED / PUBLIC["mobilenet-0.25"].places[0]
    if not (folder.is_dir() and path.is_file()):
        pytest.skip("needs the photographs and the weights in ../shared/data")
    files = sorted(file.name for file in folder.iterdir())[:24]
    how = Preprocessing.model_construct(size=64, channels=3, frame="crop", tiles=1, colour="refuse")
    x = as_tensor(load_images(FolderSource(folder, files), how).pixels[:, 0])
    net, _ = load("mobilenet-0.25", "block-5", 64, str(path))
    kept = {loss: by_contrast(net, loss, x) for loss in ("perceptual", "relative-perceptual-l1")}
    for contrast in (0.8, 0.6):
        perc, relative = (np.median(kept[loss][contrast]) for loss in ("perceptual", "relative-perceptual-l1"))
        assert 1 - relative < 0.5 * (1 - perc), (contrast, perc, relative)


@torch.inference_mode()
def by_contrast(net: Perceptual, loss, x):
    """What is left of a loss between pictures and themselves moved by 5 px, at each contrast: a part of the loss at full contrast, (N,)."""
    values = {}
    for contrast in (1.0, 0.8, 0.6):
        grey = x.mean((1, 2, 3), keepdim=True)
        changed = grey + contrast * (x - grey)
        values[contrast] = Looking(loss, net)(changed, changed.roll(5, 3)).flatten(1).mean(1).numpy()
    return {contrast: value / values[1.0] for contrast, value in values.items()}
