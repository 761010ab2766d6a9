"""What the server sends back, and how OpenAPI tells of it."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from novelette.bundle import Card, ClassifierCard
from novelette.drift import Drift
from novelette.serve.bodies import SentPictures
from novelette.serve.limits import Limits


class Problem(BaseModel):
    """Why a request was refused."""

    error: str = Field(description="one sentence: what is wrong and what to do")


class Scored(BaseModel):
    """What the detector says of one picture."""

    name: str | None = Field(None, description="as it was sent")
    score: float = Field(description="how novel the picture is; higher is more novel")
    p_value: float | None = Field(description="in (0, 1], of the score among normal ones; null without calibration")
    novel: bool | None = Field(description="null without a threshold")
    heatmap: str | None = Field(None, description="where it is novel: a PNG, base64, if it was asked for")


class Scores(BaseModel):
    """What the detector says of a request's pictures, in their order."""

    pictures: list[Scored]


class Named(BaseModel):
    """What a classifier says of one picture."""

    name: str | None = Field(None, description="as it was sent")
    label: str = Field(description="the most probable class")
    probability: float = Field(description="of that class")
    score: float = Field(description="how uncertain the classifier is, from 0 to 1")
    p_value: float | None = Field(description="in (0, 1], of the score among pictures of known classes; null without calibration")
    unknown: bool | None = Field(description="whether it belongs to no class that is known; null without a threshold")


class Names(BaseModel):
    """What a classifier says of a request's pictures, in their order."""

    pictures: list[Named]


class Drifting(BaseModel):
    """Whether the scores since the server began look like the calibration's."""

    seen: int = Field(description="pictures scored")
    log10_capital: float = Field(description="evidence of drift: 0 is none, 2 is odds of a hundred to one")
    drifted: bool = Field(description="whether the evidence was ever enough")


class Taken(BaseModel):
    """What a request may hold."""

    max_body: int = Field(description="bytes")
    max_pixels: int = Field(description="width times height of a picture")
    max_pictures: int


class Described(BaseModel):
    """The detector behind the server."""

    method: str
    size: int = Field(description="px, the side of the square that it sees of a picture, or of each tile")
    channels: Literal[1, 3]
    frame: str
    tiles: int
    colour: str = Field(description="what it does with colour pictures if it has one channel")
    threshold: float | None
    false_alarm_rate: float
    calibration_pictures: int
    classes: list[str] = Field(description="that a classifier tells apart; empty for a detector")
    heatmaps: bool = Field(description="whether it can say where a picture is novel")
    model_sha256: str
    limits: Taken
    drift: Drifting | None = Field(description="null without calibration")


class Health(BaseModel):
    """That the server answers."""

    status: Literal["ok"] = "ok"


def described(card: Card, limits: Limits, drift: Drift | None) -> Described:
    """What GET /v1/detector says. Where the detector's pictures came from is nobody's business here."""
    return Described(
        method=card.method,
        **card.preprocessing.model_dump(),
        threshold=card.threshold,
        false_alarm_rate=card.false_alarm_rate,
        calibration_pictures=len(card.calibration),
        classes=list(card.classes) if isinstance(card, ClassifierCard) else [],
        heatmaps=card.output("heatmap") is not None,
        model_sha256=card.model_sha256,
        limits=Taken(max_body=limits.max_body, max_pixels=limits.max_pixels, max_pictures=limits.max_pictures),
        drift=None if drift is None else Drifting(seen=drift.seen, log10_capital=drift.log10_capital, drifted=drift.drifted),
    )


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route, for OpenAPI."""
    return {status: {"model": Problem, "description": WHEN[status]} for status in statuses}


WHEN = {
    400: "The request cannot be read, or holds nothing.",
    401: "The token is missing or wrong.",
    408: "The request did not arrive in time.",
    413: "The body is too large, or holds too many pictures.",
    415: "The body is of a type that is not accepted.",
    422: "A picture or a field cannot be used; the sentence says which.",
    429: "The server has as much work as it accepts; Retry-After says when to ask again.",
    503: "The server stopped before it had the answer.",
}


def _json_body() -> dict[str, Any]:
    """The schema of a JSON body, whole: OpenAPI would look for its parts elsewhere."""
    schema = SentPictures.model_json_schema()
    schema["properties"]["pictures"]["items"] = schema.pop("$defs")["SentPicture"]
    return schema


BODY = {
    "required": True,
    "content": {
        "image/png": {"schema": {"type": "string", "format": "binary"}},
        "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["picture"],
                "properties": {"picture": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}},
                "additionalProperties": False,
            }
        },
        "application/json": {"schema": _json_body()},
    },
}
