"""Cards: the JSON object that says what a folder on disk is, with a hash of itself. Whatever novelette saves has one."""

import hashlib
import json
from collections.abc import Container
from pathlib import Path
from typing import Any

from novelette.errors import InputError
from novelette.files import reason

DETECTOR, CLASSIFIER, BUNDLE, TAGGER = "detector.json", "classifier.json", "bundle.json", "tagger.json"
KINDS = {DETECTOR: "a detector", CLASSIFIER: "a classifier", BUNDLE: "a bundle", TAGGER: "a tagger"}  # what has such a card


def is_detector(folder: Path) -> bool:
    return (folder / DETECTOR).exists()


def is_classifier(folder: Path) -> bool:
    return (folder / CLASSIFIER).exists()


def check_method(folder: Path, card: dict[str, Any], methods: Container[str]) -> None:
    """Raises: InputError for a card of a method that is none of `methods`."""
    if not isinstance(card.get("method"), str) or card["method"] not in methods:
        raise InputError(f"{folder} was made by the method {card.get('method')!r}, which this novelette does not have: update novelette")


def digest(card: dict[str, Any]) -> str:
    """SHA-256 of a card as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()


def read_card(folder: Path, name: str, kind: str, schema: int) -> dict[str, Any]:
    """The card `name` of a folder, whole, without its own hash.

    Args: kind: what the folder should be, such as "a detector".   schema: the newest that can be read.
    Raises: InputError when it is missing, damaged, foreign, or of a newer schema.
    """
    path = folder / name
    if not folder.exists():
        raise InputError(f"there is no {kind.removeprefix('a ')} at {folder}: check the path")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        other = next((what for card, what in KINDS.items() if (folder / card).is_file()), None)
        raise InputError(f"{folder} is {other}, not {kind}" if other else f"{folder} is not {kind}: it has no {name}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged and cannot be read: {_restore(kind)}") from error
    if not isinstance(card, dict) or not isinstance(card.get("schema"), int):
        raise InputError(f"{path} is not the card of {kind}")
    if card["schema"] > schema:
        raise InputError(f"{folder} was written by a newer novelette (schema {card['schema']}, this one reads {schema}): update novelette")
    if card.pop("card_sha256", None) != digest(card):
        raise InputError(f"{path} is damaged, since its contents do not match the hash in it: {_restore(kind)}")
    return card


def _restore(kind: str) -> str:
    """What to do about a damaged folder.   Args: kind: what it is, such as "a detector"."""
    return f"restore a copy of the {kind.removeprefix('a ')}, or make it again"
