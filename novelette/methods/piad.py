"""PIAD, perceptual image anomaly detection: a picture is novel when what a generator makes of its code looks unlike it.

An encoder E maps pictures to latents of a known distribution, a generator G latents to pictures; each has a Wasserstein critic. G(E(x))
should look like x to a pretrained network. Novelty is how much it does not: A(x) = L(x, G(E(x))).
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from pydantic import BaseModel, model_validator
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.optim import Adam

from novelette.balance import History, gradient_norms, select_weight
from novelette.batches import batches
from novelette.checkpoint import HasState
from novelette.lesson import Lesson
from novelette.nets import draw_kaiming_weights
from novelette.perceptual import Name, Perceptual, load, with_its_layer
from novelette.perceptual.difference import DIFFERENCES, Loss
from novelette.residual import ARCHITECTURES, Encoder, Generator, ImageCritic, LatentCritic
from novelette.settings import setting
from novelette.training import Precision, Run, descend, generators, precise
from novelette.wasserstein import critic_loss, gradient_penalty
from novelette.watch import Watch

PAPER = "Tuluptceva, Bakker, Fedulova, Konushin: Perceptual image anomaly detection (2019)"

ROUNDS = {"small": 2, "cifar10": 2, "lsun": 3, "celeba": 3}  # n_dis (supplement, 1)
SCORED, PIXELS = 128, 2**19  # images at a time, and their pixels: 64 channels of so many are 134 MB
IDLE = {  # settings that count for nothing with another
    ("balance", "gradients"): ("gamma_e", "gamma_g"),
    ("balance", "manual"): ("balance_every", "balance_norm", "balance_reduce", "smoothing", "history"),
    ("loss", "mse"): ("network", "layer", "perceptual_weights", "filter_table"),
    ("loss", "perceptual"): ("filter_table",),
}


class Config(BaseModel, frozen=True, extra="forbid"):
    """The paper's, but for what suits runs of a few thousand steps: the perceptual network and the batch."""

    architecture: Literal["small", "cifar10", "lsun", "celeba"] = setting(
        "small", "the networks of Tables 1 to 4 of the supplement, for any --size"
    )
    divide_widths: int = setting(1, "what the tables' widths are divided by, for smaller networks", ge=1, le=32)
    loss: Loss = setting(
        "relative-perceptual-l1", "how unlike a picture and its reconstruction are, in training and as the score; mse needs no network"
    )
    network: Name = setting("mobilenet-0.25", "the pretrained network that sees a picture and its reconstruction")
    layer: str = setting("block-5", "layer of the network: conv1, block-1 to block-13 (block-12 for mobilenet-1.0), or relu1_1 to relu5_4")
    perceptual_weights: str = setting("", "a file with the network's weights, where no data root has it", exclude=True)
    filter_table: str = setting("", "a file with the mean and spread of each filter, made by benchmarks/perceptual_tables.py", exclude=True)
    steps: int = setting(2_500, "updates of encoder and generator", ge=1, le=100_000_000)
    batch_size: int = setting(16, "pictures per update", ge=2, le=4096)
    critic_rounds: int = setting(
        0, "updates of the critics before each of encoder and generator; 0: the paper's 2, or 3 for lsun and celeba", ge=0, le=100
    )
    critic_rate: float = setting(5e-4, "Adam's step size for the critics", gt=0, le=1)
    learning_rate: float = setting(2e-4, "Adam's step size for encoder and generator (the authors' code: 1e-4)", gt=0, le=1)
    weight_decay: float = setting(
        0.0, "weight decay of encoder and generator, as part of Adam's gradient (the authors' code: 1e-8)", ge=0, le=1
    )
    beta1: float = setting(0.5, "Adam's decay of the gradient's mean", ge=0, lt=1)
    beta2: float = setting(0.99, "Adam's decay of the gradient's square", ge=0, lt=1)
    penalty: float = setting(10.0, "weight of the gradient penalty", ge=0, le=1e4)
    drift: float = setting(0.001, "weight of the square of a critic's answers to true samples", ge=0, le=1e4)
    balance: Literal["gradients", "manual"] = setting(
        "gradients",
        "how the reconstruction is weighted: to make its gradients as large as the adversarial ones, or by --gamma-e and --gamma-g",
    )
    gamma_e: float = setting(10.0, "weight of the reconstruction for the encoder, with --balance manual", ge=0, le=1e6)
    gamma_g: float = setting(100.0, "weight of the reconstruction for the generator, with --balance manual", ge=0, le=1e6)
    balance_every: int = setting(100, "steps between two measurements of gradients, with --balance gradients", ge=1, le=1_000_000)
    balance_norm: Literal["l2", "std"] = setting(
        "l2",
        "size of a layer's gradient, with --balance gradients: its norm, as printed, or its standard deviation, as in the authors' code",
    )
    balance_reduce: Literal["mean", "median"] = setting(
        "mean", "what --balance gradients takes over layers and history: the mean, as printed, or the median, as in the authors' code"
    )
    smoothing: float = setting(0.05, "smoothing of gradient norms, with --balance gradients: how much the newest counts", gt=0, le=1)
    history: int = setting(200, "how many of the last measurements of gradients count, with --balance gradients", ge=1, le=100_000)
    precision: Precision = setting(
        "float32", "precision of products in training; bfloat16 is faster where the processor supports it (AMX, GPUs)"
    )

    _layer = model_validator(mode="after")(with_its_layer)

    @model_validator(mode="after")
    def _nothing_idle(self) -> "Config":
        for (chooses, choice), idle in IDLE.items():
            for name in idle if getattr(self, chooses) == choice else ():
                value = getattr(self, name)
                if value != type(self).model_fields[name].default and value != getattr(paper(), name):
                    option = "--" + name.replace("_", "-")
                    raise ValueError(f"{option} has no effect with --{chooses} {choice}: leave it out, or take another --{chooses}")
        return self

    @property
    def rounds(self) -> int:
        return self.critic_rounds or ROUNDS[self.architecture]

    def steps_for(self, n: int) -> int:
        """Updates on `n` pictures."""
        return self.steps


