"""Made-up pictures' vectors with tags and texts: a direction a tag, a word a tag."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from novelette.tags.examples import Examples

WORDS = ("meadow", "river", "tower", "engine", "parrot", "violin")


def made(n: int = 60, seed: int = 0, features: int = 12, noise: float = 0.2) -> Examples:
    """Pictures of one or two of six tags, each with text that names one of them."""
    rng = torch.Generator().manual_seed(seed)
    directions = torch.eye(features)[: len(WORDS)]
    tags = torch.zeros(n, len(WORDS), dtype=torch.bool)
    first = torch.arange(n) % len(WORDS)
    tags[torch.arange(n), first] = True
    second = torch.randint(0, 2 * len(WORDS), (n,), generator=rng)
    for row, other in zip(tags, second.tolist(), strict=True):
        if other < len(WORDS):
            row[other] = True
    vectors = normalize(tags.float() @ directions + noise * torch.rand(n, features, generator=rng), dim=1)
    return Examples(vectors, tags, tuple(f"a {WORDS[int(k)]} in view" for k in first))


def hit_rate(scores: Tensor, tags: Tensor) -> float:
    """The part of pictures whose likeliest tag is their own."""
    return tags.gather(1, scores.argmax(1, keepdim=True)).float().mean().item()
