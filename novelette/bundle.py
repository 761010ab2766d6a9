"""Bundles on disk: a folder with `bundle.json` and `model.onnx`, a detector or classifier for machines without torch; no code is run."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from novelette import facts
from novelette.cards import BUNDLE, digest, read_card
from novelette.data.images import Preprocessing
from novelette.errors import InputError
from novelette.files import check_folder, reason, replacing
from novelette.words import flat

SCHEMA = 1
CARD, MODEL = BUNDLE, "model.onnx"


class Tensor(BaseModel, frozen=True, extra="forbid"):
    """One input or output of the graph. A string in its shape names an axis of any length."""

    name: str
    dtype: Literal["uint8", "float32", "int64", "bool"]
    shape: tuple[int | str, ...]


class Checked(BaseModel, frozen=True, extra="forbid"):
    """How the graph was compared with torch before the bundle was written."""

    pictures: int = Field(ge=1, description="that both scored")
    source: str = Field(description="where the natural ones among them came from")
    batch_sizes: tuple[int, ...]
    worst_difference: float = Field(ge=0, description="of two scores, relative")
    onnxruntime: str


class Speed(BaseModel, frozen=True, extra="forbid"):
    """How fast a graph scored images in memory, on one thread of the machine that exported it."""

    latency_us: float = Field(gt=0, description="of an image by itself, the median")
    images_per_second: float = Field(gt=0, description="in batches, at the median time of a batch")


class Quantized(BaseModel, frozen=True, extra="forbid"):
    """What 8 bits cost and gained, beside the float graph that they came from: both scored the same pictures."""

    layers: int = Field(ge=1, description="of the graph that are in 8 bits")
    images: int = Field(ge=1, description="normal ones, that gave the ranges of activations")
    judged_on: Literal["labelled", "held out"]
    pictures: int = Field(ge=1, description="that it was judged on")
    auroc_float: float | None = Field(None, ge=0, le=1, description="on labelled pictures")
    auroc: float | None = Field(None, ge=0, le=1)
    correlation: float | None = Field(ge=-1, le=1, description="of the ranks of held-out normal pictures' scores, with those of float")
    float_bytes: int = Field(ge=1, description="of the float graph")
    batch: int = Field(ge=1, description="images of a timed batch")
    float_speed: Speed
    speed: Speed


class Card(BaseModel, frozen=True, extra="forbid"):
    """bundle.json: all that is known of the graph, and how pictures become its input."""

    schema_: int = Field(SCHEMA, alias="schema", ge=1, le=SCHEMA)
    method: str
    config: dict[str, Any]
    preprocessing: Preprocessing
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    opset: int
    false_alarm_rate: float = Field(gt=0, lt=1)
    threshold: float | None
    calibration: tuple[float, ...]
    contains_training_pictures: bool
    seed: int
    provenance: dict[str, Any]
    checked: Checked | None = None
    quantized: Quantized | None = None
    model_sha256: str = Field(pattern="^[0-9a-f]{64}$")

    def output(self, name: str) -> Tensor | None:
        """An output of the graph, or None where it has none of this name."""
        return next((tensor for tensor in self.outputs if tensor.name == name), None)


class ClassifierCard(Card, frozen=True, extra="forbid"):
    """bundle.json of a classifier: score, p-value and label say whether a picture belongs to no class.

    Attributes: player: the network's kind.   classes: names, in the order of the graph's probabilities.
    """

    kind: Literal["classifier"] = "classifier"
    player: str
    classes: tuple[str, ...] = Field(min_length=2)


class Bundle(NamedTuple):
    """A bundle that was read: its card and the bytes of its graph."""

    card: Card
    model: bytes


def is_bundle(path: Path) -> bool:
    """Whether a folder is, or once was, a bundle."""
    return (path / CARD).exists() or (path / MODEL).exists()


def check_output(path: Path, *, force: bool) -> None:
    """Refuse, before any work, an output that cannot be written. Raises: InputError."""
    check_folder(path, CARD, "a bundle", (MODEL,), force=force)


def write(bundle: Bundle, path: Path, *, force: bool = False) -> Path:
    """Write the folder `path`, whole or not at all. Raises: InputError when it exists and `force` is not given, or the disk says no."""
    check_output(path, force=force)
    card = bundle.card.model_dump(mode="json", by_alias=True)
    with replacing(path) as folder:
        (folder / MODEL).write_bytes(bundle.model)
        (folder / CARD).write_text(json.dumps(card | {"card_sha256": digest(card)}, indent=1) + "\n")
    return path


def read(path: str | Path) -> Bundle:
    """Read a bundle. Raises: InputError when it is missing, damaged, foreign, or of a newer schema."""
    path = Path(path)
    card = read_card(path, CARD, "a bundle", SCHEMA)
    try:
        model = (path / MODEL).read_bytes()
    except OSError as error:
        raise InputError(
            f"{path / MODEL} cannot be read ({reason(error)}), so the bundle is incomplete: restore a copy, or export it again"
        ) from error
    try:
        known = (ClassifierCard if card.get("kind") == "classifier" else Card)(**card)
    except (TypeError, ValidationError) as error:
        raise InputError(f"{path / CARD} is damaged, since novelette writes no such card: restore a copy, or export it again") from error
    if hashlib.sha256(model).hexdigest() != known.model_sha256:
        raise InputError(f"{path / MODEL} is damaged, since its hash is not the one in {CARD}: restore a copy, or export it again")
    return Bundle(known, model)


def describe(path: Path) -> dict[str, Any]:
    """All about a bundle on disk, in JSON's types: its card, with the calibration scores counted, and its size.

    Raises: InputError as `read`.
    """
    card = read(path).card.model_dump(mode="json", by_alias=True)
    calibration = card.pop("calibration")
    sizes = {"disk_bytes": sum((path / name).stat().st_size for name in (CARD, MODEL))}
    return card | {"calibration_pictures": len(calibration)} | sizes


def lines(said: Mapping[str, Any]) -> Iterator[str]:
    """What `describe` found, for people."""
    yield from facts.rows(facts.first(said, said["preprocessing"]) | {"bytes on disk": said["disk_bytes"]})
    yield ""
    tensors = {f"{side[:-1]} {tensor['name']}": tensor_words(tensor) for side in ("inputs", "outputs") for tensor in said[side]}
    checks = {name: said[name] for name in ("checked", "quantized") if said[name] is not None}
    yield from facts.rows(tensors | {"opset": said["opset"]} | flat(checks))
    yield from facts.settings(said)


def tensor_words(tensor: Mapping[str, Any]) -> str:
    """`uint8, N × 32 × 32 × 3`."""
    return f"{tensor['dtype']}, {' × '.join(map(str, tensor['shape'])) or 'one value'}"
