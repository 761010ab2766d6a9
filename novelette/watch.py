"""Watching a generator train: a model that diverges is stopped with a sentence, and those stacked beside it go on."""

import torch
from torch import Tensor

from novelette.losses import reconstruction_l1
from novelette.nets import each, per_model
from novelette.training import Diverged, Run


class Watch:
    """Stops models that diverge: a loss that is no number, or reconstructions that have become one picture, or saturated, and stay so.

    Alike images are not judged: nothing can collapse. GANs pass through a collapse in their first steps, so it counts only from a quarter
    of the training on, or step 5,000. A model that diverges beside others in one program is put down in `run.failed`, and they go on.
    """

    PATIENCE = 10  # looks in a row, training.LOG_EVERY steps apart

    def __init__(self, steps: int, models: int, run: Run) -> None:
        self.first, self.run = min(steps // 4, 5000), run
        self.strikes, self.since = [0] * models, [0] * models
        self.before: tuple[Tensor, Tensor] | None = None

    def log(self, step: int, x: Tensor, x_hat: Tensor, losses: dict[str, Tensor], *, paired: bool = True) -> None:
        """Look at images and reconstructions (B, M * C, S, S) and losses (B * M,), and log the losses of the models that are well.

        Args: paired: whether x_hat are reconstructions of x, so that their difference means something, or made of random latents.
        """
        models = len(self.strikes)
        if paired:
            losses = losses | {"con": reconstruction_l1(each(x, models), each(x_hat, models))}
        means = {name: per_model(l.detach(), models) for name, l in losses.items()}
        well = self(step, means, x.unflatten(1, (models, -1)), x_hat.detach().unflatten(1, (models, -1)))
        self.run.log(step, **{name: l[well] for name, l in means.items()})

    def __call__(self, step: int, losses: dict[str, Tensor], x: Tensor, x_hat: Tensor) -> list[int]:
        """Look at each model's losses (M,), images and reconstructions (B, M, C, S, S).

        Returns: the models that are well.   Raises: Diverged when none is.
        """
        if len(x) == 1:  # two looks make a batch
            last, self.before = self.before or (x, x_hat), (x, x_hat)
            x, x_hat = torch.cat([last[0], x]), torch.cat([last[1], x_hat])
        collapsed = x_hat.std(0).flatten(1).mean(1) < 0.01 * x.std(0).flatten(1).mean(1)
        saturated = (x_hat.abs().clamp(max=1).mean((0, 2, 3, 4)) > 0.999) & (x.abs().mean((0, 2, 3, 4)) < 0.95)
        for m in range(len(self.strikes)):
            what = self._nonsense(step, losses, m) or self._stuck(step, m, bool(collapsed[m]), bool(saturated[m]))
            if what and m not in self.run.failed:
                self.run.failed[m] = Diverged(f"{what}; try a lower --learning-rate or another --seed")
        well = [m for m in range(len(self.strikes)) if m not in self.run.failed]
        if not well:
            raise self.run.failed[0]
        return well

    def _nonsense(self, step: int, losses: dict[str, Tensor], m: int) -> str | None:
        wrong = {name: float(l[m]) for name, l in losses.items() if not torch.isfinite(l[m])}
        return next((f"training diverged at step {step + 1:,}: {name} is {value}" for name, value in wrong.items()), None)

    def _stuck(self, step: int, m: int, collapsed: bool, saturated: bool) -> str | None:
        self.strikes[m] = self.strikes[m] + 1 if step >= self.first and (collapsed or saturated) else 0
        self.since[m] = step + 1 if self.strikes[m] == 1 else self.since[m]
        how = "are all the same picture" if collapsed else "are saturated black and white"
        stuck = self.strikes[m] >= self.PATIENCE
        return f"training collapsed: since step {self.since[m]:,} the reconstructions {how}" if stuck else None
