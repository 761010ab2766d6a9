"""Tables of filters: the mean and the spread of each, those of the package, measured ones and given ones."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from made_weights import made_arrays
from perceptual.made_files import MOBILE, every_layer, npz
from PIL import Image
from safetensors.torch import save_file as save_tensors

from novelette.data.images import as_tensor
from novelette.errors import InputError
from novelette.perceptual import NETWORKS, load, weights
from novelette.perceptual.tables import LEAST_STD, Statistics, filter_table, raised
from novelette.perceptual.weights import PUBLIC, contents_sha256


def test_statistics_are_the_mean_and_the_spread_of_each_filter_over_positions_and_images():
    f = torch.randn(7, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 3 + 1
    gathered = Statistics()
    for part in f.split(2):
        gathered.add(part)
    mean, std = gathered.table()
    np.testing.assert_allclose(mean.numpy(), f.numpy().mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(std.numpy(), f.numpy().std((0, 2, 3)), rtol=1e-5)


@every_layer
def test_every_layer_has_its_table(name, layer):
    mean, std = filter_table(name, layer)
    assert mean.shape == std.shape == (NETWORKS[name].channels(layer),)
    assert (mean >= 0).all()  # of what comes out of a ReLU
    assert raised(std).min() > 0.9 * LEAST_STD * std.mean()


def test_filters_are_the_packages_only_of_the_public_weights(tmp_path, monkeypatch):
    mine, images = npz(tmp_path / "w.npz"), torch.randint(0, 256, (9, 3, 32, 32), dtype=torch.uint8)
    net, _ = load(MOBILE, "block-2", 32, mine)
    assert (net.mean == 0).all()
    assert (net.std == 1).all()
    public = dataclasses.replace(PUBLIC[MOBILE], sha256=contents_sha256(made_arrays()))
    monkeypatch.setattr(weights, "PUBLIC", {MOBILE: public})
    net, title = load(MOBILE, "block-2", 32, mine, images=images)
    mean, std = filter_table(MOBILE, "block-2")
    assert title == public.title
    torch.testing.assert_close(net.mean.flatten(), mean)
    torch.testing.assert_close(net.std.flatten(), raised(std))


def test_filters_of_other_weights_are_measured_over_the_training_pictures(tmp_path):
    images = torch.randint(0, 256, (60, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    net, title = load(MOBILE, "block-2", 32, npz(tmp_path / "w.npz"), images=images)
    with torch.inference_mode():
        f = net(as_tensor(images)).double()
    torch.testing.assert_close(net.mean.flatten().double(), f.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(net.std.flatten(), raised(f.std((0, 2, 3), unbiased=False).float()), rtol=1e-4, atol=1e-5)
    assert title.endswith("filters of the training pictures")


def test_filters_can_be_given(tmp_path):
    mean = torch.arange(float(NETWORKS[MOBILE].channels("block-2")))
    std = mean + 10
    save_tensors({f"{MOBILE}/block-2/mean": mean, f"{MOBILE}/block-2/std": std}, tmp_path / "t.safetensors")
    net, title = load(MOBILE, "block-2", 32, npz(tmp_path / "w.npz"), table=str(tmp_path / "t.safetensors"))
    assert (net.mean.flatten().tolist(), net.std.flatten().tolist()) == (mean.tolist(), std.tolist())
    assert title.endswith("filters of t.safetensors")
    for table in ("no.safetensors", "w.npz"):
        with pytest.raises(InputError, match=f"--filter-table .*{table} cannot be read"):
            load(MOBILE, "block-2", 32, str(tmp_path / "w.npz"), table=str(tmp_path / table))
    with pytest.raises(InputError, match=r"t.safetensors has no block-3 of mobilenet-0.25"):
        load(MOBILE, "block-3", 32, str(tmp_path / "w.npz"), table=str(tmp_path / "t.safetensors"))


def test_the_script_measures_every_layer_of_a_folder(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("tables", Path(__file__).parents[2] / "benchmarks" / "perceptual_tables.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    (tmp_path / "photographs").mkdir()
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / "photographs" / f"{i}.png")
    mine, out = npz(tmp_path / "w.npz"), tmp_path / "t.safetensors"
    monkeypatch.setattr("sys.argv", ["t", str(tmp_path / "photographs"), "-o", str(out), "--networks", MOBILE, "--weights", mine])
    script.main()
    net, _ = load(MOBILE, "block-2", 224, mine, images=torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()))
    mean, std = filter_table(MOBILE, "block-2", str(out))
    torch.testing.assert_close(net.mean.flatten(), mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net.std.flatten(), raised(std), rtol=1e-4, atol=1e-5)
    for layer in NETWORKS[MOBILE].names:
        assert len(filter_table(MOBILE, layer, str(out))[0]) == NETWORKS[MOBILE].channels(layer)
