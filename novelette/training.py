"""What training loops need besides batches: a step of descent, seeds, checkpoints, the log and the progress bar. No Trainer, no hooks.

A loop is resumable bit for bit because nothing random lives between steps: the order of the images is a function of (seed, epoch), and
`Run.steps` seeds torch from (seed, step) before each step. A checkpoint is then the weights, the optimizers' moments and the step.
"""

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from novelette import checkpoint, snapshots
from novelette.checkpoint import HasState
from novelette.errors import InputError
from novelette.progress import progress
from novelette.snapshots import States

THREADS_PAY_FROM = 10_000_000  # weights x images a step; measured on two cores: 32-64-128 at batch 8 gains 1.3 times
Precision = Literal["float32", "bfloat16"]
LOG_EVERY = 50  # steps: reading a loss waits for the device


class Diverged(InputError):
    """Training left the rails: the message says at which step and what to try."""


class Interrupted(KeyboardInterrupt):
    """A person stopped the run; where it has a folder, the checkpoint there is at `step`."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step

    def __str__(self) -> str:
        return f"stopped at step {self.step:,}"


class Kept(Protocol):
    """What a snapshot is of: a scorer."""

    def state(self) -> dict[str, Tensor]: ...


@runtime_checkable
class HasSteps(Protocol):
    """A configuration whose training is a number of steps."""

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""


@dataclass
class Run:
    """One training run: where its log and checkpoints go, how it shows progress, which steps to keep a snapshot of.

    Attributes:
        folder: for `log.jsonl` and `checkpoint.pt`; None keeps nothing on disk.
        settings: what must be the same for a checkpoint to be taken up again.
        snapshot_steps: after how many steps to keep a copy of the models' states in `snapshots`, which a resumed run takes up again.
        history: every logged line.
        failed: of models stacked into one program, which diverged, and how.
        notes: what detector.json and records say of the fit beside its settings, such as whose weights a pretrained network has.
        also: what a checkpoint holds besides a method's own parts, by name.
    """

    folder: Path | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    resume: bool = False
    bar: bool = False
    checkpoint_every_s: float = 30.0
    snapshot_steps: frozenset[int] = frozenset()
    snapshots: dict[int, States] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    failed: dict[int, Exception] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    also: dict[str, HasState] = field(default_factory=dict)
    _losses: str = ""
    _last: int = -1

    def begin(self, **settings: Any) -> None:
        """State what must be the same for a checkpoint to be taken up again.

        Raises: InputError, before any step, where the run to be resumed had others: what has no steps would never look.
        """
        self.settings |= settings
        if self.folder and self.resume:
            checkpoint.check(self.folder, settings)

    def steps(
        self,
        total: int,
        parts: Mapping[str, HasState],
        *,
        seed: int,
        images: int = 1,
        scorers: Callable[[], Sequence[Kept]] | None = None,
    ) -> Iterator[int]:
        """Count from 0, or from the checkpoint, to `total`; between steps save, show, and stop when Ctrl-C asked for it.

        Args:
            parts: modules and optimizers, for the checkpoint.   images: how many a step uses.
            scorers: of the models as they are, with copies of their weights; what is kept after each of `snapshot_steps`.
        Raises: Interrupted after a signal, with the checkpoint written. InputError when a checkpoint is of another run.
        """
        start, self._last = self._restore(parts), total - 1
        saved_at = time.monotonic()
        began = time.monotonic()
        with (
            progress("fit", total, start=start, shown=self.bar) as show,
            _interrupts() as stop,
            _threads(parts, images),
            _flushed(),
            torch.random.fork_rng(range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()),
        ):
            for step in range(start, total):
                if stop.is_set():
                    self._save(step, parts)
                    raise Interrupted(step)
                if time.monotonic() - saved_at > self.checkpoint_every_s:
                    self._save(step, parts)
                    saved_at = time.monotonic()
                torch.manual_seed(_mix(seed, step))
                yield step
                if scorers and step + 1 in self.snapshot_steps:
                    self.keep(step + 1, [scorer.state() for scorer in scorers()])
                speed = (step + 1 - start) * images / (time.monotonic() - began)
                show(step + 1, f"{self._losses}  {speed:,.0f} images/s")
            self._save(total, parts)
            if stop.is_set():
                raise Interrupted(total)

    def keep(self, step: int, states: States) -> None:
        """Keep the models' states as they are after `step` steps: in `snapshots`, and in the folder, where there is one."""
        self.snapshots[step] = states
        if self.folder:
            with checkpoint.told(self.folder):
                snapshots.write(self.folder, step, states)

    def wants_log(self, step: int) -> bool:
        """Whether `log` should be called after this step: every LOG_EVERY steps (reading a loss waits for the device) and the last."""
        return step % LOG_EVERY == LOG_EVERY - 1 or step == self._last

    def log(self, step: int, **values: Tensor | float) -> None:
        """Write one line of the log. Tensors are averaged.

        Raises: Diverged when a value is not finite.
        """
        line = {"step": step + 1} | {name: round(float(torch.as_tensor(v).detach().float().mean()), 6) for name, v in values.items()}
        for name, value in line.items():
            if not math.isfinite(value):
                raise Diverged(f"training diverged at step {step + 1:,}: {name} is {value}; try a lower --learning-rate or another --seed")
        self._losses = "  ".join(f"{name} {value:.4f}" for name, value in line.items() if name != "step")
        self.history.append(line)
        if self.folder:
            with checkpoint.told(self.folder), (self.folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")

    def _save(self, step: int, parts: Mapping[str, HasState]) -> None:
        if self.folder:
            checkpoint.write(self.folder, step, self.settings, {**parts, **self.also})

    def _restore(self, parts: Mapping[str, HasState]) -> int:
        """Load the checkpoint if this run resumes one. Returns: the step to go on with."""
        if self.folder is None:
            return 0
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / checkpoint.NAME
        if not (self.resume and path.exists()):
            path.unlink(missing_ok=True)  # of the run before: --resume must never take up another's
            (self.folder / "log.jsonl").write_text("")
            snapshots.read(self.folder, upto=0)
            return 0
        step = checkpoint.read(self.folder, self.settings, {**parts, **self.also})
        self._cut_log(step)
        self.snapshots = snapshots.read(self.folder, upto=step)
        return step

    def _cut_log(self, step: int) -> None:
        """Drop the lines that a killed run logged after its last checkpoint, and the half line that it was killed in."""
        assert self.folder is not None
        path = self.folder / "log.jsonl"
        whole = [line for line in path.read_text().splitlines() if line.endswith("}")] if path.exists() else []
        lines = [json.loads(line) for line in whole]
        self.history = [line for line in lines if line["step"] <= step]
        path.write_text("".join(json.dumps(line) + "\n" for line in self.history))


def precise(net: Callable[..., Tensor], *inputs: Tensor, precision: Precision) -> Tensor:
    """net(*inputs). In bfloat16 it multiplies in sixteen bits, forwards and back; weights and what comes out are float32."""
    short = precision == "bfloat16"
    with torch.autocast(inputs[0].device.type, torch.bfloat16, enabled=short):
        out = net(*inputs)
    return out.float() if short else out


def descend(optimizer: Optimizer, loss: Tensor, longest: float = 0.0) -> None:
    """One step of `optimizer` down the gradient of `loss`, a scalar. Only the optimizer's own parameters receive gradients.

    Args: longest: a gradient whose norm, over all parameters together, is larger is scaled down to it; 0: none is.
    """
    optimizer.zero_grad(set_to_none=True)
    own = [p for group in optimizer.param_groups for p in group["params"]]
    loss.backward(inputs=own)
    if longest:
        nn.utils.clip_grad_norm_(own, longest)
    optimizer.step()


def set_learning_rate(optimizer: Optimizer, peak: float, schedule: str, step: int, total: int) -> None:
    """Learning rate of `step`: `constant`, or `cosine` from `peak` to 0 over `total` steps."""
    factor = (1 + math.cos(math.pi * step / total)) / 2 if schedule == "cosine" else 1.0
    for group in optimizer.param_groups:
        group["lr"] = peak * factor


def generators(seeds: Sequence[int], *salt: int) -> list[torch.Generator]:
    """A CPU generator per seed, each a function of (seed, *salt) alone."""
    return [torch.Generator().manual_seed(_mix(seed, *salt)) for seed in seeds]


def _mix(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def pick_device(name: str) -> torch.device:
    """`auto` takes CUDA, then Apple's MPS, then the CPU. Raises: InputError when the named device is not there.

    On CUDA convolutions are in float32 then, not in TF32: a threshold is calibrated where a detector is fitted, and holds elsewhere.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = "cuda" if present["cuda"] else "mps" if present["mps"] else "cpu"
    if not present.get(name, False):
        raise InputError(f"--device {name}: there is no such device here; use --device cpu or auto")
    if name == "cuda":
        torch.backends.cudnn.allow_tf32 = False
    return torch.device(name)


@contextmanager
def _threads(parts: Mapping[str, HasState], images: int) -> Iterator[None]:
    """One thread while a step is small: on a busy machine two threads that wait for each other are many times slower than one."""
    before = torch.get_num_threads()
    weights = sum(p.numel() for part in parts.values() if isinstance(part, nn.Module) for p in part.parameters())
    torch.set_num_threads(1 if weights * images < THREADS_PAY_FROM else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _flushed() -> Iterator[None]:
    """Numbers below 1e-38 are 0: processors take many times as long for them, and Adam's means of gradients that ended come down there."""
    before = bool(torch.tensor(1e-40) * 1 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, so that a run stops between two steps and never within one."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
