"""What the two latent searches, AnoGAN and ADGAN, have in common: the GAN that they search, and images scored in parts of one size."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.optim import Adam

from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.losses import discriminator_loss, fooling_loss
from novelette.nets import Decoder, Encoder, draw_weights
from novelette.training import Kept, Run, descend, generators, set_learning_rate
from novelette.watch import Watch


class Recipe(Protocol):
    """What the settings of both say of the GAN's training."""

    @property
    def steps(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def schedule(self) -> str: ...
    @property
    def beta1(self) -> float: ...


def train(
    generate: Decoder,
    critic: Encoder,
    images: Tensor,
    config: Recipe,
    *,
    seed: int,
    device: torch.device,
    run: Run,
    scorers: Callable[[], Sequence[Kept]],
) -> None:
    """Train G and D on images, uint8 (N, C, S, S), in place, as a DCGAN (Radford, Metz, Chintala, 2016): z ~ N(0, I), and in each step

        D: max log D(x) + log(1 - D(G(z)))          G: max log D(G(z))

    Args: scorers: as `Run.steps` takes them.
    Deviation: DCGAN's z is uniform, and both networks are normalized image by image here (novelette.nets).
    """
    for i, net in enumerate((generate, critic)):
        draw_weights(net, generators([seed], i))
        net.to(device).train()
    opt_g, opt_d = (Adam(net.parameters(), config.learning_rate, (config.beta1, 0.999)) for net in (generate, critic))
    x_of, watch = batches([images], config.batch_size, [seed], device), Watch(config.steps, 1, run)
    parts: dict[str, HasState] = {"generate": generate, "critic": critic, "opt_g": opt_g, "opt_d": opt_d}
    for step in run.steps(config.steps, parts, seed=seed, images=config.batch_size, scorers=scorers):
        for optimizer in (opt_g, opt_d):
            set_learning_rate(optimizer, config.learning_rate, config.schedule, step, config.steps)
        x = x_of[step][:, 0]
        made = generate(torch.randn(len(x), generate.first.in_channels, device=device))
        l_d = discriminator_loss(critic(x).squeeze(1), critic(made.detach()).squeeze(1))
        descend(opt_d, l_d.mean())
        l_g = fooling_loss(critic(made).squeeze(1))
        descend(opt_g, l_g.mean())
        if run.wants_log(step):
            watch.log(step, x, made, {"g": l_g, "d": l_d}, paired=False)


def in_parts(search: Callable[[Tensor], Tensor], x: Tensor, size: int) -> Tensor:
    """`search` of images (N, ...) in parts of exactly `size`, the last filled up with grey images, whose results are dropped.

    A search is many steps long, and each rounds as the size of its batch has it: only in parts of one size does an image have the same
    score alone as in company.

    Args: search: (size, ...) to (size, ...), each image by itself.
    """
    parts = []
    for part in x.split(size):
        filled = torch.cat([part, part.new_zeros(size - len(part), *part.shape[1:])])
        parts.append(search(filled)[: len(part)])
    return torch.cat(parts) if parts else x.new_zeros(0)
