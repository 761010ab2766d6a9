"""What a tagger learns from."""

from dataclasses import dataclass

from torch import Tensor

from novelette.errors import InputError


@dataclass(frozen=True)
class Examples:
    """Training pictures.

    Attributes:
        vectors: what a network sees in each, of length 1, (N, F).
        tags: which of the vocabulary's each has, at least one each, bool (N, K); more frequent ones first.
        texts: of each, empty where there is none; what is suggested for a new picture cannot depend on one.
    """

    vectors: Tensor
    tags: Tensor
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.vectors)

    def need(self, k: int) -> None:
        """Raises: InputError when there are not more pictures than k neighbours."""
        if len(self) <= k:
            raise InputError(f"--k {k} needs more than {k} training pictures with tags of the vocabulary, and there are {len(self)}")
