"""The first losses of a tiny distillation through the structures. They change only with a reason in the commit."""

import pytest
from distill.small_teachers import CPU, pictures, taught

from novelette import training
from novelette.distill.progressive import TINY
from novelette.methods import ede_gan
from novelette.training import Run


# Tolerance: as of the losses of EDE-GAN.
@pytest.mark.parametrize(
    ("how", "golden"),
    [
        (
            "2-3",
            {
                "k": [0.103314, 0.109431, 0.060772, 0.054766],
                "con": [0.502400, 0.499739, 0.503840, 0.498758],
                "g_s": [5.778138, 5.673705],
                "d_s": [0.633985, 0.594004],
                "g_t": [5.805394, 5.758265],
                "d_t": [0.650538, 0.631772],
            },
        ),
        (
            "2-4",
            {
                "k": [0.103314, 0.109431, 0.087179, 0.084447],
                "con": [0.502400, 0.499739, 0.503970, 0.499186],
                "g_s": [5.778138, 5.673705, 5.772174, 5.710979],
                "d_s": [0.633985, 0.594004, 0.579920, 0.563795],
                "g_t": [5.805394, 5.758265],
                "d_t": [0.650538, 0.631772],
            },
        ),
    ],
)
def test_the_first_losses_are_what_they_were(monkeypatch, how, golden):
    monkeypatch.setattr(training, "LOG_EVERY", 5)
    gan = ede_gan.Gan(ede_gan.TINY.model_copy(update={"distance": "euclidean"}), 1, 32, CPU)
    gan.draw([7])  # a teacher before its first step, so that nothing of its own training enters
    (teacher,), run = gan.scorers([pictures(20)]), Run()
    papers = {"w_1": 1.0, "w_2": 1.0, "teacher_learning_rate": 0.0002}
    taught(teacher, TINY.model_copy(update={"steps": 10, "progressive": how, **papers}), run, images=pictures(20))
    assert [line["step"] for line in run.history] == [5, 10, 15, 20]
    for name, values in golden.items():
        assert [line[name] for line in run.history if name in line] == pytest.approx(values, rel=1e-3), name
    assert {name for line in run.history for name in line} == {"step", *golden}
