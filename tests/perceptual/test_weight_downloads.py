"""Weights that were not found: downloaded, checked and kept, or a person is told what to do."""

import pytest
import torch
from made_weights import made_arrays
from perceptual.made_files import MOBILE, refused, tfjs

from novelette.data import download
from novelette.data.download import MARKER, Download, File
from novelette.errors import InputError
from novelette.perceptual import NETWORKS, weights
from novelette.perceptual.weights import PUBLIC, contents_sha256, load_weights


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
    says = [f"the weights of {public.title} were not found", "no connection", public.source, "--perceptual-weights", place]
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
    refused("", ["were not found", "another checksum"])
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
