"""The command that takes a detector to other machines: `export`, in float or in 8 bits."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from novelette.arguments import DetectorPath, Flag, Output
from novelette.cards import is_classifier
from novelette.errors import InputError
from novelette.saying import say

if TYPE_CHECKING:
    from novelette.bundle import Checked, Quantized

NOTICEABLE = 1.05  # times as long: what lies nearer to 1 differs from one timing to the next


def export(
    detector: DetectorPath,
    output: Output,
    pictures: Annotated[str | None, arg(metavar="SOURCE")] = None,
    int8: Flag = False,
    labelled: Annotated[str | None, arg(metavar="SOURCE")] = None,
    most_auroc_loss: float | None = None,
    least_correlation: float | None = None,
    force: Flag = False,
) -> int:
    """Write a detector or classifier as a bundle, for machines without torch; refused unless it says what the original says.

    Args:
        detector: a detector or classifier made by novelette fit, distill or classify fit
        output: the folder to make for the bundle
        pictures: pictures to compare bundle and original on, normal ones with --int8: a folder, an array, or the named set of the fit;
            those of the fit unless given, and without --int8 made-up ones where those of the fit are gone
        int8: 8 bits for weights and activations: a quarter to a third of the size, calibrated anew on pictures that training did not see
        labelled: labelled pictures to judge --int8 by AUROC: a folder with normal/ and any others, such as novel/, or the named set of the
            fit
        most_auroc_loss: the most AUROC that 8 bits may lose, with --labelled; 0.005 unless given (from 0 to 1)
        least_correlation: the least correlation between the ranks of held-out normal pictures in 8 bits and in float, with --int8 and no
            labelled pictures; 0.99 unless given (from 0 to 1)
        force: replace an existing bundle at -o
    """
    from novelette import bundle, store
    from novelette.export import export_detector

    _check(int8, labelled, most_auroc_loss, least_correlation)
    bundle.check_output(output, force=force)
    if is_classifier(detector):
        return _export_classifier(detector, output, pictures, int8, force)
    loaded = store.load(detector)
    if int8:
        from novelette.export_int8 import LEAST_CORRELATION, MOST_AUROC_LOSS, Terms, export_int8

        loss = MOST_AUROC_LOSS if most_auroc_loss is None else most_auroc_loss
        terms = Terms(loss, LEAST_CORRELATION if least_correlation is None else least_correlation)
        card = export_int8(loaded, output, pictures=pictures, labelled=labelled, terms=terms, force=force)
        assert card.quantized is not None
        _tell(output, card.quantized)
        return 0
    checked = export_detector(loaded, output, pictures=pictures, force=force)
    _tell_checked(output, checked)
    if loaded.scorer.keeps_pictures:
        say("the bundle holds the training pictures, which a detector of this method keeps: whoever has the bundle has them too")
    return 0


def _export_classifier(classifier: Path, output: Path, pictures: str | None, int8: bool, force: bool) -> int:
    from novelette.classify import store
    from novelette.classify.export import export_classifier

    if int8:
        raise InputError(f"{classifier} is a classifier, and --int8 is for detectors: leave out --int8")
    _tell_checked(output, export_classifier(store.load(classifier), output, pictures=pictures, force=force))
    return 0


def _tell_checked(output: Path, checked: "Checked") -> None:
    """How the bundle was compared with torch."""
    from novelette.words import counted

    verdicts = f"the same verdicts on {counted(checked.pictures, 'picture')}"
    print(f"{output}: {_bytes(output):,} bytes; {verdicts}, scores to {checked.worst_difference:.0e}")
    if checked.source == "made":
        say("the pictures of the fit are missing, so the bundle was checked on generated ones: give --pictures SOURCE to check it on yours")


def _check(int8: bool, labelled: str | None, most_auroc_loss: float | None, least_correlation: float | None) -> None:
    """Raises: InputError for options that do not go together, or a bound that is none."""
    given = {"--labelled": labelled, "--most-auroc-loss": most_auroc_loss, "--least-correlation": least_correlation}
    for option, value in given.items():
        if value is not None and not int8:
            raise InputError(f"{option} needs --int8: give both, or leave {option} out")
        if isinstance(value, float) and not 0 <= value <= 1:
            raise InputError(f"{option} {value:g} is not between 0 and 1")
    if most_auroc_loss is not None and labelled is None:
        raise InputError("--most-auroc-loss needs --labelled SOURCE: without labels there is no AUROC")
    if least_correlation is not None and labelled is not None:
        raise InputError("--least-correlation is for pictures without labels: leave out either --least-correlation or --labelled")


def _tell(output: Path, found: "Quantized") -> None:
    """What 8 bits cost and gained."""
    from novelette import bundle
    from novelette.words import counted

    size = (output / bundle.MODEL).stat().st_size
    on = f"{counted(found.pictures, 'picture')}"
    if found.auroc is not None:
        judged = f"AUROC {found.auroc:.4f} on {on}, {found.auroc_float:.4f} in float"
    else:
        judged = f"{on} held out rank as in float, with a correlation of {found.correlation:.4f}"
    print(f"{output}: {_bytes(output):,} bytes; its graph {size:,}, {found.float_bytes:,} in float; {judged}")
    was, now = found.float_speed, found.speed
    speeds = (
        f"{now.latency_us:,.0f} µs for one image, {was.latency_us:,.0f} in float; "
        f"{now.images_per_second:,.0f} images a second, {was.images_per_second:,.0f} in float"
    )
    takes = {"for one image": now.latency_us / was.latency_us, "in batches": was.images_per_second / now.images_per_second}
    slower = " and ".join(name for name, times in takes.items() if times > NOTICEABLE)
    say(f"8 bits are slower than float on this machine, {slower}: {speeds}" if slower else speeds)


def _bytes(output: Path) -> int:
    from novelette import bundle

    return sum((output / name).stat().st_size for name in (bundle.CARD, bundle.MODEL))
