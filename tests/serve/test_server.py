"""`novelette serve` as a process: how it starts, what it refuses to start with, how it stops; without torch; what OpenAPI promises."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pictures import assert_refused, fitted, stripes
from PIL import Image
from serve.conftest import PATIENCE, live

from novelette.cli import main
from novelette.serve import server

PNG = {"Content-Type": "image/png"}
WITHOUT_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "sklearn", "scipy", "safetensors", "matplotlib", "joblib", "pooch", "onnx", "onnxscript"):
            raise ImportError(f"{name} is not here")
sys.meta_path.insert(0, Refuse())
from novelette.cli import main
status = main(sys.argv[1:])
assert "torch" not in sys.modules
sys.exit(status)
"""


def png(size=32):
    file = io.BytesIO()
    Image.fromarray(stripes(1, size=size)[0]).save(file, "PNG")
    return file.getvalue()


@contextmanager
def started(*argv, env=None):
    """`novelette serve` on a free port, in a process that cannot import torch.   Returns: the process and its address."""
    command = [sys.executable, "-c", WITHOUT_TORCH, "serve", *map(str, argv), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | (env or {})) as process:
        try:
            line = process.stdout.readline()
            assert "serving at" in line, process.stderr.read()
            yield process, re.search(r"http://\S+?(?=;)", line)[0]
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_requests_end_and_is_no_failure(number, made):
    content = png()
    head = b"POST /v1/score HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(content)
    with started(made) as (process, address):
        assert httpx.get(f"{address}/healthz", timeout=PATIENCE).json() == {"status": "ok"}
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as half:
            half.sendall(head + content[:50])
            while "novelette_working_requests 1.0" not in httpx.get(f"{address}/metrics", timeout=PATIENCE).text:
                time.sleep(0.01)
            process.send_signal(number)
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until:  # until it takes no more
                try:
                    socket.create_connection((host, int(port)), timeout=1).close()
                except OSError:
                    break
                time.sleep(0.05)
            half.sendall(content[50:])
            assert half.recv(1000).startswith(b"HTTP/1.1 200")
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert out == "stopped\n"
    assert err == ""


def test_the_token_comes_from_a_file_or_the_environment(made, tmp_path):
    (tmp_path / "token").write_text("fr0m-a-file\n")
    for argv, env, token in (
        (("--token-file", tmp_path / "token"), {}, "fr0m-a-file"),
        ((), {server.TOKEN: "fr0m-outside"}, "fr0m-outside"),
    ):
        with started(made, *argv, env=env) as (_, address):
            assert httpx.get(f"{address}/v1/detector", timeout=PATIENCE).status_code == 401
            headers = {"Authorization": f"Bearer {token}"}
            assert httpx.get(f"{address}/v1/detector", headers=headers, timeout=PATIENCE).status_code == 200


def test_what_it_cannot_start_with_is_refused_in_a_sentence(made, parts, tmp_path, capsys, monkeypatch):
    def refused(*argv, says):
        assert_refused(["serve", *map(str, argv)], tmp_path, capsys, *says)

    refused(tmp_path / "nowhere", says=["no bundle"])
    knn = fitted(tmp_path / "knn.det", parts)
    refused(knn, says=["is a detector", "novelette export"])
    refused(made, "--host", "no host", says=["'no host' is not known"])
    refused(made, "--port", "65536", says=["--port 65536"])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused(made, "--port", taken.getsockname()[1], says=["already in use", "--port"])
    for option, value in (
        ("--threads", 0),
        ("--max-body", 0),
        ("--max-pixels", 101),
        ("--max-pictures", -1),
        ("--queue", 0),
        ("--timeout", 0),
    ):
        refused(made, option, value, says=[f"{option} {value}"])
    refused(made, "--token-file", tmp_path / "none", says=["token", "cannot be read"])
    (tmp_path / "empty").write_text("\n")
    refused(made, "--token-file", tmp_path / "empty", says=["empty"])
    monkeypatch.setenv(server.TOKEN, "two words")
    refused(made, says=["NOVELETTE_TOKEN", "not one word"])


def test_an_address_that_others_reach_is_told_of_unless_there_is_a_token(made, capsys, monkeypatch):
    monkeypatch.setattr(server, "run", lambda *_: None)
    monkeypatch.delenv(server.TOKEN, raising=False)

    def told(host):
        assert main(["serve", str(made), "--host", host, "--port", "0"]) == 0
        return "anyone who can reach this address can use the server" in capsys.readouterr().err

    assert told("0.0.0.0")
    assert not told("127.0.0.1")
    monkeypatch.setenv(server.TOKEN, "secret")
    assert not told("0.0.0.0")


def test_a_damaged_bundle_is_refused(made, tmp_path, capsys):
    (tmp_path / "a.bundle").mkdir()
    (tmp_path / "a.bundle" / "bundle.json").write_bytes((made / "bundle.json").read_bytes())
    (tmp_path / "a.bundle" / "model.onnx").write_bytes(b"damaged")
    assert_refused(["serve", str(tmp_path / "a.bundle")], tmp_path, capsys, "damaged")


def test_without_the_extra_it_says_what_to_install(made, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("novelette.serve")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", str(made)]) == 2
    assert "its extra serve (in a checkout: pip install '.[serve]')" in capsys.readouterr().err


def test_many_at_once_are_all_answered_and_batched(detector):
    content, statuses = png(), []

    def ask(client):
        for _ in range(20):
            statuses.append(client.post("/v1/score", content=content, headers=PNG).status_code)

    with live(detector) as client:
        threads = [threading.Thread(target=ask, args=(client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 160
        counted = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")
        assert counted["novelette_batch_pictures_sum"] == "160.0"


# OpenAPI


def schemathesis_finds(client, examples):
    """What schemathesis finds wrong with a server. That random bytes are no picture is no fault, so that check is left out."""
    program = Path(sys.executable).with_name("schemathesis")
    options = ("--exclude-checks", "positive_data_acceptance", "--max-examples", str(examples), "--seed", "0", "--no-color")
    ended = subprocess.run([program, "run", f"{client.base_url}/openapi.json", *options], capture_output=True, text=True, check=False)
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr


@pytest.mark.heavy
def test_schemathesis_finds_nothing(client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where it leaves what it learnt
    assert not schemathesis_finds(client, examples=5)


@pytest.mark.slow
def test_schemathesis_finds_nothing_in_many_examples_with_a_token_or_without(detector, client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not schemathesis_finds(client, examples=500)
    with live(detector, token="s3cret") as guarded:
        assert not schemathesis_finds(guarded, examples=100)


def test_openapi_tells_of_every_route_and_refusal(client):
    said = client.get("/openapi.json").json()
    assert set(said["paths"]) == {"/healthz", "/metrics", "/v1/detector", "/v1/score"}
    score = said["paths"]["/v1/score"]["post"]
    assert set(score["requestBody"]["content"]) == {"image/png", "image/jpeg", "multipart/form-data", "application/json"}
    assert set(score["responses"]) == {"200", "400", "408", "413", "415", "422", "429", "503"}
