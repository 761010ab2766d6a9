"""What the server counts, in the form that Prometheus reads; a registry of its own for every server."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from novelette.drift import Drift
from novelette.runtime import Verdicts

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
PICTURES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
UNKNOWN = "other"  # the route of every path that is none, so that nobody can make labels
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer")]


class Metrics:
    """Counters of one server.

    Args: drift: what scores are compared with; None without calibration.
    """

    def __init__(self, drift: Drift | None) -> None:
        self.registry = CollectorRegistry()
        self.drift = drift
        own: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter("novelette_requests", "Requests by route and status.", ["route", "status"], **own)
        self._seconds = Histogram("novelette_request_seconds", "From a request's headers to its answer.", ["route"], buckets=SECONDS, **own)
        self._pictures = Counter("novelette_pictures", "Pictures scored.", **own)
        self._novel = Counter("novelette_pictures_novel", "Pictures above the threshold.", **own)
        self._batches = Histogram("novelette_batch_pictures", "Pictures scored together.", buckets=PICTURES, **own)
        self._waiting = Gauge("novelette_waiting_pictures", "Pictures that wait to be scored.", **own)
        self._working = Gauge("novelette_working_requests", "Requests for scores that are worked on.", **own)
        if drift is not None:
            Gauge("novelette_drift_log10_capital", "Evidence that scores are no longer the calibration's.", **own).set_function(
                lambda: drift.log10_capital
            )
            Gauge("novelette_drifted", "1 once that evidence was enough, else 0.", **own).set_function(lambda: drift.drifted)

    def watch(self, waiting: Callable[[], int], working: Callable[[], int]) -> None:
        """Say where to read how much is being worked on."""
        self._waiting.set_function(waiting)
        self._working.set_function(working)

    def scored(self, verdicts: Verdicts) -> None:
        """Count a batch. To be called from one thread."""
        count = len(verdicts.score)
        if count == 0:
            return
        self._batches.observe(count)
        self._pictures.inc(count)
        self._novel.inc(int((verdicts.label == 1).sum()))
        if self.drift is not None:
            self.drift.see(verdicts.score)

    def refused(self, status: int) -> None:
        """Count a request that was refused before it had a route."""
        self._requests.labels(UNKNOWN, status).inc()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)

    def counted(self, app: Any) -> Any:
        """An ASGI application whose requests are counted and timed, with headers on every answer that tell browsers not to guess."""

        async def counting(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return await app(scope, receive, send)
            began, status = perf_counter(), 500

            async def noting(message: Any) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    message["headers"] = [*message["headers"], *HEADERS]
                await send(message)

            try:
                await app(scope, receive, noting)
            finally:
                route = getattr(scope.get("route"), "path", UNKNOWN)
                self._requests.labels(route, status).inc()
                self._seconds.labels(route).observe(perf_counter() - began)

        return counting
