"""Batches: each picture once an epoch, each step its own, each model of a stack as it would alone."""

import pytest
import torch

from novelette.batches import Batches, batches
from novelette.data.images import as_tensor

CPU = torch.device("cpu")


def numbered(n, size=4):
    """Image i is all i."""
    return torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 1, size, size).clone()


def numbers(batch):
    """The numbers of a batch (B, M, C, S, S) of `numbered` images, (B, M)."""
    return ((batch[:, :, 0, 0, 0] + 1) * 127.5).round().int().tolist()


def test_shifted_pictures_are_the_pictures_moved_with_their_edges_drawn_out():
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8)
    padded = torch.nn.functional.pad(image.float(), (2, 2, 2, 2), mode="replicate")
    possible = [as_tensor(padded[..., i : i + 8, j : j + 8].byte()) for i in range(5) for j in range(5)]
    found = set()
    for step in range(200):
        (moved,) = batches([image], 1, [0], torch.device("cpu"), shift=2)[step].flatten(0, 1)
        found |= {number for number, candidate in enumerate(possible) if torch.equal(moved, candidate[0])}
    assert found == set(range(25))  # all of them come up, and nothing else: an unknown one would be missing here
    stream = batches([image], 4, [0], torch.device("cpu"), shift=2)
    assert torch.equal(stream[7], batches([image], 4, [0], torch.device("cpu"), shift=2)[7])


def test_no_shift_leaves_pictures_as_they_are():
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8)
    assert torch.equal(batches([image], 1, [0], torch.device("cpu"))[3][:, 0], as_tensor(image))


@pytest.mark.parametrize("batch_size", [1, 4, 5, 11, 30])
def test_every_image_is_used_once_an_epoch_whether_or_not_batches_divide_it(batch_size):
    n, epochs = 11, 3
    stream = batches([numbered(n)], batch_size, [0], CPU)
    seen = [i for step in range(-(-epochs * n // batch_size)) for (i,) in numbers(stream[step])]
    for epoch in range(epochs):
        assert sorted(seen[epoch * n : (epoch + 1) * n]) == list(range(n))
    assert seen[:n] != seen[n : 2 * n]


def test_a_batch_is_a_function_of_its_step_alone():
    def make():
        return Batches([numbered(7), numbered(9)], 4, [1, 2])

    in_order = make()
    expected = [in_order[step] for step in range(12)]
    jumping = make()
    for step in [11, 0, 5, 5, 2, 10]:
        assert torch.equal(jumping[step], expected[step])


def test_batches_are_images_from_minus_1_to_1_with_a_place_for_each_model():
    ends = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 4, 4).clone()
    x = batches([ends, ends], 2, [0, 1], CPU)[0]
    assert (x.shape, x.dtype) == ((2, 2, 3, 4, 4), torch.float32)
    assert sorted(x[:, 0, 0, 0, 0].tolist()) == [-1, 1]


def test_stacked_models_see_their_own_images_in_the_order_that_each_would_alone():
    first, second = numbered(6), numbered(9) + 100
    both = batches([first, second], 4, [5, 6], CPU)
    for step in range(8):
        together = numbers(both[step])
        assert [a for a, _ in together] == [i for (i,) in numbers(batches([first], 4, [5], CPU)[step])]
        assert [b for _, b in together] == [i for (i,) in numbers(batches([second], 4, [6], CPU)[step])]


def test_another_seed_gives_another_order():
    orders = [numbers(batches([numbered(50)], 50, [seed], CPU)[0]) for seed in (0, 1)]
    assert orders[0] != orders[1]


# Descent, learning rate, seeds, device
