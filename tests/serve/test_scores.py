"""What the server says of pictures: the same as the runtime, whichever way they are sent, alone or together."""

import asyncio
import base64
import io
import threading

import numpy as np
import pytest
from PIL import Image
from serve.conftest import live

from novelette import heatmap
from novelette.data.decode import decode
from novelette.runtime import Runtime
from novelette.serve import batching
from novelette.serve.batching import Batcher, Unusable, Verdict
from novelette.serve.heatmaps import LONGEST_SIDE

PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def files(new):
    return sorted(new.iterdir())


def of_json(files, **more):
    return {"pictures": [{"data": base64.b64encode(file.read_bytes()).decode(), "name": file.name, **more} for file in files]}


def as_sent(client, how, files):
    """The rows of the answers to pictures that are sent in one of the three ways."""
    if how == "raw":
        answers = [client.post("/v1/score", content=file.read_bytes(), headers=PNG) for file in files]
    elif how == "form":
        answers = [client.post("/v1/score", files=[("any", (file.name, file.read_bytes())) for file in files])]
    else:
        answers = [client.post("/v1/score", json=of_json(files))]
    assert {answer.status_code for answer in answers} == {200}, answers[0].text
    return [row for answer in answers for row in answer.json()["pictures"]]


@pytest.mark.parametrize("how", ["raw", "form", "json"])
def test_pictures_score_as_the_runtime_scores_them(how, client, detector, new, files):
    expected, found = detector.predict(new), as_sent(client, how, files)
    np.testing.assert_allclose([row["score"] for row in found], expected.score, rtol=1e-5)  # sums of products in another order
    np.testing.assert_allclose([row["p_value"] for row in found], expected.p_value, rtol=1e-6)  # of float32
    assert [row["novel"] for row in found] == expected.novel.tolist()
    assert 0 < sum(row["novel"] for row in found) < len(found)
    assert [row.get("name") for row in found] == [None if how == "raw" else file.name for file in files]
    assert not any("heatmap" in row for row in found)


@pytest.mark.parametrize("threads", [1, 3])
def test_pictures_that_wait_together_are_scored_in_one_run_and_as_alone(threads, detector, files, monkeypatch):
    contents = [file.read_bytes() for file in files]
    alone = detector.predict([str(file) for file in files])
    go, sizes = threading.Event(), []
    run = detector.run

    def slow(images):
        sizes.append(len(images))
        assert go.wait(60)
        return run(images)

    monkeypatch.setattr(detector, "run", slow)

    async def gathered():
        batcher = Batcher(detector, threads=threads, max_pixels=10_000, done=lambda verdicts: None)
        batcher.start()
        first = []
        for i in range(threads):  # every thread has a picture
            first.append(asyncio.create_task(batcher.score(contents[i : i + 1])))
            while len(sizes) <= i:
                await asyncio.sleep(0.01)
        others = [asyncio.create_task(batcher.score([content])) for content in contents[threads:]]
        while batcher.waiting < len(others):
            await asyncio.sleep(0.01)
        go.set()
        found = [await task for task in (*first, *others)]
        await batcher.stop()
        return [outcome for outcomes in found for outcome in outcomes]

    found = asyncio.run(asyncio.wait_for(gathered(), 60))
    assert sizes[:threads] == [1] * threads
    assert sum(sizes) == len(files)
    assert len(sizes) <= 2 * threads
    np.testing.assert_allclose([verdict.score for verdict in found], alone.score, rtol=1e-5)  # sums of products in another order


def test_what_cannot_be_used_does_not_keep_its_neighbours_from_their_scores(detector, files):
    async def judged():
        batcher = Batcher(detector, threads=1, max_pixels=10_000, done=lambda verdicts: None)
        batcher.start()
        found = await batcher.score([files[0].read_bytes(), b"text", files[1].read_bytes(), b""])
        await batcher.stop()
        return found

    first, text, second, nothing = asyncio.run(judged())
    assert (text, nothing) == (Unusable("not an image"), Unusable("empty file"))
    expected = detector.score([str(file) for file in files[:2]])
    assert isinstance(first, Verdict)
    np.testing.assert_allclose([first.score, second.score], expected, rtol=1e-5)  # sums of products in another order


def test_pictures_of_a_request_that_was_cancelled_are_not_decoded(detector, files, monkeypatch):
    content, go, decoded = files[0].read_bytes(), threading.Event(), []

    def slow(content, **limits):
        decoded.append(content)
        assert go.wait(60)
        return decode(content, **limits)

    monkeypatch.setattr(batching, "decode", slow)

    async def stopped():
        batcher = Batcher(detector, threads=1, max_pixels=10_000, done=lambda verdicts: None)
        batcher.start()
        task = asyncio.create_task(batcher.score([content] * 600))  # more than a batch
        while not decoded:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        await batcher.stop()

    asyncio.run(asyncio.wait_for(stopped(), 60))
    assert len(decoded) == 1


