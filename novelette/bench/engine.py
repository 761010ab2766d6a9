"""Running a bench: the runs that have no record yet, on several processes, a record appended as each ends."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensor_bytes

from novelette.bench.fanout import EngineName, check_engine, fan_out
from novelette.bench.measures import Exam, measured
from novelette.bench.runs import Bench, Records, Run, current, expand, stacks
from novelette.bench.stamps import circumstances, commit
from novelette.data.images import Preprocessing, guess_channels, load
from novelette.data.named import NamedSet, load_named
from novelette.data.protocol import PARTING, PROTOCOLS, Split, held_out, is_novel, thinned
from novelette.distill import progressive, scores
from novelette.errors import InputError
from novelette.files import check_writable, write_whole
from novelette.fitting import find_method
from novelette.progress import progress
from novelette.training import Run as Training
from novelette.training import pick_device

MODELS = ".models"  # below the results: weights of teachers, and of benches that keep them
SPLITS: dict[str, Callable[..., Split]] = {
    **PROTOCOLS,
    "held-out": held_out,
}  # held-out: on the training split alone, for choosing settings
LOGGED = {"variance": ("variance",), "losses": ("forger", "curator")}  # measures that are the log's own


def run_bench(
    bench: Bench,
    results: Path,
    *,
    data_roots: tuple[Path, ...] = (),
    jobs: int = 1,
    engine: EngineName = "joblib",
    address: str | None = None,
    device: str = "cpu",
    bar: bool = False,
) -> list[dict[str, Any]]:
    """Run what has no record in `results`/NAME.jsonl yet, `jobs` processes at a time, on this machine or a Ray cluster's at `address`.

    Returns: the records of all runs of the bench, in its order.
    """
    check_engine(engine, address)
    if bench.protocol not in SPLITS:
        raise InputError(f"{bench.name}: there is no protocol {bench.protocol!r}: choose one of {', '.join(SPLITS)}")
    check_writable(results)
    named = load_named(bench.data, data_roots=data_roots, attribute=bench.attribute)
    if named.groups is not None and bench.protocol in PARTING:
        raise InputError(
            f"{bench.name}: {bench.protocol} would put pictures of the same thing into both training and test in {named.title}: "
            "use another protocol"
        )
    known = Known(named.title, named.labels, named.is_train, named.groups, commit(), results / MODELS)
    records = Records(results / f"{bench.name}.jsonl")
    runs = expand(bench, named)
    for run in runs:
        if run.entry.stack > 1 and not run.stackable():
            raise InputError(f"{run.entry.label}: {run.method} cannot be stacked: leave out its stack")
    finished = {record["key"] for record in records.read() if "error" not in record}
    missing = [run for run in runs if run.key(bench, known.title) not in finished]
    teachers = [run.teacher for run in missing if run.teacher is not None]
    untaught = [run for run in teachers if not (known.models / run.weights_file(bench, known.title)).exists()]
    first = [run for run in runs if run.teacher is None and (run in missing or run in untaught)]
    second = [run for run in missing if run.teacher is not None]
    done = len(runs) - len(missing)
    pixels = prepared(named, bench.size) if missing else np.zeros(0, np.uint8)
    waves = [stacks(bench, first), stacks(bench, second)]  # students come after their teachers
    with progress("runs", len(runs), start=done, shown=bar) as show:
        for ended in fan_out(run_stack, waves, bench, pixels, known, device, engine=engine, jobs=jobs, address=address):
            new = [record for record in ended if record["key"] not in finished]
            records.append(new)
            done += len(new)
            show(done, words(ended[-1]))
    return current(bench, known.title, runs, records.read())


def words(record: dict[str, Any]) -> str:
    """One line on a finished run."""
    result = record.get("error") or f"AUROC {record['auroc']:.4f}  fit {record['fit_seconds']:.0f} s"
    return f"{record['label']}  {record['normal']}  seed {record['seed']}  {result}"


def prepared(named: NamedSet, size: int) -> NDArray[np.uint8]:
    """Every picture of a set as images, uint8 (N, C, size, size): bench images may have the sets' own sizes, such as 28.

    Raises: InputError when one cannot be read: labels and splits go by a picture's place, and a gap would shift them.
    """
    preprocessing = Preprocessing.model_construct(
        size=size, channels=guess_channels(named.source), frame="stretch", tiles=1, colour="refuse"
    )
    loaded = load(named.source, preprocessing)
    if loaded.unreadable:
        first = min(loaded.unreadable)
        name, why = named.source.names[first], loaded.unreadable[first]
        raise InputError(f"{named.title}: {name} cannot be read ({why}), and a bench needs every picture: replace it with an intact copy")
    return loaded.pixels[:, 0]


@dataclass(frozen=True)
class Known:
    """What a process needs to know beside the images: of the set, of the program as it was when the bench began, and where teachers'
    weights are kept."""

    title: str
    labels: NDArray[np.int64]
    is_train: NDArray[np.bool_]
    groups: NDArray[np.int64] | None
    commit: str | None
    models: Path

    def split(self, bench: Bench, run: Run) -> Split:
        """The protocol's split for a run, with as many test images as the bench takes; `held-out` keeps groups whole."""
        grouped = {"groups": self.groups} if bench.protocol == "held-out" else {}
        split = SPLITS[bench.protocol](self.labels, self.is_train, run.number, run.seed, **grouped)
        if not bench.test_at_most:
            return split
        return thinned(split, is_novel(bench.protocol, self.labels, run.number), bench.test_at_most, run.seed)


