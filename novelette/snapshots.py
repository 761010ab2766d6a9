"""States of models while they train, kept on disk beside the checkpoint, so that a curve survives an interruption."""

from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from novelette.files import write_whole

States = list[dict[str, Tensor]]  # of each stacked model: its scorer's state
FOLDER = "snapshots"


def write(folder: Path, step: int, states: States) -> None:
    """Write one snapshot, a file named after its step, whole or not at all."""
    tensors = {f"{m}.{name}": tensor for m, state in enumerate(states) for name, tensor in state.items()}
    write_whole(folder / FOLDER / f"{step}.safetensors", save(tensors))


def read(folder: Path, upto: int) -> dict[int, States]:
    """Snapshots of the steps up to `upto`, by step. Those of later steps, which the run will come to again, are removed."""
    found: dict[int, States] = {}
    for path in sorted((folder / FOLDER).glob("*.safetensors"), key=lambda path: int(path.stem)):
        if int(path.stem) > upto:
            path.unlink()
        else:
            found[int(path.stem)] = _unstacked(load(path.read_bytes()))
    return found


def _unstacked(tensors: dict[str, Tensor]) -> States:
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        m, _, own = name.partition(".")
        states.setdefault(int(m), {})[own] = tensor
    return [states[m] for m in sorted(states)]
