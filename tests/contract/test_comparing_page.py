"""What docs/comparing.md says of every method."""

import functools
from types import SimpleNamespace

import numpy as np
import pytest
from contract.fitted_methods import CPU, LENGTHS, PAGES, WITHOUT_GRAPH, StopsBefore, begun, brief, discs, every_method, fitted, mixed

from novelette.data.images import Preprocessing
from novelette.detector import Detector
from novelette.errors import InputError
from novelette.export import to_onnx, why_not
from novelette.learning import Learner
from novelette.methods import METHODS
from novelette.quantize import quantized
from novelette.training import HasSteps, Interrupted

COLUMNS = ("heat map", "export", "`--int8`", "keeps pictures", "ImageNet weights", "labels", "`learn`", "steps")
OF_MANY_PICTURES = {"feature-knn"}  # the graph is smaller in 8 bits only while few pictures are kept


@functools.cache
def said():
    """The table of docs/comparing.md: the columns in which it says yes, of each method."""
    page = (PAGES.parent / "comparing.md").read_text(encoding="utf-8")
    section = page.partition("## What the methods can do\n")[2].partition("\n## ")[0]
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")]
    assert head == ["method", *COLUMNS]
    assert [row[0] for row in rows] == [f"[`{name}`](methods/{name}.md)" for name in METHODS]
    assert {cell for row in rows for cell in row[1:]} == {"yes", ""}
    return {name: {column for column, cell in zip(COLUMNS, row[1:], strict=True) if cell} for name, row in zip(METHODS, rows, strict=True)}


def needs_labels(name):
    run = StopsBefore()
    run.at = 0  # what is trained by steps has looked at its labels by then
    try:
        METHODS[name].fit(discs(12), brief(name), labels=None, seed=0, device=CPU, run=run)
    except InputError:
        return True
    except Interrupted:
        pass
    return False


@every_method
def test_the_page_says_what_a_method_can_do(name):
    module, scorer = METHODS[name], begun(name, 1, 32)
    exported = why_not(SimpleNamespace(scorer=scorer, method=name)) is None
    assert said()[name] - {"`--int8`"} == {
        column
        for column, holds in {
            "heat map": scorer.heatmap(mixed()[:2]) is not None,
            "export": exported,
            "keeps pictures": scorer.keeps_pictures,
            "ImageNet weights": "perceptual_weights" in module.Config.model_fields,
            "labels": needs_labels(name),
            "`learn`": isinstance(scorer, Learner),
            "steps": isinstance(module.Config(), HasSteps),
        }.items()
        if holds
    }
    if scorer.keeps_pictures or not exported:
        assert "`--int8`" not in said()[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in METHODS if name not in WITHOUT_GRAPH | OF_MANY_PICTURES])
def test_the_page_says_whose_graph_is_smaller_in_8_bits(name):
    settings = METHODS[name].Config()
    settings = settings.model_copy(update=dict.fromkeys(LENGTHS & set(type(settings).model_fields), 2))
    images, none = discs(48), np.zeros(0, np.uint64)
    scorer = fitted(name, settings)
    if not scorer.keeps_pictures:
        graph, _, _ = to_onnx(Detector(name, settings, Preprocessing(), scorer, np.arange(30.0), none, 0.05, 0, {}))
        assert (len(quantized(graph, images.permute(0, 2, 3, 1).numpy())) < len(graph)) is ("`--int8`" in said()[name])
