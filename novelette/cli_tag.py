"""`novelette tag`: taggers fitted, put to use and measured, a function each."""

import csv
import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import OmitArgPrefixes, Positional, UseAppendAction, arg

from novelette.arguments import Flag, Output, SourceName, as_dataclass, given_settings, methods_usage, parse
from novelette.errors import InputError
from novelette.saying import STOPPED, check_seed, skipped

TaggerPath = Annotated[Positional[Path], arg(metavar="TAGGER")]


def tag(args: Sequence[str]) -> int:
    """Learn tags from tagged pictures and the text beside them, and suggest tags for new pictures (KDGAN).

    novelette tag fit|suggest|evaluate ..."""
    if not args or args[0] in ("-h", "--help"):
        print("usage: novelette tag fit METHOD SOURCE -o TAGGER ...\n       novelette tag suggest TAGGER PICTURES ...")
        print("       novelette tag evaluate TAGGER SOURCE ...\n")
        print((tag.__doc__ or "").splitlines()[0] + "\n")
        for name, command in TAG.items():
            print(f"  {name:<9} {(command.__doc__ or '').splitlines()[0]}")
        print("\nnovelette tag fit --help lists the methods.")
        return 0
    if args[0] not in TAG:
        raise InputError(f"there is no command novelette tag {args[0]!r}: choose one of {', '.join(TAG)}")
    return fit(args[1:]) if args[0] == "fit" else parse(TAG[args[0]], args[1:], f"tag {args[0]}")


def fit(args: Sequence[str]) -> int:
    """Fit a tagger on tagged pictures, and hold a fifth of them out for evaluate."""
    from novelette.tags import METHODS

    if not args or args[0].startswith("-"):
        return methods_usage("novelette tag fit", "TAGGER", fit.__doc__, METHODS, args)
    if args[0] not in METHODS:
        from novelette.words import choice_words

        raise InputError(f"there is no method {args[0]!r} for taggers: {choice_words(args[0], METHODS)}")
    from novelette.tags.features import Look

    module = METHODS[args[0]]
    settings_type, look_type = as_dataclass(module.Config, module.Config()), as_dataclass(Look, Look())

    def command(
        source: SourceName,
        output: Output,
        settings: OmitArgPrefixes[Annotated[settings_type, arg(name="")]],  # type: ignore[valid-type]
        look: OmitArgPrefixes[Annotated[look_type, arg(name="")]],  # type: ignore[valid-type]
        vocabulary: Literal["popular", "random"] = "popular",
        vocabulary_size: int = 200,
        everything: Flag = False,
        data_root: UseAppendAction[tuple[Path, ...]] = (),
        seed: int = 0,
        device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        resume: Flag = False,
        force: Flag = False,
    ) -> int:
        """Fit a tagger on tagged pictures, and hold a fifth of them out for evaluate.

        Args:
            source: a folder with tags.csv, a .csv file, a .tsv file of YFCC100M, a folder of Flickr8k, or flickr8k or flickr8k-1000
            output: the folder to make for the tagger
            vocabulary: the tags to learn: those that most training pictures have, or tags drawn at random
            vocabulary_size: how many tags to learn (from 2 to 100,000)
            everything: hold no picture out of training
            data_root: a folder that holds named sets; NOVELETTE_DATA can name more
            seed: seed of everything that is drawn at random
            device: where to train
            resume: continue a stopped run of the same command
            force: replace an existing tagger, and the work of a stopped run
        """
        from novelette.cli_train import replaces, training
        from novelette.settings import validated
        from novelette.tags import store
        from novelette.tags.fitting import Recipe
        from novelette.tags.fitting import fit as fit_tagger
        from novelette.tags.readers import read

        check_seed(seed)
        if not 2 <= vocabulary_size <= 100_000:
            raise InputError(f"--vocabulary-size {vocabulary_size} is out of range: give 2 to 100,000")
        config = validated(module.Config, module.Config().model_dump() | given_settings(settings, args))
        look_config = validated(Look, Look().model_dump() | given_settings(look, args))
        recipe = Recipe(args[0], config, look_config, vocabulary, vocabulary_size, everything, seed, device)
        replacing = replaces(output, resume, force)
        store.check_output(output, force=replacing)
        tagged = read(source, data_root)
        with training(output, resume, force, store.check_output) as run:
            return _keep(fit_tagger(recipe, tagged, run), output, replacing)
        return STOPPED

    return parse(command, args[1:], f"tag fit {args[0]}")


