"""Weight files of the pretrained networks: given, found in the data roots, or fetched and checked. Reading one runs no code from it."""

import hashlib
import json
import pickle
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from novelette.data.download import Download, File, cache_folder, fetch
from novelette.data.roots import DATA_VARIABLE, search_order
from novelette.errors import InputError
from novelette.files import expanded
from novelette.perceptual.networks import NETWORKS, Arrays

TFJS = "https://storage.googleapis.com/tfjs-models/tfjs/"
MANIFEST = "model.json"


@dataclass(frozen=True)
class Public:
    """The public weights of a network.

    Attributes:
        title: what records call them.   places: where they lie below a data root.   source: where they come from.
        of_file: whether `sha256` is of the file, or of the arrays that it holds (`contents_sha256`), `but` those of some layers.
    """

    title: str
    places: tuple[str, ...]
    source: str
    sha256: str
    download: Download
    of_file: bool = False
    but: tuple[str, ...] = ()


def _tfjs(folder: str) -> Download:
    """TensorFlow.js's copy of Keras's weights, a file a layer. No checksums are published, so the arrays are checked as a whole."""
    names = (MANIFEST, *(f"group{i}-shard1of1" for i in range(1, 56)))
    return Download(f"models/{folder}", tuple(File(name, (f"{TFJS}{folder}/{name}",), "") for name in names))


VGG_FILE, VGG_URL = "vgg19-dcbb9e9d.pth", "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
VGG_SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"
PUBLIC: Mapping[str, Public] = MappingProxyType(
    {
        "mobilenet-0.25": Public(
            "MobileNet v1 0.25 (ImageNet)",
            ("models/mobilenet_v1_0.25_224.npz", "models/mobilenet_v1_0.25_224"),
            f"{TFJS}mobilenet_v1_0.25_224/{MANIFEST}",
            "13183888c0d54839d365eeff67182a4538f2b4ddc1ebb9d731a2ff5695f6a6c0",
            _tfjs("mobilenet_v1_0.25_224"),
        ),
        "mobilenet-1.0": Public(
            "MobileNet v1 1.0 (ImageNet)",
            ("models/mobilenet_v1_1.0_224.npz", "models/mobilenet_v1_1.0_224"),
            f"{TFJS}mobilenet_v1_1.0_224/{MANIFEST}",
            "19c7c70ef0fd7c91c7aaa6443a2e4cea0a583f79b7e7fec497874497d2985ccf",
            _tfjs("mobilenet_v1_1.0_224"),
            but=("conv_pw_13/",),
        ),
        "vgg-19": Public(
            "VGG-19 (ImageNet)",
            (f"models/{VGG_FILE}", f"models/vgg19/{VGG_FILE}", f"checkpoints/{VGG_FILE}"),
            VGG_URL,
            VGG_SHA256,
            Download("models/vgg19", (File(VGG_FILE, (VGG_URL,), f"sha256:{VGG_SHA256}"),)),
            of_file=True,
        ),
    }
)


class Weights(NamedTuple):
    """A network's, up to a layer.

    Attributes: state: of the network's `layers(layer)`.   title: what records say of them.   public: whether they are the public ones.
    """

    state: dict[str, torch.Tensor]
    title: str
    public: bool


def load_weights(name: str, layer: str, given: str = "") -> Weights:
    """The weights of a network up to a layer.

    Args: given: a weight file, or the folder of TensorFlow.js's form; if empty, the data roots are looked through, and then it is fetched.
    Raises: InputError when they are nowhere, cannot be read, are damaged, or are another network's.
    """
    path = expanded(given) if given else found(name) or fetched(name)
    arrays = read(path)
    _check(arrays, NETWORKS[name].shapes(layer), name, path)
    digest = _digest(PUBLIC[name], path, arrays)
    public = digest == PUBLIC[name].sha256
    title = PUBLIC[name].title if public else f"{name}, other weights than the public ones ({digest[:12]})"
    return Weights(NETWORKS[name].state(arrays, layer), title, public)


def found(name: str) -> Path | None:
    """The weights of a network in the data roots, the user's cache, or where torchvision keeps its own."""
    for root in (*search_order(()), Path(torch.hub.get_dir())):
        for place in PUBLIC[name].places:
            path = root / place
            if path.is_file() or (path / MANIFEST).is_file():
                return path
    return None


