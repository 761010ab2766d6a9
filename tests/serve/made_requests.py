"""Requests made for these tests, and what a refusal must look like."""

import base64
import io
import json

import numpy as np
from pictures import stripes
from PIL import Image

PNG = {"Content-Type": "image/png"}
JSON = {"Content-Type": "application/json"}
HEAD = b"POST /v1/score HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\n"


def encoded(picture, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind)
    return file.getvalue()


GOOD = encoded(stripes(1)[0])
COLOUR = encoded(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))


def as_json(*contents, **more):
    return json.dumps({"pictures": [{"data": base64.b64encode(content).decode(), **more} for content in contents]}).encode()


def assert_refused(answer, status, *says):
    """One sentence as JSON, which holds each of `says`."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    sentence = answer.json()["error"]
    assert "\n" not in sentence
    assert len(sentence) < 300
    for words in says:
        assert words in sentence, sentence
