"""Weight files: every form gives the same arrays, and every way of being wrong is told."""

import numpy as np
import pytest
import torch
from made_weights import made_arrays
from perceptual.made_files import MOBILE, npz, refused, tfjs
from safetensors.numpy import save_file

from novelette.errors import InputError
from novelette.perceptual import check_layer, load
from novelette.perceptual.weights import contents_sha256, load_weights, read


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


def test_a_file_that_is_not_there(tmp_path):
    refused(tmp_path / "no.npz", ["there is no weight file", "no.npz", "check --perceptual-weights"])
    refused(tmp_path, ["there is no weight file", str(tmp_path)])


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "w.h5").write_bytes(b"\x89HDF")
    refused(tmp_path / "w.h5", ["w.h5 is not a weight file that can be read", ".npz", "model.json"])
    (tmp_path / "w.npz").write_bytes(b"hello")
    refused(tmp_path / "w.npz", ["w.npz is damaged or not a weight file"])
    (tmp_path / "w.json").write_text('{"weights": []}')
    refused(tmp_path / "w.json", ["w.json is damaged or not a weight file", "weightsManifest"])


@pytest.mark.parametrize("part", [0.02, 0.5, 0.99])
def test_a_file_that_is_cut_off(tmp_path, part):
    arrays = made_arrays()
    npz(tmp_path / "w.npz")
    save_file(arrays, tmp_path / "w.safetensors")
    torch.save({name: torch.from_numpy(value) for name, value in arrays.items()}, tmp_path / "w.pth")
    for name in ("w.npz", "w.safetensors", "w.pth"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: int(part * len(whole))])
        refused(tmp_path / name, [f"{name} is damaged or not a weight file", "fetch it again"])
    shard = tfjs(tmp_path / "w", arrays) / "group1-shard1of1"
    shard.write_bytes(shard.read_bytes()[:-1])
    refused(tmp_path / "w", ["conv1/kernel is cut off"])
    shard.unlink()
    refused(tmp_path / "w", ["damaged or not a weight file", "No such file"])


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
    assert all(f"{name} is damaged or not a weight file" in sentence and "\n" not in sentence for sentence in refusals)


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
    refused(npz(tmp_path / "w.npz", **{"conv1_bn/beta": beta}), ["is damaged: its conv1_bn/beta holds values that are not finite floats"])


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
    refused(tmp_path / "w.pth", ["w.pth is damaged or not a weight file"], "relu1_1", "vgg-19")


def test_images_smaller_than_the_stride_are_refused_with_both_numbers(tmp_path):
    with pytest.raises(InputError, match=r"images of 8 px are smaller than the stride of mobilenet-0.25's block-6, 16 px"):
        load(MOBILE, "block-6", 8, npz(tmp_path / "w.npz"))


def test_networks_and_layers_that_do_not_exist_are_refused_with_those_that_do():
    with pytest.raises(InputError, match=r"no perceptual network 'resnet': choose one of mobilenet-0.25"):
        check_layer("resnet", "block-1")
    with pytest.raises(InputError, match=r"mobilenet-1.0 has no layer 'block-13': choose one of conv1, block-1"):
        check_layer("mobilenet-1.0", "block-13")
