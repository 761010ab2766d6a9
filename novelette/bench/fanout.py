"""Where the runs of a bench are carried out: on processes of this machine (joblib), or on the machines of a Ray cluster.

Both take stacks of runs, wave by wave, and give the records of a stack as it ends. Ray is an extra: novelette[cluster].
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import joblib
import numpy as np
from joblib.externals.loky.process_executor import TerminatedWorkerError
from numpy.typing import NDArray

from novelette.bench.runs import Bench, Run
from novelette.errors import InputError

if TYPE_CHECKING:
    from novelette.bench.engine import Known

EngineName = Literal["joblib", "ray"]
Ended = list[dict[str, Any]]  # the records of one stack
Call = Callable[[Bench, list[Run], NDArray[np.uint8], "Known", str], Ended]


def check_engine(engine: EngineName, address: str | None) -> None:
    """Refuse, before any work, an engine that cannot begin. Raises: InputError."""
    if engine != "ray":
        if address is not None:
            raise InputError(f"--address {address} is of a Ray cluster: give --engine ray with it")
        return


def fan_out(
    call: Call,
    waves: Iterable[list[list[Run]]],
    bench: Bench,
    pixels: NDArray[np.uint8],
    known: "Known",
    device: str,
    *,
    engine: EngineName = "joblib",
    jobs: int = 1,
    address: str | None = None,
) -> Iterator[Ended]:
    """`call(bench, runs, pixels, known, device)` of every stack of runs, up to `jobs` at a time; the records of each as it ends.

    Args:
        waves: stacks; a wave begins when the one before has ended.
        pixels: every picture of the set, uint8 (N, C, S, S).
        address: HOST:PORT of a Ray cluster; without one, Ray runs on this machine.
    Raises: InputError when a process was killed.
    """
    for wave in waves:
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
        tasks = (joblib.delayed(call)(bench, runs, pixels, known, device) for runs in wave)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # joblib's note on memory-mapped, read-only arrays
                yield from parallel(tasks)
        except TerminatedWorkerError as error:
            raise InputError("a process of the bench was killed, as happens when memory runs out: give fewer --jobs") from error
