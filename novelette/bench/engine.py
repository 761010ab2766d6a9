"""Running a bench: the runs that have no record yet, on several processes, a record appended as each ends."""

import platform
import subprocess
import time
import warnings
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from numpy.typing import NDArray

from novelette import metrics
from novelette.bench.runs import Bench, Records, Run, current, expand, stacks
from novelette.data.images import Preprocessing, as_tensor, guess_channels, load
from novelette.data.named import NamedSet, class_index, load_named
from novelette.data.protocol import PROTOCOLS, held_out, is_novel
from novelette.errors import InputError
from novelette.fitting import find_method
from novelette.progress import progress
from novelette.settings import validated
from novelette.store import check_writable
from novelette.training import Interrupted, pick_device
from novelette.training import Run as Training

FORWARD = 500
SPLITS = {**PROTOCOLS, "held-out": held_out}  # held-out: on the training split alone, for choosing settings


def run_bench(
    bench: Bench,
    results: Path,
    *,
    data_roots: tuple[Path, ...] = (),
    jobs: int = 1,
    device: str = "cpu",
    bar: bool = False,
) -> list[dict[str, Any]]:
    """Run what has no record in `results`/NAME.jsonl yet, `jobs` processes at a time.

    Returns: the records of all runs of the bench, in its order.
    """
    if bench.protocol not in SPLITS:
        raise InputError(f"{bench.name}: there is no protocol {bench.protocol!r}: choose one of {', '.join(SPLITS)}")
    check_writable(results)
    named = load_named(bench.data, data_roots=data_roots)
    records = Records(results / f"{bench.name}.jsonl")
    runs = expand(bench, named.classes)
    for run in runs:
        class_index(named, run.normal)
        method = find_method(run.entry.method)
        if run.entry.stack > 1 and not hasattr(method, "fit_many"):
            raise InputError(f"{run.entry.label}: {run.entry.method} cannot be stacked")
        config_of(run)
    finished = {record["key"] for record in records.read() if "error" not in record}
    missing = [run for run in runs if run.key(bench) not in finished]
    groups = stacks(bench, missing)
    done = len(runs) - len(missing)
    pixels = prepared(named, bench.size) if groups else np.zeros(0, np.uint8)
    with progress("runs", len(runs), start=done, shown=bar) as show, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # joblib's note on memory-mapped, read-only arrays
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
        tasks = (joblib.delayed(run_stack)(bench, group, pixels, without_pictures(named), device) for group in groups)
        for finished_records in parallel(tasks):
            records.append(finished_records)
            done += len(finished_records)
            show(done, words(finished_records[-1]))
    return current(bench, runs, records.read())


def words(record: dict[str, Any]) -> str:
    """One line on a finished run."""
    result = record.get("error") or f"AUROC {record['auroc']:.4f}  fit {record['fit_seconds']:.0f} s"
    return f"{record['label']}  {record['normal']}  seed {record['seed']}  {result}"


def config_of(run: Run) -> Any:
    """The configuration of a run's method. Raises: InputError."""
    method = find_method(run.entry.method)
    recipe = method.paper() if run.entry.recipe == "paper" else method.Config()
    return validated(method.Config, recipe.model_dump() | run.entry.config)


def prepared(named: NamedSet, size: int) -> NDArray[np.uint8]:
    """Every picture of a set as images, uint8 (N, C, size, size): bench images may have the sets' own sizes, such as 28."""
    preprocessing = Preprocessing.model_construct(
        size=size, channels=guess_channels(named.source), frame="stretch", tiles=1, colour="refuse"
    )
    return load(named.source, preprocessing).pixels[:, 0]


def without_pictures(named: NamedSet) -> tuple[str, NDArray[np.int64], NDArray[np.bool_], tuple[str, ...]]:
    """What a process needs to know of a set beside its images: title, labels, is_train, classes."""
    return named.title, named.labels, named.is_train, named.classes


def run_stack(bench: Bench, runs: list[Run], pixels: NDArray[np.uint8], known: Any, device_name: str) -> list[dict[str, Any]]:
    """Fit the runs of one stack, score their test images, and give a record each. What fails leaves a record with its error."""
    torch.set_num_threads(bench.threads)
    title, labels, is_train, classes = known
    device, entry = pick_device(device_name), runs[0].entry
    method, config = find_method(entry.method), config_of(runs[0])
    splits = [SPLITS[bench.protocol](labels, is_train, _class(classes, run.normal), run.seed) for run in runs]
    images = [torch.from_numpy(pixels[split.train]) for split in splits]
    seeds = [run.seed * 1000 + _class(classes, run.normal) for run in runs]
    began = time.perf_counter()
    try:
        if len(runs) > 1:
            scorers = method.fit_many(images, config, seeds=seeds, device=device, run=Training())
        else:
            scorers = [method.fit(images[0], config, seed=seeds[0], device=device, run=Training())]
    except Interrupted as stopped:  # Ctrl-C is no failure of the run
        raise KeyboardInterrupt from stopped
    except Exception as error:
        return [stamp(bench, run, title, device) | {"error": f"{type(error).__name__}: {error}"} for run in runs]
    fit_seconds = (time.perf_counter() - began) / len(runs)
    records = []
    for run, split, scorer in zip(runs, splits, scorers, strict=True):
        began = time.perf_counter()
        judged = split.test if len(split.test) else split.validation
        novel = is_novel(bench.protocol, labels[judged], _class(classes, run.normal))
        try:
            auroc = metrics.auroc(scores_of(scorer, pixels, judged, device), novel)
        except Exception as error:
            records.append(stamp(bench, run, title, device) | {"error": f"{type(error).__name__}: {error}"})
            continue
        record = stamp(bench, run, title, device) | {
            "config": config.model_dump(mode="json"),
            "split": {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
            "auroc": round(auroc, 6),
            "fit_seconds": round(fit_seconds, 2),
            "score_seconds": round(time.perf_counter() - began, 3),
            "stacked": len(runs),
        }
        records.append(record)
    return records


def scores_of(scorer: Any, pixels: NDArray[np.uint8], which: NDArray[np.int64], device: torch.device) -> NDArray[np.float32]:
    """Scores of the images `which`, (n,)."""
    if scorer.module() is not None:
        scorer.module().to(device)
    parts = [scorer.score(as_tensor(pixels[which[i : i + FORWARD]], device)) for i in range(0, len(which), FORWARD)]
    return torch.cat(parts).float().cpu().numpy()


def stamp(bench: Bench, run: Run, title: str, device: torch.device) -> dict[str, Any]:
    """What every record says of where it comes from."""
    on = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    return {
        "key": run.key(bench),
        "bench": bench.name,
        "label": run.entry.label,
        "data": title,
        "protocol": bench.protocol,
        "normal": run.normal,
        "seed": run.seed,
        "method": run.entry.method,
        "epoch": "last",
        "size": bench.size,
        "device": on,
        "threads": bench.threads,
        "commit": commit(),
        "versions": {name: version(name) for name in ("novelette", "torch", "numpy")} | {"python": platform.python_version()},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def commit() -> str | None:
    """The commit of the checkout that this program runs from, with + when files differ; None outside one."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "."], cwd=here, capture_output=True, check=False)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.returncode else "")


def _class(classes: tuple[str, ...], normal: str) -> int:
    return classes.index(normal) if normal in classes else int(normal)
