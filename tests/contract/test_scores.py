"""What every method keeps: the contract of DESIGN.md, over every entry of METHODS."""

import functools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from told import assert_settings_are_told
from torch import nn

from novelette.data.images import Preprocessing, as_tensor
from novelette.detector import Detector
from novelette.distill import scores as by_scores
from novelette.errors import InputError
from novelette.export import to_onnx, why_not
from novelette.learning import Learner
from novelette.methods import METHODS
from novelette.quantize import quantized
from novelette.studies.robustness import gradient, margin, norms
from novelette.training import HasSteps, Interrupted, Run

PAGES = Path(__file__).parents[2] / "docs" / "methods"
CPU = torch.device("cpu")
WITHOUT_CHANCE = {"bayes-factor", "feature-knn", "kde", "knn", "oc-svm", "pca"}  # nothing is drawn: another seed gives the same scores
WITH_MEMORY = {
    "bayes-factor",
    "feature-knn",
    "kde",
    "knn",
    "oc-svm",
}  # of each training picture by itself, so that its own score must leave it out
WITHOUT_MAP = {"certainty", "deep-svdd", "discriminator"}  # they judge a picture as a whole
WITHOUT_GRAPH = {"adgan", "anogan", "gpnd"}  # a score takes a search, or a Jacobian
WITHOUT_GRADIENT = {"bayes-factor"}  # its scores are steps
KNOWN_FAILURES = {"certainty": "How certain it is of noise"}  # what a method's own paper found: the heading on its page
LENGTHS = {"steps", "pretraining", "encoder_steps", "autoencoder_steps"}  # settings: how long a method trains
BATCH = 1e-5  # relative: the order of float32 sums in a convolution or a product of matrices may change with the batch

VARIANTS = [  # settings that train in other ways than TINY
    ("deep-svdd", {"objective": "soft-boundary"}),
    ("discriminator", {"autoencoder": "joint"}),
    ("discriminator", {"novelties": "density", "minibatch": True}),
]

every_method = pytest.mark.parametrize("name", METHODS)
grey_and_in_colour = pytest.mark.parametrize("channels", [1, pytest.param(3, marks=pytest.mark.slow)])


