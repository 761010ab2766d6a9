"""The two pretrained networks, up to a named layer: MobileNet v1 (Howard et al., 2017) and VGG-19 (Simonyan, Zisserman, 2015).

Both were trained to tell the 1,000 classes of ImageNet apart. Their files come as arrays by name; `state` turns these into the weights of
`layers`. BatchNorm, which only scales and shifts once a network is trained, is taken into the convolution before it.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

Arrays = Mapping[str, NDArray[np.float32]]

BN_EPS = 1e-3  # Keras's BatchNormalization, as MobileNet was trained
MOBILENET_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))  # channels, stride
VGG19_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # channels, convolutions
VGG_MEAN, VGG_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels in [0, 1]


class ConvSame(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: the output has ceil(size / stride) pixels a side.

    What padding is needed is halved, and an odd pixel goes right and below: a kernel of 3 with stride 2 over an even size pads there alone,
    where PyTorch's `padding=1` would shift the whole picture by a pixel.
    """

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = (same_padding(x.shape[2 + i], self.kernel_size[i], self.stride[i]) for i in range(2))
        if (top, left) == (bottom, right):
            return conv2d(x, self.weight, self.bias, self.stride, (top, left), self.dilation, self.groups)  # no copy of the image
        return super().forward(pad(x, (left, right, top, bottom)))


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after."""
    needed = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return needed // 2, needed - needed // 2


@dataclass(frozen=True)
class MobileNet:
    """MobileNet v1. Layers: `conv1`, then `block-1` to `block-13`, each after its pointwise convolution's ReLU6.

    Images are in [-1, 1], as novelette's are.

    Attributes: width: of its layers, as a part of the full network's.   blocks: how many the weight file has.
    """

    width: float
    blocks: int = 13

    @property
    def names(self) -> tuple[str, ...]:
        return "conv1", *(f"block-{i + 1}" for i in range(self.blocks))

    def channels(self, layer: str) -> int:
        return self._made(([32] + [c for c, _ in MOBILENET_BLOCKS])[self.names.index(layer)])

    def stride(self, layer: str) -> int:
        """Pixels of the image from one position of the layer to the next."""
        return int(2 * np.prod([s for _, s in MOBILENET_BLOCKS[: self.names.index(layer)]]))

    def layers(self, layer: str) -> nn.Sequential:
        """Images (N, 3, H, W) in [-1, 1] to features (N, C, ceil(H / stride), ceil(W / stride))."""
        modules: OrderedDict[str, nn.Module] = OrderedDict(conv1=ConvSame(3, self._made(32), 3, 2), conv1_relu=nn.ReLU6(inplace=True))
        c_in = self._made(32)
        for i, (c, s) in enumerate(MOBILENET_BLOCKS[: self.names.index(layer)], 1):
            modules |= {f"conv_dw_{i}": ConvSame(c_in, c_in, 3, s, groups=c_in), f"conv_dw_{i}_relu": nn.ReLU6(inplace=True)}
            modules |= {f"conv_pw_{i}": nn.Conv2d(c_in, self._made(c), 1), f"conv_pw_{i}_relu": nn.ReLU6(inplace=True)}
            c_in = self._made(c)
        return nn.Sequential(modules)

    def state(self, arrays: Arrays, layer: str) -> dict[str, Tensor]:
        """The weights of `layers(layer)` from Keras's arrays.   Raises: KeyError."""
        state = {}
        for name, module in self.layers(layer).named_children():
            if isinstance(module, nn.Conv2d):
                kernel = arrays[name + ("/depthwise_kernel" if "_dw_" in name else "/kernel")].astype(np.float64)  # HWIO; depthwise HWI1
                gamma, beta, mean, variance = (arrays[f"{name}_bn/{part}"].astype(np.float64) for part in BN_PARTS)
                scale = gamma / np.sqrt(variance + BN_EPS)
                weight = kernel.transpose(2, 3, 0, 1) if "_dw_" in name else kernel.transpose(3, 2, 0, 1)
                state[f"{name}.weight"] = torch.from_numpy(weight * scale[:, None, None, None]).float()
                state[f"{name}.bias"] = torch.from_numpy(beta - mean * scale).float()
        return state

    def shapes(self, layer: str) -> dict[str, tuple[int, ...]]:
        """The arrays that `state` needs."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, module in self.layers(layer).named_children():
            if isinstance(module, nn.Conv2d):
                c_out, c_in, h, w = module.weight.shape
                shapes |= {f"{name}/depthwise_kernel": (h, w, c_out, 1)} if "_dw_" in name else {f"{name}/kernel": (h, w, c_in, c_out)}
                shapes |= {f"{name}_bn/{part}": (c_out,) for part in BN_PARTS}
        return shapes

    def prepared(self, x: Tensor) -> Tensor:
        """What the network takes, from images (N, 3, H, W) in [-1, 1]."""
        return x

    def _made(self, channels: int) -> int:
        return int(channels * self.width)


BN_PARTS = ("gamma", "beta", "moving_mean", "moving_variance")


@dataclass(frozen=True)
class Vgg19:
    """VGG-19. Layers: `relu1_1` to `relu5_4`, in the papers' names. Weights are named as in torchvision, `features.0.weight`."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"relu{b}_{i + 1}" for b, (_, n) in enumerate(VGG19_BLOCKS, 1) for i in range(n))

    def channels(self, layer: str) -> int:
        return VGG19_BLOCKS[int(layer[4]) - 1][0]

    def stride(self, layer: str) -> int:
        return int(2 ** (int(layer[4]) - 1))

    def layers(self, layer: str) -> nn.Sequential:
        """Images (N, 3, H, W), standardized, to features (N, C, H / stride, W / stride), rounded down."""
        modules: OrderedDict[str, nn.Module] = OrderedDict()
        c_in = 3
        for b, (c, n) in enumerate(VGG19_BLOCKS, 1):
            for i in range(1, n + 1):
                modules |= {f"conv{b}_{i}": nn.Conv2d(c_in, c, 3, padding=1), f"relu{b}_{i}": nn.ReLU()}
                c_in = c
                if f"relu{b}_{i}" == layer:
                    return nn.Sequential(modules)
            modules[f"pool{b}"] = nn.MaxPool2d(2)
        raise KeyError(layer)

    def state(self, arrays: Arrays, layer: str) -> dict[str, Tensor]:
        """The weights of `layers(layer)` from torchvision's arrays.   Raises: KeyError."""
        return {
            f"{name}.{part}": torch.from_numpy(np.asarray(arrays[f"features.{i}.{part}"])).float()
            for i, (name, module) in enumerate(self.layers(layer).named_children())
            if isinstance(module, nn.Conv2d)
            for part in ("weight", "bias")
        }

    def shapes(self, layer: str) -> dict[str, tuple[int, ...]]:
        """The arrays that `state` needs."""
        return {
            f"features.{i}.{part}": tuple(getattr(module, part).shape)
            for i, module in enumerate(self.layers(layer))
            if isinstance(module, nn.Conv2d)
            for part in ("weight", "bias")
        }

    def prepared(self, x: Tensor) -> Tensor:
        """Pixels less ImageNet's mean colour, over its spread, from images (N, 3, H, W) in [-1, 1]."""
        mean, std = (x.new_tensor(values).view(1, 3, 1, 1) for values in (VGG_MEAN, VGG_STD))
        return ((x + 1) / 2 - mean) / std


Name = Literal["mobilenet-0.25", "mobilenet-1.0", "vgg-19"]
NETWORKS: Mapping[str, MobileNet | Vgg19] = {
    "mobilenet-0.25": MobileNet(0.25),
    "mobilenet-1.0": MobileNet(1.0, blocks=12),  # the public copies at hand lack the thirteenth
    "vgg-19": Vgg19(),
}
