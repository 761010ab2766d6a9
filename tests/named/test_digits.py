"""scikit-learn's digits as a named set."""

import numpy as np

from novelette.data.named import load_named


def test_digits_are_scaled_to_bytes_and_two_thirds_of_each_class_train() -> None:
    digits = load_named("digits")
    pixels = np.stack([digits.source.read(i) for i in range(len(digits.source))])
    assert pixels.shape == (1797, 8, 8)
    assert pixels.dtype == np.uint8
    assert (pixels.min(), pixels.max()) == (0, 255)
    for c in range(10):
        n = int((digits.labels == c).sum())
        assert int(digits.is_train[digits.labels == c].sum()) == round(2 * n / 3)
    assert np.array_equal(digits.is_train, load_named("digits").is_train)
