"""Fitting from Python: settings and recipes, channels, what is said of the pictures, and which pictures are strange."""

import numpy as np
import pytest
from pictures import checks, stripes, write

import novelette
from novelette import calibrate
from novelette.data.images import Preprocessing, load
from novelette.data.pixels import content_hash
from novelette.data.select import normal_pictures
from novelette.data.sources import ArraySource
from novelette.errors import InputError
from novelette.fitting import Recipe, choose_preprocessing, configured, fit_recipe
from novelette.methods import ede_gan, knn
from novelette.training import Run

K3 = knn.Config(k=3)


def colourful(n):
    grey = stripes(n)
    return np.stack([grey, grey[:, ::-1], grey // 2], axis=-1)


# settings


def test_configuration_is_a_recipe_with_what_is_given_in_its_place():
    assert configured("ede-gan", {}) == ede_gan.Config()
    assert configured("ede-gan", {}, paper=True) == ede_gan.paper()
    assert configured("ede-gan", {"widths": "2-4-8"}, paper=True) == ede_gan.paper().model_copy(update={"widths": (2, 4, 8)})


def test_given_steps_take_the_place_of_epochs_unless_epochs_are_given_too():
    assert configured("ede-gan", {"steps": 7}, paper=True).steps_for(1000) == 7
    assert configured("ede-gan", {"epochs": 2}, paper=True).steps_for(1000) == 2000
    assert configured("ede-gan", {"steps": 7, "epochs": 2}, paper=True).steps_for(1000) == 2000


def test_setting_of_another_method_is_refused_by_its_own_name():
    with pytest.raises(InputError, match="--steps") as refused:
        configured("knn", {"steps": 7})
    assert "epochs" not in str(refused.value)


# channels


@pytest.mark.parametrize("first", ["grey", "colour"])
def test_one_channel_asked_for_turns_colour_grey_whatever_the_guess_saw(first):
    """Of grey pictures alone the guess sees grey, and colour may yet come."""
    pictures = stripes(20) if first == "grey" else colourful(20)
    detector = novelette.fit("knn", pictures, channels=1)
    assert (detector.preprocessing.channels, detector.preprocessing.colour) == (1, "convert")
    assert detector.score(colourful(3)).shape == (3,)


def test_a_colour_picture_that_the_sample_missed_stops_a_guessed_fit_and_not_one_asked_for():
    grey = np.repeat(stripes(200)[..., None], 3, axis=3)
    grey[1] = colourful(1)[0]  # of 200 pictures every third is looked at
    chosen = normal_pictures(grey, Recipe("knn", K3).where)
    assert choose_preprocessing(Recipe("knn", K3), chosen) == Preprocessing(channels=1, colour="refuse")
    with pytest.raises(InputError, match="is in colour"):
        novelette.fit("knn", grey)
    assert novelette.fit("knn", grey, channels=1).preprocessing.colour == "convert"


# what is said of the pictures


def test_strangest_pictures_are_judged_by_the_others():
    normal = stripes(60)
    odd = next(picture[None] for picture in checks(20) if not held_out(picture[None])[0])
    pictures = np.concatenate([normal, odd])
    fitted = fit_recipe(Recipe("knn", K3), pictures, Run())
    assert len(fitted.strangest) == 10
    assert fitted.strangest[0] == "array[60]"
    pixels, kept_back = load(ArraySource(pictures), Preprocessing()).pixels, held_out(pictures)
    scores = fitted.detector.score_pixels(pixels)
    scores[~kept_back] = fitted.detector.score_pixels(pixels[~kept_back], own=True)  # no picture is its own neighbour
    assert [f"array[{i}]" for i in np.argsort(-scores, kind="stable")[:10]] == fitted.strangest
    assert not all(kept_back[int(name[6:-1])] for name in fitted.strangest)


def held_out(pictures):
    return calibrate.held_out(load(ArraySource(pictures), Preprocessing()).hashes)


def test_unreadable_pictures_are_warned_of_with_one_of_them_and_why(tmp_path):
    folder = write(tmp_path / "parts", stripes(30))
    (folder / "30.png").touch()
    with pytest.warns(UserWarning, match=r"^1 picture left out as unreadable, such as 30\.png: empty file$") as said:
        novelette.fit("knn", folder, false_alarm_rate=0.4)
    assert len(said) == 1
    assert said[0].filename == __file__  # the caller's line


@pytest.mark.filterwarnings("error")
def test_readable_pictures_are_not_warned_of():
    novelette.fit("knn", stripes(30), false_alarm_rate=0.4)


def test_a_missing_threshold_is_warned_of_with_how_many_pictures_it_needs():
    with pytest.warns(UserWarning, match="no threshold: .* more than the"):
        novelette.fit("knn", stripes(30), false_alarm_rate=0.001)


def test_a_group_that_leaves_nothing_to_train_on_is_told(tmp_path):
    alike = np.zeros(12, np.int64)
    sets = (stripes(12, seed=seed) for seed in range(50))
    pictures = next(
        p for p in sets if calibrate.held_out(np.array([content_hash(one) for one in p]), alike).all()
    )  # one group in five calibrates
    folder = write(tmp_path / "parts", pictures)
    with pytest.raises(InputError, match="holding out a fifth leaves 0 pictures to train on, which is too few: give smaller groups"):
        novelette.fit("knn", folder, group_by="[.]png")


def test_protocol_and_groups_are_given_as_on_the_command_line(tmp_path):
    detector = novelette.fit("knn", "digits", normal="3", protocol="gpnd", protocol_seed=4)
    described = detector.provenance["source"]
    assert (described["normal"], described["protocol"], described["protocol_seed"]) == ("3", "gpnd", 4)
    assert "gpnd" in detector.provenance["title"]
    folder = write(tmp_path / "parts", stripes(60))
    for i, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"part{i // 3:02}-{i % 3}.png")
    detector = novelette.fit("knn", folder, group_by="part[0-9]+")
    assert detector.provenance["source"]["group_by"] == "part[0-9]+"
    loaded = load(normal_pictures(folder, Recipe("knn", K3).where).source, detector.preprocessing)
    seen = detector.saw(loaded.hashes).reshape(20, 3)  # three views of twenty things
    assert (seen.all(axis=1) | ~seen.any(axis=1)).all()