def fetched(name: str) -> Path:
    """The weights of a network, downloaded into the user's cache and checked. Raises: InputError saying what else can be done."""
    public = PUBLIC[name]
    try:
        folder = fetch(public.download, cache_folder(), lambda folder: _published(folder, public))
    except InputError as error:
        roots = ", ".join(map(str, search_order(())))
        kept = public.places[0] if public.of_file else f"{public.places[-1]}/{MANIFEST}, with the files that it names beside it"
        raise InputError(
            f"the weights of {public.title} were not found (looked in {roots}; {error}): fetch {public.source} on a machine with "
            f"internet access, then give it with --perceptual-weights, or put it into a folder named by {DATA_VARIABLE} as {kept}"
        ) from error
    return folder / public.download.files[0].name if public.of_file else folder


def _published(folder: Path, public: Public) -> str:
    """The hash of a download.   Raises: InputError in half a sentence when it is not the published one."""
    if public.of_file:
        return public.sha256  # the file's own checksum has been compared
    digest = contents_sha256(read(folder), public.but)
    if digest != public.sha256:
        raise InputError("the download has another checksum than the published weights")
    return digest


def contents_sha256(arrays: Arrays, but: tuple[str, ...] = ()) -> str:
    """A hash of names, shapes and float32 values, whatever file they stood in.   Args: but: beginnings of names that do not count."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        if not name.startswith(but):
            array = np.ascontiguousarray(arrays[name], "<f4")
            digest.update(f"{name} {array.shape}\n".encode() + array.tobytes())
    return digest.hexdigest()


def _digest(public: Public, path: Path, arrays: Arrays) -> str:
    """Raises: InputError for a file that states another checksum in its name than it has."""
    digest = _file_sha256(path) if public.of_file else contents_sha256(arrays, public.but)
    if path.name == VGG_FILE and digest != VGG_SHA256:
        raise InputError(f"{path} is damaged: it has another checksum than the one in its name; fetch it again from {public.source}")
    return digest


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(path: Path) -> Arrays:
    """The arrays of a weight file by name: .npz, .safetensors, PyTorch's .pth (tensors alone), or a folder with TensorFlow.js's model.json.

    Raises: InputError when it is missing, damaged or of another kind.
    """
    readers: dict[str, Callable[[Path], Arrays]] = {".npz": _npz, ".safetensors": load_file, ".pth": _pth, ".pt": _pth, ".json": _manifest}
    path = path / MANIFEST if (path / MANIFEST).is_file() else path
    if not path.is_file():
        raise InputError(f"there is no weight file {path}: check --perceptual-weights")
    if path.suffix not in readers:
        raise InputError(f"{path} is not a weight file that can be read: give an .npz, a .safetensors, a .pth, or a folder with {MANIFEST}")
    try:
        return readers[path.suffix](path)
    except (zipfile.BadZipFile, pickle.UnpicklingError, SafetensorError) as error:
        raise InputError(f"{path} is damaged or not a weight file ({type(error).__name__}): fetch it again") from error
    except Exception as error:  # of a damaged file a reader raises whatever it stumbles over
        raise InputError(f"{path} is damaged or not a weight file ({_first_line(error)}): fetch it again") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:80] or type(error).__name__


def _npz(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _pth(path: Path) -> Arrays:
    """Of PyTorch's newer, zipped form tensors are read from the disk as they are used; torchvision's VGG-19 is of the older, read whole."""
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError("it holds no tensors by name")
    return {str(name): value.detach().numpy() for name, value in state.items()}


def _manifest(path: Path) -> Arrays:
    """TensorFlow.js's layers format: groups of files whose bytes, one after the other, are the arrays of a list."""
    arrays = {}
    for group in json.loads(path.read_text(encoding="utf-8"))["weightsManifest"]:
        content = b"".join((path.parent / Path(part).name).read_bytes() for part in group["paths"])
        start = 0
        for entry in group["weights"]:
            if entry["dtype"] != "float32" or "quantization" in entry:
                raise ValueError(f"{entry['name']} is not float32")
            count = int(np.prod(entry["shape"], dtype=np.int64))
            if start + 4 * count > len(content):
                raise ValueError(f"{entry['name']} is cut off")
            arrays[entry["name"]] = np.frombuffer(content, "<f4", count, start).reshape(entry["shape"])
            start += 4 * count
    return arrays


def _check(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]], name: str, path: Path) -> None:
    """Refuse arrays of another network. Raises: InputError that names keys."""
    missing = [key for key in shapes if key not in arrays]
    if missing:
        raise InputError(f"{path} is of another network: {name} needs {_some(missing)}, but the file holds {_some(arrays)}")
    for key, shape in shapes.items():
        if arrays[key].shape != shape:
            raise InputError(f"{path} is of another network: its {key} is of shape {arrays[key].shape}, where {name} has {shape}")
        if arrays[key].dtype.kind != "f" or not np.isfinite(arrays[key]).all():
            raise InputError(f"{path} is damaged: its {key} holds values that are not finite floats; fetch it again")


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
