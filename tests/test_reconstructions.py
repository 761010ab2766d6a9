"""The script of PIAD's Figures 4 and 5: which pictures it shows, how they stand, and whose reconstructions."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from novelette.bench.engine import run_bench
from novelette.bench.runs import read_bench
from novelette.data.images import Preprocessing
from novelette.detector import Detector
from novelette.methods import METHODS
from novelette.training import Run

SPEC = importlib.util.spec_from_file_location("reconstructions", Path(__file__).parents[1] / "benchmarks" / "reconstructions.py")
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)


def detector(method):
    pictures = torch.randint(0, 256, (12, 1, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    config = METHODS[method].TINY
    config = config.model_copy(update={"steps": 2}) if "steps" in type(config).model_fields else config
    scorer = METHODS[method].fit(pictures, config, seed=0, device=torch.device("cpu"), run=Run())
    preprocessing = Preprocessing.model_construct(size=32, channels=1, frame="stretch", tiles=1, colour="refuse")
    known = {"calibration": np.zeros(0), "trained_on": np.zeros(0, np.uint64), "false_alarm_rate": 0.05, "provenance": {}}
    return Detector(method, config, preprocessing, scorer, seed=0, **known)


def test_extremes_are_the_lowest_and_the_highest_of_all_pictures_from_the_lowest_up():
    scores, labels = np.array([3.0, 1.0, 2.0, 9.0, 7.0, 8.0], np.float32), np.array([0, 0, 0, 1, 1, 1])
    shown = script.Shown("it", None, np.zeros((6, 1, 4, 4), np.uint8), labels, scores)
    assert {title: chosen.tolist() for title, chosen in shown.extremes(2).items()} == {
        "it, AUROC 1.000: the least novel": [1, 2],
        "it, AUROC 1.000: the most novel": [5, 3],
    }


def test_pictures_drawn_at_random_are_of_either_kind():
    labels = np.array([0, 1] * 10)
    shown = script.Shown("it", None, np.zeros((20, 1, 4, 4), np.uint8), labels, np.zeros(20, np.float32))
    normal, novel = shown.drawn(4, 0).values()
    assert len(set(normal)) == len(set(novel)) == 4
    assert (labels[normal] == 0).all()
    assert (labels[novel] == 1).all()


def test_originals_stand_above_their_reconstructions():
    above, below = np.full((2, 1, 4, 4), 10, np.uint8), np.full((2, 1, 4, 4), 20, np.uint8)
    picture = script.strip(above, below)
    assert picture.shape == (10, 10, 3)
    assert (picture[:4, 6:] == 10).all()
    assert (picture[6:, :4] == 20).all()
    assert (picture[4:6] == 255).all()


def test_a_reconstruction_of_piad_is_g_of_e_as_far_as_a_picture_can_show_it():
    made, x = detector("piad"), torch.rand(3, 1, 32, 32) * 2 - 1
    net = made.scorer.scoring.net
    torch.testing.assert_close(script.reconstructed(made.scorer, x), net.generate(net.encode(x)).detach().clamp(-1, 1))


def test_a_reconstruction_of_an_ede_gan_is_what_its_heat_map_compares():
    made, x = detector("ede-gan"), torch.rand(3, 1, 32, 32) * 2 - 1
    torch.testing.assert_close((x - script.reconstructed(made.scorer, x)).abs().mean(1), made.scorer.heatmap(x))


def test_a_detector_that_makes_no_pictures_is_refused():
    with pytest.raises(SystemExit, match="only detectors of piad and ede-gan make pictures"):
        script.reconstructed(detector("knn").scorer, torch.zeros(1, 1, 32, 32))


def test_a_bench_that_keeps_its_weights_shows_its_rows(tmp_path, monkeypatch):
    bench = tmp_path / "b.toml"
    bench.write_text(
        'name = "b"\ntitle = "B"\ndata = "digits"\nclasses = ["3"]\nkeep = true\n'
        '[[detectors]]\nlabel = "small"\nmethod = "ede-gan"\nconfig = { widths = "1", latent = 4, steps = 2 }\n'
    )
    words = ["reconstructions.py", "--bench", str(bench), "--normal", "3", "--results", str(tmp_path), "-o", str(tmp_path / "it")]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="small on 3 has left no weights"):
        script.main()
    record = run_bench(read_bench(bench), tmp_path)[0]
    script.main()
    assert (tmp_path / "it-extremes.svg").exists()
    assert f"AUROC {record['auroc']:.3f}" in (tmp_path / "it-extremes.svg").read_text()
