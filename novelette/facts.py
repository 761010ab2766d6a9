"""What stands on the pages of `novelette info`, in words: what a person wants to know first, then settings, a line each."""

from collections.abc import Iterator, Mapping
from typing import Any

from novelette.words import counted, flat, seconds_words, shown

TOLD = {"title", "source", "n_training", "seconds", "device", "created", "pictures", "warning"}  # of a provenance, above or in --json alone


def rows(facts: Mapping[str, Any]) -> Iterator[str]:
    """A line for each fact, in two columns; none for what is None or empty."""
    for name, value in facts.items():
        if text := shown(value):
            yield f"{name:<27} {text}"


def first(said: Mapping[str, Any], preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """What a person wants to know first of a detector, a classifier or a bundle, as `describe` found it."""
    return {
        "method": said["method"],
        "network": said.get("player"),
        "classes": said.get("classes"),
        "images": image_words(preprocessing),
        "threshold": "none" if said["threshold"] is None else said["threshold"],
        "false-alarm rate": said["false_alarm_rate"],
        **origin(said["provenance"]),
        "calibration pictures": said["calibration_pictures"],
        "contains training pictures": said["contains_training_pictures"],
        "teacher": teacher_words(said["provenance"].get("distilled")),
        "seed": str(said["seed"]),
    }


def origin(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Where something that was trained came from; what its provenance does not know is None."""
    made, seconds = [provenance.get("created")], provenance.get("seconds")
    made += [None if seconds is None else f"in {seconds_words(seconds)}"]
    made += [f"{word} {its}" for word, its in (("on", provenance.get("device")), ("by novelette", _version(provenance))) if its]
    return {"trained on": trained_words(provenance), "made": [part for part in made if part], "warning": provenance.get("warning")}


def _version(provenance: Mapping[str, Any]) -> Any:
    versions = provenance.get("versions")
    return versions.get("novelette") if isinstance(versions, Mapping) else None


def trained_words(provenance: Mapping[str, Any]) -> str | None:
    n, title = provenance.get("n_training"), provenance.get("title", provenance.get("source"))
    return None if n is None else counted(n, "picture") + (f" of {title}" if isinstance(title, str) else "")


def image_words(preprocessing: Mapping[str, Any]) -> str:
    """`64 × 64 px, grey, stretch, 4 × 4 tiles a picture`."""
    size, tiles = preprocessing["size"], preprocessing["tiles"]
    words = [f"{size} × {size} px", "grey" if preprocessing["channels"] == 1 else "colour", preprocessing["frame"]]
    return ", ".join(words + ([f"{tiles} × {tiles} tiles a picture"] if tiles > 1 else []))


def teacher_words(distilled: Any) -> str | None:
    """A student's teacher on one line: method, widths, steps and pictures, as far as they are known; None where there was none."""
    if not isinstance(distilled, Mapping) or not isinstance(distilled.get("teacher_config"), Mapping):
        return None
    config, its = distilled["teacher_config"], distilled.get("teacher")
    words = [str(distilled.get("teacher_method", "ede-gan"))]
    if "widths" in config:
        widths = config["widths"]
        words.append("widths " + ("-".join(map(str, widths)) if isinstance(widths, list | tuple) else str(widths)))
    if config.get("steps"):
        words.append(f"{shown(config['steps'])} steps")
    trained = trained_words(its) if isinstance(its, Mapping) else None
    return ", ".join(words + ([f"trained on {trained}"] if trained else []))


def settings(said: Mapping[str, Any]) -> Iterator[str]:
    """The method's settings, and of the provenance what is neither nested nor among the first facts."""
    rest = {name: value for name, value in said["provenance"].items() if name not in TOLD and not isinstance(value, Mapping)}
    yield ""
    yield "Settings; --json has all that is known."
    yield from rows(flat(said["config"]) | rest)
