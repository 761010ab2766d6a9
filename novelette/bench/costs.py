"""What detectors cost: parameters and operations of an image, counted, and the time of a training step, from the records."""

import statistics
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch

from novelette.accounting import Cost, count
from novelette.bench.cells import Record, cell, markdown, mean, over_classes
from novelette.bench.found import Found
from novelette.bench.sections import Section
from novelette.bench.table import Row
from novelette.distill import progressive, scores
from novelette.methods.ede_gan import Config, Generator, Scorer

COLOUR = {"cifar10", "coil100", "celeba", "lsun"}  # sets whose pictures have three channels; those of the others have one
ABOUT = (
    "Parameters and multiply-adds are those of the network that scores, for one image; the discriminator is not counted. **ms a step** is "
    "the time of training over its steps, of all phases, and over the runs that were stacked; the median over runs."
)
CONFIGS: Mapping[str, type[Config | progressive.Config | scores.Config]] = MappingProxyType(
    {"ede-gan": Config, "p-kdgan": progressive.Config, "scores": scores.Config}
)  # of methods that train a network that is counted


def costs(found: Found) -> Section | None:
    """Parameters, multiply-adds and training time of each network; with students, how many times fewer than their teacher's."""
    rows = [row for row in found.rows if found.of(row.label)[0]["method"] in CONFIGS]
    if not rows:
        return None
    own = {row.label: cost_of(found.of(row.label)[0], found.bench.data) for row in rows}
    teacher = next((student.teacher for student in found.bench.students if student.teacher in own), None)
    columns = [
        ("detector", [row.label for row in rows]),
        ("mean AUROC", [cell(over_classes(row.figures, found.classes)) for row in rows]),
        ("printed", [row.paper.words(found.classes) if row.paper else "" for row in rows]),
    ]
    for words, name, as_printed in (("parameters", "params", "params"), ("multiply-adds", "macs", "operations")):
        numbers = {label: getattr(cost, name) for label, cost in own.items()}
        columns.append((words, [f"{numbers[row.label]:,}" for row in rows]))
        columns.append(("fewer", [f"{numbers[teacher] / numbers[row.label]:.2f} ×" if teacher else "" for row in rows]))
        columns.append(("printed", [_printed(row, as_printed) for row in rows]))
    columns.append(("ms a step", [f"{statistics.median(map(step_ms, found.of(row.label))):.2f}" for row in rows]))
    columns.append(("stacked", [_range([record["stacked"] for record in found.of(row.label)]) for row in rows]))
    shown = [(head, cells) for head, cells in columns if any(cells)]
    text = ABOUT + (f" **Fewer** is how many times less than `{teacher}`." if teacher else "") + _load(found)
    if any(row.paper and row.paper.cost for row in rows):
        text += " What is printed of cost is of the papers' teacher, 64-128-256, and of students beside it."
    return Section("Cost", f"{text}\n\n{markdown([head for head, _ in shown], zip(*(cells for _, cells in shown), strict=True))}")


def cost_of(record: Record, data: str) -> Cost:
    """The cost of the network that a record is of, built anew to be counted.   Args: data: the name of the set."""
    own, size = config_of(record), record["size"]
    if isinstance(own, progressive.Config):
        config = progressive.student_config(Config(**record["config"]["teacher"]), own, size)
    else:
        config = own.student() if isinstance(own, scores.Config) else own
    channels = 3 if data in COLOUR else 1
    net = Scorer(config, Generator(config, channels, size), {}).module()
    return count(net, torch.zeros(1, channels, size, size))


def config_of(record: Record) -> Config | progressive.Config | scores.Config:
    """The configuration of an ede-gan, or of a distillation without its teacher's."""
    settings = {name: value for name, value in record["config"].items() if name != "teacher"}
    return CONFIGS[record["method"]](**settings)


def steps_of(record: Record) -> int:
    """Steps of training, of all phases."""
    config = config_of(record)
    phases = len(config.structures()) if isinstance(config, progressive.Config) else 1
    return config.steps_for(record["split"]["train"]) * phases


def step_ms(record: Record) -> float:
    """Milliseconds a step and run."""
    return 1000 * float(record["fit_seconds"]) / max(1, steps_of(record))


def _printed(row: Row, name: str) -> str:
    """`5.12 million` of a teacher, `6.22 ×` of a student."""
    cost = row.paper.cost if row.paper else {}
    if name in cost:
        return f"{cost[name] / 1e6:g} million"
    return f"{cost[f'{name}_ratio']:.2f} ×" if f"{name}_ratio" in cost else ""


def _range(values: Sequence[int]) -> str:
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _load(found: Found) -> str:
    """How busy the machine was: a step takes longer beside others."""
    loads = [float(record["load"]) for record in found.good if record.get("load") is not None]
    if not loads:
        return ""
    threads = _range([record["threads"] for record in found.good])
    return (
        f" Threads of a run: {threads}; load of the machine: {min(loads):.1f} to {max(loads):.1f}, {mean(loads):.1f} in the mean; where "
        "that is above its cores, times are too long."
    )
