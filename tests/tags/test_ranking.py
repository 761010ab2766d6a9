"""P@N, F@N, MAP and MRR: worked by hand, in plain loops, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, label_ranking_average_precision_score, precision_score

from novelette.tags.ranking import average_precision, f_at, hits_of, measures, most_frequent, precision_at, ranked, reciprocal_rank

# by falling score: no, own, no, own, own
SCORES, TRUTH = np.array([[0.1, 0.9, 0.5, 0.8, 0.3]]), np.array([[True, False, False, True, True]])
HITS = hits_of(SCORES, TRUTH)


def many(seed=0, n=60, k=12):
    rng = np.random.default_rng(seed)
    truth = rng.random((n, k)) < 0.2
    truth[np.arange(n), rng.integers(0, k, n)] = True
    return rng.permuted(np.tile(np.arange(k) / k, (n, 1)), axis=1), truth  # no ties


def test_measures_by_hand():
    assert HITS.tolist() == [[False, True, False, True, True]]
    assert precision_at(HITS, 3) == pytest.approx([1 / 3])
    assert f_at(HITS, 3) == pytest.approx([2 * (1 / 3) * (1 / 3) / (2 / 3)])  # recall: one of its three tags
    assert f_at(HITS, 5) == pytest.approx([2 * (3 / 5) * 1 / (3 / 5 + 1)])
    assert average_precision(HITS) == pytest.approx([(1 / 2 + 2 / 4 + 3 / 5) / 3])
    assert reciprocal_rank(HITS) == pytest.approx([1 / 2])


def test_the_most_frequent_tags_are_ranked_in_the_vocabularys_order():
    truth = np.array([[True, False, False], [False, False, True]])
    assert ranked(most_frequent(truth)).tolist() == [[0, 1, 2]] * 2
    assert measures(most_frequent(truth), truth)["MRR"] == pytest.approx((1 + 1 / 3) / 2)


def test_the_authors_f_takes_a_recall_that_ignores_n():
    # R-precision: one hit among its first three places, whatever N is
    assert f_at(HITS, 5, "kdgan") == pytest.approx([2 * (3 / 5) * (1 / 3) / (3 / 5 + 1 / 3)])
    assert f_at(HITS, 3, "kdgan") == f_at(HITS, 3)  # N is the number of its tags


def test_no_hit_among_the_first_is_no_division_by_zero():
    hits = np.array([[False, False, False, True]])
    assert f_at(hits, 3) == f_at(hits, 3, "kdgan") == [0.0]


def test_measures_are_means_over_pictures_in_plain_loops():
    scores, truth = many()
    found = measures(scores, truth)
    totals = dict.fromkeys(found, 0.0)
    for own_scores, own in zip(scores, truth, strict=True):
        order = sorted(range(len(own)), key=lambda k, s=own_scores: -s[k])
        places = [place for place, k in enumerate(order, 1) if own[k]]
        for n in (3, 5):
            inside = sum(place <= n for place in places)
            totals[f"P@{n}"] += inside / n
            totals[f"F@{n}"] += 2 * inside / (n + len(places))
        totals["MAP"] += sum((i + 1) / place for i, place in enumerate(places)) / len(places)
        totals["MRR"] += 1 / places[0]
    assert found == pytest.approx({name: total / len(truth) for name, total in totals.items()})


def test_measures_are_scikit_learns():
    scores, truth = many(1)
    found = measures(scores, truth)
    said = np.zeros_like(truth)
    np.put_along_axis(said, ranked(scores)[:, :5], True, 1)
    assert found["MAP"] == pytest.approx(label_ranking_average_precision_score(truth, scores))
    assert found["P@5"] == pytest.approx(precision_score(truth, said, average="samples"))
    assert found["F@5"] == pytest.approx(f1_score(truth, said, average="samples"))


def test_equal_scores_rank_in_the_vocabularys_order():
    assert ranked(np.array([[0.5, 0.7, 0.5, 0.5]])).tolist() == [[1, 0, 2, 3]]


def test_the_best_ranking_has_one_everywhere_it_can():
    _, truth = many(2)
    found = measures(truth.astype(float), truth)
    assert (found["MAP"], found["MRR"]) == (1, 1)


def test_a_picture_without_tags_and_a_score_that_is_no_number_are_refused():
    with pytest.raises(ValueError, match="without a tag"):
        hits_of(SCORES, np.zeros_like(TRUTH))
    with pytest.raises(ValueError, match="no number"):
        hits_of(np.full_like(SCORES, np.nan), TRUTH)
    with pytest.raises(ValueError, match="shape"):
        hits_of(SCORES, TRUTH[:, :4])
