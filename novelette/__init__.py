"""Small networks that know what is new: one-class image novelty detection, and its compression.

    import novelette
    detector = novelette.fit("ede-gan", "good_parts/", size=64)
    print(detector.predict("new_parts/").novel)

Importing this loads neither torch nor numpy: the names below are found when they are first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from novelette.detector import Detector
    from novelette.errors import InputError
    from novelette.fitting import fit
    from novelette.store import load, save

__all__ = ["Detector", "InputError", "fit", "load", "save"]

_HOMES = {"Detector": "detector", "InputError": "errors", "fit": "fitting", "load": "store", "save": "store"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'novelette' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"novelette.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
