"""Each method's formulas: values worked by hand, plain loops, and scikit-learn's support vector machine."""

import math

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC
from tags.made import made

from novelette.classify.game import Player
from novelette.tags import knn, rexmp, tprop
from novelette.tags.examples import Examples
from novelette.tags.machines import FOLDS, balanced, calibrated, machines, sigmoids
from novelette.tags.neighbours import others, votes
from novelette.tags.players import Classifier, Reader, Sights, Standard
from novelette.tags.tfeat import augmented
from novelette.training import Run

CPU = torch.device("cpu")
LINE = torch.tensor([[0.0], [1.0], [3.0], [3.0], [3.0]])  # the last three are copies
TAGS = torch.tensor([[1, 0, 1], [1, 1, 0], [0, 0, 1], [0, 0, 1], [0, 1, 1]], dtype=torch.bool)


def test_a_picture_is_no_neighbour_of_itself_even_among_copies():
    d, index = others(LINE, 2)
    assert all(i not in own for i, own in enumerate(index.tolist()))
    assert d.tolist() == [[1, 3], [1, 2], [0, 0], [0, 0], [0, 0]]


def test_knn_counts_votes_and_the_more_frequent_tag_wins_a_tie():
    scorer = knn.fit(Examples(LINE, TAGS, ("",) * 5), knn.Config(k=2), seed=0, device=CPU, run=Run())
    assert votes(torch.tensor([[0, 1]]), TAGS).tolist() == [[2, 1, 1]]
    assert scorer.scores(torch.tensor([[0.4]]))[0].tolist() == pytest.approx([2 + 2 / 6, 1 + 2 / 6, 1 + 4 / 6])


def tagprop(by: str, weights: list[float], sigmoid: bool = False) -> tprop.Scorer:
    state = {
        "vectors": LINE,
        "tags": TAGS,
        "weights": torch.tensor(weights),
        "slope": torch.tensor([2.0] * 3),
        "shift": torch.tensor([-1.0] * 3),
    }
    return tprop.Scorer(tprop.Config(k=2, by=by, sigmoids=sigmoid), state)


def test_tagprop_by_hand():
    # of 0.4 the nearest are at 0.4 (tags 0, 2) and 0.6 (tags 0, 1)
    v, e = torch.tensor([[0.4]]), tprop.EPSILON
    by_place = tagprop("rank", [math.log(3), 0.0]).scores(v)[0]  # weights ¾, ¼
    assert by_place.tolist() == pytest.approx([1 - e, 0.25, 0.75], abs=2 * e)
    near = math.exp(-2 * 0.4) / (math.exp(-2 * 0.4) + math.exp(-2 * 0.6))
    by_distance = tagprop("distance", [math.log(2)]).scores(v)[0]
    assert by_distance.tolist() == pytest.approx([1 - e, 1 - near, near], abs=2 * e)
    lifted = tagprop("distance", [math.log(2)], sigmoid=True).scores(v)[0]
    assert lifted.tolist() == pytest.approx([1 / (1 + math.exp(1 - 2 * x)) for x in by_distance.tolist()], rel=1e-5)


@pytest.mark.parametrize("by", ["rank", "distance"])
@pytest.mark.parametrize("sigmoid", [True, False])
def test_tagprop_makes_the_training_tags_likelier_than_equal_weights_do(by, sigmoid):
    examples = made(noise=0.6)
    scorer = tprop.fit(examples, tprop.Config(k=10, by=by, sigmoids=sigmoid), seed=0, device=CPU, run=Run())
    d, index = others(examples.vectors, 10)
    y = examples.tags

    def likelihood(s: tprop.Scorer) -> float:
        total = 0.0
        p = s.probabilities(d, y[index])
        for i in range(len(y)):
            for t in range(y.shape[1]):
                total += math.log(p[i, t]) / int(y.sum()) if y[i, t] else math.log(1 - p[i, t]) / int((~y).sum())
        return total

    equal = {name: value.clone() for name, value in scorer.state_dict().items()}
    equal |= {"weights": torch.zeros_like(scorer.weights), "slope": torch.ones(6), "shift": torch.zeros(6)}
    assert likelihood(scorer) > likelihood(tprop.Scorer(scorer.config, equal)) + 1e-3


def test_machines_are_liblinears():
    examples = made(80, noise=1.0)
    x, y = examples.vectors, examples.tags
    w, b = machines(x, y, balanced(y), 0.7)
    for k in range(3):
        # LIBLINEAR's shift is one more weight, held small unless its feature is large
        theirs = LinearSVC(
            C=0.7, loss="squared_hinge", dual=False, intercept_scaling=100, class_weight="balanced", tol=1e-8, max_iter=10_000
        )
        theirs.fit(x.numpy(), y[:, k].numpy())
        assert np.allclose(w[:, k].numpy(), theirs.coef_[0], atol=5e-3)
        assert b[k].item() == pytest.approx(theirs.intercept_[0], abs=5e-3)


def test_balanced_weights_by_hand():
    y = torch.tensor([[True], [False], [False], [False]])
    assert balanced(y)[:, 0].tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])
    part = torch.tensor([[True], [True], [True], [False]])
    assert balanced(y, part)[:, 0].tolist() == pytest.approx([1.5, 0.75, 0.75, 0])