def run_stack(bench: Bench, runs: list[Run], pixels: NDArray[np.uint8], known: Known, device_name: str) -> list[dict[str, Any]]:
    """Fit the runs of one stack, score their test images, and give a record each. What fails leaves a record with its error."""
    torch.set_num_threads(bench.threads)
    device = pick_device(device_name)
    splits = [known.split(bench, run) for run in runs]
    images = [torch.from_numpy(pixels[split.train]) for split in splits]
    training = Training(snapshot_steps=bench.snapshot_steps(runs[0].config, len(images[0])))
    began = time.perf_counter()
    try:
        scorers = trained(bench, runs, images, known, device, training)
    except Exception as error:
        scorers, training.failed = [None] * len(runs), dict.fromkeys(range(len(runs)), error) | training.failed
    fit_seconds = (time.perf_counter() - began) / len(runs)
    records = []
    for m, (run, split, scorer) in enumerate(zip(runs, splits, scorers, strict=True)):
        record = stamp(bench, run, known, device) | {"fit_seconds": round(fit_seconds, 2), "stacked": len(runs)} | training.notes
        try:
            if m in training.failed:
                raise training.failed[m]
            exam = Exam(pixels, split, is_novel(bench.protocol, known.labels, run.number), device)
            record |= measured(bench, scorer, training.snapshots, m, exam)
            if len(runs) == 1:
                record |= {name: logged(training.history, names) for name, names in LOGGED.items() if name in bench.measures}
        except Exception as error:
            record["error"] = f"{type(error).__name__}: {error}"
        records.append(record)
    return records


def logged(history: list[dict[str, float]], names: tuple[str, ...]) -> list[tuple[float, ...]]:
    """The step and these figures of each line of a log that has them all."""
    return [(line["step"], *(line[name] for name in names)) for line in history if all(name in line for name in names)]


def trained(bench: Bench, runs: list[Run], images: list[torch.Tensor], known: Known, device: torch.device, training: Training) -> list[Any]:
    """The scorers of one stack's runs: fitted, or taught by the teachers that were kept. A teacher of the bench is kept in turn."""
    config, seeds = runs[0].config, [run.seed * 1000 + run.number for run in runs]
    if isinstance(config, scores.Config):
        teacher = kept(runs[0].teacher, bench, known, images[0], training)
        student, _ = scores.distil(teacher, images[0], config, seed=seeds[0], device=device, run=training)
        return [student]
    if isinstance(config, progressive.Config):
        teachers = {}
        for m, run in enumerate(runs):
            try:
                teachers[m] = kept(run.teacher, bench, known, images[m], training)
            except Exception as error:  # those beside it have theirs
                training.failed[m] = error
        return taught(teachers, images, config, seeds, device, training) if teachers else [None] * len(runs)
    method = find_method(runs[0].method)
    if len(runs) > 1:
        scorers = method.fit_many(images, config, seeds=seeds, device=device, run=training)
    else:
        labels = torch.from_numpy(known.labels[known.split(bench, runs[0]).train])
        scorers = [method.fit(images[0], config, labels=labels, seed=seeds[0], device=device, run=training)]
    if bench.keep or any(student.teacher == runs[0].entry.label for student in bench.students):
        for m, (run, scorer) in enumerate(zip(runs, scorers, strict=True)):
            if m not in training.failed:
                write_whole(known.models / run.weights_file(bench, known.title), tensor_bytes(scorer.state(), training.notes))
    return scorers


def taught(
    teachers: dict[int, Any],
    images: list[torch.Tensor],
    config: progressive.Config,
    seeds: list[int],
    device: torch.device,
    training: Training,
) -> list[Any]:
    """The students of a stack, None for a run without a teacher.   Args: teachers: by the run's place in the stack."""
    places, own = list(teachers), Training(snapshot_steps=training.snapshot_steps)
    its = [images[m] for m in places]
    try:
        students, _ = progressive.distil_many(
            list(teachers.values()), its, config, seeds=[seeds[m] for m in places], device=device, run=own
        )
    finally:
        training.failed |= {places[m]: error for m, error in own.failed.items()}
    for step, states in own.snapshots.items():
        state_of = dict(zip(places, states, strict=True))
        training.snapshots[step] = [state_of.get(m, {}) for m in range(len(images))]
    student_of = dict(zip(places, students, strict=True))
    return [student_of.get(m) for m in range(len(images))]


def kept(teacher: Run | None, bench: Bench, known: Known, images: torch.Tensor, training: Training) -> Any:
    """A teacher's scorer, from its file; what was noted of its fit is noted of its student's.

    Raises: InputError when its training failed, so that there is none.
    """
    assert teacher is not None
    path = known.models / teacher.weights_file(bench, known.title)
    if not path.exists():
        raise InputError(f"there is no teacher: {teacher.entry.label} on {teacher.normal} failed")
    with safe_open(path, "pt") as file:
        training.notes |= {f"teacher's {name}": note for name, note in (file.metadata() or {}).items()}
    return restored(teacher, path, *images.shape[1:3])


def restored(run: Run, path: Path, channels: int, size: int) -> Any:
    """The scorer of a run whose weights were kept."""
    return find_method(run.method).Scorer.from_state(run.config, load_tensors(path.read_bytes()), channels, size)


def stamp(bench: Bench, run: Run, known: Known, device: torch.device) -> dict[str, Any]:
    """What every record says of where it comes from."""
    return {
        "key": run.key(bench, known.title),
        "bench": bench.name,
        "label": run.entry.label,
        "data": known.title,
        "protocol": bench.protocol,
        "normal": run.normal,
        "seed": run.seed,
        "method": run.method,
        "config": run.settings(),
        "epoch": "last",
        "size": bench.size,
    } | circumstances(device, bench.threads, known.commit)
