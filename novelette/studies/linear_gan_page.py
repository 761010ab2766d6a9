"""The page of `novelette study linear-gan`: the derivation, phase portraits, and whether a linear GAN finds principal components."""

from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from novelette.bench.figures import COLOURS, GREY
from novelette.studies.linear_gan import Course, Vector, flow, lyapunov, sigmoid
from novelette.studies.linear_pca import Angles, spectrum, train
from novelette.studies.page import Picture, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PORTRAITS = (("x = 1: a spiral", 1.0, 60.0), ("x = 2: a node", 2.0, 60.0), ("x = 0: a slow spiral", 0.0, 40.0))  # title, x, until
STARTS = ((-1.5, -0.6), (1.2, 1.4), (-1.0, 1.5), (2.6, -1.2))  # (g - x, a)
LEADING = (8.0, 5.0, 3.0)  # variances of the made-up data; all others are 1
DIMENSIONS, LATENTS = 16, 3


def study(*, steps: int, seeds: int, command: str) -> Study:
    """Args: steps, seeds: of the GANs and autoencoders."""
    pixels = digits()
    data = {
        "made up, mean 0": (spectrum(DIMENSIONS, np.array(LEADING), seed=0), False),
        "digits less their mean": (pixels - pixels.mean(0), False),
        "digits, z with a mean": (pixels, True),
    }
    found = {name: train(x, LATENTS, steps, seeds, constant=constant) for name, (x, constant) in data.items()}
    pictures = [
        Picture("portraits", "The flow of a and g for one number x and z = 1, four courses each; the dot is the equilibrium", portraits),
        Picture("courses", "Distance from the equilibrium over time, V = |z|²|a|² + |g - x|², in one to three dimensions", courses),
        Picture("angles", "Mean angle to the leading three principal components over training, a line a seed", lambda f: angles(f, found)),
    ]
    return Study(
        "linear-gan",
        "A linear GAN",
        files("novelette.studies").joinpath("linear-gan.md").read_text(encoding="utf-8") + HEADING.format(seeds=seeds, c=LATENTS),
        ["data", "angle at the start", "linear GAN", "linear autoencoder", "random subspaces"],
        [_line(name, one) for name, one in found.items()],
        pictures,
        conclusion(found) + matched_means(),
        command,
        {"seed": "0, of one generator for all runs, and of the made-up data"},
    )


HEADING = """

## Principal components?

A linear GAN and a linear autoencoder of {c} latents train on the same batches, {seeds} seeds each. The table has the mean angle, in
degrees, between two {c}-dimensional subspaces after training: the one that each has learned (the columns of B, or of the decoder), and
that of the {c} leading principal components. Figures are mean ± standard deviation over seeds.
"""


def digits() -> Vector:
    """scikit-learn's digits as vectors, (1797, 64) in [0, 1]."""
    from sklearn.datasets import load_digits

    out: Vector = load_digits().data / 16
    return out