def suggest(
    tagger: TaggerPath,
    pictures: Annotated[Positional[str], arg(metavar="PICTURES")],
    n: Annotated[int, arg(aliases=["-n"])] = 5,
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    force: Flag = False,
) -> int:
    """Suggest tags for pictures, likeliest first.

    Args:
        tagger: a tagger made by novelette tag fit
        pictures: a folder, one picture, or an .npy or .npz array; no text is asked for
        n: how many tags per picture (from 1)
        output: a .csv file of file and tags, which novelette tag fit reads where it lies beside the pictures, or a .jsonl file with scores;
            without it, CSV is printed
        force: replace an existing file
    """
    from novelette import outputs
    from novelette.data.sources import open_source
    from novelette.files import write_file
    from novelette.tags import store
    from novelette.words import counted

    if n < 1:
        raise InputError(f"-n {n} is too small: give 1 or more")
    outputs.check(output, force=force)
    loaded, source = store.load(tagger), open_source(pictures)
    seen = loaded.see(source, bar=True)
    names, found = [source.names[i] for i in seen.indices], loaded.suggest(loaded.scores(seen), n)
    if output is None:
        sys.stdout.write(_csv(names, found))
    else:
        write_file(output, _csv(names, found) if output.suffix == ".csv" else _jsonl(names, found))
        print(f"{output}: {counted(len(names), 'picture')}, {min(n, len(loaded.vocabulary))} of {len(loaded.vocabulary):,} tags each")
    return skipped({source.names[i]: why for i, why in seen.unreadable.items()})


def evaluate(
    tagger: TaggerPath,
    source: SourceName,
    f_at_n: Literal["standard", "kdgan"] = "standard",
    data_root: UseAppendAction[tuple[Path, ...]] = (),
    json_: Annotated[Flag, arg(name="json")] = False,
) -> int:
    """Measure a tagger, and the most frequent tags beside it, on tagged pictures that it was not trained on: P@N, F@N, MAP and MRR.

    Args:
        tagger: a tagger made by novelette tag fit
        source: tagged pictures, as for novelette tag fit; pictures that training saw are left out
        f_at_n: the recall in F@N: that among the first N or, as in the code of KDGAN's authors, the R-precision, whatever N is
        data_root: a folder that holds named sets; NOVELETTE_DATA can name more
        json_: print one JSON object
    """
    from novelette.tags import store
    from novelette.tags.fitting import evaluate as evaluate_tagger
    from novelette.tags.readers import read
    from novelette.words import counted, text_table

    loaded = store.load(tagger)
    found = evaluate_tagger(loaded, read(source, data_root), f_at_n, bar=True)
    if json_:
        print(json.dumps(found.to_json()))
    else:
        lines = {"the tagger": found.values, "the most frequent tags": found.most_frequent}
        rows = [[name, *(f"{value:.4f}" for value in values.values())] for name, values in lines.items()]
        heads = [f"{name} (kdgan)" if f_at_n == "kdgan" and name.startswith("F@") else name for name in found.values]
        print("\n".join(text_table(["", *heads], rows)))
        print(found.sentence())
        left_out = f"{found.trained_on:,} that trained the tagger, {found.untagged:,} with no tag of its vocabulary"
        print(f"on {counted(found.pictures, 'picture')}; left out: {left_out}")
    return skipped(found.unreadable)


TAG: dict[str, Callable[..., int]] = {"fit": fit, "suggest": suggest, "evaluate": evaluate}


def _keep(fitted: Any, output: Path, force: bool) -> int:
    """Save a fitted tagger, say what was found, and give the exit status."""
    from novelette import work
    from novelette.cli_train import saved
    from novelette.tags import store
    from novelette.words import counted, seconds_words

    folder = work.folder_of(output)
    saved(lambda log: store.save(fitted.tagger, output, force=force, log=log), folder)
    work.remove(folder)
    of, tags = fitted.tagger.provenance, counted(len(fitted.tagger.vocabulary), "tag")
    took = seconds_words(of["seconds"])
    print(f"{output}: {fitted.tagger.method} fitted on {counted(of['n_training'], 'picture')} and {tags} in {took}")
    if fitted.held_out:
        print(f"{counted(fitted.held_out, 'picture')} held out: novelette tag evaluate on the same source measures the tagger on them")
    if fitted.untagged:
        print(f"left out: {counted(fitted.untagged, 'training picture')} with no tag of the vocabulary")
    if fitted.without_text:
        print(f"{counted(fitted.without_text, 'training picture')} without text")
    if fitted.without_tags:
        print(f"left out: {counted(fitted.without_tags, 'picture')} with no tag at all")
    return skipped(fitted.unreadable)


def _csv(names: list[str], found: list[list[tuple[str, float]]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "tags"))
    writer.writerows((name, ";".join(tag for tag, _ in own)) for name, own in zip(names, found, strict=True))
    return text.getvalue()


def _jsonl(names: list[str], found: list[list[tuple[str, float]]]) -> str:
    rows = ({"file": name, "tags": [{"tag": tag, "score": score} for tag, score in own]} for name, own in zip(names, found, strict=True))
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
