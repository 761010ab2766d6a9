"""One readable file a method, each with the same five names: PAPER, Config, TINY, fit, Scorer (and paper(), the paper's own recipe)."""

from types import ModuleType

from novelette.methods import bayes_factor, certainty, contextual, ede_gan, feature_knn, knn, piad

METHODS: dict[str, ModuleType] = {
    "bayes-factor": bayes_factor,
    "certainty": certainty,
    "contextual": contextual,
    "ede-gan": ede_gan,
    "feature-knn": feature_knn,
    "knn": knn,
    "piad": piad,
}
