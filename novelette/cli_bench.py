"""Grids of runs and the pages of what they left: `novelette bench` and `table`."""

from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction, arg

from novelette.errors import InputError
from novelette.saying import say


def bench(
    file: Annotated[Positional[Path], arg(metavar="FILE")],
    results: Path = Path("results"),
    data_root: UseAppendAction[tuple[Path, ...]] = (),
    jobs: int = 1,
    engine: Literal["joblib", "ray"] = "joblib",
    address: Annotated[str | None, arg(metavar="HOST:PORT")] = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu",
) -> int:
    """Run a grid of (class, seed, detector) by a protocol, or of classifiers, and print its table. Runs with a record are not repeated.

    Args:
        file: a bench file, such as benchmarks/mnist-small.toml
        results: a folder for the records
        data_root: a folder that holds named sets; NOVELETTE_DATA can name more
        jobs: processes at a time; on a cluster, those of all machines together (from 1 to 256)
        engine: joblib runs processes on this machine, ray on a Ray cluster, which needs the extra cluster
        address: address of the cluster's head, with --engine ray; without it Ray runs on this machine
        device: where to train
    """
    from novelette.bench.engine import run_bench
    from novelette.bench.found import find
    from novelette.bench.table import table as table_of
    from novelette.classify import grid, pages
    from novelette.words import counted

    if not 1 <= jobs <= 256:
        raise InputError(f"--jobs {jobs} is out of range: give 1 to 256")
    where: Any = {"data_roots": data_root, "jobs": jobs, "engine": engine, "address": address, "device": device, "bar": True}
    if grid.is_grid(file):
        of_classifiers = grid.read_grid(file)
        records = grid.run_grid(of_classifiers, results, **where)
        print(pages.table(of_classifiers, records))
    else:
        asked = find(file, results)  # refuses what is wrong before the work
        records = run_bench(asked.bench, results, **where)
        found = find(file, results)
        print(table_of(asked.bench, records, found.rows_beside))
        for field, count in found.lacking.items():
            lack = f"{counted(count, 'record')} {'lacks' if count == 1 else 'lack'} {field!r}, which the bench did not ask for when it ran"
            say(f"{lack}: to repeat these runs, delete their lines in {results / asked.bench.name}.jsonl and run the bench again")
    return 1 if any("error" in record for record in records) else 0


def table(
    name: Annotated[Positional[str], arg(metavar="NAME")],
    benchmarks: Path = Path("benchmarks"),
    results: Path = Path("results"),
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
) -> int:
    """Show what the records of a bench hold: tables beside the printed figures, and plots. Nothing is trained.

    Args:
        name: name, without .toml, of a bench in the folder of --benchmarks, or of a page there that names several
        benchmarks: the folder of bench files
        results: the folder of records
        output: a folder for the page, NAME.md, and its plots, NAME-*.svg and .png, in place of those that it wrote before; without it,
            Markdown is printed, without plots
    """
    from novelette.bench.page import check, make, text_of, write
    from novelette.classify import pages
    from novelette.words import counted

    if output is not None:
        check(name, output)
    page = (pages.make if pages.of_classifiers(name, benchmarks) else make)(name, benchmarks, results)
    if output is None:
        print(text_of(page, figures=False), end="")
    else:
        paths = write(page, output)
        print(f"{paths[-1]}: {counted(len(paths) // 2, 'plot')} beside it, each as .svg and .png")
    return 0
