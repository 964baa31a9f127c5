from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from sw_model.captured_gradient import CapturedGradient

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"))]


@dataclass(frozen=True)
class _Batch:
    x: Tensor
    weights: Tensor | None


def _loss(network: nn.Module, batch: _Batch) -> tuple[Tensor, Tensor]:
    squares = network(batch.x).square().mean(dim=1)
    reported = (squares if batch.weights is None else squares * batch.weights).sum()
    return reported + sum(parameter.abs().sum() for parameter in network.parameters()), reported


@pytest.mark.parametrize("device", DEVICES)
def test_gradients_of_every_shape_are_those_of_a_plain_backward(device: str) -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).to(device)
    gradient: CapturedGradient[_Batch] = CapturedGradient(network, lambda batch: _loss(network, batch))
    for rows, weighted in [(6, True), (3, True), (6, False), (6, True), (3, True)]:
        batch = _Batch(torch.randn(rows, 4, device=device), torch.rand(rows, device=device) if weighted else None)
        reported = gradient(batch).clone()
        found = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]
        total, expected = _loss(network, batch)
        network.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(reported, expected.detach())
        for parameter, one in zip(network.parameters(), found, strict=True):
            torch.testing.assert_close(one, parameter.grad)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.1)
