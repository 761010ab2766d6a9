"""Tags for pictures (KDGAN, section 4.2): learnt from tagged pictures with text beside them, suggested for pictures alone.

A method has PAPER, Config, TINY, `fit(examples, config, *, seed, device, run) -> Scorer` and `Scorer(config, state)`, a module whose
`state_dict()` is that state and whose `scores` maps vectors of pictures (Q, F) to a score for each tag, (Q, K), higher for likelier ones.
"""

from types import ModuleType

from novelette.tags import kdgan, knn, nagan, plain, rexmp, tfeat, tprop

METHODS: dict[str, ModuleType] = {
    "kdgan": kdgan,
    "nagan": nagan,
    "plain": plain,
    "knn": knn,
    "tprop": tprop,
    "tfeat": tfeat,
    "rexmp": rexmp,
}
