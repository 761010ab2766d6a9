"""What commands tell a person: sentences that several of them say, and the exit statuses that go with them."""

import sys
from pathlib import Path
from typing import Any

from novelette.errors import InputError

SKIPPED = 3  # exit status: done, but some pictures were skipped
STOPPED = 130  # exit status: stopped by Ctrl-C


def threshold_words(detector: Any) -> str:
    return f"threshold {detector.threshold:.6g} for a false-alarm rate of {detector.false_alarm_rate:g}"


def missing_words(detector: Any) -> str:
    """How many more pictures a threshold needs, as a sentence; empty when there is one."""
    from novelette.calibrate import pictures_needed

    if detector.threshold is not None:
        return ""
    n, needed = len(detector.calibration), pictures_needed(detector.false_alarm_rate)
    return (
        f"no threshold: a false-alarm rate of {detector.false_alarm_rate:g} needs {needed} calibration pictures, {needed - n} more than "
        f"the {n} there are; run novelette calibrate with at least {needed} normal pictures that the detector was not trained on"
    )


def found_words(fitted: Any) -> list[str]:
    """What a person should know about the pictures of a fit, a line each."""
    from novelette.words import counted, names_words

    warning = fitted.detector.provenance.get("warning")
    lines = [f"warning: {warning}"] if warning else []
    lines.append("strangest pictures: " + names_words(fitted.strangest))
    if fitted.duplicates:
        extra = counted(sum(len(group) - 1 for group in fitted.duplicates), "duplicate")
        shown = "; ".join(" = ".join(group[:3]) for group in fitted.duplicates[:5])
        lines.append(f"{extra}: {shown}" + ("; ..." if len(fitted.duplicates) > 5 else ""))
    return lines


def keep_threshold(was: Any, changed: Any, path: Path) -> None:
    """Refuse to write a detector without a threshold over one at `path` that has one.   Raises: InputError."""
    if changed.threshold is None and was.threshold is not None:
        raise InputError(f"{missing_words(changed)}; {path} keeps its old threshold")


def skipped(unreadable: dict[str, str], *sources: Any) -> int:
    """Tell which pictures were skipped, and which files of `sources` were taken for masks, and give the exit status that says so."""
    from novelette.data.sources import masks_words

    for words in filter(None, map(masks_words, sources)):
        say(words)
    if not unreadable:
        return 0
    for name, why in unreadable.items():
        say(f"skipped {name}: {why}")
    from novelette.words import counted

    say(f"{counted(len(unreadable), 'picture')} {'was' if len(unreadable) == 1 else 'were'} skipped")
    return SKIPPED


def check_seed(seed: int, option: str = "--seed") -> None:
    """Raises: InputError for a seed that torch's generators do not take."""
    if not 0 <= seed < 2**63:
        raise InputError(f"{option} {seed} is out of range: give 0 to {2**63 - 1:,}")


def say(text: str) -> None:
    print(text, file=sys.stderr)
