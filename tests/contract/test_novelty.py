"""Far noise scores above normal pictures, and where it does not the page says so."""

import pytest
from contract.fitted_methods import PAGES, discs, fitted, grey_and_in_colour, kept, noise

from novelette.data.images import as_tensor
from novelette.methods import METHODS

KNOWN_FAILURES = {"certainty": "How certain it is of noise"}  # what a method's own paper found: the heading on its page


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