def conclusion(found: dict[str, Angles]) -> str:
    """The answer, from the figures."""
    free = [one for name, one in found.items() if "z with" not in name]
    changes = np.concatenate([one.gan[-1] - one.gan[0] for one in free])
    later = max(float(np.abs(one.gan[-1] - one.gan[len(one.step) // 4]).max()) for one in free)
    worst = max(float(one.autoencoder[-1].max()) for one in found.values())
    mean = next(one for name, one in found.items() if "z with" in name)
    return (
        f"**A linear GAN does not do PCA.** The autoencoder's subspace comes to within {worst:.0f}° of the leading components, whatever "
        "the seed. The GAN's subspace stays about where it was drawn. D begins at random, and while its weights come to rest it turns B. "
        f"The angle changes by up to {np.abs(changes).max():.1f}°, towards the components in {(changes < 0).sum()} of {len(changes)} runs "
        f"and away from them in the others, by {changes.mean():+.1f}° on average. After the first quarter of training it changes by no "
        f"more than {later:.2f}°. (From A = 0, an equilibrium, it would hardly move at all.) Nothing pulls the subspace towards the "
        "components, since a linear discriminator sees the mean of the data, not their spread. Where noise and data have a mean, the GAN "
        f"learns that mean: one of {LATENTS} directions. The mean angle then falls from {mean.gan[0].mean():.0f}° to "
        f"{mean.gan[-1].mean():.0f}°, while the other directions stay.\n\n"
    )


def matched_means() -> str:
    """The flow with random x and z, in one dimension, and what of the data it matches."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(2, 1, (2000, 1)), rng.normal(1, 1, (2000, 1))
    course = flow(np.zeros(1), np.full((1, 1), 0.3), x, z, np.linspace(0, 60, 61))
    g = z @ course.b[-1].T
    return (
        f"**Only means are matched**, in one dimension too. The data have mean {x.mean():.2f} and standard deviation {x.std():.2f}, and z "
        f"has mean {z.mean():.2f}. At the end of the flow, generated numbers have mean {g.mean():.2f} and standard deviation {g.std():.2f}."
    )


def _line(name: str, one: Angles) -> list[str]:
    def cell(values: Vector) -> str:
        return f"{values.mean():.1f} ± {values.std(ddof=1):.1f}" if len(values) > 1 else f"{values[0]:.1f}"

    return [name, cell(one.gan[0]), cell(one.gan[-1]), cell(one.autoencoder[-1]), f"{one.chance:.1f}"]


def portraits(figure: "Figure") -> None:
    figure.set_size_inches(10, 3.5)
    for axes, (title, x, until) in zip(figure.subplots(1, len(PORTRAITS)), PORTRAITS, strict=True):
        _portrait(axes, x, until)
        axes.set_title(title)
    figure.supxlabel("g, what is generated", fontsize=8.5)
    figure.supylabel("a, the discriminator's weight", fontsize=8.5)


def _portrait(axes: "Axes", x: float, until: float) -> None:
    g, a = np.meshgrid(np.linspace(x - 3, x + 3, 41), np.linspace(-2, 2, 41))
    axes.streamplot(
        g, a, (1 - sigmoid(a * g)) * a, (1 - sigmoid(a * x)) * x - sigmoid(a * g) * g, color="#C8C8C8", linewidth=0.5, arrowsize=0.6
    )
    for colour, (off, start) in zip(COLOURS, STARTS, strict=False):
        course = flow(np.array([start]), np.array([[x + off]]), np.array([[x]]), np.ones((1, 1)), np.linspace(0, until, 3000))
        axes.plot(course.b[:, 0, 0], course.a[:, 0], color=colour, linewidth=1.1)
        axes.plot(course.b[0, 0, 0], course.a[0, 0], "o", color=colour, markersize=3.5)
    axes.plot(x, 0, "o", color="black", markersize=5)
    axes.set_xlim(x - 3, x + 3)
    axes.set_ylim(-2, 2)
    axes.grid(visible=False)


def courses(figure: "Figure") -> None:
    figure.set_size_inches(7.2, 3.4)
    axes, t, z = figure.subplots(), np.linspace(0, 400, 2001), np.ones((1, 1))
    for colour, (label, x, a, g) in zip(COLOURS, _starts(), strict=False):
        course: Course = flow(a, g[:, None], x[None], z, t)
        axes.plot(t[1:], lyapunov(course.a, course.b[:, :, 0], x, z[0])[1:], color=colour, linewidth=1.3, label=label)
    axes.plot(t[t > 20], 8 / t[t > 20], color=GREY, linestyle="--", linewidth=1, label="8 / t")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(1e-8, 10)
    axes.set_xlabel("time")
    axes.set_ylabel("V")
    axes.legend(loc="lower left")


def _starts() -> list[tuple[str, Vector, Vector, Vector]]:
    """(label, x, a, g) of the courses, z = 1."""
    zero, one = np.zeros(3), np.array([1.0, 0, 0])
    return [
        ("n = 1, x = 1", one[:1], np.ones(1), np.zeros(1)),
        ("n = 1, x = 0", zero[:1], np.ones(1), np.ones(1)),
        ("n = 2, orthogonal to x", one[:2], np.array([0, 1.0]), np.array([1.0, 0.5])),
        ("n = 3, in a circle around x", one, np.array([0, 0.9, 0]), np.array([1, 0, -0.9])),
    ]


def angles(figure: "Figure", found: dict[str, Angles]) -> None:
    figure.set_size_inches(10, 3.1)
    handles = []
    for axes, (name, one) in zip(figure.subplots(1, len(found), sharey=True), found.items(), strict=True):
        gan = axes.plot(one.step, one.gan, color=COLOURS[1], linewidth=1.1)
        autoencoder = axes.plot(one.step, one.autoencoder, color=COLOURS[0], linewidth=1.1)
        handles = [gan[0], autoencoder[0], axes.axhline(one.chance, color=GREY, linestyle="--", linewidth=1)]
        axes.set_title(name)
        axes.set_ylim(0, 90)
        axes.locator_params(axis="x", nbins=4)
    figure.legend(handles, ["linear GAN", "linear autoencoder", "random subspaces"], loc="outside upper center", ncols=3)
    figure.supxlabel("step", fontsize=8.5)
    figure.supylabel("angle to the principal components, degrees", fontsize=8.5)