def test_platts_scaling_is_where_its_likelihood_is_level():
    y = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) < 0.3
    scores = 2 * y + torch.randn(200, 2, generator=torch.Generator().manual_seed(1))
    a, b = sigmoids(scores, y)
    n = y.sum(0)
    wanted = torch.where(y, (n + 1) / (n + 2), 1 / (200 - n + 2))
    rest = torch.sigmoid(a * scores + b) - wanted
    assert rest.sum(0).abs().max() < 0.02  # of 200 terms
    assert (rest * scores).sum(0).abs().max() < 0.02
    assert (a > 0).all()


def test_calibration_asks_those_who_were_trained_without_the_picture():
    x, y, seen = torch.arange(20.0)[:, None], torch.arange(20)[:, None] % 2 == 0, []

    def train(rows):
        seen.append(set(rows.tolist()))
        return torch.full((1, 1), float(len(seen))), torch.zeros(1)  # who was trained third scores 3 x

    w, b, held_out = calibrated(train, x, y, 0)
    assert [len(rows) for rows in seen] == [16] * FOLDS + [20]
    slope = w.item() / (FOLDS + 1)
    for i in range(1, 20):
        trained = round((held_out[i].item() - b.item()) / slope / i)
        assert i not in seen[trained - 1]


def test_tag_features_are_probabilities_of_a_given_length():
    out = augmented(torch.tensor([[0.6, 0.8]]), torch.tensor([[0.0, math.log(3)]]), 2.0)
    assert out[0].tolist() == pytest.approx([0.6, 0.8, 2 * 0.5 / math.hypot(0.5, 0.75), 2 * 0.75 / math.hypot(0.5, 0.75)])


def test_similarity_of_tags_in_plain_loops():
    got, n = rexmp.field(TAGS), len(TAGS)
    for i in range(n):
        for t in range(3):
            near = []
            for u in range(3):
                if u != t and TAGS[i, u]:
                    both, a, b = (int(c.sum()) for c in (TAGS[:, t] & TAGS[:, u], TAGS[:, t], TAGS[:, u]))
                    distance = (math.log(max(a, b)) - math.log(both)) / (math.log(n) - math.log(min(a, b)))
                    near.append(math.exp(-distance))
            if TAGS[i, t]:
                assert got[i, t].item() == pytest.approx(sum(near) / len(near) if near else 0, rel=1e-5)


def test_the_highest_are_taken_among_the_eligible():
    values, eligible = torch.tensor([[3.0], [2.0], [1.0], [0.0]]), torch.tensor([[False], [True], [True], [True]])
    assert rexmp.highest(values, eligible, 2)[:, 0].tolist() == [False, True, True, False]
    assert rexmp.highest(values, eligible, 9)[:, 0].tolist() == [False, True, True, True]


def test_negative_bootstrap_takes_the_hardest_after_its_first_round(monkeypatch):
    examples, calls = made(60, noise=1.0), []

    def noted(x, y, weight, c):
        calls.append((weight, machines(x, y, weight, c)))
        return calls[-1][1]

    monkeypatch.setattr(rexmp, "machines", noted)
    x, y = examples.vectors, examples.tags
    w, b = rexmp.bootstrapped(x, y, rexmp.Config(k=5, rounds=2, negatives=8, candidates=60), 0)
    w_1, b_1 = calls[0][1]
    chosen, hardness = (calls[1][0] > 0) & ~y, torch.where(y, -torch.inf, x @ w_1 + b_1)
    for k in range(y.shape[1]):
        assert set(chosen[:, k].nonzero()[:, 0].tolist()) == set(hardness[:, k].topk(8).indices.tolist())
    torch.testing.assert_close(w, (w_1 + calls[1][1][0]) / 2)
    torch.testing.assert_close(b, (b_1 + calls[1][1][1]) / 2)


def test_the_classifier_does_not_see_text():
    net = Classifier(Standard(torch.zeros(3), torch.ones(3)), 4, 2).eval()
    v = torch.rand(5, 3)
    assert torch.equal(net(torch.cat([v, torch.rand(5, 7)], 1)), net(v))


def test_the_reader_multiplies_by_hand():
    net = Reader(Standard(torch.tensor([1.0]), torch.tensor([2.0])), 2, 1, 1).eval()
    for layer, weight, bias in ((net.picture, [[3.0]], 0.5), (net.text, [[4.0, -1.0]], 1.0), (net.last[2], [[2.0]], 0.0)):
        layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor([bias])
    # v = 5: u = 3 (5 - 1) / 2 + ½ = 6.5; words half and half: t = 4/2 - 1/2 + 1 = 2.5
    assert net(torch.tensor([[5.0, 0.5, 0.5]])).item() == pytest.approx(2 * 6.5 * 2.5)
    assert net(torch.tensor([[5.0, 0.0, 0.0]])).item() == pytest.approx(2 * 6.5)  # no text


def test_true_tags_are_drawn_alike_from_a_pictures_own():
    sights = Sights(made(), CPU, texts=True)
    row = int(made().tags.sum(1).argmax())
    torch.manual_seed(0)
    drawn = torch.bincount(sights.truth(torch.full((10_000,), row)), minlength=6) / 10_000
    own = made().tags[row].float()
    assert torch.allclose(drawn, own / own.sum(), atol=0.02)  # three standard errors
    assert sights.x.shape == (60, 12 + 7)  # six words, and "view"
    assert Sights(made(), CPU, texts=False).x.shape == (60, 12)


def test_players_stand_still_on_what_they_were_shown():
    sights = Sights(made(), CPU, texts=True)
    player = Player(Reader(Standard(torch.zeros(12), torch.ones(12)), sights.words, 8, 6), 1e-3)
    torch.testing.assert_close(player.still(sights, 0, torch.tensor([3, 1])), player.net.eval()(sights.x[[3, 1]]))
