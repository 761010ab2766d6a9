"""One readable file a method, each with the same five names: PAPER, Config, TINY, fit, Scorer (and paper(), the paper's own recipe)."""

from types import ModuleType

from novelette.methods import (
    autoencoder,
    bayes_factor,
    certainty,
    contextual,
    deep_svdd,
    ede_gan,
    feature_knn,
    kde,
    knn,
    lsa,
    oc_svm,
    pca,
    piad,
    vae,
)

METHODS: dict[str, ModuleType] = {
    "autoencoder": autoencoder,
    "bayes-factor": bayes_factor,
    "certainty": certainty,
    "contextual": contextual,
    "deep-svdd": deep_svdd,
    "ede-gan": ede_gan,
    "feature-knn": feature_knn,
    "kde": kde,
    "knn": knn,
    "lsa": lsa,
    "oc-svm": oc_svm,
    "pca": pca,
    "piad": piad,
    "vae": vae,
}
