"""What a detector tells a student of pictures besides how novel they are: what it sees of them, and what it makes of them."""

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor


class Lesson(NamedTuple):
    """Of N images, None where the detector has no such thing.

    Attributes:
        scores: (N,), as if the images had not been among those that it was fitted on.
        features: (N, F).   reconstructions: (N, C, S, S).
    """

    scores: Tensor
    features: Tensor | None = None
    reconstructions: Tensor | None = None


@runtime_checkable
class Teaches(Protocol):
    """A scorer that has more to tell than scores."""

    def lesson(self, x: Tensor) -> Lesson:
        """Of training images, or images made from them, (N, C, S, S) in [-1, 1], without a gradient."""


@runtime_checkable
class Reconstructs(Protocol):
    """A scorer whose lessons have reconstructions, and which tells them alone for less."""

    def reconstructed(self, x: Tensor) -> Tensor:
        """Of images (N, C, S, S) in [-1, 1], the same shape, without a gradient."""
