"""Pretrained networks: their layers against plain loops, TensorFlow's padding, their tables, and how a weight file can be wrong."""

import dataclasses
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from made_weights import made_arrays
from PIL import Image
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from novelette.accounting import count
from novelette.data import download
from novelette.data.download import MARKER, Download, File
from novelette.data.images import Preprocessing, as_tensor
from novelette.data.images import load as load_images
from novelette.data.sources import FolderSource
from novelette.errors import InputError
from novelette.perceptual import NETWORKS, Perceptual, check_layer, load, weights
from novelette.perceptual.networks import BN_EPS, ConvSame, same_padding
from novelette.perceptual.tables import LEAST_STD, Statistics, filter_table, raised
from novelette.perceptual.weights import PUBLIC, contents_sha256, load_weights, read

SHARED = Path(__file__).parents[3] / "shared" / "data"
MOBILE = "mobilenet-0.25"
every_layer = pytest.mark.parametrize(("name", "layer"), [(name, layer) for name in NETWORKS for layer in NETWORKS[name].names])


def images(n=2, channels=3, size=(13, 10), seed=0):
    return as_tensor(torch.randint(0, 256, (n, channels, *size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8))


def npz(path, **changes):
    np.savez(path, **(made_arrays() | changes))
    return str(path)


# Layers against plain loops


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


# Tables


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


# Weight files


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


def test_every_form_of_file_gives_the_same_arrays(tmp_path):
    arrays = made_arrays()
    np.savez(tmp_path / "w.npz", **arrays)
    save_file(arrays, tmp_path / "w.safetensors")
    torch.save({name: torch.from_numpy(value) for name, value in arrays.items()}, tmp_path / "w.pth")
    parameters = {name: torch.nn.Parameter(torch.from_numpy(value)) for name, value in arrays.items()}
    torch.save(parameters, tmp_path / "old.pth", _use_new_zipfile_serialization=False)  # PyTorch's form before 1.6, as torchvision's VGG-19
    tfjs(tmp_path / "w", arrays)
    files = ("w.npz", "w.safetensors", "w.pth", "old.pth", "w", "w/model.json")
    assert {contents_sha256(read(tmp_path / name)) for name in files} == {contents_sha256(arrays)}


def test_weights_other_than_the_public_ones_are_told(tmp_path):
    _, title = load(MOBILE, "block-2", 32, npz(tmp_path / "w.npz"))
    assert title == f"{MOBILE}, other weights than the public ones ({contents_sha256(made_arrays())[:12]})"


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


def refused(given, says, layer="block-5", name=MOBILE):
    with pytest.raises(InputError) as told:
        load_weights(name, layer, str(given))
    sentence = str(told.value)
    assert "\n" not in sentence
    for words in says:
        assert words in sentence


def test_a_file_that_is_not_there(tmp_path):
    refused(tmp_path / "no.npz", ["there is no weight file", "no.npz", "check --perceptual-weights"])
    refused(tmp_path, ["there is no weight file", str(tmp_path)])


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "w.h5").write_bytes(b"\x89HDF")
    refused(tmp_path / "w.h5", ["w.h5 is no weight file that can be read", ".npz", "model.json"])
    (tmp_path / "w.npz").write_bytes(b"hello")
    refused(tmp_path / "w.npz", ["w.npz is damaged or no weight file"])
    (tmp_path / "w.json").write_text('{"weights": []}')
    refused(tmp_path / "w.json", ["w.json is damaged or no weight file", "weightsManifest"])


@pytest.mark.parametrize("part", [0.02, 0.5, 0.99])
def test_a_file_that_is_cut_off(tmp_path, part):
    arrays = made_arrays()
    npz(tmp_path / "w.npz")
    save_file(arrays, tmp_path / "w.safetensors")
    torch.save({name: torch.from_numpy(value) for name, value in arrays.items()}, tmp_path / "w.pth")
    for name in ("w.npz", "w.safetensors", "w.pth"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: int(part * len(whole))])
        refused(tmp_path / name, [f"{name} is damaged or no weight file", "fetch it again"])
    shard = tfjs(tmp_path / "w", arrays) / "group1-shard1of1"
    shard.write_bytes(shard.read_bytes()[:-1])
    refused(tmp_path / "w", ["conv1/kernel is cut off"])
    shard.unlink()
    refused(tmp_path / "w", ["damaged or no weight file", "No such file"])


@pytest.mark.parametrize("name", ["w.npz", "old.pth"])
def test_a_file_with_other_bytes_in_it(tmp_path, name):
    """Compressed arrays, and PyTorch's older form, whose readers stumble in many ways."""
    arrays, path = made_arrays("mobilenet-0.25", "block-1"), tmp_path / name
    if name == "w.npz":
        np.savez_compressed(path, **arrays)
    else:
        torch.save({key: torch.from_numpy(value) for key, value in arrays.items()}, path, _use_new_zipfile_serialization=False)
    content, refusals = path.read_bytes(), []
    for start in range(0, 2400, 60):  # of old.pth the part before the numbers
        path.write_bytes(content[:start] + bytes(20) + content[start + 20 :])
        try:
            read(path)  # where only numbers or names have changed, it can
        except InputError as error:
            refusals.append(str(error))
    assert len(refusals) > 30
    assert all(f"{name} is damaged or no weight file" in sentence and "\n" not in sentence for sentence in refusals)


