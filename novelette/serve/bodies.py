"""From a request to the pictures in its body: one picture as it is, or several as a form or as JSON. No path or address is ever read."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, EncodedBytes, EncoderProtocol, Field, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import FormParser, parse_options_header
from starlette.requests import Request

from novelette.serve.limits import Limits, Refusal

LONGEST_NAME = 255
MOST_COMMAS = LONGEST_NAME + 2  # of a picture in JSON, were its name nothing else
LARGE = 1 << 18  # bytes; larger bodies are taken apart in a thread, so that others need not wait
FORMS = "one picture as image/*, or several as multipart/form-data or application/json"


class Picture(NamedTuple):
    """A picture file as it was sent."""

    content: bytes
    name: str | None


class _Base64(EncoderProtocol):
    """Base64 without anything else in it."""

    @classmethod
    def decode(cls, data: bytes) -> bytes:
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise ValueError("not base64") from error

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return base64.b64encode(value)

    @classmethod
    def get_json_format(cls) -> str:
        return "byte"


class SentPicture(BaseModel, extra="forbid"):
    """One picture in a JSON body."""

    data: Annotated[bytes, EncodedBytes(encoder=_Base64)] = Field(description="the picture file, base64")
    name: str | None = Field(None, max_length=LONGEST_NAME, description="comes back with the score; the server opens no file")


class SentPictures(BaseModel, extra="forbid"):
    """Several pictures as JSON."""

    pictures: list[SentPicture] = Field(min_length=1)


async def pictures_of(request: Request, limits: Limits, hold: Callable[[int], None]) -> list[Picture]:
    """Read a request's body and find its pictures, at least one.

    Args: hold: is told of the bytes as they come.
    Raises: Refusal when the body is empty, too large, of another type, or not what its type says.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if not kind.startswith(b"image/") and kind not in (b"multipart/form-data", b"application/json"):
        was = kind.decode("latin-1")[:80]
        raise Refusal(415, f"the body's Content-Type is {was or 'missing'}: send {FORMS}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "a body with a Content-Encoding is not decoded: send it without one")
    body = await _read(request, limits, hold)
    if not body:
        raise Refusal(400, f"the body is empty: send {FORMS}")
    if kind.startswith(b"image/"):
        return [Picture(body, None)]

    def parts() -> list[Picture]:
        return _of_form(body, options.get(b"boundary"), limits) if kind == b"multipart/form-data" else _of_json(body, limits)

    return await asyncio.to_thread(parts) if len(body) > LARGE else parts()


async def _read(request: Request, limits: Limits, hold: Callable[[int], None]) -> bytes:
    """The whole body, refused as soon as it is too large."""
    stated = request.headers.get("content-length", "")
    limits.check_body(int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 20 else 0)
    chunks, size = [], 0
    stream: AsyncIterator[bytes] = request.stream()
    async for chunk in stream:
        size += len(chunk)
        limits.check_body(size)
        hold(len(chunk))
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _of_form(body: bytes, boundary: bytes | None, limits: Limits) -> list[Picture]:
    """The files of a form, whatever its fields are called; kept in memory."""
    found: list[Picture] = []
    ended: list[bool] = []

    def on_file(file: Any) -> None:
        limits.check_pictures(len(found) + 1)
        name = (file.file_name or b"").decode("utf-8", "replace")[:LONGEST_NAME]
        found.append(Picture(file.file_object.getvalue(), name or None))

    def on_field(field: Any) -> None:
        name = (field.field_name or b"").decode("utf-8", "replace")[:LONGEST_NAME]
        raise Refusal(422, f"the form's field {name!r} is not a file: send only files, as curl -F picture=@part.png does")

    try:
        memory: dict[str, Any] = {"MAX_MEMORY_FILE_SIZE": float("inf")}
        parser = FormParser("multipart/form-data", on_field, on_file, lambda: ended.append(True), boundary, config=memory)
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refusal(400, "the body is not readable multipart/form-data: check that its boundary is the header's") from error
    if not ended:
        raise Refusal(400, "the form ends before its last boundary: send it whole")
    if not found:
        raise Refusal(400, "the form holds no file: send at least one picture")
    return found


def _of_json(body: bytes, limits: Limits) -> list[Picture]:
    """The pictures of a JSON body. Its commas are counted first, since each value takes forty times its bytes once it is read."""
    limits.check_pictures(body.count(b",") // MOST_COMMAS)
    try:
        sent = SentPictures.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise Refusal(400, "the body is not readable JSON: check that it is complete and in UTF-8") from error
        raise Refusal(422, f"{problem(first['loc'], first['msg'])}; send {{'pictures': [{{'data': base64, 'name': text}}]}}") from error
    limits.check_pictures(len(sent.pictures))
    return [Picture(picture.data, picture.name) for picture in sent.pictures]


def problem(where: tuple[int | str, ...], what: str) -> str:
    """One finding of pydantic's as the beginning of a sentence, such as "pictures.0.name: should have at most 255 characters"."""
    place = ".".join(map(str, where))[:80]
    said = what.removeprefix("Value error, ").removeprefix("Input ")
    return f"{place or 'the body'}: {said[:1].lower()}{said[1:]}"
