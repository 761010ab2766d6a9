"""The public weights, and how large their networks are."""

import re
from pathlib import Path

import pytest
import torch
from perceptual.made_files import MOBILE

from novelette.accounting import count
from novelette.data.images import Preprocessing, as_tensor
from novelette.data.images import load as load_images
from novelette.data.sources import FolderSource
from novelette.perceptual import Perceptual, load
from novelette.perceptual.networks import BN_EPS
from novelette.perceptual.weights import PUBLIC, load_weights, read

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.parametrize("name", ["mobilenet-0.25", "mobilenet-1.0"])
def test_the_shared_files_are_the_public_weights(name):
    path = SHARED / PUBLIC[name].places[0]
    if not path.is_file():
        pytest.skip("needs the weights in ../shared/data/models")
    assert load_weights(name, "conv1", str(path))[1] == PUBLIC[name].title


def test_the_complete_network_knows_dogs_when_it_sees_them():
    """Of 60 photographs, half with two captions or more about a dog: is one of ImageNet's 118 dogs (151 to 268) the likeliest class?"""
    folder, path = SHARED / "flickr8k_1000", SHARED / PUBLIC[MOBILE].places[0]
    if not (folder.is_dir() and path.is_file()):
        pytest.skip("needs the photographs and the weights in ../shared/data")
    words: dict[str, int] = {}
    for line in (folder / "captions_1000.tsv").read_text(encoding="utf-8").splitlines():
        file, _, caption = line.split("\t")
        words[file] = words.get(file, 0) + bool(re.search(r"\bdogs?\b", caption.lower()))
    there = [file for file in sorted(words) if (folder / "images" / file).is_file()]
    with_dog, without = [f for f in there if words[f] >= 2][:30], [f for f in there if words[f] == 0][:30]
    how = Preprocessing.model_construct(size=224, channels=3, frame="crop", tiles=1, colour="refuse")
    x = as_tensor(load_images(FolderSource(folder / "images", with_dog + without), how).pixels[:, 0])
    net, _ = load(MOBILE, "block-13", 224, str(path))
    arrays = read(path)
    with torch.inference_mode():
        pooled = torch.cat([net(part).mean((2, 3)) for part in x.split(10)]).numpy()
    likeliest = (pooled @ arrays["conv_preds/kernel"][0, 0] + arrays["conv_preds/bias"]).argmax(1)
    is_dog = (likeliest >= 151) & (likeliest <= 268)
    assert is_dog[:30].mean() > 0.6  # the network is right about half of ImageNet, and about dogs as such more often
    assert is_dog[30:].mean() < 0.2  # guessing at random would say dog for 12 %


def test_the_epsilon_is_kerass():
    assert BN_EPS == 0.001


@pytest.mark.parametrize(
    ("name", "layer", "size", "numbers", "multiply_adds"),
    [("mobilenet-0.25", "block-13", 224, 0.21, 41), ("vgg-19", "relu4_2", 32, 5.9, 285), ("mobilenet-0.25", "block-5", 32, 0.01, 0.34)],
)
def test_the_networks_are_as_large_as_their_page_says(name, layer, size, numbers, multiply_adds):
    """In millions, as docs/perceptual.md has them."""
    cost = count(Perceptual(name, layer).to("meta"), torch.zeros(1, 3, size, size, device="meta"))
    assert (cost.params / 1e6, cost.macs / 1e6) == pytest.approx((numbers, multiply_adds), rel=0.05)
