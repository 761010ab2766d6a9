"""The networks' layers against plain loops, and TensorFlow's padding."""

import re

import numpy as np
import pytest
import torch
from made_weights import made_arrays
from perceptual.made_files import MOBILE, every_layer, images, npz

from novelette.perceptual import NETWORKS, Perceptual, load
from novelette.perceptual.networks import ConvSame, same_padding


def loops(x, kernel, stride, depthwise):
    """TensorFlow's convolution with SAME padding, pixel by pixel: x (H, W, C), kernel (k, k, C, O) or, depthwise, (k, k, C, 1)."""
    k, (height, width) = kernel.shape[0], x.shape[:2]
    rows, columns = -(-height // stride), -(-width // stride)
    above = max((rows - 1) * stride + k - height, 0) // 2
    before = max((columns - 1) * stride + k - width, 0) // 2
    out = np.zeros((rows, columns, kernel.shape[2] if depthwise else kernel.shape[3]))
    for r in range(rows):
        for c in range(columns):
            for i in range(k):
                for j in range(k):
                    y, z = r * stride + i - above, c * stride + j - before
                    if 0 <= y < height and 0 <= z < width:
                        out[r, c] += x[y, z] * kernel[i, j, :, 0] if depthwise else x[y, z] @ kernel[i, j]
    return out


def normalized(x, arrays, name):
    gamma, beta, mean, variance = (arrays[f"{name}_bn/{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance"))
    return np.clip(gamma * (x - mean) / np.sqrt(variance + 0.001) + beta, 0, 6)


@pytest.mark.parametrize("size", [(13, 10), (16, 16), (7, 9)])
def test_mobilenets_features_are_those_of_plain_loops(size, tmp_path):
    """conv1 and four blocks in Keras's terms, convolution and BatchNorm apart, in float64: strides 2, 1, 2, 1, 2 over odd sizes too."""
    arrays = {name: value.astype(np.float64) for name, value in made_arrays().items()}
    net, _ = load(MOBILE, "block-4", 8, npz(tmp_path / "w.npz"))
    x = images(1, size=size)
    f = normalized(loops(x[0].permute(1, 2, 0).double().numpy(), arrays["conv1/kernel"], 2, False), arrays, "conv1")
    for block, stride in enumerate((1, 2, 1, 2), 1):
        f = normalized(loops(f, arrays[f"conv_dw_{block}/depthwise_kernel"], stride, True), arrays, f"conv_dw_{block}")
        f = normalized(f @ arrays[f"conv_pw_{block}/kernel"][0, 0], arrays, f"conv_pw_{block}")
    with torch.inference_mode():
        ours = net(x)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours, f, rtol=1e-4, atol=1e-5)  # float32 against float64


def test_vggs_features_are_those_of_plain_loops():
    """To relu2_1, after the first pooling: convolutions of 3 with a pixel of zeros around, on ImageNet's standardized pixels."""
    arrays, network = made_arrays("vgg-19", "relu2_1"), NETWORKS["vgg-19"]
    net = Perceptual("vgg-19", "relu2_1")
    net.layers.load_state_dict(network.state(arrays, "relu2_1"))
    x = images(1, size=(7, 6))
    f = ((x[0].permute(1, 2, 0).double().numpy() + 1) / 2 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    for i in (0, 2, 5):
        if i == 5:
            f = np.array([[f[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].max((0, 1)) for c in range(3)] for r in range(3)])
        kernel = arrays[f"features.{i}.weight"].astype(np.float64).transpose(2, 3, 1, 0)
        f = np.maximum(loops(f, kernel, 1, False) + arrays[f"features.{i}.bias"], 0)
    with torch.inference_mode():
        ours = net(x)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours, f, rtol=1e-4, atol=1e-5)  # float32 against float64


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [(32, 3, 2, (0, 1)), (7, 3, 2, (1, 1)), (32, 3, 1, (1, 1)), (1, 3, 2, (1, 1)), (2, 3, 2, (0, 1)), (5, 1, 1, (0, 0))],
)
def test_padding_is_tensorflows(size, kernel, stride, padding):
    assert same_padding(size, kernel, stride) == padding


def test_a_stride_over_an_even_size_pads_on_the_right_and_below_alone():
    """A kernel that takes the first pixel it sees: over 4 pixels with stride 2 these are pixels 0 and 2, not the padding and 1."""
    conv = ConvSame(1, 1, 3, 2, bias=False)
    conv.weight.data.zero_()[0, 0, 0, 0] = 1
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert conv(x)[0, 0].tolist() == [[0, 2], [8, 10]]
    conv.weight.data.zero_()[0, 0, 2, 2] = 1  # and one that takes the last: pixel 2, then what was padded
    assert conv(x)[0, 0].tolist() == [[10, 0], [0, 0]]


@every_layer
def test_a_layer_has_the_channels_and_the_stride_that_it_states(name, layer):
    network = NETWORKS[name]
    with torch.device("meta"):
        out = network.layers(layer)(torch.zeros(1, 3, 64, 64))
    side = 64 // network.stride(layer)
    assert out.shape == (1, network.channels(layer), side, side)


def test_the_layers_that_papers_and_files_name():
    assert NETWORKS["vgg-19"].names[9] == "relu4_2"
    assert [int(re.findall(r"\d+", name)[0]) for name in NETWORKS["vgg-19"].shapes("relu4_2")][::2] == [0, 2, 5, 7, 10, 12, 14, 16, 19, 21]
    with torch.device("meta"):
        assert NETWORKS["vgg-19"].layers("relu4_2")(torch.zeros(1, 3, 32, 32)).shape == (1, 512, 4, 4)
        assert NETWORKS[MOBILE].layers("block-5")(torch.zeros(1, 3, 32, 32)).shape == (1, 64, 4, 4)
    numbers = sum(int(np.prod(shape)) for shape in NETWORKS[MOBILE].shapes("block-13").values())
    assert numbers + 256 * 1000 + 1000 == 475_544  # Keras's count of the network with its classifier


def test_grey_is_seen_as_the_same_grey_in_three_channels(tmp_path):
    net, _ = load(MOBILE, "block-2", 16, npz(tmp_path / "w.npz"))
    grey = images(2, channels=1, size=(16, 16))
    assert torch.equal(net(grey), net(grey.repeat(1, 3, 1, 1)))
    assert torch.equal(net.normalized(grey), (net(grey) - net.mean) / net.std)
