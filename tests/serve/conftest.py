"""A bundle, applications over it, and servers on free ports of this machine."""

import socket
import threading
from contextlib import contextmanager

import httpx
import pytest
from pictures import checks, fitted, stripes, write

from novelette import runtime
from novelette.cli import main
from novelette.serve import server
from novelette.serve.app import create_app
from novelette.serve.limits import Limits

PATIENCE = 60  # seconds for what takes a moment on an idle machine


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pictures") / "parts", stripes(60))


@pytest.fixture(scope="session")
def new(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pictures") / "new", [*stripes(6, seed=2), *checks(6, size=40)])


@pytest.fixture(scope="session")
def made(tmp_path_factory, parts):
    """A bundle for grey pictures, with a threshold."""
    folder = tmp_path_factory.mktemp("bundles")
    det = fitted(folder / "gan.det", parts, "ede-gan", "--widths", "2", "--latent", "8", "--steps", "20")
    assert main(["export", str(det), "-o", str(folder / "gan.bundle")]) == 0
    return folder / "gan.bundle"


@pytest.fixture(scope="session")
def detector(made):
    return runtime.load(made, threads=1)


@pytest.fixture(scope="module")
def client(detector):
    """A client of a server that a module's tests share."""
    with live(detector) as client:
        yield client


@contextmanager
def live(detector, token=None, threads=1, **limits):
    """A server on a free port, in a thread, while the block runs.   Returns: a client of it."""
    limits = Limits(**limits)
    app = create_app(detector, limits=limits, token=token, threads=threads)
    listening = server.opened("127.0.0.1", 0)
    running = server.server_of(app, limits)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        with httpx.Client(base_url=server.address_of(listening), timeout=PATIENCE) as client:
            yield client
    finally:
        running.should_exit = True
        thread.join(PATIENCE)


def connected(client):
    """A connection of one's own to the server of a client."""
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=PATIENCE)


def answer_to(client, *sent, close=False):
    """All that a server sends until it closes the connection, after bytes were sent to it."""
    with connected(client) as connection:
        for data in sent:
            connection.sendall(data)
        if close:
            connection.shutdown(socket.SHUT_WR)
        found = b""
        try:
            while data := connection.recv(65536):
                found += data
        except ConnectionResetError:  # it closed while we were sending
            pass
        return found
