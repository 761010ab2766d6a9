"""Limits: on bodies, pixels, work and connections, alone and together."""

import time

import numpy as np
import pytest
from pictures import stripes
from serve.conftest import PATIENCE, answer_to, connected, live
from serve.made_requests import GOOD, HEAD, PNG, assert_refused, encoded

from novelette.serve.limits import BODIES, Gate, Limits, Refusal


@pytest.mark.parametrize("content", [bytes(1001), [bytes(600), bytes(600)]], ids=["stated", "in chunks"])
def test_a_body_over_the_limit_is_refused(content, detector):
    with live(detector, max_body=1000) as client:
        sent = content if isinstance(content, bytes) else iter(content)
        assert_refused(client.post("/v1/score", content=sent, headers=PNG), 413, "0.001 MB")
        assert client.post("/v1/score", content=encoded(stripes(1, size=16)[0]), headers=PNG).status_code == 200


def test_a_body_that_states_too_much_is_refused_before_it_comes(client):
    found = answer_to(client, HEAD + b"Content-Length: 99999999999999999999\r\nConnection: close\r\n\r\n", close=True)
    assert found.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))
    found = answer_to(client, HEAD + b"Content-Length: 33000000\r\nConnection: close\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 413")


def test_pixels_over_the_limit_are_refused(detector):
    with live(detector, max_pixels=32 * 32) as client:
        assert client.post("/v1/score", content=GOOD, headers=PNG).status_code == 200
        assert_refused(client.post("/v1/score", content=encoded(stripes(1, size=40)[0]), headers=PNG), 422, "over the limit")


def test_work_over_the_limit_is_refused_and_told_when_to_come_again(detector):
    with live(detector, queue=1) as client, connected(client) as slow:
        slow.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD[:9])  # has the only place
        answer = client.post("/v1/score", content=GOOD, headers=PNG)
        until = time.monotonic() + PATIENCE
        while answer.status_code == 200 and time.monotonic() < until:  # it was not seen yet
            answer = client.post("/v1/score", content=GOOD, headers=PNG)
        assert_refused(answer, 429, "ask again")
        assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200
        slow.sendall(GOOD[9:])
        assert slow.recv(100).startswith(b"HTTP/1.1 200")
        assert client.post("/v1/score", content=GOOD, headers=PNG).status_code == 200


def test_connections_over_the_limit_are_refused(detector):
    with live(detector, queue=1) as client:
        first, second = connected(client), connected(client)
        try:
            for connection in (first, second):
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
                assert connection.recv(100).startswith(b"HTTP/1.1 200")
            assert answer_to(client).startswith(b"HTTP/1.1 429")
        finally:
            first.close()
            second.close()


def test_all_requests_together_hold_no_more_than_some_bodies():
    gate = Gate(Limits(max_body=100, queue=1000))
    with gate.entered() as hold:
        for _ in range(BODIES):
            hold(100)
        with pytest.raises(Refusal, match="ask again"), gate.entered() as another:
            another(1)
    with gate.entered() as hold:
        hold(BODIES * 100)
    assert gate.held == gate.requests == 0


def test_heat_maps_count_as_held_like_bodies(client, detector):
    """A small file can have a large map, and a request may ask for many."""
    content = encoded(np.tile(np.arange(256, dtype=np.uint8), (512, 2)))
    size = len(client.post("/v1/score?heatmap=true", content=content, headers=PNG).json()["pictures"][0]["heatmap"])
    form = {"files": [("picture", (f"{i}.png", content)) for i in range(3)]}
    body = 4 * len(content) + 1000
    most = (body + 2 * size) // BODIES + 1  # room for the body and two maps
    assert body < most
    with live(detector, max_body=most) as limited:
        for _ in range(2):  # the second, once what the first held is free again
            assert_refused(limited.post("/v1/score?heatmap=true", **form), 429, "ask again")
            assert limited.post("/v1/score", **form).status_code == 200
            assert limited.post("/v1/score?heatmap=true", content=content, headers=PNG).status_code == 200