def discs(n, channels=1, size=32, seed=0):
    """Normal pictures: one bright blurred disc on a dark ground, uint8 (n, channels, size, size)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    cy, cx, r = rng.uniform(0.4, 0.6, (n, 1, 1)), rng.uniform(0.4, 0.6, (n, 1, 1)), rng.uniform(0.15, 0.25, (n, 1, 1))
    disc = 1 / (1 + np.exp((np.hypot(y - cy, x - cx) - r) * 40))
    shades = np.linspace(1, 0.5, channels)[None, :, None, None]
    return torch.from_numpy((20 + 220 * disc[:, None] * shades).astype(np.uint8))


def kinds(images):
    """Two classes, for methods that learn them: small discs and large ones."""
    bright = images.float().flatten(1).mean(1)
    return (bright > bright.median()).long()


def noise(n, channels=1, size=32, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, channels, size, size), dtype=np.uint8))


def fitted(name, config, *, channels=1, size=32, seed=0):
    images = discs(48, channels, size)
    return METHODS[name].fit(images, config, labels=kinds(images), seed=seed, device=CPU, run=Run())


def brief(name):
    """TINY of three updates, for what a method keeps whether it has learnt or not."""
    tiny = METHODS[name].TINY
    return tiny.model_copy(update=dict.fromkeys(LENGTHS & set(type(tiny).model_fields), 3))


@functools.cache  # for tests that do not change what they are given
def kept(name, channels):
    return fitted(name, METHODS[name].TINY, channels=channels)


@functools.cache
def begun(name, channels, size):
    return fitted(name, brief(name), channels=channels, size=size)


def mixed(channels=1, size=32):
    return as_tensor(torch.cat([discs(13, channels, size, seed=5), noise(6, channels, size)]))


@every_method
@pytest.mark.parametrize(("channels", "size"), [(1, 32), (3, 32), (1, 64), (3, 64)])
def test_scores_are_finite_one_an_image_grey_and_in_colour_at_two_sizes(name, channels, size):
    scores = begun(name, channels, size).score(mixed(channels, size))
    assert (scores.shape, scores.dtype) == ((19,), torch.float32)
    assert torch.isfinite(scores).all()


@every_method
def test_the_score_of_an_image_does_not_depend_on_its_batch(name):
    scorer, x = kept(name, 1), mixed()[9:17]
    together = scorer.score(x)
    for size in (1, 2, 7):
        torch.testing.assert_close(torch.cat([scorer.score(part) for part in x.split(size)]), together, rtol=BATCH, atol=1e-7)


@every_method
def test_the_score_of_an_image_does_not_depend_on_the_order(name):
    scorer, x = kept(name, 1), mixed()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(scorer.score(x[order]), scorer.score(x)[order], rtol=BATCH, atol=1e-7)


@every_method
def test_a_training_pictures_own_score_does_not_take_it_for_its_neighbour(name):
    scorer, x = kept(name, 1), as_tensor(discs(48))
    own, score = scorer.score_own(x), scorer.score(x)
    assert (own.shape, own.dtype) == (score.shape, score.dtype)
    if name in WITH_MEMORY:
        assert (own > score).all()
    else:
        assert torch.equal(own, score)


@every_method
def test_scoring_changes_neither_the_images_nor_the_scorer(name):
    scorer, x = kept(name, 1), mixed()
    before, images = {key: value.clone() for key, value in scorer.state().items()}, x.clone()
    first = scorer.score(x)
    scorer.heatmap(x)
    assert torch.equal(scorer.score(x), first)
    assert torch.equal(x, images)
    assert all(torch.equal(value, before[key]) for key, value in scorer.state().items())


@every_method
def test_a_detector_teaches_a_student_through_its_scores_and_stays_as_it_is(name):
    scorer, config = kept(name, 1), by_scores.TINY.model_copy(update={"steps": 2})
    before = {key: value.clone() for key, value in scorer.state().items()}
    student, _ = by_scores.distil(scorer, discs(48), config, seed=0, device=CPU, run=Run())
    assert torch.isfinite(student.score(mixed())).all()
    assert all(torch.equal(value, before[key]) for key, value in scorer.state().items())


@every_method
def test_a_fresh_scorer_has_the_gradient_of_its_score(name):
    """By differences along it. The pictures lie between the grey levels, where no pooling has two maxima."""
    scorer, x = begun(name, 1, 32), mixed()[10:16]  # both kinds
    x = (x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)))[:, None]
    f = margin(SimpleNamespace(threshold=0.0, scorer=scorer, method=name))
    if name in WITHOUT_GRADIENT:
        with pytest.raises(InputError, match="have no gradient"):
            gradient(f, x)
        return
    value, slope = gradient(f, x)
    torch.testing.assert_close(value, scorer.score(x[:, 0]), rtol=1e-4, atol=1e-6)
    length = norms(slope)
    step = 0.002 * slope / length.view(-1, 1, 1, 1, 1)
    with torch.no_grad():
        rise = (f(x + step) - f(x - step)) / 0.004
    assert (rise > 0).all()
    if name not in WITHOUT_GRAPH:  # whose slope is that with the latent kept
        assert (rise / length).median().item() == pytest.approx(1, rel=0.02)  # of one picture a neighbour may change within the step


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
@every_method
def test_on_a_gpu_a_method_trains_scores_as_on_the_cpu_and_teaches(name):
    gpu, images, x = torch.device("cuda"), discs(48), mixed()
    scorer = METHODS[name].fit(images, brief(name), labels=kinds(images), seed=0, device=gpu, run=Run())
    again = METHODS[name].Scorer.from_state(scorer.config, {key: value.cpu() for key, value in scorer.state().items()}, 1, 32)
    there = x if scorer.module() is None else x.to(next(iter(scorer.module().state_dict().values())).device)
    torch.testing.assert_close(again.score(x), scorer.score(there).cpu(), rtol=1e-3, atol=1e-5)
    config = by_scores.TINY.model_copy(update={"steps": 2})
    student, _ = by_scores.distil(scorer, images, config, seed=0, device=gpu, run=Run())
    assert torch.isfinite(student.score(x)).all()


@every_method
def test_the_same_seed_gives_the_same_scores_and_another_seed_others(name):
    x = mixed()
    scores = begun(name, 1, 32).score(x)
    torch.rand(3)  # torch's own state is no part of it
    assert torch.equal(fitted(name, brief(name)).score(x), scores)
    assert torch.equal(fitted(name, brief(name), seed=1).score(x), scores) is (name in WITHOUT_CHANCE)


@every_method
def test_a_scorer_rebuilt_from_its_state_gives_exactly_the_same_scores(name):
    scorer, x = begun(name, 3, 32), mixed(3)
    state = {key: value.clone() for key, value in scorer.state().items()}
    rebuilt = METHODS[name].Scorer.from_state(brief(name), state, 3, 32)
    assert torch.equal(rebuilt.score(x), scorer.score(x))
    assert rebuilt.keeps_pictures == scorer.keeps_pictures


@every_method
def test_state_of_another_image_size_or_channel_count_is_refused(name):
    state = begun(name, 3, 32).state()
    with pytest.raises(RuntimeError):
        METHODS[name].Scorer.from_state(METHODS[name].TINY, state, 1, 32)
    with pytest.raises(RuntimeError):
        METHODS[name].Scorer.from_state(METHODS[name].TINY, state, 3, 64)


def normal_and_far(scorer, channels):
    """Scores of new normal pictures and of noise."""
    return (scorer.score(as_tensor(made(40, channels, seed=9))) for made in (discs, noise))


@pytest.mark.parametrize("name", [name for name in METHODS if name not in KNOWN_FAILURES])
@grey_and_in_colour
def test_far_noise_scores_above_normal_pictures(name, channels):
    if name == "piad" and channels == 3:  # by made weights, the relative loss of a reconstruction in colour passes 1 for hundreds of steps
        scorer = fitted(name, METHODS[name].TINY.model_copy(update={"loss": "perceptual-l1"}), channels=channels)
    else:
        scorer = kept(name, channels)
    normal, far = normal_and_far(scorer, channels)
    assert far.median() > normal.max()


@pytest.mark.parametrize("name", KNOWN_FAILURES)
@grey_and_in_colour
def test_a_known_failure_scores_noise_below_all_normal_pictures_for_one_of_three_seeds_and_its_page_says_so(name, channels):
    pairs = [normal_and_far(fitted(name, METHODS[name].TINY, channels=channels, seed=seed), channels) for seed in range(3)]
    assert any(far.median() < normal.min() for normal, far in pairs)
    assert f"## {KNOWN_FAILURES[name]}\n" in (PAGES / f"{name}.md").read_text(encoding="utf-8")


@every_method
@pytest.mark.parametrize(("channels", "size"), [(1, 32), (3, 64)])
def test_a_heat_map_is_as_large_as_the_image_and_not_negative(name, channels, size):
    maps = begun(name, channels, size).heatmap(mixed(channels, size))
    if name in WITHOUT_MAP:
        assert maps is None
        return
    assert maps.shape == (19, size, size)
    assert torch.isfinite(maps).all()
    assert maps.min() >= 0
    assert maps.max() > 0


@every_method
def test_the_module_gives_the_scores(name):
    scorer, x = kept(name, 1), mixed()
    module = scorer.module()
    if name in WITHOUT_GRAPH:
        assert module is None
        return
    assert isinstance(module, nn.Module)
    with torch.no_grad():
        torch.testing.assert_close(module(x), scorer.score(x), rtol=BATCH, atol=1e-7)


@every_method
def test_state_is_tensors_on_the_cpu(name):
    state = kept(name, 1).state()
    assert state
    assert all(isinstance(value, torch.Tensor) and value.device == CPU for value in state.values())


@every_method
def test_every_setting_says_what_it_means_and_has_limits_or_choices(name):
    assert_settings_are_told(METHODS[name])


@every_method
def test_a_config_is_frozen(name):
    config = METHODS[name].Config()
    first = next(iter(type(config).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(config, first, getattr(config, first))


@every_method
def test_a_config_survives_json(name):
    for config in (METHODS[name].Config(), METHODS[name].TINY, METHODS[name].paper()):
        assert METHODS[name].Config.model_validate_json(config.model_dump_json()) == config


@every_method
def test_a_method_cites_its_paper(name):
    paper = METHODS[name].PAPER
    assert isinstance(paper, str)
    assert any(year in paper for year in map(str, range(1950, 2040)))


@every_method
def test_training_pictures_are_left_as_they_were(name):
    images = discs(48)
    METHODS[name].fit(images, brief(name), labels=kinds(images), seed=0, device=CPU, run=Run())
    assert torch.equal(images, discs(48))


class StopsBefore(Run):
    """Interrupted before a step, as by Ctrl-C."""

    at: int

    def steps(self, total, parts, **more):
        for step in super().steps(total, parts, **more):
            if step == self.at:
                raise Interrupted(step)
            yield step


def trained(name, changes, run):
    config, images = brief(name).model_copy(update=changes), discs(12)
    return METHODS[name].fit(images, config, labels=kinds(images), seed=0, device=CPU, run=run)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(value, b[key]) for key, value in a.items())


@pytest.mark.parametrize(("name", "changes"), [*((name, {}) for name in METHODS if isinstance(METHODS[name].TINY, HasSteps)), *VARIANTS])
def test_a_run_stopped_in_each_part_goes_on_as_if_it_had_not_been_and_snapshots_are_scorers_of_their_step(name, changes, tmp_path):
    total = brief(name).model_copy(update=changes).steps_for(12)
    at = {"snapshot_steps": frozenset({1, total})}
    whole = Run(**at)
    end = trained(name, changes, whole)
    for resume, step in ((False, 1), (True, total - 1)):
        stopped = StopsBefore(tmp_path, resume=resume, checkpoint_every_s=0.0, **at)
        stopped.at = step
        with pytest.raises(Interrupted):
            trained(name, changes, stopped)
    again = Run(tmp_path, resume=True, **at)
    assert same(trained(name, changes, again).state(), end.state())
    for run in (whole, again):
        assert sorted(run.snapshots) == [1, total]
        assert same(run.snapshots[total][0], end.state())
    (first,) = again.snapshots[1]
    assert same(first, whole.snapshots[1][0])
    assert not same(first, end.state())
    assert same(end.from_state(end.config, first, 1, 32).state(), first)


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
