"""Pictures that wait together are decoded and scored together, in a few threads; a score does not depend on its neighbours."""

import asyncio
import logging
import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

from novelette.data.decode import decode
from novelette.data.framing import uncut
from novelette.data.images import prepare
from novelette.data.pixels import UnreadablePicture
from novelette.errors import InputError
from novelette.predictions import NO_SCORE
from novelette.runtime import Runtime, Verdicts, nothing

BATCH_BYTES = 1_000_000  # of picture files: what is larger is shared among the threads
LAST_SECONDS = 1.0  # that a stop waits for the threads: each may be in the middle of a picture
COLOUR = "it is in colour, and the detector knows grey pictures only"

Done = Callable[[Verdicts], None]


class Broken(Exception):
    """A batch that could not be scored, through no fault of its pictures; the log says why."""


class Verdict(NamedTuple):
    """What the detector says of one picture; p_value NaN without calibration, label -1 without a threshold.

    Attributes: probability: of each class of a classifier, else [].
    """

    score: float
    p_value: float
    label: int
    probability: list[float]


class Unusable(NamedTuple):
    """Why a picture has no score."""

    why: str


NOBODY_WAITS = Unusable("its request has ended")
Outcome = Verdict | Unusable


@dataclass(frozen=True, eq=False)
class _Waiting:
    content: bytes
    answer: "asyncio.Future[Outcome | None]"  # None: the batch is broken


class Batcher:
    """Threads that take what waits, decode it and score it in one run of the graph.

    While a batch is worked on the next one gathers; no picture waits for others to come. Decoded pictures are held for one batch a thread
    only: what waits, waits as a file.

    Args: threads: that decode and score, 1 or more.   done: called in the event loop with the verdicts of every batch.
    """

    def __init__(self, detector: Runtime, *, threads: int, max_pixels: int, done: Done) -> None:
        self._detector, self._max_pixels, self._done = detector, max_pixels, done
        self._most = max(1, detector.batch_size // detector.preprocessing.tiles**2)
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"score-{i}", daemon=True) for i in range(threads)]

    @property
    def waiting(self) -> int:
        """How many pictures no thread has taken yet."""
        return self._queue.qsize()

    def start(self) -> None:
        """Begin, inside the event loop that `score` is called in."""
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()

    async def stop(self) -> None:
        """End the threads once what waits is done, or leave them behind after LAST_SECONDS, to end with the process.

        Pictures whose requests were cancelled are passed over.
        """
        for _ in self._threads:
            self._queue.put(None)
        until = monotonic() + LAST_SECONDS
        for thread in self._threads:
            await asyncio.to_thread(thread.join, max(0.0, until - monotonic()))

    async def score(self, contents: Sequence[bytes]) -> list[Outcome]:
        """What the detector says of picture files, or why it cannot say, in their order. Raises: Broken."""
        answers: list[asyncio.Future[Outcome | None]] = [self._loop.create_future() for _ in contents]
        for content, answer in zip(contents, answers, strict=True):
            self._queue.put(_Waiting(content, answer))
        found = await asyncio.gather(*answers)  # cancelled together
        if None in found:
            raise Broken
        return [outcome for outcome in found if outcome is not None]

    def _work(self) -> None:
        while batch := self._take():
            try:
                outcomes, verdicts = self._judge(batch)
                self._tell(self._answer, batch, outcomes, verdicts)
            except Exception:  # onnxruntime's own exceptions have no common class
                logging.getLogger(__name__).exception("%d pictures could not be scored", len(batch))
                self._tell(_fail, batch)

    def _tell(self, function: Callable[..., None], *args: Any) -> None:
        """Call a function in the event loop."""
        with suppress(RuntimeError):  # it is closed: a stop has left this thread behind
            self._loop.call_soon_threadsafe(function, *args)

    def _judge(self, batch: Sequence[_Waiting]) -> tuple[list[Outcome], Verdicts]:
        """What becomes of each picture file, and the verdicts on those that have a score and are still waited for."""
        found = [NOBODY_WAITS if item.answer.done() else self._image(item.content) for item in batch]
        images = [image for image in found if not isinstance(image, Unusable)]
        verdicts = self._detector.run(uncut(np.stack(images))) if images else nothing(len(self._detector.classes))
        rows = (Verdict(*row) for row in zip(*(values.tolist() for values in verdicts), strict=True))
        judged = (row if math.isfinite(row.score) else Unusable(NO_SCORE) for row in rows)
        return [image if isinstance(image, Unusable) else next(judged) for image in found], verdicts.finite()

    def _take(self) -> list[_Waiting]:
        """What waits, at most a batch; empty when it is time to end."""
        item = self._queue.get()
        batch: list[_Waiting] = []
        size = 0
        while item is not None:
            batch.append(item)
            size += len(item.content)
            if len(batch) == self._most or size > BATCH_BYTES:
                return batch
            try:
                item = self._queue.get_nowait()
            except Empty:
                return batch
        if batch:  # the sign to end, taken too early: it is for later
            self._queue.put(None)
        return batch

    def _image(self, content: bytes) -> "np.ndarray | Unusable":
        """A picture file as what the graph takes of it, (T, C, S, S), or why it cannot."""
        try:
            return prepare(decode(content, max_pixels=self._max_pixels), self._detector.preprocessing)
        except UnreadablePicture as error:
            return Unusable(str(error))
        except InputError:  # the one thing that `prepare` refuses
            return Unusable(COLOUR)

    def _answer(self, batch: Sequence[_Waiting], outcomes: Sequence[Outcome], verdicts: Verdicts) -> None:
        for item, outcome in zip(batch, outcomes, strict=True):
            if not item.answer.done():  # cancelled, when the server stops
                item.answer.set_result(outcome)
        self._done(verdicts)  # after the answers, which its failure must not keep


def _fail(batch: Sequence[_Waiting]) -> None:
    for item in batch:
        if not item.answer.done():
            item.answer.set_result(None)
