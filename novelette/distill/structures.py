"""The four distillation structures of P-KDGAN: which of the five losses train (progressive distillation paper, Eq. 9, III-D)."""

from typing import Literal, NamedTuple


class Structure(NamedTuple):
    """A row of {L_g^T, L_d^T, L_g^S, L_d^S, K_l}; K_l trains the student in every row."""

    teacher_g: bool
    teacher_d: bool
    student_g: bool
    student_d: bool


#                          L_g^T  L_d^T  L_g^S  L_d^S
STRUCTURES = {
    1: Structure(False, False, False, False),
    2: Structure(False, False, True, True),
    3: Structure(True, True, False, False),
    4: Structure(True, True, True, True),
}

Progressive = Literal["2-3", "2-4"]
PROGRESSIVE: dict[str, tuple[int, ...]] = {"2-3": (2, 3), "2-4": (2, 4)}  # Algorithm 1: step I, then step II from its last weights
