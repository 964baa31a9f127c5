from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sw_model import event_gru
from sw_model.event_gru import EventNetwork, LayerState, NetworkConfig, Scan, run_scan
from sw_model.quantizers import QuantizationConfig


def _plain_autograd(run: object, scan: Scan, state: LayerState) -> tuple[Tensor, Tensor, LayerState]:
    """What `scan_with_gradient` computes, by torch's own tape through the same equations."""
    trace = run_scan(scan, state)
    events, fired = torch.stack([at.y for at in trace]), torch.stack([at.fired for at in trace])
    return events, fired, LayerState(trace[-1].c.detach(), trace[-1].y.detach())


def _gradients(network: EventNetwork) -> dict[str, Tensor]:
    torch.manual_seed(2)
    tokens = torch.randint(0, network.config.tokens, (14, 3))
    network.zero_grad()
    state = None
    for chunk in (tokens[:6], tokens[6:]):  # the second chunk starts from a state that is not zero
        output = network(chunk, state)
        state = output.state
        activity = sum((fired * torch.linspace(0, 1, fired.shape[-1])).mean() for fired in output.fired)
        (output.logits.square().mean() + activity).backward()  # type: ignore[no-untyped-call]
    return {name: parameter.grad.clone() for name, parameter in network.named_parameters() if parameter.grad is not None}


def _compare(network: EventNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand = _gradients(network)
    monkeypatch.setattr(event_gru, "scan_with_gradient", _plain_autograd)
    by_tape = _gradients(network)
    assert by_hand.keys() == by_tape.keys() == dict(network.named_parameters()).keys()
    for name, gradient in by_tape.items():
        assert bool(gradient.any()), name
        torch.testing.assert_close(by_hand[name], gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("hidden", [(7,), (6, 5), (4, 5, 6)])
def test_hand_written_gradient_equals_autograd_in_float(hidden: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    config = NetworkConfig(tokens=11, embedding_size=4, hidden_sizes=hidden, threshold_mean=0.2, learn_thresholds=True)
    network = EventNetwork(config).double()
    with torch.no_grad():
        for layer in network.event_layers():
            layer.bias.normal_()
    _compare(network, monkeypatch)


def test_hand_written_gradient_equals_autograd_when_quantised(
    lively_network: Callable[..., EventNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = lively_network(QuantizationConfig(weight_bits=4), (6, 7), 1).double()
    for layer in network.event_layers():
        layer.threshold.requires_grad_(True)
        # A θ of one lets nothing through; this test wants a gradient everywhere.
        with torch.no_grad():
            layer.threshold.clamp_(max=0.3)
    _compare(network, monkeypatch)


def test_gradient_of_a_layer_whose_events_nobody_reads() -> None:
    torch.manual_seed(1)
    network = EventNetwork(NetworkConfig(tokens=5, embedding_size=3, hidden_sizes=(6,), threshold_mean=0.1)).double()
    network(torch.randint(0, 5, (7, 2))).fired[0].mean().backward()  # type: ignore[no-untyped-call]
    gradient = network.event_layers()[0].recurrent_weight.grad
    assert gradient is not None
    assert bool(gradient.any())
