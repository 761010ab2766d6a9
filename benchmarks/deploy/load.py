"""`novelette serve` under load: a second process, wrk, sends one picture a request over 64 connections; a JSON line of results.

    python benchmarks/deploy/load.py [--seconds 60] [--connections 64] [--bundle BUNDLE] [--picture FILE] [--results results]

Run it on an idle machine that has wrk (https://github.com/wg/wrk; Debian's package is wrk). Without --bundle a fresh student 2-4-8 is
served, whose speed is that of any; without --picture a grey PNG of 28 x 28 is sent. Every connection waits for its answer before it asks
again, and latency is that of every request. Memory is what the server's process holds, once a second.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from novelette.bench.stamps import append, commit, stamp

WARM_UP = 3  # seconds that are not counted
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "image/png"
local file = io.open("PICTURE", "rb")
wrk.body = file:read("*all")
file:close()
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{"requests": %d, "microseconds": %d, "p50": %f, "p99": %f, "max": %f, "errors": %d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99), latency.max, e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def made_bundle(folder: Path) -> Path:
    """A student 2-4-8 trained for one step and calibrated on a thousand pictures."""
    import torch
    from speed import NETWORKS, detector_of

    from novelette.export import export_detector

    torch.set_num_threads(1)
    pixels = np.random.default_rng(0).integers(0, 256, (1100, 1, 1, 32, 32), dtype=np.uint8)
    export_detector(detector_of(NETWORKS["student 2-4-8"], pixels), folder / "a.bundle")
    return folder / "a.bundle"


def made_picture() -> bytes:
    """A grey PNG of 28 x 28, soft and a little noisy."""
    y, x = np.mgrid[:28, :28] / 5
    grey = 128 + 60 * np.sin(x) * np.cos(y) + np.random.default_rng(0).normal(0, 6, (28, 28))
    file = io.BytesIO()
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


@contextmanager
def serving(bundle: Path, *options: str) -> Iterator[tuple[int, str]]:
    """`novelette serve` in a process of its own, stopped politely at the end.   Returns: its number and its address."""
    command = [sys.executable, "-m", "novelette.cli", "serve", str(bundle), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://[\d.:]+", process.stdout.readline())
        if found is None:
            raise SystemExit("the server did not start")
        try:
            yield process.pid, found[0]
        finally:
            process.terminate()
        if process.wait() != 0:
            raise SystemExit(f"the server ended with status {process.returncode}")


def held_mib(process: int) -> float:
    """Memory that a process holds now, MiB, of Linux."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s*(\d+)", status)[1]) / 1024  # type: ignore[index]


def worked_s(process: int) -> float:
    """Seconds that a process has worked, of Linux."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def watched(process: int) -> Iterator[list[float]]:
    """The memory of a process, once a second, while the block runs."""
    found, over = [held_mib(process)], threading.Event()

    def watch() -> None:
        while not over.wait(1):
            found.append(held_mib(process))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
        found.append(held_mib(process))


def sent(address: str, script: Path, connections: int, seconds: float) -> dict[str, Any]:
    """What wrk found."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "10s", "-s", str(script), f"{address}/v1/score"]
    try:
        ended = subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise SystemExit("wrk is not on this machine: install it, on Debian with apt install wrk") from error
    return dict(json.loads(ended.stdout.strip().splitlines()[-1]))


def record_of(**more: Any) -> dict[str, Any]:
    """The head of a record: when, of which commit, on what."""
    return stamp(commit()) | {name: version(name) for name in ("onnxruntime", "uvicorn", "fastapi")} | more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1, help="of the server")
    parser.add_argument("--bundle", type=Path, help="to serve")
    parser.add_argument("--picture", type=Path, help="to send")
    parser.add_argument("--results", type=Path, default=Path("results"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record = record_of(tool="wrk", connections=args.connections, threads=args.threads)
        bundle = args.bundle or made_bundle(Path(folder))
        picture, script = Path(folder) / "picture", Path(folder) / "load.lua"
        picture.write_bytes(args.picture.read_bytes() if args.picture else made_picture())
        script.write_text(SCRIPT.replace("PICTURE", str(picture)))
        with serving(bundle, "--threads", str(args.threads)) as (process, address):
            sent(address, script, args.connections, WARM_UP)
            worked, began = worked_s(process), time.perf_counter()
            with watched(process) as held:
                found = sent(address, script, args.connections, args.seconds)
            worked, taken = worked_s(process) - worked, time.perf_counter() - began
    record |= {"picture_bytes": len(args.picture.read_bytes() if args.picture else made_picture()), "seconds": found["microseconds"] / 1e6}
    record |= {
        "requests": found["requests"],
        "errors": found["errors"],
        "requests/s": round(1e6 * found["requests"] / found["microseconds"]),
    }
    record |= {f"{name} ms": round(found[name] / 1000, 2) for name in ("p50", "p99", "max")}
    record |= {"server cores": round(worked / taken, 2), "server us/request": round(1e6 * worked / max(1, found["requests"]))}
    middle = held[len(held) // 2]
    record |= {name: round(value, 1) for name, value in (("MiB start", held[0]), ("MiB middle", middle), ("MiB end", held[-1]))}
    append(args.results / "deploy-load.jsonl", [record])
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
