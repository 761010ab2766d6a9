"""Figure 7: what a spread is, Lemma 4.3, and that looking changes nothing."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from novelette.bench.page import text_of
from novelette.classify import algorithm, gradients, kdgan, players
from novelette.classify.game import Turns, enter
from novelette.classify.gradients import ADVERSARIAL, DISTILLATION, MIXED, Spread
from novelette.classify.pictures import Pictures
from novelette.data.images import as_tensor
from novelette.training import Run

SPEC = importlib.util.spec_from_file_location("gradient_variance", Path(__file__).parents[2] / "benchmarks" / "gradient_variance.py")
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)


def spread_of(draws):
    spread = Spread()
    for gradient in draws:
        spread.add(gradient)
    return spread.figures()


def test_a_spread_by_hand():
    found = spread_of(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))  # variances 2 and 0, means 2 and 5
    assert found == {"variance": pytest.approx(2), "squared_norm": pytest.approx(4 + 25 - 1)}  # less the variance of a mean of two


def test_a_spread_is_numpys_and_few_draws_do_not_make_a_mean_of_0_long():
    draws = torch.randn(40, 500, generator=torch.Generator().manual_seed(0))
    found = spread_of(draws)
    assert found["variance"] == pytest.approx(float(np.var(draws.numpy(), axis=0, ddof=1).sum()), rel=1e-5)
    assert float(draws.mean(0).square().sum()) == pytest.approx(500 / 40, rel=0.3)
    assert found["squared_norm"] < 4  # five standard deviations of what is left of it


def test_mixed_with_a_gradient_that_varies_less_a_gradient_varies_no_more():
    """Lemma 4.3, for draws that belong together in any way: variances are convex in λ."""
    rng = torch.Generator().manual_seed(0)
    for together in (-1.0, 0.0, 0.7):
        adversarial = torch.randn(30, 8, generator=rng)
        distilled = together * adversarial + 0.3 * torch.randn(30, 8, generator=rng)
        distilled = distilled * 0.99 * (spread_of(adversarial)["variance"] / spread_of(distilled)["variance"]) ** 0.5
        for part in (0.05, 0.5, 0.95):
            assert spread_of(part * adversarial + (1 - part) * distilled)["variance"] <= spread_of(adversarial)["variance"]
    assert spread_of(0.5 * adversarial + 0.5 * 9 * adversarial)["variance"] > spread_of(adversarial)["variance"]  # without the condition


IMAGES = torch.randint(0, 256, (20, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
CONFIG = kdgan.TINY.model_copy(update={"divide_widths": 32, "pretraining": 1, "alpha": 0.2, "beta": 0.6})


@pytest.fixture(scope="module")
def looks():
    return script.measured(IMAGES, torch.arange(20) % 3, CONFIG, 0, 2, 4)


def test_looking_changes_nothing():
    labels, turns = torch.arange(20) % 3, Turns(20, CONFIG, 0)

    def trained(see):
        playing = enter((CONFIG.classifier, CONFIG.teacher, CONFIG.teacher), IMAGES, 3, CONFIG, 0, torch.device("cpu"))
        looking = gradients.Looking(Pictures(IMAGES, CONFIG, 0), CONFIG.pretraining, {0, 1}, lambda epoch: see(playing))
        algorithm.kdgan(*playing, looking, labels.__getitem__, turns, CONFIG, Run(), seed=0)
        return looking.looks, playing[0].net

    looks, looked = trained(lambda playing: {"drawn": torch.rand(1), "weights": [p.clone() for p in playing[0].net.parameters()]})
    plain = kdgan.fit(IMAGES, labels, CONFIG, classes=3, seed=0, device=torch.device("cpu"), run=Run()).classifier
    assert all(torch.equal(a, b) for a, b in zip(looked.parameters(), plain.parameters(), strict=True))
    assert [seen["epoch"] for seen in looks] == [0, 1]
    first, second = (seen["weights"] for seen in looks)
    assert not all(torch.equal(a, b) for a, b in zip(first, second, strict=True))  # an epoch of the game lies between


def test_a_look_comes_before_the_first_move_of_its_epoch_alone():
    looking = gradients.Looking(Pictures(IMAGES, CONFIG, 0), 2, [1, 3], lambda epoch: {})
    counts = [(looking.at(epoch, torch.arange(4)), len(looking.looks))[1] for epoch in (0, 1, 1, 2, 3, 3, 4, 5, 5)]
    assert counts == [0, 0, 0, 0, 1, 1, 1, 2, 2]
    assert [seen["epoch"] for seen in looking.looks] == [1, 3]


def test_players_that_are_looked_at_stay_as_they_are():
    nets = players.initial(IMAGES, 3, ["resnet"] * 3, divide_widths=20, subtract_mean=False, seed=0)
    states = [{key: value.clone() for key, value in net.train().state_dict().items()} for net in nets]
    gradients.look(nets, as_tensor(IMAGES), CONFIG, 4, 0.5, 2)
    for net, state in zip(nets, states, strict=True):
        assert all(module.training for module in net.modules())
        assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())  # BatchNorm's averages among them


def test_every_gradient_is_seen_and_mixed_by_lambda(looks):
    assert [seen["epoch"] for seen in looks] == [0, 1]
    for seen in looks:
        apart = {name: figures["variance"] ** 0.5 for name, figures in seen["gradients"].items()}
        assert all(value > 0 for value in apart.values())
        for name in ADVERSARIAL:  # λ = ¼: the triangle inequality of standard deviations
            assert apart[name + MIXED] <= 0.25 * apart[name] + 0.75 * apart[DISTILLATION] + 1e-9
            assert apart[name + MIXED] >= abs(0.25 * apart[name] - 0.75 * apart[DISTILLATION]) - 1e-9


def test_the_page_counts_at_how_many_looks_the_lemma_speaks(looks):
    record = dict.fromkeys(script.SETTINGS, 4) | {"seed": 0, "data": "stripes", "looks": looks, "config": CONFIG.model_dump(mode="json")}
    record |= {"seconds": 1.0, "commit": "c", "torch": "t"}
    records = [json.loads(json.dumps(record)) for _ in range(2)]
    records[0]["looks"][0]["gradients"]["Gumbel-Max"] = {"variance": 0.0, "squared_norm": 0.0}  # all drew the same labels
    made = script.page(records)
    text = text_of(made, figures=False)
    of = [{name: figures["variance"] for name, figures in seen["gradients"].items()} for seen in looks]
    condition = sum(own[DISTILLATION] <= own["plain draws"] for own in of)
    conclusion = sum(own["plain draws" + MIXED] <= own["plain draws"] for own in of)
    assert f"| plain draws | {2 * condition} | {2 * conclusion} | 4 |" in text
    assert "λ = α / (α + β) = 0.25" in text
    assert all(len(line.x) == (1 if line.label == "Gumbel-Max" else 2) for line in made.parts[0][1][0].plots[0].panels["variance, log10"])
