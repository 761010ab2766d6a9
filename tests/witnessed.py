"""`novelette bench`, with a line in a log as each run begins, of its process and its key; for the tests that kill it.

python -m witnessed LOG bench FILE ...
"""

import os
import sys

from novelette.bench import engine
from novelette.cli import main

run_stack = engine.run_stack


def witnessed_stack(bench, runs, pixels, known, device):
    """As `engine.run_stack`. The log's name is in the environment, which processes inherit."""
    with open(os.environ["WITNESS_LOG"], "a") as log:
        log.writelines(f"{os.getpid()} {run.key(bench, known.title)}\n" for run in runs)
    return run_stack(bench, runs, pixels, known, device)


if __name__ == "__main__":
    import witnessed  # so that other processes find the function by the module's name

    os.environ["WITNESS_LOG"] = sys.argv[1]
    engine.run_stack = witnessed.witnessed_stack
    sys.exit(main(sys.argv[2:]))
