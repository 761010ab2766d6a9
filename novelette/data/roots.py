"""The folders in which data sets, weights and photographs are looked for."""

import os
from collections.abc import Sequence
from pathlib import Path

from novelette.data.download import cache_folder
from novelette.errors import InputError
from novelette.files import expanded

DATA_VARIABLE = "NOVELETTE_DATA"


def search_order(given: Sequence[Path | str]) -> list[Path]:
    """Folders in which sets are looked for, in order: those given, those of NOVELETTE_DATA (parted as in PATH), the user's cache.

    Raises: InputError if a given one is not a folder.
    """
    roots = [expanded(root) for root in given]
    for root in roots:
        if not root.is_dir():
            raise InputError(f"the data root {root} is not a folder: check --data-root")
    roots += [expanded(root) for root in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if root.strip()]
    return list(dict.fromkeys([*roots, cache_folder()]))
