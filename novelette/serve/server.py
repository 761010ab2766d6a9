"""Opens the port, serves until it is told to stop, and lets what is being worked on end."""

import functools
import gc
import logging
import math
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from novelette.errors import InputError
from novelette.files import reason
from novelette.serve.limits import Limits
from novelette.serve.protocol import PatientProtocol

BACKLOG = 1024  # connections that the system keeps until they are taken
LAST_SECONDS = 8  # for the requests that a stop finds: what runs containers kills after ten
TOKEN = "NOVELETTE_TOKEN"


def read_token(file: Path | None) -> str | None:
    """The bearer token of a file, or of the environment; None where there is none. Raises: InputError."""
    if file is None:
        token, where = os.environ.get(TOKEN), TOKEN
    else:
        where = str(file)
        try:
            token = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"the token in {where} is not text: write one line of letters and digits") from error
        except OSError as error:
            raise InputError(f"the token file {where} cannot be read ({reason(error)}): check the path") from error
    if token is None:
        return None
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"the token in {where} is {'empty' if not token else 'not one word of ASCII'}: write letters and digits")
    return token


def opened(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises: InputError when the host is not known here, or the port not to be had."""
    if not 0 <= port <= 65535:
        raise InputError(f"--port {port} is out of range: give 0 to 65535")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise InputError(f"the host {host!r} is not known: give --host an address of this machine, such as 127.0.0.1") from error
    try:
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        raise InputError(f"cannot listen at {host} port {port} ({_why(error)}): give another --port, or 0 for a free one") from error


def _why(error: OSError) -> str:
    """The system's words without the address that Python puts behind them."""
    return reason(OSError(error.errno, os.strerror(error.errno))) if error.errno else str(error)


def address_of(listening: socket.socket) -> str:
    """Where a person's browser finds it."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def server_of(app: FastAPI, limits: Limits) -> uvicorn.Server:
    """A server for the application, not yet running."""
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # what it says of odd forms is in the refusals
    protocol: Any = functools.partial(PatientProtocol, limits=limits, refused=app.state.metrics.refused)
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="error",
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=math.ceil(limits.timeout_s),
        timeout_graceful_shutdown=LAST_SECONDS,
    )
    return uvicorn.Server(config)


def run(app: FastAPI, limits: Limits, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM, then let requests end for at most LAST_SECONDS.

    Args: ready: called once a signal would stop the server.
    """
    server = server_of(app, limits)
    gc.collect()
    gc.freeze()  # what is loaded by now stays: going through all of it again and again would hold every request up for some 50 ms

    def stop(*_: Any) -> None:
        server.should_exit = True

    # uvicorn has handlers of its own while it runs, and afterwards sends what it caught to these: so that is no failure
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ready()
        server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
