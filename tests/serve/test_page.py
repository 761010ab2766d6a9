"""The page at / in a headless Chromium: a person drops pictures and sees score, verdict and heat map."""

import re

import pytest
from pictures import checks, stripes, write
from serve import chromium
from serve.conftest import live

from novelette.serve.page import PAGE, POLICY

needs_chromium = pytest.mark.skipif(chromium.found() is None, reason="there is no Chromium on this machine")
DONE = "document.getElementById('summary').textContent"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dropped")
    paths = sorted(write(folder, [*stripes(3, seed=5), *checks(2)]).iterdir())
    (folder / "text.png").write_text("no picture")
    return [*paths, folder / "text.png"]


def test_the_page_stands_alone_under_a_strict_policy(client):
    answer = client.get("/")
    assert answer.text == PAGE
    assert answer.headers["content-security-policy"] == POLICY
    assert not re.search(r"(src|href)=[\"']?(https?:)?//|url\(|@import", PAGE)
    for words in ("default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "script-src 'sha256-"):
        assert words in POLICY
    assert "unsafe" not in POLICY


@needs_chromium
def test_the_docs_show_every_route_without_the_network(detector, tmp_path):
    with live(detector) as client, chromium.opened(f"{client.base_url}/docs", tmp_path / "browser") as page:
        page.wait_for("document.querySelectorAll('.opblock').length == 4")
        shown = page.value("document.body.innerText")
        loaded = page.value("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert all(route in shown for route in ("/v1/score", "/v1/detector", "/healthz", "/metrics"))
    assert loaded
    assert all(url.startswith((str(client.base_url), "data:")) for url in loaded), loaded


@needs_chromium
def test_dropped_pictures_show_score_verdict_and_heat_map(detector, files, tmp_path):
    with live(detector) as client, chromium.opened(str(client.base_url), tmp_path / "browser") as page:
        page.wait_for("document.getElementById('about').textContent.includes('above')")
        page.choose("#files", files)
        page.wait_for(f"{DONE}.startsWith('6 of 6')")
        shown = page.value("[...document.querySelectorAll('.shot')].map(shot => shot.innerText.replace(/\\s+/g, ' '))")
        expected = detector.predict([str(file) for file in files[:5]])
        assert page.value(DONE) == f"6 of 6 pictures, {int(expected.novel.sum())} novel, 1 not scored"
        for text, score, novel, file in zip(reversed(shown[1:]), expected.score, expected.novel, files, strict=False):
            assert re.search(rf"^{'novel' if novel else 'normal'} {file.name} score ", text), text
            assert float(re.search(r"score (\S+),", text)[1]) == pytest.approx(float(score), rel=1e-3)  # four digits are shown
        assert "not an image" in shown[0]
        page.wait_for("[...document.images].every(image => image.complete && image.naturalWidth)")
        assert page.value("document.querySelectorAll('.pair img').length") == 10  # a picture and its heat map each, and none of the text
        unexpected = [text for text in page.complaints if "422" not in text]  # the browser tells of a refusal, too
        assert not unexpected
        page.shoot(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 10_000


@needs_chromium
def test_a_dragged_picture_is_scored_too(detector, files, tmp_path):
    drag = """
    (() => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob("BYTES"), c => c.charCodeAt(0))], "dragged.png", {type: "image/png"}));
      document.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
    })()"""
    import base64

    with live(detector) as client, chromium.opened(str(client.base_url), tmp_path / "browser") as page:
        page.wait_for("document.getElementById('about').textContent.includes('above')")
        page.value(drag.replace("BYTES", base64.b64encode(files[0].read_bytes()).decode()))
        page.wait_for(f"{DONE}.startsWith('1 of 1')")
        assert "dragged.png" in page.value("document.getElementById('gallery').innerText")
        assert page.complaints == []


@needs_chromium
def test_the_page_asks_for_the_token_and_goes_on_with_it(detector, files, tmp_path):
    typed = "document.getElementById('token').value = '{}'; document.getElementById('ask').requestSubmit()"
    with live(detector, token="s3cret") as client, chromium.opened(str(client.base_url), tmp_path / "browser") as page:
        page.wait_for("!document.getElementById('ask').hidden")
        page.choose("#files", files[:2])
        page.value(typed.format("wrong"))
        page.wait_for("document.getElementById('about').textContent.includes('not the server')")
        page.value(typed.format("s3cret"))
        page.wait_for(f"{DONE}.startsWith('2 of 2')")
        assert page.value("document.getElementById('ask').hidden")
        assert page.value("document.querySelectorAll('.badge.normal, .badge.novel').length") == 2
