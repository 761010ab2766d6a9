"""Votes of the most similar training pictures: what KNN, TagProp and relevant examples stand on."""

import torch
from torch import Tensor

from novelette.methods.knn import nearest


def others(vectors: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest of vectors (N, F) to each of them but itself: distances and indices, (N, k) each, nearest first; k is below N."""
    d, i = nearest(vectors, vectors, k + 1)
    other = i != torch.arange(len(vectors), device=vectors.device)[:, None]
    other &= other.cumsum(1) <= k  # of more than k copies a picture may not find itself
    return d[other].view(-1, k), i[other].view(-1, k)


def votes(index: Tensor, tags: Tensor) -> Tensor:
    """How many of the neighbours (Q, k) have each tag, of tags (N, K): (Q, K)."""
    return torch.stack([tags[own].sum(0) for own in index]).to(torch.float32)
