"""Taggers on disk: a folder with `tagger.json` and `weights.safetensors`. Loading runs no code from the files."""

from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from novelette.cards import TAGGER, check_method, read_card
from novelette.errors import InputError
from novelette.files import check_folder
from novelette.store import BESIDE, WEIGHTS, read_weights, write_folder
from novelette.tags import METHODS
from novelette.tags.features import Look
from novelette.tags.tagger import Tagger

SCHEMA = 1
CARD = TAGGER


def save(tagger: Tagger, path: Path, *, force: bool = False, log: Path | None = None) -> None:
    """Write a tagger as the folder `path`, whole or not at all, with the training log where there is one.

    Raises: InputError when it cannot, or must not, be written.
    """
    check_output(path, force=force)
    state = {f"scorer.{name}": tensor for name, tensor in tagger.scorer.state_dict().items()}
    state |= {f"seeing.{name}": tensor for name, tensor in tagger.seeing.state_dict().items()}
    state["trained_on"] = torch.from_numpy(tagger.trained_on.view(np.int64).copy())
    card = {
        "schema": SCHEMA,
        "method": tagger.method,
        "config": tagger.config.model_dump(mode="json"),
        "look": tagger.look.model_dump(mode="json"),
        "vocabulary": list(tagger.vocabulary),
        "seed": tagger.seed,
        "provenance": tagger.provenance,
    }
    write_folder(path, CARD, card, {name: tensor.contiguous() for name, tensor in state.items()}, log)


def load(path: Path) -> Tagger:
    """Read a tagger.   Raises: InputError when it is missing, damaged, foreign, or of a newer schema."""
    card = read_card(path, CARD, "a tagger", SCHEMA)
    check_method(path, card, METHODS)
    weights = read_weights(path, CARD, card)
    try:
        state, method = load_tensors(weights), METHODS[card["method"]]
        config, look, vocabulary = method.Config(**card["config"]), Look(**card["look"]), tuple(map(str, card["vocabulary"]))
        trained_on = state.pop("trained_on").numpy().view(np.uint64)
        seeing = look.empty()
        seeing.load_state_dict(_below(state, "seeing."))
        scorer = method.Scorer(config, _below(state, "scorer.")).eval()
        if scorer.scores(torch.zeros(1, seeing.net.mean.shape[1])).shape != (1, len(vocabulary)):
            raise ValueError("scores for another number of tags")
        seed, provenance = int(card["seed"]), dict(card["provenance"])
        return Tagger(card["method"], config, look, vocabulary, scorer, seeing.eval(), trained_on, seed, provenance)
    except (KeyError, TypeError, ValueError, OverflowError, ValidationError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{path} is damaged, since {CARD} and {WEIGHTS} do not match ({type(error).__name__}): restore a copy, or make it again"
        ) from error


def _below(state: dict[str, torch.Tensor], beginning: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(beginning): tensor for name, tensor in state.items() if name.startswith(beginning)}


def check_output(path: Path, *, force: bool) -> None:
    """Refuse, before any work, an output that cannot be written.   Raises: InputError."""
    check_folder(path, CARD, "a tagger", BESIDE, force=force)