TINY = Config(divide_widths=16, layer="block-2", steps=12, batch_size=8, critic_rate=1e-2, learning_rate=1e-3, balance_every=10)


def paper() -> Config:
    """The supplement's, of MNIST and Fashion-MNIST.

    Of CIFAR-10: architecture cifar10 and 100,000 steps; of COIL-100 20,000; of LSUN and CelebA their architectures and 200,000.
    """
    return Config(network="vgg-19", layer="relu4_2", steps=50_000, batch_size=32)


class Piad:
    """E, G, D_X and D_Z with their optimizers, and the updates of Algorithm 1."""

    def __init__(self, config: Config, channels: int, size: int, device: torch.device, looking: "Looking") -> None:
        a = ARCHITECTURES[config.architecture].at(size, config.divide_widths)
        self.config, self.latent, self.device, self.looking = config, (a.latent, a.latent_side, a.latent_side), device, looking
        self.net = Autoencoder(config, channels, size).to(device).train()
        self.critic_x, self.critic_z = ImageCritic(a, channels).to(device), LatentCritic(a).to(device)
        betas = (config.beta1, config.beta2)
        self.opt_d = Adam([*self.critic_x.parameters(), *self.critic_z.parameters()], config.critic_rate, betas)
        self.opt_eg = Adam(self.net.parameters(), config.learning_rate, betas, weight_decay=config.weight_decay)
        self.histories = {f"{loss}_{net}": History(config.smoothing, config.history) for loss in ("adv", "rec") for net in ("e", "g")}

    def draw(self, seed: int) -> None:
        """Initial weights, a function of the seed."""
        for i, net in enumerate((self.net.encode, self.net.generate, self.critic_x, self.critic_z)):
            draw_kaiming_weights(net, generators([seed], i)[0])

    def parts(self) -> dict[str, HasState]:
        """What a checkpoint holds."""
        nets: dict[str, HasState] = {"net": self.net, "critic_x": self.critic_x, "critic_z": self.critic_z}
        return nets | {"opt_d": self.opt_d, "opt_eg": self.opt_eg} | self.histories

    def of(self, net: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        """What a network makes, float32, multiplied in the config's precision."""
        return precise(net, *inputs, precision=self.config.precision)

    def latents(self, n: int) -> Tensor:
        """z ~ N(0, I), (n, Z, 1, 1) or (n, Z, 4, 4), from torch's own generator."""
        return torch.randn(n, *self.latent, device=self.device)

    def descend_d(self, x: Tensor) -> dict[str, Tensor]:
        """Alg. 1, l. 3-5, on images (B, C, S, S): both critics' step. Returns: what the log shows of them, (B,) each."""
        self.critic_x.requires_grad_(True)
        z, c = self.latents(len(x)), self.config
        with torch.no_grad():
            x_made, z_made = self.of(self.net.generate, z), self.of(self.net.encode, x)
        log: dict[str, Tensor] = {}
        loss = x.new_zeros(())
        for name, net, real, fake in (("x", self.critic_x, x, x_made), ("z", self.critic_z, z, z_made)):
            critic = partial(self.of, net)
            d_real, d_fake, gp = critic(real), critic(fake), gradient_penalty(critic, real, fake)
            loss = loss + critic_loss(d_real, d_fake, gp, weight=c.penalty, drift=c.drift).mean()
            log |= {f"distance_{name}": (d_real - d_fake).detach(), f"penalty_{name}": gp.detach()}
        descend(self.opt_d, loss)
        return log

    def losses(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Alg. 1, l. 7-9, of images (B, C, S, S).   Returns: E(x), G(E(x)), L_rec (B,), and the adversarial loss of each net, (B,)."""
        code = self.of(self.net.encode, x)
        x_hat = self.of(self.net.generate, code)
        l_rec = self.of(self.looking, x, x_hat).flatten(1).mean(1)
        x_made = self.of(self.net.generate, self.latents(len(x)))
        l_adv = {"g": -self.of(self.critic_x, x_made), "e": -self.of(self.critic_z, code)}
        return code, x_hat, l_rec, l_adv

    def descend_eg(self, x: Tensor, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Alg. 1, l. 7-18, on images (B, C, S, S): the step of E and G.   Returns: G(E(x)), and what the log shows, (B,) or (1,) each."""
        self.critic_x.requires_grad_(False)  # its Convolution would compute gradients that nobody asks for
        code, x_hat, l_rec, l_adv = self.losses(x)
        if step % self.config.balance_every == 0 and self.config.balance == "gradients":
            for name, norms in self.gradient_norms(l_rec, l_adv).items():  # l. 10-12
                self.histories[name].add(norms)
        gamma = {name: self.gamma(name) for name in self._nets}
        at = [code, *self.net.generate.parameters()]  # all that reaches E comes through its code
        of_rec = torch.autograd.grad(l_rec.mean(), at)
        of_adv = torch.autograd.grad(l_adv["g"].mean() + l_adv["e"].mean(), at)
        self.opt_eg.zero_grad(set_to_none=True)
        code.backward(gamma["e"] * of_rec[0] + of_adv[0])  # l. 16 and 17
        for p, rec, adv in zip(at[1:], of_rec[1:], of_adv[1:], strict=True):
            p.grad = gamma["g"] * rec + adv
        self.opt_eg.step()
        shown = {"rec": l_rec, "adv_g": l_adv["g"], "adv_e": l_adv["e"]}
        return x_hat, {n: l.detach() for n, l in shown.items()} | {f"gamma_{n}": x.new_tensor([g]) for n, g in gamma.items()}

    def gamma(self, name: str) -> float:
        """γ_G (`g`) or γ_E (`e`): a function of the histories alone, so that a resumed run has the same."""
        if self.config.balance == "manual":
            return self.config.gamma_g if name == "g" else self.config.gamma_e
        return select_weight(self.histories[f"adv_{name}"], self.histories[f"rec_{name}"], self.config.balance_reduce)

    @property
    def _nets(self) -> dict[str, nn.Module]:
        return {"g": self.net.generate, "e": self.net.encode}

    def gradient_norms(self, l_rec: Tensor, l_adv: dict[str, Tensor]) -> dict[str, Tensor]:
        """The size of each layer's gradient of each loss, (L,), by loss and network, such as `adv_g`."""
        found = {}
        for name, net in self._nets.items():
            layers = [layer.weight for layer in net.modules() if isinstance(layer, nn.Conv2d)]
            for loss, l in (("adv", l_adv[name]), ("rec", l_rec)):
                gradients = torch.autograd.grad(l.mean(), layers, retain_graph=True)
                found[f"{loss}_{name}"] = gradient_norms(gradients, self.config.balance_norm)
        return found


class Autoencoder(nn.Module):
    """G(E(x)): images (N, C, S, S) to images."""

    def __init__(self, config: Config, channels: int, size: int) -> None:
        super().__init__()
        a = ARCHITECTURES[config.architecture].at(size, config.divide_widths)
        self.encode, self.generate = Encoder(a, channels), Generator(a, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.generate(self.encode(x))
        return out


class Looking(nn.Module):
    """How unlike a picture its reconstruction is, by position: (N, C, S, S) twice to (N, h, w).   Args: net: None for `mse`."""

    def __init__(self, loss: Loss, net: Perceptual | None) -> None:
        super().__init__()
        self.loss, self.net = loss, net

    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        return DIFFERENCES[self.loss](self._seen(x), self._seen(x_hat))

    def _seen(self, x: Tensor) -> Tensor:
        """What is compared: pixels, f(x) or f̃(x)."""
        if self.net is None:
            return x
        out: Tensor = self.net(x) if self.loss == "perceptual" else self.net.normalized(x)
        return out


def fit(images: Tensor, config: Config, *, labels: Tensor | None = None, seed: int, device: torch.device, run: Run) -> "Scorer":
    """Train on normal images, uint8 (N, C, S, S): Algorithm 1.

    Raises: InputError when the network's weights cannot be had, or images are smaller than its stride.
    """
    channels, size = images.shape[1:3]
    seen = None
    if config.loss != "mse":
        seen, run.notes["perceptual"] = load(
            config.network, config.layer, size, config.perceptual_weights, table=config.filter_table, images=images
        )
        run.settings |= run.notes  # a run with other weights does not go on with this one's checkpoint
    looking = Looking(config.loss, seen).to(device).requires_grad_(False)
    piad = Piad(config, channels, size, device, looking)
    piad.draw(seed)
    x_of, rounds = batches([images], config.batch_size, [seed], device), config.rounds
    watch = Watch(config.steps, 1, run)
    shown = config.batch_size * (rounds + 1)
    for step in run.steps(config.steps, piad.parts(), seed=seed, images=shown, scorers=lambda: [Scorer.of(piad, channels, size)]):
        for t in range(rounds):
            log = piad.descend_d(x_of[step * (rounds + 1) + t][:, 0])  # l. 2-6
        x = x_of[step * (rounds + 1) + rounds][:, 0]
        x_hat, of_eg = piad.descend_eg(x, step)  # l. 7-18
        if run.wants_log(step):
            watch.log(step, x, x_hat, log | of_eg)
    return Scorer.of(piad, channels, size)


class Scorer:
    """E, G and the layers that look at pictures and reconstructions."""

    keeps_pictures = False

    def __init__(self, config: Config, net: Autoencoder, looking: Looking) -> None:
        self.config = config
        self.scoring = _Scoring(net, looking).eval()

    @torch.inference_mode()
    def score(self, x: Tensor) -> Tensor:
        """A(x) = L(x, G(E(x))) (PIAD, Eq. 1): (N, C, S, S) in [-1, 1] -> (N,)."""
        return torch.cat([self.scoring(part) for part in _parts(x)])

    def score_own(self, x: Tensor) -> Tensor:
        """`score`: no training image is kept."""
        return self.score(x)

    @torch.inference_mode()
    def heatmap(self, x: Tensor) -> Tensor:
        """The difference at each position, drawn out to the image: (N, C, S, S) -> (N, S, S). Its mean at the positions is the score."""
        return torch.cat([self.scoring.heatmap(part) for part in _parts(x)])

    @torch.no_grad()
    def reconstructed(self, x: Tensor) -> Tensor:
        """G(E(x)): (N, C, S, S) in [-1, 1] to the same. No gradient flows through it."""
        return torch.cat([self.scoring.net(part) for part in _parts(x)])

    @torch.no_grad()
    def lesson(self, x: Tensor) -> Lesson:
        """A(x) and G(E(x)) of images (N, C, S, S)."""
        x_hat, looking = self.reconstructed(x), self.scoring.looking
        scores = [looking(part, made).flatten(1).mean(1) for part, made in zip(_parts(x), _parts(x_hat), strict=True)]
        return Lesson(torch.cat(scores), reconstructions=x_hat)

    def module(self) -> nn.Module:
        return self.scoring

    def state(self) -> dict[str, Tensor]:
        return self.scoring.state_dict()

    @classmethod
    def from_state(cls, config: Config, state: dict[str, Tensor], channels: int, size: int) -> "Scorer":
        """Rebuild from `state()`. Raises: RuntimeError when names or shapes are of another network."""
        seen = None if config.loss == "mse" else Perceptual(config.network, config.layer)
        scorer = cls(config, Autoencoder(config, channels, size), Looking(config.loss, seen))
        scorer.scoring.load_state_dict(state)
        return scorer

    @classmethod
    def of(cls, piad: Piad, channels: int, size: int) -> "Scorer":
        """A scorer on the CPU, with copies of the weights."""
        state = _Scoring(piad.net, piad.looking).state_dict()
        return cls.from_state(piad.config, {name: value.detach().cpu().clone() for name, value in state.items()}, channels, size)


def _parts(x: Tensor) -> tuple[Tensor, ...]:
    """Images in parts that fit into memory: VGG-19's first layers are the largest there are."""
    return x.split(max(1, min(SCORED, PIXELS // x[0, 0].numel())))


class _Scoring(nn.Module):
    def __init__(self, net: Autoencoder, looking: Looking) -> None:
        super().__init__()
        self.net, self.looking = net, looking

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.looking(x, self.net(x))
        return out.flatten(1).mean(1)

    def heatmap(self, x: Tensor) -> Tensor:
        return interpolate(self.looking(x, self.net(x))[:, None], x.shape[2:], mode="bilinear")[:, 0]
