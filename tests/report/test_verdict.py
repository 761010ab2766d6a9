"""The sentences of a verdict: whether the stated rate holds, and where a kNN or chance does as well."""

import numpy as np
from report.made_detector import made

from novelette import metrics
from novelette.verdict import verdict


def knn(its, scores, labels):
    """The fields of an Evaluation on a kNN of such scores."""
    difference, error = metrics.auroc_difference(scores, its, labels)
    error = None if np.isnan(error) else error
    return {"knn_auroc": metrics.auroc(its, labels), "knn_difference": difference, "knn_difference_error": error}


class Calibration:
    method, false_alarm_rate, calibration = "x", 0.1, np.linspace(0, 0.55, 99)


def sentences(evaluation):
    return {f.text: f.tone for f in verdict(Calibration(), evaluation)}


def test_verdict_says_whether_the_stated_rate_holds():
    # 99 calibration scores, 10 %: the threshold is the tenth highest; of 50 normals 1 to 11 alarms are within chance.
    assert metrics.false_alarms_by_chance(0.1, 99, 50) == (1, 11)
    for alarms, words, tone in [
        (5, "holds: 1 to 11 of 50", "good"),
        (20, "does not hold", "bad"),
        (0, "more than kept", "plain"),
    ]:
        scores = np.r_[np.ones(alarms), np.zeros(50 - alarms), np.ones(50)]
        found = sentences(made(scores, [0] * 50 + [1] * 50))
        assert [t for text, t in found.items() if words in text] == [tone]
        assert any(f"raises {alarms} false alarms on 50 normal pictures" in text for text in found)


def test_verdict_says_when_the_detector_loses_to_knn_or_to_chance():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    good = rng.normal(1.5 * labels)
    assert any(
        "loses to plain" in text and tone == "bad"
        for text, tone in sentences(made(good, labels, **knn(good + labels, good, labels))).items()
    )
    assert any("beats plain" in text for text in sentences(made(good, labels, **knn(rng.random(200), good, labels))))
    near = good + 0.1 * rng.normal(size=200)
    level = sentences(made(good, labels, **knn(near, good, labels)))
    side = "behind" if metrics.auroc(near, labels) > metrics.auroc(good, labels) else "ahead of"
    assert any(f"is {side}" in text and "sampling error" in text for text in level)
    assert any("exactly as well" in text for text in sentences(made(good, labels, **knn(2 * good, good, labels))))
    assert any("better than chance" in text and tone == "bad" for text, tone in sentences(made(rng.random(200), labels)).items())
    assert any("worse than chance" in text for text in sentences(made(-good, labels)))


def test_verdict_on_knn_is_by_the_difference_on_the_same_pictures_not_by_the_detectors_own_interval():
    """Scores that go along with a kNN's differ from it by more than chance though its AUROC lies within the detector's interval."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    its = rng.normal(labels)
    better = its + 0.1 * labels
    e = made(better, labels, **knn(its, better, labels))
    assert e.auroc_low < e.knn_auroc < e.auroc_high
    assert any("beats plain" in text for text in sentences(e))
    assert any("loses to plain" in text for text in sentences(made(its, labels, **knn(better, its, labels))))
    one = made(better[199:], labels[199:], **knn(its[199:], better[199:], labels[199:]))  # one normal picture: no error is known
    assert one.knn_difference_error is None
    assert not any("beats plain" in text or "loses to plain" in text for text in sentences(one))
