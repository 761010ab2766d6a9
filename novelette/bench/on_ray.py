"""The fan-out of a bench on Ray, on this machine or on a cluster's.

A machine of a cluster sees none of this machine's files: teachers' weights travel with the runs that need them, and come back with those
that made them. Records are written here alone. Ray is the extra cluster.
"""

import logging
import os
import re
import secrets
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
from numpy.typing import NDArray

from novelette.bench.fanout import Call, Ended
from novelette.bench.runs import Bench, Run
from novelette.errors import InputError
from novelette.files import reason, write_whole

if TYPE_CHECKING:
    from novelette.bench.engine import Known

ANSWER_S, JOIN_S = 4, 10  # how long a cluster may take to answer at all, and to let a program join
JOIN = "import sys, ray; ray.init(sys.argv[1], log_to_driver=False)"


def fan_out_on_ray(
    call: Call,
    waves: Iterable[list[list[Run]]],
    bench: Bench,
    pixels: NDArray[np.uint8],
    known: "Known",
    device: str,
    jobs: int,
    address: str | None,
) -> Iterator[Ended]:
    """See `novelette.bench.fanout.fan_out`. The pictures go to each machine once; a run goes where a core for each thread is free."""
    if not any(waves := list(waves)):
        return
    with joined(address, jobs * bench.threads):
        shared = ray.put(pixels), ray.put(known)
        task = ray.remote(away).options(num_cpus=cores_of(bench), num_gpus=gpus_of(device, jobs))
        for wave in waves:
            waiting, running = deque(wave), list[Any]()
            while waiting or running:
                while waiting and len(running) < jobs:
                    runs = waiting.popleft()
                    running.append(task.remote(call, weights_for(runs, bench, known), bench, runs, *shared, device))
                (ended,), running = ray.wait(running)
                records, weights = result_of(ended)
                for name, content in weights.items():
                    write_whole(known.models / name, content)
                yield records


def away(
    call: Call, teachers: dict[str, bytes], bench: Bench, runs: list[Run], pixels: NDArray[np.uint8], known: "Known", device: str
) -> tuple[Ended, dict[str, bytes]]:
    """`call` on a machine that has no results folder.

    Args: teachers: the files of `known.models` that the runs need, by name.
    Returns: the records, and the files that the runs made there.
    """
    with TemporaryDirectory(prefix="novelette-") as models:
        for name, content in teachers.items():
            Path(models, name).write_bytes(content)
        records = call(bench, runs, pixels, replace(known, models=Path(models)), device)
        return records, {path.name: path.read_bytes() for path in Path(models).iterdir() if path.name not in teachers}


def weights_for(runs: list[Run], bench: Bench, known: "Known") -> dict[str, bytes]:
    """The weights of the runs' teachers, by file name; a teacher that failed has none."""
    paths = {known.models / run.teacher.weights_file(bench, known.title) for run in runs if run.teacher is not None}
    return {path.name: path.read_bytes() for path in paths if path.exists()}


def result_of(ended: Any) -> tuple[Ended, dict[str, bytes]]:
    """What a task gave. Raises: InputError of the task, or for a task that a machine could not carry out."""
    try:
        return ray.get(ended)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, InputError):
            raise cause from error
        raise InputError(f"a machine of the cluster could not carry out a run: {last_line(str(error))}") from error


@contextmanager
def joined(address: str | None, cores: int) -> Iterator[None]:
    """A cluster, or Ray on this machine with so many cores. What Ray has to say of a lost machine goes to standard error.

    Raises: InputError when Ray does not start.
    """
    own: dict[str, Any] = {} if address else {"num_cpus": cores, "include_dashboard": False}
    if address is None:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # Ray would keep one in the home folder
    with redirect_stdout(sys.stderr):
        try:
            ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
        except Exception as error:  # Ray raises plain ones, too
            ray.shutdown()
            raise InputError(f"Ray does not start: {last_line(str(error))}") from error
        try:
            yield
        finally:
            ray.shutdown()


def cores_of(bench: Bench) -> int:
    """The cores of one run. Raises: InputError when no machine has as many, since Ray would wait for one."""
    most = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
    if bench.threads > most:
        raise InputError(f"threads = {bench.threads} is too many: the largest machine of the cluster has {most} cores")
    return bench.threads


def gpus_of(device: str, jobs: int) -> float:
    """Each run's part of a GPU, so that all of them serve `jobs` runs at a time. Ray hides them from a run that asks for none."""
    there = ray.cluster_resources().get("GPU", 0) if device in ("auto", "cuda") else 0
    return min(1.0, int(there / jobs * 10_000) / 10_000)  # Ray counts in ten-thousandths


def check_cluster(address: str) -> None:
    """Join a cluster for a moment. Raises: InputError when that fails, in 15 s at most."""
    host, _, port = address.rpartition(":")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise InputError(f"--address {address} is not HOST:PORT, such as 10.0.0.5:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
    except OSError as error:
        raise InputError(f"--address {address}: no Ray cluster answers there ({reason(error)})") from error
    try:  # in a process of its own: Ray tries for minutes, and when it gives up it ends the process
        joined = subprocess.run([sys.executable, "-c", JOIN, address], capture_output=True, timeout=JOIN_S, check=False)
        failed, said = joined.returncode != 0, joined.stderr
    except subprocess.TimeoutExpired as error:
        failed, said = True, error.stderr or b""
    if failed:
        raise InputError(f"--address {address}: the Ray cluster cannot be joined ({last_line(said.decode(errors='replace'))})")


def last_line(text: str) -> str:
    """The last line of what Ray said, without the time and place of a log line."""
    lines = [line for line in text.splitlines() if line.strip()]
    return re.sub(r"^\[.*?\]\s*(\S+:\d+: )?", "", lines[-1]).strip().rstrip(".") if lines else "it does not answer"
