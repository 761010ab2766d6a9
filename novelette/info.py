"""What `novelette info` says: a detector's facts, what scoring takes, and a student's teacher beside it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from novelette import accounting, store
from novelette.detector import Detector
from novelette.errors import InputError
from novelette.facts import first, rows, settings
from novelette.methods import ede_gan

SECONDS = 0.8  # for latencies, and again for batches
ROWS = {  # of the table: what each figure is called, and how it is printed
    "params": ("parameters", ",d"),
    "macs": ("multiply-adds", ",d"),
    "elementwise": ("elementwise operations", ",d"),
    "weight_bytes": ("bytes of weights", ",d"),
    "disk_bytes": ("bytes on disk", ",d"),
    "disk_bytes_without_discriminator": ("  without the discriminator", ",d"),
    "latency_ms": ("ms for one image, median", ",.2f"),
    "latency_p99_ms": ("ms for one image, 99 of 100", ",.2f"),
    "images_per_second": ("images a second", ",.0f"),
}
MORE_IS_BETTER = {"images_per_second"}


def describe(path: Path) -> dict[str, Any]:
    """All about a detector on disk, in JSON's types. Its speed is measured now, which takes a second or three.

    A student's `teacher` is a freshly built network of the teacher's shape, timed in turns with the student in this process; `ratios`
    say how many times better the student is. Both are None for any other detector.
    Raises: InputError when there is no detector, or a student's card tells of a teacher that no network is.
    """
    detector = store.load(path)
    teacher = teacher_of(detector, path)
    detectors = [detector] if teacher is None else [detector, teacher]
    facts = [each.describe() for each in detectors]
    shape = (detector.preprocessing.channels, detector.preprocessing.size, detector.preprocessing.size)
    scores, macs = [each.scorer.score for each in detectors], [fact.get("macs", 0) for fact in facts]
    speeds = accounting.measure(scores, shape, macs, seconds=SECONDS)
    own, *teachers = [fact | {"speed": asdict(speed)} for fact, speed in zip(facts, speeds, strict=True)]
    said = own | file_sizes(path, detector) | {"teacher": None, "ratios": None}
    for its in teachers:
        said["teacher"] = {name: its[name] for name in ("speed", *ROWS) if name in its}
        said["ratios"] = ratios(own, its)
    return said


def teacher_of(student: Detector, path: Path) -> Detector | None:
    """A detector of the shape of a student's teacher, with weights that know nothing; None for one that was not distilled,
    or by a teacher of another method.

    Raises: InputError when the student's card tells of a teacher that no network is.
    """
    distilled = student.provenance.get("distilled")
    if not isinstance(distilled, dict) or "teacher_config" not in distilled or distilled.get("teacher_method", "ede-gan") != "ede-gan":
        return None
    try:
        config = ede_gan.Config(**distilled["teacher_config"])
        net = ede_gan.Generator(config, student.preprocessing.channels, student.preprocessing.size)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path / store.CARD} is damaged: its provenance.distilled.teacher_config describes no teacher") from error
    return replace(student, config=config, scorer=ede_gan.Scorer(config, net, {}))


def file_sizes(path: Path, detector: Detector) -> dict[str, int]:
    """Bytes of the files that loading reads; where they hold a discriminator, which only distilling needs, without its weights too."""
    whole = sum((path / name).stat().st_size for name in (store.CARD, store.WEIGHTS))
    state = detector.scorer.state() if isinstance(detector.scorer, ede_gan.Scorer) else {}
    critic = sum(tensor.nbytes for name, tensor in state.items() if name.startswith(ede_gan.CRITIC))
    return {"disk_bytes": whole} | ({"disk_bytes_without_discriminator": whole - critic} if critic else {})


def ratios(student: Mapping[str, Any], teacher: Mapping[str, Any]) -> dict[str, float]:
    """How many times less the student takes, or more it does in the same time, figure by figure of the table."""
    s, t = one_level(student), one_level(teacher)
    return {name: s[name] / t[name] if name in MORE_IS_BETTER else t[name] / s[name] for name in ROWS if name in s and name in t}


def table(own: Mapping[str, Any], teacher: Mapping[str, Any] | None = None) -> Iterator[str]:
    """The figures of ROWS that there are, a line each; a student's beside its teacher's and their ratio."""
    s, t = one_level(own), one_level(teacher or {})
    ratio = ratios(own, teacher or {})
    if teacher is not None:
        yield f"{'':<27} {'student':>13} {'teacher':>13} {'ratio':>9}"
    for name, (words, form) in ROWS.items():
        if name in ratio:
            yield f"{words:<27} {s[name]:>13{form}} {t[name]:>13{form}} {ratio[name]:>9.2f}"
        elif name in s:
            yield f"{words:<27} {s[name]:>13{form}}"


def lines(said: Mapping[str, Any]) -> Iterator[str]:
    """What `describe` found, for people."""
    yield from rows(first(said, {**said, "size": said["image_size"]}))
    yield ""
    yield from table(said, said["teacher"])
    speed, teacher = said["speed"], said["teacher"]
    yield f"Timed on one thread of the CPU with images in memory: {speed['calls']} one by one, then {speed['batch']} at a time."
    if teacher is not None and "distilled" in said["provenance"]:
        yield "The teacher's times are those of a new network of its shape, timed in turns with the student in this process,"
        yield f"{teacher['speed']['batch']} images at a time."
    yield from settings(said)


def one_level(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures with those of their speed beside them."""
    return {**figures, **figures.get("speed", {})}
