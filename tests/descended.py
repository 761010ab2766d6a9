"""What a step of training goes down, for tests that compare it with losses written by hand."""

import torch


def gradients_of(module, monkeypatch):
    """A list that each `descend` of `module` adds its gradient to, by its optimizer's weights. The weights stay as they were drawn."""
    noted = []

    def note(optimizer, loss):
        own = [p for group in optimizer.param_groups for p in group["params"]]
        noted.append(torch.autograd.grad(loss, own, retain_graph=True))

    monkeypatch.setattr(module, "descend", note)
    return noted


def assert_gradient(noted, loss, *nets):
    """`noted` is the gradient of `loss` by the weights of `nets`, each of which it moves."""
    weights = [p for net in nets for p in net.parameters()]
    for found, expected in zip(noted, torch.autograd.grad(loss, weights, retain_graph=True), strict=True):
        assert (found - expected).norm() < 1e-4 * expected.norm()  # float32 sums in another order
