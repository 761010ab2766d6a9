"""A detector evaluated once; no test changes it."""

import pytest
import torch
from report.made_detector import MeanPicture, digits

from novelette.data.sources import ArraySource
from novelette.evaluate import evaluate


@pytest.fixture(scope="session")
def evaluated():
    torch.set_num_threads(1)
    good, pictures, labels = digits()
    detector = MeanPicture(good)
    source = ArraySource(pictures, names=[f"p/{i:03d}<b>.png" for i in range(len(pictures))])
    return detector, source, evaluate(detector, source, labels, train=detector.train)
