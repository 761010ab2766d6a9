"""What `novelette info` says of a classifier, its teacher beside it."""

from pathlib import Path
from typing import Any

from novelette import store as detectors
from novelette.classify import store
from novelette.classify.evaluate import costs
from novelette.info import lines, ratios

__all__ = ["describe", "lines"]


def describe(path: Path) -> dict[str, Any]:
    """All about a classifier on disk, in JSON's types; `teacher` and `ratios` are None where no teacher stands beside it.

    Raises: InputError when there is no classifier.
    """
    classifier = store.load(path)
    teacher = store.teacher_of(path)
    own, *its = costs([classifier] if teacher is None else [classifier, teacher])
    disk = {"disk_bytes": sum((path / name).stat().st_size for name in (store.CARD, detectors.WEIGHTS))}
    said = classifier.describe() | own | disk
    return said | {"teacher": its[0] if its else None, "ratios": ratios(own, its[0]) if its else None}
