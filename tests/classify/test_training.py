"""Every way of training a classifier, on pictures whose classes are easily told."""

import functools

import pytest
import torch
from told import assert_names_are_choices, assert_settings_are_told
from torch import Tensor

from novelette.classify import METHODS, codis
from novelette.classify.distn import loss as distn_loss
from novelette.classify.game import Player, Turns
from novelette.classify.mimic import loss as mimic_loss
from novelette.classify.noisy import perturbed
from novelette.classify.pictures import Augmentation, Pictures
from novelette.data.images import as_tensor
from novelette.training import Interrupted, Run

CPU = torch.device("cpu")


def striped(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy stripes, across or down or none: uint8 (n, 1, 16, 16) and which, (n,)."""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    x = torch.randint(0, 120, (n, 1, 16, 16), dtype=torch.uint8, generator=g)
    x[y == 0, :, ::4] += 120
    x[y == 1, :, :, ::4] += 120
    return x, y


def trained(name: str, run: Run | None = None, seed: int = 1, **changed: object) -> torch.nn.Module:
    method = METHODS[name]
    images, labels = striped(30, 0)
    return method.fit(images, labels, method.TINY.model_copy(update=changed), classes=3, seed=seed, device=CPU, run=run or Run()).classifier


kept = functools.cache(trained)  # for tests that do not change it


@pytest.mark.parametrize("name", METHODS)
def test_learns_to_tell_stripes(name):
    images, labels = striped(60, 5)
    said = kept(name)(as_tensor(images)).argmax(1)
    assert (said == labels).float().mean() > 0.8


def test_learns_in_bfloat16():
    images, labels = striped(60, 5)
    said = trained("kdgan", precision="bfloat16")(as_tensor(images)).argmax(1)
    assert (said == labels).float().mean() > 0.8


@pytest.mark.parametrize("name", METHODS)
def test_same_seed_same_weights(name):
    one, two, other = kept(name), trained(name), trained(name, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


class Stopping(Run):
    """A run that a person stops after so many steps."""

    def steps(self, *args, **kwargs):
        for step in super().steps(*args, **kwargs):
            if step == 25:
                self._save(step, args[1])
                raise Interrupted(step)
            yield step


@pytest.mark.parametrize("name", METHODS)
def test_resumed_is_bit_for_bit_the_same(name, tmp_path):
    whole = trained(name, rotate=10.0, mirror=True)
    with pytest.raises(Interrupted):
        trained(name, Stopping(tmp_path / "run"), rotate=10.0, mirror=True)
    resumed = trained(name, Run(tmp_path / "run", resume=True), rotate=10.0, mirror=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_pretraining_is_by_labels_alone_whatever_the_method():
    ends = Turns(30, METHODS["plain"].TINY, 1).ends()[METHODS["plain"].TINY.pretraining - 1]
    before, after = {}, {}
    for name in METHODS:
        run = Run(snapshot_steps=frozenset({ends}))
        after[name], before[name] = trained(name, run).state_dict(), run.snapshots[ends][0]
    for name in METHODS:
        assert all(torch.equal(before[name][key], value) for key, value in before["plain"].items()), name
        assert name == "plain" or any(not torch.equal(after[name][key], value) for key, value in after["plain"].items()), name


def test_mimic_does_not_look_at_labels():
    h, f = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 2.0]])
    assert mimic_loss(h, f, torch.tensor([0])).item() == mimic_loss(h, f, torch.tensor([1])).item() == 2.0  # ½ · 2²


def test_distn_by_hand():
    h, f, y = torch.zeros(1, 2), torch.tensor([[2.0, 0.0]]), torch.tensor([1])
    p = torch.softmax(f / 2, 1)[0]
    soft = sum(float(p[k] * torch.log(p[k] / 0.5)) for k in range(2))
    given = {"temperature": 2.0, "soft_weight": 0.3}
    assert distn_loss(h, f, y, **given, distance="kl").item() == pytest.approx(0.7 * 0.693147 + 0.3 * 4 * soft, rel=1e-5)
    assert distn_loss(h, f, y, **given, distance="l2").item() == pytest.approx(0.7 * 0.693147 + 0.3 * (4 + 0) / 2, rel=1e-5)


def test_codis_by_hand(monkeypatch):
    """After the burn-in either goes down its cross-entropy and w KL(the other || itself), the other held fixed; before, the first alone."""
    images, labels = striped(12, 0)
    config = METHODS["codis"].TINY.model_copy(update={"batch_size": 12, "pretraining": 1, "epochs": 1, "peer_weight": 3.0})
    torch.manual_seed(0)
    nets = [torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 3)) for _ in range(2)]
    seen = []
    monkeypatch.setattr(codis, "enter", lambda *given: [Player(net, 1e-3) for net in nets])
    monkeypatch.setattr(codis, "play", lambda playing, l, run, step: seen.append(l))
    codis.fit(images, labels, config, classes=3, seed=0, device=CPU, run=Run())
    assert len(seen) == 2
    turns, x = Turns(12, config, 0), as_tensor(images)
    for step, weight in ((0, 0.0), (1, 3.0)):
        taken = turns[step].taken
        scores = [net(x[taken]).detach() for net in nets]
        logs = [h - h.exp().sum(1, keepdim=True).log() for h in scores]
        for name, own, other in (("c", 0, 1), ("peer", 1, 0)):
            apart = (logs[other].exp() * (logs[other] - logs[own])).sum(1)
            expected = -logs[own][torch.arange(12), labels[taken]] + weight * apart
            assert torch.allclose(seen[step][name], expected, atol=1e-5), (step, name)
    (in_c,) = torch.autograd.grad(seen[1]["c"].sum(), nets[1][1].weight, retain_graph=True, allow_unused=True)
    assert in_c is None  # nobody moves the other


def test_the_soft_terms_gradient_hardly_depends_on_the_temperature():
    f, y = torch.tensor([[0.2, -0.1, 0.3]]), torch.tensor([0])
    sizes = []
    for temperature in (20.0, 40.0):
        h = torch.zeros(1, 3, requires_grad=True)
        distn_loss(h, f, y, temperature=temperature, soft_weight=1.0, distance="kl").sum().backward()
        sizes.append(h.grad.norm().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)  # both are near the limit of high temperatures


def test_noise_is_on_so_large_a_part_of_the_pictures():
    torch.manual_seed(0)
    f = torch.ones(10_000, 3)
    noisy = perturbed(f, 0.1, 0.25)
    touched = (noisy != f).any(1)
    assert touched.float().mean().item() == pytest.approx(0.25, abs=0.015)
    assert noisy[touched].std().item() == pytest.approx(0.1, rel=0.05)
    assert torch.equal(perturbed(f, 0.0, 1.0), f)


def test_so_many_of_the_scores_are_dropped_and_the_mean_stays():
    torch.manual_seed(0)
    got = perturbed(torch.ones(10_000, 3), 0.1, 1.0, 0.2)
    gone = got.abs() < 0.625  # half way between 0 and 1 / 0.8, over five standard deviations of the noise from both
    assert gone.float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert got.mean().item() == pytest.approx(1, abs=0.01)
    assert got[~gone].std().item() == pytest.approx(0.1, rel=0.05)


def test_what_is_done_to_the_pictures_is_drawn_once_an_epoch(monkeypatch):
    pictures = Pictures(striped(30, 0)[0], Augmentation(rotate=10), seed=0)
    drawn, kept = [], pictures._drawn
    monkeypatch.setattr(pictures, "_drawn", lambda epoch: drawn.append(epoch) or kept(epoch))
    first = [pictures.at(epoch, torch.arange(10)) for epoch in (0, 0, 0, 1, 1)]
    assert drawn == [0, 1]
    assert torch.equal(first[0], first[2])
    assert not torch.equal(first[0], first[3])


def test_a_snapshot_is_of_its_step():
    run = Run(snapshot_steps=frozenset({10, 20}))
    trained("kdgan", run)
    assert sorted(run.snapshots) == [10, 20]
    early, late = (run.snapshots[step][0] for step in (10, 20))
    assert any(not torch.equal(early[name], late[name]) for name in early)


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_says_what_it_means_and_has_limits_or_choices(name):
    assert_settings_are_told(METHODS[name])
    assert_names_are_choices(METHODS[name].Config)
