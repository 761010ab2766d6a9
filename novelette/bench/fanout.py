"""Where the runs of a bench are carried out: on processes of this machine (joblib), or on a Ray cluster (novelette.bench.on_ray)."""

import importlib.util
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import joblib
import numpy as np
from joblib.externals.loky.process_executor import TerminatedWorkerError
from numpy.typing import NDArray

from novelette.errors import InputError
from novelette.words import install_words

if TYPE_CHECKING:
    from novelette.bench.engine import Known

EngineName = Literal["joblib", "ray"]
Ended = list[dict[str, Any]]  # the records of one stack
Call = Callable[[Any, list[Any], NDArray[np.uint8], "Known", str], Ended]  # bench and runs are of detectors or of classifiers


def check_engine(engine: EngineName, address: str | None) -> None:
    """See to it that an engine can begin.

    Args: address: HOST:PORT of a Ray cluster, or None.
    Raises: InputError for an engine that is unknown or not installed, and within 15 s for a cluster that cannot be joined.
    """
    if engine not in ("joblib", "ray"):
        raise InputError(f"there is no engine {engine!r}: choose joblib or ray")
    if engine == "joblib" and address is not None:
        raise InputError(f"--address {address} is for a Ray cluster: give --engine ray with it")
    if engine == "ray":
        if importlib.util.find_spec("ray") is None:
            raise InputError(f"--engine ray needs Ray: {install_words('cluster')}")
        if address is not None:
            from novelette.bench.on_ray import check_cluster

            check_cluster(address)


def fan_out(
    call: Call,
    waves: Iterable[list[list[Any]]],
    bench: Any,
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
    Raises: InputError when a process was killed, or when a machine of the cluster cannot carry out a run.
    """
    if engine == "ray":
        from novelette.bench.on_ray import fan_out_on_ray

        yield from fan_out_on_ray(call, waves, bench, pixels, known, device, jobs, address)
        return
    for wave in waves:
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
        tasks = (joblib.delayed(call)(bench, runs, pixels, known, device) for runs in wave)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # joblib's note on memory-mapped, read-only arrays
                with ctrl_c_held():
                    ended = parallel(tasks)  # starts the processes
                yield from ended
        except TerminatedWorkerError as error:
            raise InputError("a process of the bench was killed, as happens when memory runs out: give fewer --jobs") from error


@contextmanager
def ctrl_c_held() -> Iterator[None]:
    """Ctrl-C waits, and processes that are started here never hear it: a terminal sends it to all, but only this one has to stop them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
