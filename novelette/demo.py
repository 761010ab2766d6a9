"""`make demo`: fit, distil, calibrate and evaluate on scikit-learn's digits, with the commands that a person would type. No download."""

import shlex
import shutil
import sys
from pathlib import Path

from novelette.cli import main
from novelette.saying import say

FOLDER = Path("demo")
MARK = FOLDER / ".made-by-novelette-demo"  # the demo before this one may be replaced, and nothing else of that name
NORMAL = "3"
COMMANDS = (
    f"fit ede-gan digits --normal {NORMAL} -o {FOLDER}/teacher.det --widths 16 --steps 800",
    f"distill {FOLDER}/teacher.det digits --normal {NORMAL} -o {FOLDER}/student.det --widths 2 --steps 500",
    f"evaluate {FOLDER}/teacher.det digits --normal {NORMAL}",
    f"evaluate {FOLDER}/student.det digits --normal {NORMAL} -o {FOLDER}/report",
    f"info {FOLDER}/student.det",
)


def demo() -> int:
    """Run the commands, each shown before it runs. Returns: the first exit status that is not 0."""
    if FOLDER.exists() and not MARK.exists():
        say(f"the demo would replace {FOLDER.resolve()}, which no earlier demo made: move it away, or run the demo elsewhere")
        return 2
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(exist_ok=True)
    MARK.touch()
    print(f"The digit {NORMAL} is normal, every other digit is novel. The pictures are scikit-learn's, 8 x 8 px.")
    for command in COMMANDS:
        print(f"\n$ novelette {command}", flush=True)
        status = main(shlex.split(command))
        if status:
            return status
    print(f"\nThe student's report is at {(FOLDER / 'report' / 'index.html').resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(demo())
