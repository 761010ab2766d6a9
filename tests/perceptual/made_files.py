"""Small images, weight files that know nothing in several forms, and what a refused one must look like."""

import json

import numpy as np
import pytest
import torch
from made_weights import made_arrays

from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.perceptual import NETWORKS
from novelette.perceptual.weights import load_weights

MOBILE = "mobilenet-0.25"
every_layer = pytest.mark.parametrize(("name", "layer"), [(name, layer) for name in NETWORKS for layer in NETWORKS[name].names])


def images(n=2, channels=3, size=(13, 10), seed=0):
    return as_tensor(torch.randint(0, 256, (n, channels, *size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8))


def npz(path, **changes):
    np.savez(path, **(made_arrays() | changes))
    return str(path)


def tfjs(folder, arrays):
    """TensorFlow.js's layers format, a group a layer."""
    folder.mkdir()
    groups = {}
    for name in arrays:
        groups.setdefault(name.partition("/")[0], []).append(name)
    manifest = []
    for i, names in enumerate(groups.values(), 1):
        (folder / f"group{i}-shard1of1").write_bytes(b"".join(arrays[name].astype("<f4").tobytes() for name in names))
        entries = [{"name": name, "shape": arrays[name].shape, "dtype": "float32"} for name in names]
        manifest.append({"paths": [f"group{i}-shard1of1"], "weights": entries})
    (folder / "model.json").write_text(json.dumps({"weightsManifest": manifest}))
    return folder


def refused(given, says, layer="block-5", name=MOBILE):
    with pytest.raises(InputError) as told:
        load_weights(name, layer, str(given))
    sentence = str(told.value)
    assert "\n" not in sentence
    for words in says:
        assert words in sentence
