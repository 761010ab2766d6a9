"""Connections: slow clients, those that go away, heads and chunks of every size."""

import json
import socket
import time
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
from serve.conftest import PATIENCE, answer_to, connected, live
from serve.made_requests import GOOD, HEAD, PNG, encoded


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST /v1/sc", HEAD, HEAD + b"Content-Length: 100\r\n\r\n123", HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\n123\r\n"],
    ids=["nothing", "half a line", "half a head", "half a body", "half of the chunks"],
)
def test_a_slow_client_is_told_and_closed(sent, detector):
    with live(detector, timeout_s=0.3) as client:
        found = answer_to(client, sent)
        assert found.startswith(b"HTTP/1.1 408"), found
        assert b"did not arrive within 0.3 seconds" in found


def send_until_closed(connection, data):
    """Send again and again, until the other side has had enough."""
    until = time.monotonic() + PATIENCE
    with suppress(ConnectionError):
        while True:
            assert time.monotonic() < until
            connection.sendall(data)
            time.sleep(0.05)


def test_a_client_that_sends_byte_by_byte_is_closed(detector):
    with live(detector, timeout_s=0.3) as client, connected(client) as connection:
        send_until_closed(connection, b"\r\n")


def test_a_second_request_has_a_time_of_its_own(detector):
    with live(detector, timeout_s=0.5) as client, connected(client) as connection:
        for _ in range(4):
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD)
            assert connection.recv(10_000).startswith(b"HTTP/1.1 200")
            time.sleep(0.2)
        connection.sendall(b"GET /he")
        found = connection.recv(10_000)
        assert found.startswith(b"HTTP/1.1 408")
        assert connection.recv(10) == b""


def test_a_client_that_does_not_take_its_answer_is_closed(detector):
    with live(detector, timeout_s=0.3) as client, connected(client) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        send_until_closed(connection, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 100)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: here\r\nCookie: " + b"x" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: here\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: here\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: here\r\nCookie: " + b"x" * 1_000_000,
    ],
    ids=["a long header", "many headers", "a long path", "a header without end"],
)
def test_a_huge_head_is_refused(sent, client):
    found = answer_to(client, sent)
    assert found.startswith(b"HTTP/1.1 431"), found[:100]
    assert b"16,384 bytes" in found
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("trailer", [b"X: " + b"x" * 1_000_000, b"X: y\r\n" * 20_000], ids=["one without end", "many"])
def test_a_huge_trailer_is_refused_as_a_head_is(trailer, client):
    found = answer_to(client, HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\n123\r\n0\r\n", trailer)
    assert found.startswith(b"HTTP/1.1 431"), found[:100]
    assert client.get("/healthz").status_code == 200


def test_a_body_in_many_chunks_is_taken_with_a_trailer_behind_it(client):
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in GOOD + bytes(20_000))  # more bytes of sizes than a head may have
    sent = HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX: y\r\n\r\n"
    assert answer_to(client, *[sent[i : i + 1000] for i in range(0, len(sent), 1000)]).startswith(b"HTTP/1.1 200")


def test_heads_and_sizes_of_chunks_that_come_in_two_are_not_taken_for_long_ones(client):
    large = b"x" * 20_000  # more than a head may have, and than arrives at a time
    chunk = b"4e20\r\n" + large + b"\r\n"
    sent = HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + 3 * chunk + b"0\r\n\r\n"
    cuts = [0, *(len(sent) - 5 - i * len(chunk) + 6 for i in (3, 2, 1)), len(sent)]  # behind each size
    with connected(client) as connection:
        for a, b in pairwise(cuts):
            connection.sendall(sent[a:b])
            time.sleep(0.05)
        assert connection.recv(100).startswith(b"HTTP/1.1 422")
    first = HEAD + b"Content-Length: 20000\r\n\r\n" + large
    second = b"GET /healthz HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    with connected(client) as connection:
        for part in (first[:40], first[40:] + second[:40], second[40:]):
            connection.sendall(part)
            time.sleep(0.05)
        found = b""
        while data := connection.recv(65536):
            found += data
    assert found.startswith(b"HTTP/1.1 422")
    assert b'{"status":"ok"}' in found


def test_a_head_just_under_the_limit_is_taken_with_a_large_body_behind_it(client):
    head = HEAD + b"Cookie: " + b"x" * 16_000 + b"\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    body = encoded(np.random.default_rng(0).integers(0, 256, (1000, 1000), dtype=np.uint8))
    assert answer_to(client, head % len(body) + body).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00\x01\x00", b"no request\r\n\r\n", HEAD + b"Content-Length: -1\r\n\r\n"])
def test_what_is_no_http_is_refused_in_a_sentence(sent, client):
    found = answer_to(client, sent)
    assert found.startswith(b"HTTP/1.1 400"), found
    assert list(json.loads(found.partition(b"\r\n\r\n")[2])) == ["error"]


def test_a_client_that_goes_away_in_the_middle_leaves_nothing_behind(detector):
    with live(detector) as client:
        for _ in range(20):
            with connected(client) as connection:
                connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n123")
        until = time.monotonic() + PATIENCE
        while "novelette_working_requests 0.0" not in client.get("/metrics").text:
            assert time.monotonic() < until
        assert client.post("/v1/score", content=GOOD, headers=PNG).status_code == 200


def test_an_upgrade_is_answered_as_if_it_were_none(client):
    sent = b"GET /healthz HTTP/1.1\r\nHost: here\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    assert b'{"status":"ok"}' in answer_to(client, sent, close=True)


def test_answers_tell_browsers_not_to_guess(client):
    for answer in (client.get("/"), client.get("/nowhere"), client.post("/v1/score", content=GOOD, headers=PNG)):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