def test_a_batch_that_fails_is_an_error_of_the_server_and_the_next_one_is_not(client, detector, files, monkeypatch, caplog):
    def broken(images):
        raise RuntimeError("out of order")

    with monkeypatch.context() as patched:
        patched.setattr(detector, "run", broken)
        answer = client.post("/v1/score", content=files[0].read_bytes(), headers=PNG)
    assert answer.status_code == 500
    assert list(answer.json()) == ["error"]
    assert "out of order" not in answer.text
    assert "out of order" in caplog.text
    assert client.post("/v1/score", content=files[0].read_bytes(), headers=PNG).status_code == 200
    assert 'status="500"' in client.get("/metrics").text


@pytest.mark.parametrize("how", ["raw", "form", "json"])
def test_a_heat_map_is_the_picture_with_its_heat_laid_over(how, client, detector, files):
    content = files[-1].read_bytes()
    sent = {
        "raw": {"content": content, "headers": PNG},
        "form": {"files": [("any", ("a.png", content))]},
        "json": {"json": of_json(files[-1:])},
    }
    answer = client.post("/v1/score?heatmap=true", **sent[how])
    found = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer.json()["pictures"][0]["heatmap"]))))
    picture = decode(content)
    heat = detector.heatmap(picture)
    assert np.array_equal(found, heatmap.overlay(picture, heat, heatmap.heat_scale([heat])))


def test_the_heat_map_of_a_large_picture_is_drawn_smaller(client):
    file = io.BytesIO()
    Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (300, 8))).save(file, "PNG")
    answer = client.post("/v1/score?heatmap=true", content=file.getvalue(), headers=PNG).json()
    size = Image.open(io.BytesIO(base64.b64decode(answer["pictures"][0]["heatmap"]))).size
    assert size == (LONGEST_SIDE, 300 * LONGEST_SIDE // 2048)


def test_without_calibration_there_is_no_p_value_and_without_threshold_no_verdict(client, detector, files, monkeypatch):
    def uncalibrated(images):
        found = Runtime.run(detector, images)
        return found._replace(p_value=np.full_like(found.p_value, np.nan), label=np.full_like(found.label, -1))

    monkeypatch.setattr(detector, "run", uncalibrated)
    row = as_sent(client, "raw", files[:1])[0]
    assert set(row) == {"score", "p_value", "novel"}
    assert row["p_value"] is row["novel"] is None


def test_what_the_detector_is_can_be_asked_and_not_where_its_pictures_came_from(client, detector, parts):
    said = client.get("/v1/detector").json()
    assert said["method"] == "ede-gan"
    assert (said["size"], said["channels"], said["heatmaps"]) == (32, 1, True)
    assert said["threshold"] == detector.threshold
    assert said["calibration_pictures"] == len(detector.card.calibration)
    assert str(parts) not in str(said)


def test_metrics_count_requests_pictures_batches_and_drift(detector, files):
    with live(detector) as client:
        as_sent(client, "json", files[:8])
        client.get("/nowhere")
        lines = client.get("/metrics").text.splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert found['novelette_requests_total{route="/v1/score",status="200"}'] == "1.0"
    assert found['novelette_requests_total{route="other",status="404"}'] == "1.0"
    assert found["novelette_pictures_total"] == "8.0"
    assert 0 < float(found["novelette_pictures_novel_total"]) < 8
    assert found["novelette_batch_pictures_sum"] == "8.0"
    assert found['novelette_request_seconds_count{route="/v1/score"}'] == "1.0"
    assert found["novelette_waiting_pictures"] == found["novelette_working_requests"] == "0.0"
    assert found["novelette_drifted"] == "0.0"
    assert "novelette_drift_log10_capital" in found


def test_novel_pictures_again_and_again_are_drift(detector, files):
    with live(detector) as client:
        for _ in range(20):
            as_sent(client, "json", files[6:])
        drift = client.get("/v1/detector").json()["drift"]
        assert drift["seen"] == 120
        assert drift["drifted"] is True
        assert "novelette_drifted 1.0" in client.get("/metrics").text


def test_two_servers_in_a_process_count_apart(detector, files):
    with live(detector) as one, live(detector) as other:
        as_sent(one, "raw", files[:3])
        assert "novelette_pictures_total 3.0" in one.get("/metrics").text
        assert "novelette_pictures_total 0.0" in other.get("/metrics").text


def test_a_picture_without_a_finite_score_is_refused_and_counts_for_nothing(detector, files, monkeypatch):
    run = detector.run

    def strange(images):
        said = run(images)
        said.score[0] = np.inf
        return said

    monkeypatch.setattr(detector, "run", strange)
    with live(detector) as client:
        answer = client.post("/v1/score", content=files[0].read_bytes(), headers=PNG)
        assert (answer.status_code, answer.json()["error"].split(":")[0]) == (422, "the picture cannot be scored")
        assert "its score is not a finite number" in answer.json()["error"]
        assert "novelette_pictures_total 0.0" in client.get("/metrics").text
