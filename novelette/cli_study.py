"""`novelette study`: the technical report's small experiments, a function each."""

import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from novelette.arguments import NO_SETS, DetectorPath, Flag, Output, SetOptions, Sets, SourceName, parse
from novelette.errors import InputError
from novelette.saying import check_seed, say

if TYPE_CHECKING:
    from novelette.studies.page import Study


def study(args: Sequence[str]) -> int:
    """Run one of the technical report's small experiments, and write a page with its plots.

    novelette study NAME -o FOLDER ...; novelette study NAME --help lists its arguments."""
    if not args or args[0] in ("-h", "--help"):
        print("usage: novelette study NAME -o FOLDER ...\n")
        print((study.__doc__ or "").splitlines()[0] + "\n")
        for name, command in STUDIES.items():
            print(f"  {name:<11} {(command.__doc__ or '').splitlines()[0]}")
        return 0
    if args[0] not in STUDIES:
        raise InputError(f"there is no study {args[0]!r}: choose one of {', '.join(STUDIES)}")
    return parse(STUDIES[args[0]], args[1:], f"study {args[0]}")


def linear_gan(output: Output, steps: int = 4000, seeds: int = 5, force: Flag = False) -> int:
    """A GAN of two matrices: its gradients derived anew, its flow, and whether it finds principal components.

    Args:
        output: a folder for the page and its plots
        steps: training steps of the linear GANs and the linear autoencoders beside them (from 100 to 1,000,000)
        seeds: how many GANs, and as many autoencoders, are trained (from 1 to 100)
        force: replace an existing page
    """
    from novelette.studies.linear_gan_page import study

    _between("--steps", steps, 100, 1_000_000)
    _between("--seeds", seeds, 1, 100)
    command = f"novelette study linear-gan --steps {steps} --seeds {seeds}"
    return _made("linear-gan", output, force, lambda: study(steps=steps, seeds=seeds, command=command))


def divergence(output: Output, force: Flag = False) -> int:
    """What a GAN's generator descends: its loss checked numerically, and which modes a fit by JS or KL drops.

    Args:
        output: a folder for the page and its plots
        force: replace an existing page
    """
    from novelette.studies.divergence_page import study

    return _made("divergence", output, force, lambda: study(command="novelette study divergence"))


def order(
    source: SourceName,
    output: Output,
    sets: SetOptions = NO_SETS,
    pictures: int = 400,
    orders: int = 200,
    seed: int = 0,
    force: Flag = False,
) -> int:
    """A novelty is novel only once: how many labels depend on the order in which pictures come, when novel ones are learned.

    Args:
        source: a named set (novelette data) with --normal
        output: a folder for the page and its plots
        pictures: how many test images are drawn at random (from 10 to 5,000)
        orders: how many random orders (from 2 to 10,000)
        seed: seed of the draws
        force: replace an existing page
    """
    from novelette.data.select import is_named
    from novelette.studies.order_page import study

    _between("--pictures", pictures, 10, 5000)
    _between("--orders", orders, 2, 10_000)
    check_seed(seed)
    if not is_named(source):
        raise InputError(f"{source} is not a named set: novelette data lists them")
    command = _command(["order", source], sets, pictures=pictures, orders=orders, seed=seed)
    return _made("order", output, force, lambda: study(source, sets.where(), pictures=pictures, orders=orders, seed=seed, command=command))


def robustness(
    detector: DetectorPath,
    source: SourceName,
    output: Output,
    sets: SetOptions = NO_SETS,
    pictures: int = 100,
    seed: int = 0,
    force: Flag = False,
) -> int:
    """How small a change moves a picture's score across the threshold: DeepFool, the fast gradient sign, and ρ_adv.

    Args:
        detector: a detector made by novelette fit or distill, with a threshold and of a method with a gradient
        source: a folder, a picture, an .npy or .npz array, or a named set with --normal, whose test images are taken
        output: a folder for the page and its plots
        pictures: how many pictures are drawn at random (from 1 to 10,000)
        seed: seed of the draw
        force: replace an existing page
    """
    from novelette import store
    from novelette.data.select import Selection, is_named, labelled_pictures
    from novelette.data.sources import open_source
    from novelette.studies.robustness_page import study

    _between("--pictures", pictures, 1, 10_000)
    check_seed(seed)
    loaded, name = store.load(detector), detector.name
    selection = labelled_pictures(source, sets.where()) if is_named(source) else Selection(open_source(source), source)
    command = _command(["robustness", str(detector), source], sets, pictures=pictures, seed=seed)
    return _made("robustness", output, force, lambda: study(loaded, selection, pictures=pictures, seed=seed, name=name, command=command))


STUDIES: dict[str, Callable[..., int]] = {"linear-gan": linear_gan, "divergence": divergence, "order": order, "robustness": robustness}


def _between(option: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{option} {value:,} is out of range: give {low:,} to {high:,}")


def _command(words: Sequence[str], sets: Sets, **options: object) -> str:
    """What a person types for the same page, but for where it goes.   Args: words: after `novelette study`."""
    plain = vars(NO_SETS) | {"data_root": sets.data_root}
    said = {name: value for name, value in vars(sets).items() if value != plain[name]} | options
    return shlex.join(
        ["novelette", "study", *words, *(w for key, value in said.items() for w in (f"--{key.replace('_', '-')}", str(value)))]
    )


def _made(name: str, output: Path, force: bool, make: "Callable[[], Study]") -> int:
    """Run a study, write its page, and print its table."""
    from novelette.bench.stamps import commit
    from novelette.studies import page
    from novelette.words import counted, seconds_words, text_table

    page.check(output, name, force=force)
    began, by = time.monotonic(), commit()
    made = make()
    path = page.write(made, output, by)
    print("\n".join(text_table(made.heads, made.lines)))
    say(f"{path}: {counted(len(made.pictures), 'plot')} beside it, each as .svg and .png; {seconds_words(time.monotonic() - began)}")
    return 0
