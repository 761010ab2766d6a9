"""From a detector that stands on a pretrained network to a file to ship: sizes and AUROC of teacher, student, bundle and int8 bundle.

    python benchmarks/shipped_student.py [--teacher feature-knn] [--data cifar10] [--normal automobile] [--steps 2500]
        [--results results] [--work DIR]

The commands of a person: fit, distill, export, export --int8, and evaluate of each of the four on the test pictures. One JSON line goes to
results/shipped-student.jsonl. With --work the detectors and bundles stay in that folder.
"""

import argparse
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from novelette.bench.stamps import append, circumstances, commit
from novelette.cli import main as novelette


def said(*words: Any) -> str:
    """What a command prints. Raises: SystemExit when it fails."""
    out = io.StringIO()
    with redirect_stdout(out):
        status = novelette([str(word) for word in words])
    if status:
        raise SystemExit(status)
    return out.getvalue()


def size(path: Path) -> int:
    """Bytes of a file, or of a folder's."""
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def shipped(given: argparse.Namespace, work: Path) -> dict[str, dict[str, float]]:
    """Bytes and AUROC, by what is measured."""
    source = [given.data, "--normal", given.normal]
    teacher, student, bundle, int8 = (work / name for name in ("teacher.det", "student.det", "student.bundle", "student-int8.bundle"))
    said("fit", given.teacher, *source, "-o", teacher, "--device", "cpu")
    said("distill", teacher, *source, "-o", student, "--steps", given.steps, "--device", "cpu")
    said("export", student, "-o", bundle)
    said("export", student, "-o", int8, "--int8", "--labelled", given.data, "--most-auroc-loss", 1)
    return {
        path.name: {"bytes": size(path), "auroc": round(json.loads(said("evaluate", path, *source, "--json"))["auroc"], 4)}
        for path in (teacher, student, bundle, int8)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", default="feature-knn")
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--normal", default="automobile")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    record: dict[str, Any] = {name: getattr(given, name) for name in ("teacher", "data", "normal", "steps")}
    record |= circumstances(torch.device("cpu"), 1, commit())
    with TemporaryDirectory() as folder:
        record["found"] = shipped(given, given.work or Path(folder))
    append(given.results / "shipped-student.jsonl", [record])
    print(json.dumps(record["found"], indent=1))


if __name__ == "__main__":
    main()
