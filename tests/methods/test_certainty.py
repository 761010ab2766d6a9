"""Classifier certainty: entropies by hand, each reading in plain loops, slopes against PyTorch's Jacobian, and where labels come from."""

import math

import numpy as np
import pytest
import torch
from pictures import assert_refused, checks, stripes, write

from novelette import fitting
from novelette.bench.engine import run_bench
from novelette.bench.runs import Bench
from novelette.cli import main
from novelette.data.images import as_tensor
from novelette.data.select import Where, normal_pictures
from novelette.errors import InputError
from novelette.methods import certainty
from novelette.methods.certainty import AllConv, Config, Scorer, entropy, fit
from novelette.nets import draw_kaiming_weights
from novelette.training import Run

CPU = torch.device("cpu")
FEW = {"width": 3, "steps": 3, "batch_size": 4, "passes": 3}


def pictures(n=12, channels=1, seed=0, size=16):
    return torch.randint(0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def untrained(reading, classes=4, channels=2, size=16):
    config = Config(reading=reading, **FEW)
    net = AllConv(channels, classes, config.width, config.dropouts)
    draw_kaiming_weights(net, torch.Generator().manual_seed(0))
    return Scorer.of(config, net.eval(), 5, channels, size)


def by_hand(net, image, keep=None):
    """Softmax of one image's logits in float64, the blocks one after the other."""
    x = image[None].double()
    for i, block in enumerate(net.double().blocks):
        x = block(x if keep is None else x * keep[i] / (1 - net.dropouts[i]))
    y = x.mean((2, 3))[0].tolist()
    total = sum(math.exp(v) for v in y)
    return [math.exp(v) / total for v in y]


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        ([0.25] * 4, math.log(4)),
        ([1.0, 0.0, 0.0], 0.0),
        ([0.5, 0.25, 0.25], 1.5 * math.log(2)),
        ([1.0, 1e-9, 0.0], 1e-9 - 1e-9 * math.log(1e-9)),  # -(1 - q) log(1 - q) is q for so small a q, and float32 has no 1 - 1e-9
        ([0.999, 0.0006, 0.0004], -sum(q * math.log(q) for q in (0.999, 0.0006, 0.0004))),
    ],
)
def test_entropy_by_hand(p, expected):
    assert entropy(torch.tensor([p, p[::-1]])).tolist() == pytest.approx([expected] * 2, rel=1e-5)


@pytest.mark.parametrize("reading", ["plain", "dropout", "noise"])
def test_a_score_is_the_entropy_of_the_mean_prediction_over_its_highest(reading):
    scorer, x = untrained(reading), as_tensor(pictures(5, 2))
    scores, net, state = scorer.score(x).tolist(), scorer.module().net, scorer.state()
    for image, score in zip(x, scores, strict=True):
        if reading == "plain":
            passes = [by_hand(net, image)]
        elif reading == "noise":
            passes = [by_hand(net, image + noise) for noise in state["draw0"]]
        else:
            passes = [by_hand(net, image, [state[f"draw{i}"][t] for i in range(3)]) for t in range(3)]
        mean = [sum(column) / len(passes) for column in zip(*passes, strict=True)]
        assert score == pytest.approx(-sum(p * math.log(p) for p in mean) / math.log(4), rel=1e-4)


def test_a_slope_is_the_norm_of_the_jacobian_and_its_map_adds_up_to_it():
    scorer, x = untrained("gradient"), as_tensor(pictures(3, 2))
    net = scorer.module().net
    expected = [torch.autograd.functional.jacobian(lambda one: net(one[None])[0], image) for image in x]  # (K, C, S, S) each
    torch.testing.assert_close(scorer.score(x), torch.stack([slope.norm() for slope in expected]), rtol=1e-4, atol=0)
    torch.testing.assert_close(scorer.heatmap(x), torch.stack([slope.square().sum(0).mean(0).sqrt() for slope in expected]))
    torch.testing.assert_close((2 * scorer.heatmap(x).square()).sum((1, 2)).sqrt(), scorer.score(x))  # a mean over 2 channels
    assert untrained("plain").heatmap(x) is None


def test_masks_drop_what_they_should_and_noise_is_as_strong_as_it_says():
    masks = certainty.draws_of(Config(passes=200, width=8, dropped=0.5), 0, 3, 32)
    assert [tuple(mask.shape) for mask in masks] == [(200, 3, 32, 32), (200, 8, 16, 16), (200, 16, 8, 8)]
    assert [1 - mask.float().mean().item() for mask in masks] == pytest.approx((0.2, 0.5, 0.5), abs=0.01)  # of 200,000 draws and more
    (noise,) = certainty.draws_of(Config(reading="noise", passes=50, noise=0.7), 0, 1, 32)
    assert noise.std().item() == pytest.approx(0.7, rel=0.02)


@pytest.mark.parametrize("size", [16, 28, 32])
def test_masks_fit_what_enters_each_block(size):
    config = Config(passes=1, width=2)
    masks = [mask[0] for mask in certainty.draws_of(config, 0, 1, size)]
    assert AllConv(1, 3, 2, config.dropouts)(torch.zeros(2, 1, size, size), masks).shape == (2, 3)


