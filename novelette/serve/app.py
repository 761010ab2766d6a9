"""The application: routes, refusals in a sentence, the token. It holds no state but its counters."""

import asyncio
import functools
import hmac
import math
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from novelette.drift import Drift
from novelette.runtime import Runtime
from novelette.serve.answers import BODY, Described, Health, Named, Names, Scored, Scores, described, problems
from novelette.serve.batching import Batcher, Broken, Unusable, Verdict
from novelette.serve.bodies import Picture, pictures_of, problem
from novelette.serve.heatmaps import drawn
from novelette.serve.limits import Gate, Limits, Refusal, cut_off
from novelette.serve.metrics import Metrics
from novelette.serve.page import PAGE, POLICY

JSON = "application/json"


def create_app(detector: Runtime, *, limits: Limits | None = None, token: str | None = None, threads: int = 1) -> FastAPI:
    """The HTTP application over a bundle; any ASGI server can run it, though the limits on connections are `server`'s.

    Args: token: what /v1 and /metrics ask for as a bearer token; nothing if not given.   threads: that decode and score.
    """
    limits = limits or Limits()
    calibration = detector.card.calibration
    metrics = Metrics(Drift(calibration) if calibration else None)
    gate = Gate(limits)
    batcher = Batcher(detector, threads=threads, max_pixels=limits.max_pixels, done=metrics.scored)
    metrics.watch(lambda: batcher.waiting, lambda: gate.requests)
    artists = ThreadPoolExecutor(threads, thread_name_prefix="heat")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        batcher.start()
        yield
        await batcher.stop()
        artists.shutdown(wait=False, cancel_futures=True)

    app = FastAPIOffline(  # its /docs loads nothing from elsewhere
        title="novelette",
        summary="How novel pictures are, and where.",
        version=version("novelette"),
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(metrics.counted)
    app.state.metrics = metrics
    _answer_refusals(app)
    guarded: Any = {"dependencies": [Depends(_guard(token))], "responses": problems(401)} if token else {"responses": {}}

    @app.post(  # the first route, since they are tried in order
        "/v1/score",
        summary="Score pictures",
        response_model=Names if detector.classes else Scores,
        openapi_extra={"requestBody": BODY},
        **(guarded | {"responses": guarded["responses"] | problems(400, 408, 413, 415, 422, 429, 503)}),
    )
    async def score(
        request: Request, heatmap: Annotated[bool, Query(description="also say where each picture is novel")] = False
    ) -> Response:
        """One picture as the body, or several as a form or as JSON. All of them are scored, or none."""
        if heatmap and detector.card.output("heatmap") is None:
            raise Refusal(422, f"{detector.method} cannot say where a picture is novel: leave out heatmap=true")
        with cut_off(), gate.entered() as hold:
            pictures = await pictures_of(request, limits, hold)
            found = await batcher.score([picture.content for picture in pictures])
            if detector.classes:
                names = Names(pictures=[_named(i, pictures, outcome, detector.classes) for i, outcome in enumerate(found)])
                return Response(names.model_dump_json(exclude_unset=True), media_type=JSON)
            scores = Scores(pictures=[_scored(i, pictures, outcome) for i, outcome in enumerate(found)])
            if heatmap:
                draw = functools.partial(drawn, detector, max_pixels=limits.max_pixels)
                for picture, row in zip(pictures, scores.pictures, strict=True):
                    row.heatmap = await asyncio.get_running_loop().run_in_executor(artists, draw, picture.content)
                    hold(len(row.heatmap or ""))
        return Response(scores.model_dump_json(exclude_unset=True), media_type=JSON)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE, headers={"content-security-policy": POLICY})

    @app.get("/healthz", summary="Whether the server answers")
    async def healthz() -> Health:
        return Health()

    @app.get("/v1/detector", summary="What the detector is", **guarded)
    async def detector_() -> Described:
        return described(detector.card, limits, metrics.drift)

    @app.get("/metrics", summary="Counters for Prometheus", response_class=Response, **_of_text(guarded))
    async def metrics_() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


def _scored(i: int, pictures: list[Picture], outcome: Verdict | Unusable) -> Scored:
    """A row of a detector's answer. Raises: Refusal when the picture has no score."""
    found, own = _usable(i, pictures, outcome), _own(pictures[i])
    return Scored(score=found.score, p_value=_known(found.p_value), novel=None if found.label < 0 else found.label == 1, **own)


def _named(i: int, pictures: list[Picture], outcome: Verdict | Unusable, classes: Sequence[str]) -> Named:
    """A row of a classifier's answer. Raises: Refusal when the picture cannot be used."""
    found, own = _usable(i, pictures, outcome), _own(pictures[i])
    best = max(found.probability)
    label, unknown = classes[found.probability.index(best)], None if found.label < 0 else found.label == 1
    return Named(label=label, probability=best, score=found.score, p_value=_known(found.p_value), unknown=unknown, **own)


def _own(picture: Picture) -> dict[str, str]:
    """The name under which a picture was sent, if it had one."""
    return {} if picture.name is None else {"name": picture.name}


def _known(p_value: float) -> float | None:
    return None if math.isnan(p_value) else p_value


def _usable(i: int, pictures: list[Picture], outcome: Verdict | Unusable) -> Verdict:
    """What was found of a picture. Raises: Refusal when it has no score."""
    name, many = pictures[i].name, len(pictures) > 1
    if isinstance(outcome, Unusable):
        which = f"picture {i + 1} of {len(pictures)}" if many else "the picture"
        hint = "leave it out, since all pictures of a request are scored or none" if many else "send another"
        raise Refusal(422, f"{which}{f', {name},' if name else ''} cannot be scored: {outcome.why}; {hint}")
    return outcome


def _guard(token: str | None) -> Any:
    """What a guarded route depends on: the bearer token."""
    expected = (token or "").encode()
    bearer = HTTPBearer(auto_error=False, description="what the server was started with")

    async def check(sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        if sent is None or not hmac.compare_digest(sent.credentials.encode(), expected):
            said = "no token was sent" if sent is None else "the token is wrong"
            raise Refusal(401, f"{said}: send the header Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})

    return check


def _of_text(options: dict[str, Any]) -> dict[str, Any]:
    """A route's options, with an answer that is plain text."""
    plain = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text format."}}
    return options | {"responses": options["responses"] | plain}


def _answer_refusals(app: FastAPI) -> None:
    """Every refusal is `{"error": one sentence}`, whoever raises it."""

    def refused(status: int, sentence: str, headers: Any = None) -> JSONResponse:
        return JSONResponse({"error": sentence}, status, headers)

    @app.exception_handler(Refusal)
    async def refusal(request: Request, error: Refusal) -> JSONResponse:
        return refused(error.status, str(error), error.headers)

    @app.exception_handler(RequestValidationError)
    async def misread(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return refused(422, f"{problem(first['loc'], first['msg'])}; /openapi.json says what is asked for")

    @app.exception_handler(HTTPException)
    async def elsewhere(request: Request, error: HTTPException) -> JSONResponse:
        path = request.url.path[:80]
        if error.status_code == 404:
            return refused(404, f"there is nothing at {path}: /openapi.json says what there is")
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "another method")
            return refused(405, f"{path} does not answer {request.method[:20]}: use {allowed}", error.headers)
        return refused(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> JSONResponse:
        return refused(408, "the request did not arrive whole: send it again")

    @app.exception_handler(Broken)
    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        return refused(500, "the server failed on this request: see its log")
