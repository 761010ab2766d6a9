"""Connections: uvicorn's HTTP on httptools, which alone waits for ever for a slow request and takes headers of any length."""

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from novelette.serve.limits import RETRY_AFTER, Limits

SECONDS_TO_READ = 1.0  # that a client has for a last answer before the connection is cut


class TooLong(Exception):
    """The line and headers of a request are over the limit."""


class PatientProtocol(HttpToolsProtocol):
    """A connection on which a request must arrive whole within `limits.timeout_s`, and its head be no longer than `limits.max_head`.

    The clock of arrival begins with the connection, or with the first byte of another request, and is stopped when the
    request is whole. A client that is slow to take its answers has as long again.

    Args: refused: is told the status of what is refused here.   others: uvicorn's own.
    """

    def __init__(self, *, limits: Limits, refused: Callable[[int], None], **others: Any) -> None:
        super().__init__(**others)
        self._limits, self._refused = limits, refused
        self._arrival: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None
        self._answered: RequestResponseCycle | None = None
        self._in_head = False
        self._in_trailer = False  # what may follow the last of a body's chunks: headers again
        self._begun = 0  # heads and trailers so far
        self._head = 0  # bytes of the last of them so far

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start()
        if len(self.connections) > self._limits.connections:
            self._refuse(429, "the server has as many connections as it accepts: ask again in a second")

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._stop_taking()
        if self._answered is not None:  # of several requests at once uvicorn tells the last alone, and the first would write on
            self._answered.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():  # what comes after a refusal
            return
        if self._arrival is None:
            self._start()
        before = self._begun
        super().data_received(data)
        if self._begun == before and (self._in_head or self._in_trailer):  # all of it is in one, and `on_header` may not have been told
            self._head += len(data)
            if self._head > self._limits.max_head and not self.transport.is_closing():
                self._too_long()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._in_trailer = True, False
        self._begun, self._head = self._begun + 1, 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)  # with the colon, the blank and the end of the line
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        self._in_trailer = True  # unless a body follows: the parser does not say how long the chunk is
        self._begun, self._head = self._begun + 1, 0

    def on_body(self, body: bytes) -> None:
        self._in_trailer = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_trailer = False
        self._stop()
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._cut_after(self._limits.timeout_s)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taking = self.loop.call_later(self._limits.timeout_s, self._close)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_taking()

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn sends when the parser gives up."""
        if self._head > self._limits.max_head:
            self._too_long()
        else:
            self._refuse(400, "this is not a readable HTTP request: check how it was made")

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > self._limits.max_head:
            raise TooLong  # out of the parser, to send_400_response

    def _too_long(self) -> None:
        self._refuse(431, f"the request's line and headers are over {self._limits.max_head:,} bytes: send fewer or shorter ones")

    def _start(self) -> None:
        self._arrival = self.loop.call_later(self._limits.timeout_s, self._late)

    def _stop(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _stop_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _late(self) -> None:
        self._arrival = None
        if not self._in_head and self.cycle is not None and self.cycle.response_started:
            self._close()  # it has its answer, though it still sends
        else:
            self._refuse(408, f"the request did not arrive within {self._limits.timeout_s:g} seconds: send it faster, or less at a time")

    def _refuse(self, status: int, sentence: str) -> None:
        """A last answer without the application, and the end of the connection."""
        self._refused(status)
        body = json.dumps({"error": sentence}).encode()
        head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "content-type: application/json", f"content-length: {len(body)}"]
        head += ["connection: close", *([f"retry-after: {RETRY_AFTER}"] if status == 429 else []), "\r\n"]
        self.transport.write("\r\n".join(head).encode() + body)
        self._close()

    def _close(self) -> None:
        """End the connection, politely at first."""
        self.transport.close()
        self._cut_after(SECONDS_TO_READ)

    def _cut_after(self, seconds: float) -> None:
        self.loop.call_later(seconds, self.transport.abort)
