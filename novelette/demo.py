"""`make demo`: fit, calibrate and evaluate on scikit-learn's digits, with the commands that a person would type. No download."""

import shlex
import shutil
import sys
from pathlib import Path

from novelette.cli import main

FOLDER = Path("demo")
NORMAL = "3"
COMMANDS = (
    f"fit ede-gan digits --normal {NORMAL} -o {FOLDER}/three.det --widths 2-4-8 --steps 3000",
    f"info {FOLDER}/three.det",
    f"evaluate {FOLDER}/three.det digits --normal {NORMAL} -o {FOLDER}/report",
)


def demo() -> int:
    """Run the commands, each shown before it runs. Returns: the first exit status that is not 0."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    print(f"The digit {NORMAL} is normal, every other digit is novel. The pictures are scikit-learn's, 8 x 8 px.")
    for command in COMMANDS:
        print(f"\n$ novelette {command}", flush=True)
        status = main(shlex.split(command))
        if status:
            return status
    print(f"\nThe report is at {(FOLDER / 'report' / 'index.html').resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(demo())
