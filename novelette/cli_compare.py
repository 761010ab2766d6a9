"""The command `compare`: several methods on the same pictures."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import OmitArgPrefixes, arg

from novelette.arguments import NO_SETS, Flag, SetOptions, SourceName, as_dataclass, given_settings, parse
from novelette.errors import InputError
from novelette.saying import check_seed, say, skipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from novelette.compare.contest import Entrant
    from novelette.fitting import Recipe

MOST_MINUTES = 7000  # of one method: five times as many, and one more, are as long as a system's `poll` can wait
ALWAYS = ("knn", "knn --metric euclidean")
DEFAULT = "feature-knn, pca, kde, oc-svm, autoencoder, vae, deep-svdd, ede-gan --widths 2"


def compare(
    source: SourceName,
    test: Annotated[str | None, arg(metavar="SOURCE")] = None,
    methods: str = DEFAULT,
    minutes_each: float = 1.0,
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    sets: SetOptions = NO_SETS,
    size: Literal[32, 64, 128, 256] = 32,
    channels: Literal[1, 3] | None = None,
    frame: Literal["stretch", "crop", "pad"] = "stretch",
    tiles: int = 1,
    false_alarm_rate: float = 0.05,
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    json_: Annotated[Flag, arg(name="json")] = False,
    force: Flag = False,
) -> int:
    """Fit several methods on the same pictures, for minutes each, and rank them: the first thing to run on new pictures.

    Each runs in a process of its own; one that fails becomes a row with its reason, and the others go on. Exit status 1 if one failed,
    unless it is the default feature-knn and its network's weights cannot be had.

    Args:
        source: normal pictures: a folder, an .npy or .npz array, or a named set (novelette data) with --normal
        test: labelled pictures to rank by: a folder with normal/ and any others, such as novel/, or the named set
        methods: methods separated by commas, each as it is given to novelette fit: "pca, ede-gan --widths 4 --steps 2000"; both kNNs are
            always among them
        minutes_each: minutes of training for each method; one whose steps are given takes as long as they take; each is stopped at
            five times this plus a minute (above 0, up to 7,000)
        output: a folder for the report, one HTML page, and for the detectors
        size: side of the images that a network sees, px
        channels: 1 (grey) or 3 (colour); guessed from the pictures unless given
        frame: how a picture becomes square: stretched, its centre cut out, or padded
        tiles: cut each picture into N x N tiles, for small defects; it is as novel as its worst tile (from 1 to 8)
        false_alarm_rate: the share of normal pictures that may be called novel (above 0, below 1)
        seed: seed of everything that is drawn at random
        device: where to train
        json_: print one JSON object
        force: replace an existing report and existing detectors
    """
    from novelette import outputs, store
    from novelette.compare import contest
    from novelette.compare.findings import cells, findings, heads
    from novelette.compare.page import as_json, render
    from novelette.fitting import Recipe
    from novelette.report import write_page
    from novelette.words import text_table

    check_seed(seed)
    if not 0 < minutes_each <= MOST_MINUTES:
        raise InputError(f"--minutes-each {minutes_each:g} is out of range: give more than 0, up to {MOST_MINUTES:,} (nearly five days)")

    def recipe(method: str, config: Any) -> Recipe:
        return Recipe(method, config, size, channels, frame, tiles, seed, device, false_alarm_rate, sets.where())

    entered = entrants(methods, recipe)
    outputs.check_report(output, force=force)
    if output is not None:
        for entrant in entered:
            store.check_output(output / entrant.file, force=force)

    def told(row: contest.Row | contest.Failure) -> None:
        ended = f"failed: {row.reason}" if isinstance(row, contest.Failure) else "fitted" if row.auroc is None else f"AUROC {row.auroc:.3f}"
        say(f"{row.entrant.label}: {ended}")

    found = contest.compare(entered, source, sets.where(), test, minutes=minutes_each, output=output, seed=seed, bar=True, told=told)
    if json_:
        print(json.dumps(as_json(found, source)))
    else:
        print("\n".join(text_table(heads(found), cells(found))))
        for finding in findings(found):
            print(finding.text)
    if output is not None:
        say(f"report: {write_page(output, render(found, source))}")
    status = skipped(found.unreadable(), found.normal.chosen.source, *([] if found.test is None else [found.test.source]))
    left_out = [failure for failure in found.failures if methods == DEFAULT and without_weights(failure.entrant.recipe)]
    for failure in left_out:
        say(f"{failure.entrant.label} is left out: the weights of its network were not found, and --methods did not ask for it")
    return 1 if len(found.failures) > len(left_out) else status


def without_weights(recipe: "Recipe") -> bool:
    """Whether it is of feature-knn, and its network's weights are nowhere on this machine."""
    from novelette.methods import feature_knn
    from novelette.perceptual.weights import found

    return isinstance(recipe.config, feature_knn.Config) and found(recipe.config.network) is None


def entrants(methods: str, recipe: "Callable[[str, Any], Recipe]") -> "list[Entrant]":
    """What is entered by --methods, kNN first.   Args: recipe: of a method and its configuration.   Raises: InputError."""
    from novelette.compare.contest import Entrant
    from novelette.compare.trial import lengths
    from novelette.fitting import configured, find_method

    entered = []
    for label in dict.fromkeys([*ALWAYS, *(" ".join(item.split()) for item in methods.split(",") if item.strip())]):
        method, *args = label.split()
        if {"-h", "--help"} & set(args):
            raise InputError(f"--methods does not take --help: novelette fit {method} --help lists the method's settings")
        given = settings_given(find_method(method), method, args)
        config = configured(method, given, paper="--paper" in args)
        entered.append(Entrant(label, recipe(method, config), paced=not {"epochs", *lengths(config)} & set(given)))
    return entered


def settings_given(module: Any, method: str, args: list[str]) -> dict[str, Any]:
    """The method's own settings in what a person typed after its name.   Raises: InputError."""
    settings_type, given = as_dataclass(module.Config, module.Config()), {}

    def command(settings: OmitArgPrefixes[Annotated[settings_type, arg(name="")]], paper: Flag = False) -> int:  # type: ignore[valid-type]
        given.update(given_settings(settings, args))
        return 0

    parse(command, args, f"fit {method}")
    return given
