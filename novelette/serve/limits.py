"""What one request may hold, and how much may be worked on at a time: more is refused at once, in a sentence."""

from asyncio import CancelledError
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from novelette.words import counted

MEGA = 1_000_000
BODIES = 8  # largest bodies that may be held in memory at a time, all requests together
RETRY_AFTER = "1"  # seconds


class Refusal(Exception):
    """A request that is not answered with a score.

    Args: status: of HTTP, 4xx or 503.   sentence: what is wrong and what to do.   headers: that go with the answer.
    """

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, dict(headers or {})


@dataclass(frozen=True)
class Limits:
    """What a server takes.

    Attributes:
        max_body: bytes of a request's body.   max_pixels: width times height of a picture.   max_pictures: in a request.
        queue: requests that are worked on at a time.   timeout_s: seconds in which a request must have arrived.
        max_head: bytes of a request's line and headers.
    """

    max_body: int = 32 * MEGA
    max_pixels: int = 25 * MEGA
    max_pictures: int = 64
    queue: int = 256
    timeout_s: float = 30.0
    max_head: int = 16_384

    @property
    def connections(self) -> int:
        """How many connections may be open: some wait, some are idle."""
        return 2 * self.queue

    def check_pictures(self, count: int) -> None:
        """Raises: Refusal when a request holds too many pictures."""
        if count > self.max_pictures:
            raise Refusal(413, f"a request may hold at most {counted(self.max_pictures, 'picture')}: send the others in further requests")

    def check_body(self, size: int) -> None:
        """Raises: Refusal when a body of `size` bytes is too large."""
        if size > self.max_body:
            raise Refusal(413, f"the body is over {self.max_body / MEGA:g} MB: send smaller pictures, or fewer in a request")


@dataclass
class Gate:
    """Counts the requests that are worked on, and the bytes that they hold."""

    limits: Limits
    requests: int = field(default=0, init=False)
    held: int = field(default=0, init=False)

    @contextmanager
    def entered(self) -> Iterator[Callable[[int], None]]:
        """A place for one request, while the block runs.

        Returns: a function that notes so many more bytes; it raises Refusal when all requests together hold too many.
        Raises: Refusal when no place is free.
        """
        if self.requests >= self.limits.queue:
            raise _busy()
        self.requests += 1
        mine = 0

        def hold(size: int) -> None:
            nonlocal mine
            if self.held + size > BODIES * self.limits.max_body:
                raise _busy()
            mine += size
            self.held += size

        try:
            yield hold
        finally:
            self.requests -= 1
            self.held -= mine


def _busy() -> Refusal:
    return Refusal(429, "the server has as much work as it accepts: ask again in a second", {"Retry-After": RETRY_AFTER})


@contextmanager
def cut_off() -> Iterator[None]:
    """Where a request may be cancelled, as happens when the server stops. Raises: Refusal when it was."""
    try:
        yield
    except CancelledError as error:
        raise Refusal(503, "the server stopped before it had the answer: send the request again", {"Retry-After": RETRY_AFTER}) from error
