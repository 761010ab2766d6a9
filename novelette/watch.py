"""Watching a generator train: a model that diverges is stopped with a sentence, and those stacked beside it go on."""

import math
from typing import Any

import torch
from torch import Tensor

from novelette.losses import reconstruction_l1
from novelette.nets import each, per_model
from novelette.training import Diverged, Run


class Watch:
    """Stops models that diverge: a loss that is no number, or pictures that have become one, or saturated, or exploded, or a loss that has
    exploded, and stay so.

    Alike images are not judged: nothing can collapse. GANs pass through a collapse in their first steps, so it counts only from a quarter
    of the training on, or step 5,000. A model that diverges beside others in one program is put down in `run.failed`, and they go on.

    Args:
        stops: whether pictures, and losses above `most`, stop a model; if not, `run.notes` has a warning as long as it lasts. What is no
            number always does.
        most: of any loss, above which it has exploded; for losses whose scale is known. Pictures of a last tanh cannot explode.
    """

    PATIENCE = 10  # looks in a row, training.LOG_EVERY steps apart
    EXPLODED = 10.0  # standard deviation over a batch, of pixels that should be in [-1, 1]
    EVEN = 0.02  # from a half

    def __init__(self, steps: int, models: int, run: Run, *, stops: bool = True, most: float = math.inf) -> None:
        self.first, self.run, self.stops, self.most, self.what = min(steps // 4, 5000), run, stops, most, "reconstructions"
        self.strikes, self.since = [0] * models, [0] * models
        self.even, self.even_since = 0, 0
        self.before: tuple[Tensor, Tensor] | None = None
        self.warnings: dict[str, str] = {}
        run.also["watch"] = self

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far, for a checkpoint."""
        names = ("strikes", "since", "even", "even_since", "before", "warnings")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        for name in self.state_dict():
            setattr(self, name, state[name])
        self._note()

    def log(self, step: int, x: Tensor, x_hat: Tensor, losses: dict[str, Tensor], *, paired: bool = True) -> None:
        """Look at images and reconstructions (B, M * C, S, S) and losses (B * M,), and log the losses of the models that are well.

        Args: paired: whether x_hat are reconstructions of x, so that their difference means something, or made of random latents: then
            the variance within the batch is logged in its place.
        """
        models, x_hat = len(self.strikes), x_hat.detach()
        means = {name: per_model(l.detach(), models) for name, l in losses.items()}
        if paired:
            means["con"] = per_model(reconstruction_l1(each(x, models), each(x_hat, models)), models)
        else:
            means["variance"] = x_hat.unflatten(1, (models, -1)).var(0, unbiased=False).flatten(1).mean(1)
        self.what = "reconstructions" if paired else "made pictures"
        well = self(step, means, x.unflatten(1, (models, -1)), x_hat.unflatten(1, (models, -1)))
        self.run.log(step, **{name: l[well] for name, l in means.items()})

    def __call__(self, step: int, losses: dict[str, Tensor], x: Tensor, x_hat: Tensor) -> list[int]:
        """Look at each model's losses (M,), images and reconstructions (B, M, C, S, S).

        Returns: the models that are well.   Raises: Diverged when none is.
        """
        if len(x) == 1:  # two looks make a batch
            last, self.before = self.before or (x, x_hat), (x, x_hat)
            x, x_hat = torch.cat([last[0].to(x), x]), torch.cat([last[1].to(x_hat), x_hat])  # a checkpoint's are on the CPU
        spread = x_hat.std(0).flatten(1).mean(1)
        collapsed = spread < 0.01 * x.std(0).flatten(1).mean(1)
        saturated = (x_hat.abs().clamp(max=1).mean((0, 2, 3, 4)) > 0.999) & (x.abs().mean((0, 2, 3, 4)) < 0.95)
        for m in range(len(self.strikes)):
            nonsense = self._nonsense(step, losses, m)
            large = [name for name, l in losses.items() if l[m] > self.most]
            signs = {
                f"exploded: since step {{}} the {self.what} are far out of the range of pixels": bool(spread[m] > self.EXPLODED),
                f"exploded: since step {{}} the loss {', '.join(large)} is above {self.most:g}": bool(large),
                f"collapsed: since step {{}} the {self.what} are all the same picture": bool(collapsed[m]),
                f"collapsed: since step {{}} the {self.what} are saturated black and white": bool(saturated[m]),
            }
            stuck = self._stuck(step, m, next((sign for sign, seen in signs.items() if seen), None))
            if not self.stops:
                self._warn(f"model {m}", stuck)
            if (nonsense or (stuck and self.stops)) and m not in self.run.failed:
                self.run.failed[m] = Diverged(f"{nonsense or stuck}; try a lower --learning-rate or another --seed")
        well = [m for m in range(len(self.strikes)) if m not in self.run.failed]
        if not well:
            raise self.run.failed[0]
        return well

    def _nonsense(self, step: int, losses: dict[str, Tensor], m: int) -> str | None:
        wrong = {name: float(l[m]) for name, l in losses.items() if not torch.isfinite(l[m])}
        return next((f"training diverged at step {step + 1:,}: {name} is {value}" for name, value in wrong.items()), None)

    def _stuck(self, step: int, m: int, sign: str | None) -> str | None:
        """What is said of a model that has shown a sign at each of the last looks.   Args: sign: of this look, with a place for a step."""
        self.strikes[m] = self.strikes[m] + 1 if step >= self.first and sign else 0
        self.since[m] = step + 1 if self.strikes[m] == 1 else self.since[m]
        return f"training {sign.format(f'{self.since[m]:,}')}" if sign and self.strikes[m] >= self.PATIENCE else None

    def undecided(self, step: int, data: Tensor, novel: Tensor) -> None:
        """Warn of a discriminator that has come to rest at D = ½.   Args: data, novel: D(x) of images and 1 - D of novelties, (B,) each."""
        at_rest = all(abs(float(p.mean()) - 0.5) < self.EVEN for p in (data, novel))
        self.even = self.even + 1 if step >= self.first and at_rest else 0
        self.even_since = step + 1 if self.even == 1 else self.even_since
        since = f"since step {self.even_since:,} the discriminator is at ½ on everything, and tells nothing apart"
        self._warn("undecided", since if self.even >= self.PATIENCE else None)

    def _warn(self, kind: str, what: str | None) -> None:
        """Warn of something, or no longer."""
        self.warnings = {k: said for k, said in self.warnings.items() if k != kind} | ({kind: what} if what else {})
        self._note()

    def _note(self) -> None:
        """Put the warnings where detector.json and records have them from."""
        self.run.notes.pop("warning", None)
        if self.warnings:
            self.run.notes["warning"] = "; ".join(self.warnings.values())
