"""What a student takes over from its teacher, and what is refused of it."""

import pytest
from distill.small_teachers import TEACHER, pictures, taught, tiny

from novelette.distill import progressive
from novelette.distill.progressive import Config, paper, student_config
from novelette.errors import InputError
from novelette.fitting import adjusted
from novelette.methods import ede_gan
from novelette.nets import block_widths
from novelette.training import Run


def test_the_student_has_its_teachers_latent_pipeline_normalization_and_weights_of_losses():
    own = ede_gan.Config(
        pipeline="ed-hat", widths=(8,), latent=9, norm="batch", norm_first=False, beta1=0.3, beta2=0.8, w_con=7, w_enc=2, w_adv=3, steps=999
    )
    config = Config(widths=(2, 3, 5), steps=11, batch_size=3, learning_rate=0.01, schedule="constant")
    student = student_config(own, config, 32)
    of_the_student = {"widths", "steps", "epochs", "batch_size", "learning_rate", "schedule"}
    inherited, recipe = (
        {name: getattr(c, name) for name in ede_gan.Config.model_fields if name not in of_the_student} for c in (own, student)
    )
    assert inherited == recipe
    assert {name: getattr(student, name) for name in of_the_student} == {
        "widths": (2, 3, 5),
        "steps": 11,
        "epochs": 0,
        "batch_size": 3,
        "learning_rate": 0.01,
        "schedule": "constant",
    }


@pytest.mark.parametrize("size", [32, 64])
def test_one_number_is_doubled_as_a_teachers_is(size):
    assert student_config(TEACHER, Config(widths=(2,)), size).widths == block_widths((2,), size)


@pytest.mark.parametrize(("widths", "shown"), [((5,), "5-10-20 and 4-8-16"), ((1, 2, 17), "1-2-17 and 4-8-16")])
def test_a_student_wider_than_its_teacher_anywhere_is_refused(widths, shown):
    with pytest.raises(InputError, match=f"^the student is wider than its teacher \\({shown}\\): give smaller --widths$"):
        student_config(TEACHER, Config(widths=widths), 32)


def test_a_student_as_wide_as_its_teacher_is_not_refused():
    assert student_config(TEACHER, Config(widths=(4, 8, 16)), 32).widths == (4, 8, 16)


def test_widths_that_do_not_fit_the_image_are_a_persons_error():
    with pytest.raises(InputError, match="names 2 blocks, but images of 32 px need 3"):
        student_config(TEACHER, Config(widths=(2, 4)), 32)


def test_the_papers_recipe_is_the_papers():
    c = paper()
    assert (c.epochs, c.batch_size, c.schedule, c.structures()) == (500, 1, "constant", (2, 3))
    assert (c.learning_rate, c.teacher_learning_rate, c.w_1, c.w_x, c.w_2) == (0.002, 0.002, 1, 1, 1)
    assert not c.teacher_follows


def test_epochs_are_so_many_steps_in_each_step_of_the_two(teacher):
    assert [tiny(epochs=3, batch_size=b).steps_for(10) for b in (1, 4, 10)] == [30, 8, 3]
    run = Run()
    taught(teacher, tiny(epochs=2, batch_size=4), run, images=pictures(10))
    assert run.history[-1]["step"] == 10
    assert adjusted(progressive, {"steps": 7}, paper=True).steps_for(1000) == 7
