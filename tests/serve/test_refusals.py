"""Bad requests: each is refused with a 4xx and one sentence, and the server goes on."""

import base64
import io
import json
import socket
import time
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
from pictures import stripes
from PIL import Image
from serve.conftest import PATIENCE, answer_to, connected, live

from novelette.serve.limits import BODIES, Gate, Limits, Refusal

PNG = {"Content-Type": "image/png"}
JSON = {"Content-Type": "application/json"}
HEAD = b"POST /v1/score HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\n"


def encoded(picture, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind)
    return file.getvalue()


GOOD = encoded(stripes(1)[0])
COLOUR = encoded(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))


def bomb():
    """A hundred megapixels in 12 kB."""
    file = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(file, "PNG")
    return file.getvalue()


def as_json(*contents, **more):
    return json.dumps({"pictures": [{"data": base64.b64encode(content).decode(), **more} for content in contents]}).encode()


def form(*contents):
    return {"files": [("picture", (f"{i}.png", content)) for i, content in enumerate(contents)]}


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


REFUSED = {
    "nothing": ({"headers": PNG}, 400, "body is empty"),
    "no type": ({"content": GOOD}, 415, "Content-Type is missing"),
    "another type": ({"content": GOOD, "headers": {"Content-Type": "text/html"}}, 415, "text/html", "multipart/form-data"),
    "a curl of old": ({"data": {"url": "http://localhost/a.png"}}, 415, "x-www-form-urlencoded"),
    "packed": ({"content": GOOD, "headers": PNG | {"Content-Encoding": "gzip"}}, 415, "Content-Encoding"),
    "text": ({"content": b"a picture, honestly", "headers": PNG}, 422, "the picture", "not an image"),
    "PostScript": ({"content": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "headers": PNG}, 422, "not an image"),
    "half a JPEG": ({"content": encoded(stripes(1)[0], "JPEG")[:-300], "headers": {"Content-Type": "image/jpeg"}}, 422, "truncated"),
    "a bomb": ({"content": bomb(), "headers": PNG}, 422, "100 Mpx is over the limit of 25 Mpx"),
    "colour": ({"content": COLOUR, "headers": PNG}, 422, "in colour", "grey"),
    "an empty picture among others": (form(GOOD, b"", GOOD), 422, "picture 2 of 3, 1.png,", "empty file"),
    "many": (form(*[GOOD] * 65), 413, "64 pictures"),
    "ten thousand": (form(*[b"x"] * 10_000), 413, "64 pictures"),
    "ten thousand in JSON": ({"content": as_json(*[b"x"] * 10_000), "headers": JSON}, 413, "64 pictures"),
    "a form without files": ({"content": b"--x--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400, "form"),
    "a form without boundary": ({"content": GOOD, "headers": {"Content-Type": "multipart/form-data"}}, 400, "boundary"),
    "another boundary": ({"content": GOOD, "headers": {"Content-Type": "multipart/form-data; boundary=y"}}, 400, "boundary"),
    "half a form": (
        {
            "content": b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.png"\r\n\r\n' + GOOD,
            "headers": {"Content-Type": "multipart/form-data; boundary=x"},
        },
        400,
        "ends before",
    ),
    "a field": ({"files": [("path", (None, "/etc/passwd")), ("picture", ("a.png", GOOD))]}, 422, "'path' is no file"),
    "no JSON": ({"content": b'{"pictures": [', "headers": JSON}, 400, "no JSON"),
    "deep JSON": ({"content": b"[" * 100_000, "headers": JSON}, 400, "no JSON"),
    "other JSON": ({"json": [1]}, 422, "pictures"),
    "JSON with a path": ({"json": {"pictures": [{"path": "/etc/passwd"}]}}, 422, "pictures.0"),
    "JSON without pictures": ({"json": {"pictures": []}}, 422, "at least 1"),
    "no base64": ({"json": {"pictures": [{"data": "no base64!"}]}}, 422, "pictures.0.data", "not base64"),
    "a long name": ({"content": as_json(GOOD, name="x" * 256), "headers": JSON}, 422, "pictures.0.name", "255"),
    "an empty picture in JSON": ({"content": as_json(b""), "headers": JSON}, 422, "empty file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_request_is_refused_in_a_sentence(case, client):
    sent, status, *says = REFUSED[case]
    assert_refused(client.post("/v1/score", **sent), status, *says)
    assert client.post("/v1/score", content=GOOD, headers=PNG).status_code == 200


def test_json_of_too_many_values_is_refused_before_it_is_read_and_names_of_commas_are_not(client):
    assert_refused(client.post("/v1/score", content=b"[" + b"1," * 20_000, headers=JSON), 413, "64 pictures")  # read, it is no JSON: 400
    assert client.post("/v1/score", content=as_json(*[GOOD] * 64, name="," * 255), headers=JSON).status_code == 200


def test_what_is_not_there_is_refused_in_a_sentence(client):
    assert_refused(client.get("/nowhere"), 404, "/nowhere")
    assert_refused(client.get("/v1/score"), 405, "use POST")
    assert client.get("/v1/score").headers["allow"] == "POST"
    assert_refused(client.post("/v1/score?heatmap=perhaps", content=GOOD, headers=PNG), 422, "heatmap")


def test_a_method_without_heat_maps_says_so(client, detector, monkeypatch):
    monkeypatch.setattr(type(detector.card), "output", lambda card, name: None)
    assert_refused(client.post("/v1/score?heatmap=true", content=GOOD, headers=PNG), 422, "leave out heatmap=true")


# limits


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


# the token


def test_with_a_token_scores_and_counters_are_for_those_who_have_it(detector):
    with live(detector, token="s3cret") as client:
        for headers in ({}, {"Authorization": "Bearer s3cre"}, {"Authorization": "Basic s3cret"}, {"Authorization": "Bearer \xff"}):
            headers = {name: value.encode("latin-1") for name, value in headers.items()}
            answers = [client.get(path, headers=headers) for path in ("/metrics", "/v1/detector")]
            for answer in (*answers, client.post("/v1/score?heatmap=perhaps", content=GOOD, headers=PNG | headers)):
                assert_refused(answer, 401, "token", "Bearer")
                assert answer.headers["www-authenticate"] == "Bearer"
        right = {"Authorization": "Bearer s3cret"}
        assert client.post("/v1/score", content=GOOD, headers=PNG | right).status_code == 200
        assert {client.get(path, headers=right).status_code for path in ("/metrics", "/v1/detector")} == {200}
        assert {client.get(path).status_code for path in ("/", "/healthz", "/openapi.json")} == {200}


# connections


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
