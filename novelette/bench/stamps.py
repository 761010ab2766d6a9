"""What a record says of where it comes from, and how it is added to its file."""

import errno
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def commit() -> str | None:
    """The commit of the checkout that this program runs from, with + where the program differs from it; None outside one.

    A long measurement asks when it begins: the checkout may have moved on when it ends.
    """
    package = Path(__file__).parents[1]
    try:
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=package, capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "."], cwd=package, capture_output=True, check=False)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.returncode else "")


def versions() -> dict[str, str]:
    """Of the software that figures depend on."""
    return {name: version(name) for name in ("novelette", "torch", "numpy")} | {"python": platform.python_version()}


def circumstances(device: torch.device, threads: int, commit: str | None) -> dict[str, Any]:
    """Where, when and by what program a run of a bench was carried out."""
    on = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    return {
        "device": on,
        "threads": threads,
        "load": round(os.getloadavg()[0], 1),
        "commit": commit,
        "versions": versions(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def stamp(commit: str | None) -> dict[str, Any]:
    """The same of a measurement that is no run of a bench, asked when it begins: how it is carried out, its script says."""
    created, load = datetime.now(UTC).isoformat(timespec="seconds"), round(os.getloadavg()[0], 1)
    return {"created": created, "commit": commit, "cores": os.cpu_count(), "load": load, "torch": torch.__version__}


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a file of JSON lines, none where there is no file; half a line at its end counts for nothing."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n") or _whole(line)]


def append(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Add records to a file of JSON lines with one write; half a line at its end, which a killed process leaves, gives way.

    Raises: OSError naming the file; it is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    with path.open("a+b", buffering=0) as file:
        file.seek(0)
        content = file.read()
        end = content.rfind(b"\n") + 1
        if _whole(content[end:]):  # a hand left out the last line's end
            end, text = len(content), b"\n" + text
        elif end < len(content):
            file.truncate(end)
        try:
            if file.write(text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError as error:
            file.truncate(end)
            raise OSError(error.errno, error.strerror, str(path)) from error


def _whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
