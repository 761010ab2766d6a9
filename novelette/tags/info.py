"""What `novelette info` says of a tagger."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from novelette.facts import origin, rows, settings
from novelette.store import WEIGHTS
from novelette.tags import store
from novelette.words import names_words


def describe(path: Path) -> dict[str, Any]:
    """All about a tagger on disk, in JSON's types.   Raises: InputError when there is no tagger."""
    tagger = store.load(path)
    return {
        "method": tagger.method,
        "vocabulary": list(tagger.vocabulary),
        "look": tagger.look.model_dump(mode="json"),
        "config": tagger.config.model_dump(mode="json"),
        "seed": tagger.seed,
        "provenance": tagger.provenance,
        "disk_bytes": sum((path / name).stat().st_size for name in (store.CARD, WEIGHTS)),
    }


def lines(said: Mapping[str, Any]) -> Iterator[str]:
    """What `describe` found, for people."""
    look, vocabulary = said["look"], said["vocabulary"]
    sees = f"{look['network']} up to {look['layer']}, {look['size']} px"
    facts = {"tagger": said["method"], "tags": f"{len(vocabulary):,}: {names_words(vocabulary)}", "sees pictures by": sees}
    yield from rows(facts | origin(said["provenance"]) | {"seed": str(said["seed"]), "bytes on disk": said["disk_bytes"]})
    yield from settings(said)
    yield "To use it: novelette tag suggest and novelette tag evaluate."
