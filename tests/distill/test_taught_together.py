"""Students that are taught together end as each would alone."""

import pytest
import torch
from distill.small_teachers import CPU, fitted, pictures, taught, tiny

from novelette.distill.progressive import distil_many
from novelette.errors import InputError
from novelette.training import Run


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("changes", [{"progressive": "2-3", "teacher_follows": True}, {"progressive": "2-4"}, {"structure": 1}])
def test_students_taught_together_end_as_each_would_alone(changes):
    """In float64, so that the steps do not grow the rounding of sums taken in another order past 1e-6."""
    config = tiny(steps=12, **changes)
    images, seeds = [pictures(12, seed=1), pictures(9, seed=2), pictures(20, seed=3)], [4, 5, 6]
    teachers = [fitted(seed, own) for seed, own in zip(seeds, images, strict=True)]
    students, moved = distil_many(teachers, images, config, seeds=seeds, device=CPU, run=Run())
    for m in range(3):
        alone = taught(teachers[m], config, seed=seeds[m], images=images[m])
        for together, single in zip((students[m], moved[m]), alone, strict=True):
            assert together.config == single.config
            for name, value in single.state().items():
                assert value.dtype == torch.float64
                torch.testing.assert_close(together.state()[name], value, rtol=1e-6, atol=1e-9)
    assert all(m is t for m, t in zip(moved, teachers, strict=True)) is not config.trains_teacher()


def test_models_that_need_different_numbers_of_steps_are_not_taught_together(teacher):
    with pytest.raises(InputError, match="give steps instead of epochs, or do not stack"):
        distil_many([teacher] * 2, [pictures(12), pictures(20)], tiny(epochs=1), seeds=[0, 1], device=CPU, run=Run())
