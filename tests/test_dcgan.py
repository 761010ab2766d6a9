"""The GAN that AnoGAN and ADGAN search: what a step of either player goes down."""

import torch
from descended import assert_gradient, gradients_of
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from novelette import dcgan
from novelette.batches import batches
from novelette.methods.anogan import TINY
from novelette.nets import Decoder, Encoder
from novelette.training import Run

CPU = torch.device("cpu")


def test_a_step_of_either_player_descends_on_the_cross_entropy_of_its_labels(monkeypatch):
    noted = gradients_of(dcgan, monkeypatch)
    images = torch.randint(0, 256, (12, 1, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    generate, critic = Decoder(1, (2, 4, 8), 8), Encoder(1, (2, 4, 8), 1, norm="none")
    config = TINY.model_copy(update={"steps": 1, "batch_size": 4})
    dcgan.train(generate, critic, images, config, seed=0, device=CPU, run=Run(), scorers=list)
    x = batches([images], 4, [0], CPU)[0][:, 0]
    for _ in Run().steps(1, {}, seed=0):
        made = generate(torch.randn(4, 8))
    one, zero = torch.ones(4, 1), torch.zeros(4, 1)
    of_d, of_g = noted
    assert_gradient(of_d, (cross_entropy(critic(x), one) + cross_entropy(critic(made), zero)) / 2, critic)
    assert_gradient(of_g, cross_entropy(critic(made), one), generate)
