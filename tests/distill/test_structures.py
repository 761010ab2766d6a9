"""The four structures are the papers', and each moves the networks that its losses train and no other."""

import pytest
import torch

from novelette.data.images import as_tensor
from novelette.distill.progressive import Config, student_config
from novelette.distill.step import update
from novelette.distill.structures import PROGRESSIVE, STRUCTURES
from novelette.methods import ede_gan
from novelette.methods.ede_gan import Gan

# The progressive distillation paper, section III-D (P-KDGAN, section 3.2): "KDGAN-1: L = {K_l}", ..., and the sentences after them.
# The papers write L_2 three times.
PAPERS = {
    1: {"K_l"},
    2: {"L_g^S", "L_d^S", "K_l"},
    3: {"L_g^T", "L_d^T", "K_l"},
    4: {"L_g^T", "L_d^T", "L_g^S", "L_d^S", "K_l"},
}
NETWORKS = {"teacher G": {3, 4}, "teacher D": {3, 4}, "student G": {1, 2, 3, 4}, "student D": {2, 4}}


def test_the_table_of_losses_is_the_papers():
    names = ("L_g^T", "L_d^T", "L_g^S", "L_d^S")
    assert {n: {"K_l"} | {name for name, on in zip(names, row, strict=True) if on} for n, row in STRUCTURES.items()} == PAPERS


def test_progressive_learning_begins_with_structure_2_and_goes_on_with_3_or_4():
    """Algorithm 1; the papers call them P-KDGAN-II-23 and -24."""
    assert PROGRESSIVE == {"2-3": (2, 3), "2-4": (2, 4)}
    assert Config().structures() == (2, 3)  # "the best"


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_structure_moves_what_its_losses_train_and_leaves_the_rest_bit_for_bit(structure):
    teacher_config = ede_gan.Config(widths=(4,), latent=6)
    gans = {"teacher": teacher_config, "student": student_config(teacher_config, Config(), 32)}
    gans = {name: Gan(config, 1, 32, torch.device("cpu")) for name, config in gans.items()}
    for seed, gan in enumerate(gans.values()):
        gan.draw([seed])
    nets = {f"{name} {part}": net for name, gan in gans.items() for part, net in (("G", gan.net), ("D", gan.critic))}
    before = {name: [p.detach().clone() for p in net.parameters()] for name, net in nets.items()}
    x = as_tensor(torch.randint(0, 256, (4, 1, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8))
    weights = {"w_1": 1.0, "w_x": 1.0, "w_2": 1.0}
    _, losses = update(x, **gans, structure=STRUCTURES[structure], weights=weights, teacher_follows=False, seeds=[0], step=0)
    for name, net in nets.items():
        moved = [not torch.equal(p, q) for p, q in zip(before[name], net.parameters(), strict=True)]
        assert all(moved) if structure in NETWORKS[name] else not any(moved), name
    by_name = {"L_g^T": "g_t", "L_d^T": "d_t", "L_g^S": "g_s", "L_d^S": "d_s", "K_l": "k"}
    assert set(losses) == {by_name[name] for name in PAPERS[structure]}
    assert {tuple(l.shape) for l in losses.values()} == {(4,)}