def test_a_file_of_another_network_is_refused_with_its_keys(tmp_path):
    save_file(made_arrays("vgg-19", "relu1_2"), tmp_path / "vgg.safetensors")
    refused(tmp_path / "vgg.safetensors", ["is of another network", "needs conv1/kernel, conv1_bn/gamma", "holds features.0", "more"])
    refused(npz(tmp_path / "m.npz"), ["is of another network", "vgg-19 needs features.0.weight", "holds conv1/kernel"], "relu1_1", "vgg-19")
    wide = made_arrays("mobilenet-1.0", "block-1")
    np.savez(tmp_path / "wide.npz", **wide)
    refused(tmp_path / "wide.npz", ["its conv1/kernel is of shape (3, 3, 3, 32), where mobilenet-0.25 has (3, 3, 3, 8)"], "block-1")


def test_a_file_with_what_is_no_number(tmp_path):
    beta = made_arrays()["conv1_bn/beta"]
    beta[3] = np.nan
    refused(npz(tmp_path / "w.npz", **{"conv1_bn/beta": beta}), ["is damaged: its conv1_bn/beta holds what is no number"])


def test_vggs_file_whose_name_states_another_checksum(tmp_path):
    path = tmp_path / "vgg19-dcbb9e9d.pth"
    torch.save({name: torch.from_numpy(value) for name, value in made_arrays("vgg-19", "relu1_1").items()}, path)
    refused(path, ["is damaged: it has another checksum than the one in its name", "download.pytorch.org"], "relu1_1", "vgg-19")
    path.rename(tmp_path / "mine.pth")
    _, title, _ = load_weights("vgg-19", "relu1_1", str(tmp_path / "mine.pth"))
    assert title.startswith("vgg-19, other weights")


def test_a_file_with_code_in_it_is_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (exit, ())

    torch.save({"features.0.weight": Bomb()}, tmp_path / "w.pth")
    refused(tmp_path / "w.pth", ["w.pth is damaged or no weight file"], "relu1_1", "vgg-19")


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No data root and an empty cache."""
    monkeypatch.setenv("NOVELETTE_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path


@pytest.mark.parametrize("name", NETWORKS)
def test_without_weights_and_without_internet_a_person_is_told_what_to_do(name, nowhere, monkeypatch):
    monkeypatch.setattr(download, "_fetch_file", lambda *_: (_ for _ in ()).throw(InputError("w could not be downloaded (no connection)")))
    public = PUBLIC[name]
    place = public.places[0] if name == "vgg-19" else f"{public.places[-1]}/model.json, with the files that it names"
    says = [f"the weights of {public.title} are not there", "no connection", public.source, "--perceptual-weights", place]
    refused("", [*says, "NOVELETTE_DATA"], NETWORKS[name].names[0], name)
    assert not (nowhere / "cache" / "novelette" / "models" / "mobilenet_v1_0.25_224").exists()


def from_a_mirror(monkeypatch, folder):
    """Downloads come from a folder."""

    def copied(file, place, progress):
        (place / file.name).write_bytes((folder / file.name).read_bytes())
        return place / file.name

    monkeypatch.setattr(download, "_fetch_file", copied)


def test_a_download_with_another_checksum_is_refused_and_leaves_nothing(nowhere, monkeypatch):
    from_a_mirror(monkeypatch, tfjs(nowhere / "mirror", made_arrays()))
    files = tuple(File(path.name, ("",), "") for path in (nowhere / "mirror").iterdir())
    public = PUBLIC[MOBILE]
    changed = Download(public.download.folder, files)
    monkeypatch.setattr(weights, "PUBLIC", {MOBILE: weights.Public(public.title, public.places, public.source, public.sha256, changed)})
    refused("", ["are not there", "another checksum"])
    assert not list((nowhere / "cache" / "novelette" / "models").iterdir())


def test_a_download_with_the_right_checksum_is_kept_and_found_again(nowhere, monkeypatch):
    from_a_mirror(monkeypatch, tfjs(nowhere / "mirror", made_arrays()))
    files = tuple(File(path.name, ("",), "") for path in (nowhere / "mirror").iterdir())
    right = contents_sha256(made_arrays())
    mine = weights.Public("mine", PUBLIC[MOBILE].places, "nowhere", right, Download(PUBLIC[MOBILE].download.folder, files))
    monkeypatch.setattr(weights, "PUBLIC", {MOBILE: mine})
    state, title, _ = load_weights(MOBILE, "block-5")
    assert (title, set(state)) == ("mine", set(NETWORKS[MOBILE].layers("block-5").state_dict()))
    assert (nowhere / "cache" / "novelette" / "models" / "mobilenet_v1_0.25_224" / MARKER).exists()
    monkeypatch.setattr(download, "_fetch_file", lambda *_: pytest.fail("it is there"))
    assert load_weights(MOBILE, "block-5")[1] == "mine"


def test_images_smaller_than_the_stride_are_refused_with_both_numbers(tmp_path):
    with pytest.raises(InputError, match=r"images of 8 px are smaller than the stride of mobilenet-0.25's block-6, 16 px"):
        load(MOBILE, "block-6", 8, npz(tmp_path / "w.npz"))


def test_networks_and_layers_that_do_not_exist_are_refused_with_those_that_do():
    with pytest.raises(InputError, match=r"no perceptual network 'resnet': choose one of mobilenet-0.25"):
        check_layer("resnet", "block-1")
    with pytest.raises(InputError, match=r"mobilenet-1.0 has no layer 'block-13': choose one of conv1, block-1"):
        check_layer("mobilenet-1.0", "block-13")


# The real weights


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
