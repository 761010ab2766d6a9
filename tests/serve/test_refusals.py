"""Bad requests: each is refused with a 4xx and one sentence, and the server goes on."""

import io

import pytest
from pictures import stripes
from PIL import Image
from serve.conftest import live
from serve.made_requests import COLOUR, GOOD, JSON, PNG, as_json, assert_refused, encoded


def bomb():
    """A hundred megapixels in 12 kB."""
    file = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(file, "PNG")
    return file.getvalue()


def form(*contents):
    return {"files": [("picture", (f"{i}.png", content)) for i, content in enumerate(contents)]}


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
    "a field": ({"files": [("path", (None, "/etc/passwd")), ("picture", ("a.png", GOOD))]}, 422, "'path' is not a file"),
    "no JSON": ({"content": b'{"pictures": [', "headers": JSON}, 400, "not readable JSON"),
    "deep JSON": ({"content": b"[" * 100_000, "headers": JSON}, 400, "not readable JSON"),
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