def test_the_network_is_all_cnn_c():
    weights = 9 * (3 * 96 + 2 * 96 * 96 + 96 * 192 + 3 * 192 * 192) + 192 * 192 + 192 * 10  # Springenberg et al.: about 1.3 million
    biases = 3 * 96 + 5 * 192 + 10
    assert sum(p.numel() for p in AllConv(3, 10, certainty.paper().width, certainty.paper().dropouts).parameters()) == weights + biases


def test_labels_are_any_numbers_and_reach_their_own_pictures(monkeypatch):
    images, labels = pictures(8), torch.tensor([7, 3, 3, 7, 7, 3, 7, 3])
    seen = []
    original = certainty.cross_entropy
    monkeypatch.setattr(certainty, "cross_entropy", lambda y, known, **more: seen.append(known) or original(y, known, **more))
    shown, forward = [], AllConv.forward
    monkeypatch.setattr(AllConv, "forward", lambda self, x, *more: shown.append(x) or forward(self, x, *more))
    fit(images, Config(reading="plain", **FEW), labels=labels, seed=0, device=CPU, run=Run())
    for x, known in zip(shown, seen, strict=True):
        for image, label in zip(x, known, strict=True):
            (which,) = [i for i in range(8) if torch.equal(as_tensor(images[i]), image)]
            assert label == (labels[which] == 7)
    assert len(seen) == 3


def test_without_classes_there_is_one_sentence():
    with pytest.raises(InputError, match="give a folder with a subfolder for each class, or a named set"):
        fit(pictures(), Config(**FEW), seed=0, device=CPU, run=Run())
    with pytest.raises(InputError, match="needs two or more normal classes"):
        fit(pictures(), Config(**FEW), labels=torch.zeros(12), seed=0, device=CPU, run=Run())


def test_a_run_does_not_go_on_with_other_labels(tmp_path):
    labels, config = torch.arange(12) % 3, Config(**FEW)
    fit(pictures(), config, labels=labels, seed=0, device=CPU, run=Run(tmp_path))
    with pytest.raises(InputError, match="was started with another set of labels"):
        fit(pictures(), config, labels=labels.flip(0), seed=0, device=CPU, run=Run(tmp_path, resume=True))


def test_noise_is_put_into_a_class_with_certainty_without_dropout():
    """The report's finding (2.3, Figure 2.1), on waves and boards. What dropout does of it needs more classes: benchmarks/certainty.py."""
    images = torch.from_numpy(np.concatenate([stripes(60), checks(60)]))[:, None, ::2, ::2]
    labels, new = torch.arange(120) // 60, as_tensor(torch.from_numpy(np.concatenate([stripes(9, 5), checks(9, 5)]))[:, None, ::2, ::2])
    config = Config(reading="plain", width=8, steps=100, batch_size=16, learning_rate=3e-3)
    plain = fit(images, config, labels=labels, seed=0, device=CPU, run=Run())
    known, far = (1 - plain.score(x).median().item() for x in (new, as_tensor(pictures(20, seed=1))))
    assert (known > 0.95, far > 0.95) == (True, True), (known, far)


def test_a_folder_with_subfolders_gives_labels_and_one_without_is_refused(tmp_path, capsys):
    for name, made in (("waves", stripes), ("boards", checks)):
        write(tmp_path / "good" / name, made(12))
    argv = ["fit", "certainty", str(tmp_path / "good"), "-o", str(tmp_path / "c.det"), "--false-alarm-rate", "0.4"]
    small = ["--width", "2", "--steps", "2", "--passes", "2"]
    assert main([*argv, *small]) == 0
    assert normal_pictures(tmp_path / "good", Where()).classes.tolist() == [0] * 12 + [1] * 12  # boards before waves
    assert main(["score", str(tmp_path / "c.det"), str(tmp_path / "good")]) == 0
    assert_refused(
        [*argv[:2], str(tmp_path / "good" / "waves"), *argv[3:], *small, "--force"], tmp_path, capsys, "a subfolder for each class"
    )
    write(tmp_path / "good", stripes(1))  # one picture lies in no class
    assert normal_pictures(tmp_path / "good", Where()).classes is None


def test_a_named_set_gives_its_classes():
    loo = normal_pictures("digits", Where(normal="4", protocol="leave-one-out"))
    assert sorted(set(loo.classes.tolist())) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    one = normal_pictures("digits", Where(normal="4"))
    assert set(one.classes.tolist()) == {4}
    with pytest.raises(InputError, match="--protocol leave-one-out"):
        fitting.fit("certainty", "digits", normal="4", width=2, steps=2)


def test_a_tile_has_the_class_of_its_picture(tmp_path, monkeypatch):
    for name, made in (("waves", stripes), ("boards", checks)):
        write(tmp_path / name, made(12))
    seen = {}
    monkeypatch.setattr(certainty, "fit", lambda images, config, *, labels, **_: seen.update(images=images, labels=labels) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fitting.fit("certainty", tmp_path, tiles=2, size=32)
    boards = [image.float().std().item() > 45 for image in seen["images"]]  # a board is 60 grey levels above or below its mean, a wave less
    assert [label == 0 for label in seen["labels"].tolist()] == boards


def test_a_bench_gives_labels(tmp_path):
    row = {"label": "certainty", "method": "certainty", "config": {**FEW, "reading": "plain"}}
    bench = Bench(name="c", title="c", data="digits", protocol="leave-one-out", classes=("4",), detectors=(row,), size=16)
    (record,) = run_bench(bench, tmp_path)
    assert 0 <= record["auroc"] <= 1
