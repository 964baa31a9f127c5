import math

import numpy as np
import pytest
import torch

from sw_model.dropout import Dropout, DropoutMasks
from sw_model.event_gru import EventNetwork, NetworkConfig
from sw_model.scan_gradient import Surrogate, strict_step


def _network(**values: object) -> EventNetwork:
    torch.manual_seed(3)
    settings = {"tokens": 9, "embedding_size": 5, "hidden_sizes": (6, 4), "threshold_mean": 0.1} | values
    return EventNetwork(NetworkConfig.model_validate(settings)).double().eval()


def _sigmoid(a: np.ndarray) -> np.ndarray:
    result: np.ndarray = 1.0 / (1.0 + np.exp(-a))
    return result


def test_network_follows_the_equations_of_the_semantics() -> None:
    network = _network()
    with torch.no_grad():
        for layer in network.event_layers():
            layer.bias.normal_()
            layer.reset_bias.normal_()
        tokens = torch.randint(0, 9, (12, 1))
        output = network(tokens)
    x_of = network.get_parameter("embedding").detach().numpy()
    first, second = network.event_layers()
    assert second.weight is not None
    input_weights = (network.get_parameter("input_weight").detach().numpy(), second.weight.detach().numpy())
    c, y = [np.zeros(6), np.zeros(4)], [np.zeros(6), np.zeros(4)]
    for t, token in enumerate(tokens[:, 0].tolist()):
        x = x_of[token]
        for index, layer in enumerate((first, second)):
            W, R = input_weights[index], layer.recurrent_weight.detach().numpy()
            b, d, theta = (p.detach().numpy() for p in (layer.bias, layer.reset_bias, layer.threshold))
            z = _sigmoid(W[0] @ x + R[0] @ y[index] + b[0])
            r = _sigmoid(W[1] @ x + R[1] @ y[index] + b[1])
            g = np.tanh(W[2] @ x + b[2] + r * (R[2] @ y[index] + d))
            c_hat = z * c[index] + (1 - z) * g
            event = c_hat > theta
            y[index], c[index] = np.where(event, c_hat, 0), np.where(event, c_hat - theta, c_hat)
            np.testing.assert_allclose(output.events[index][t, 0], y[index], atol=1e-12)
            assert (output.fired[index][t, 0].numpy() == event).all()
            x = y[index]
        logits = network.decoder_weight.detach().numpy() @ x + network.decoder_bias.detach().numpy()
        np.testing.assert_allclose(output.logits[t, 0], logits, atol=1e-12)


def test_state_is_carried_from_call_to_call() -> None:
    network = _network()
    tokens = torch.randint(0, 9, (20, 3))
    with torch.no_grad():
        whole = network(tokens)
        first = network(tokens[:7])
        second = network(tokens[7:], first.state)
    assert torch.equal(whole.logits, torch.cat([first.logits, second.logits]))


def test_no_gradient_flows_into_the_state_before() -> None:
    network = _network()
    state = network(torch.randint(0, 9, (4, 2))).state
    assert not any(layer.c.requires_grad or layer.y.requires_grad for layer in state)


def test_strict_step_is_zero_at_the_tie() -> None:
    v = torch.tensor([-1.0, -0.0, 0.0, 1e-7, 1.0], requires_grad=True)
    fired = strict_step(v, Surrogate(damp=2.0, support=4.0))
    assert fired.tolist() == [0, 0, 0, 1, 1]
    fired.sum().backward()  # type: ignore[no-untyped-call]
    assert v.grad is not None
    torch.testing.assert_close(v.grad, torch.tensor([0.0, 2.0, 2.0, 2.0, 0.0]))


@pytest.mark.parametrize("mean", [0.01, 0.3])
def test_thresholds_begin_as_a_beta_variate(mean: float) -> None:
    torch.manual_seed(0)
    network = EventNetwork(NetworkConfig(tokens=2, hidden_sizes=(4096,), embedding_size=1, threshold_mean=mean))
    theta = network.event_layers()[0].threshold
    assert not theta.requires_grad
    assert bool(((theta >= 0) & (theta < 1)).all())
    alpha = 3 * mean / (1 - mean)
    deviation = math.sqrt(alpha * 3 / ((alpha + 3) ** 2 * (alpha + 4)))
    assert abs(float(theta.mean()) - mean) < 5 * deviation / 64


@pytest.mark.parametrize("name", ["word", "embedding", "between", "decoder", "recurrent"])
def test_every_dropout_acts_when_masks_are_given(name: str) -> None:
    network = _network()
    masks = DropoutMasks.allocate(Dropout(**{name: 0.5}), network.mask_shapes(20), torch.device("cpu"))
    tokens = torch.randint(0, 9, (20, 2))
    with torch.no_grad():
        assert torch.equal(network(tokens).logits, network(tokens).logits)
        torch.manual_seed(1)
        first = network(tokens, masks=masks.draw()).logits
        assert not torch.equal(first, network(tokens).logits)
        assert not torch.equal(first, network(tokens, masks=masks.draw()).logits)
        torch.manual_seed(1)
        assert torch.equal(first, network(tokens, masks=masks.draw()).logits)


def test_masks_over_time_are_shared_by_all_streams() -> None:
    network = _network()
    masks = DropoutMasks.allocate(Dropout(embedding=0.5, between=0.5, decoder=0.5), network.mask_shapes(6), torch.device("cpu")).draw()
    tokens = torch.randint(0, 9, (6, 1)).expand(6, 3)
    with torch.no_grad():
        logits = network(tokens, masks=masks).logits
    assert torch.equal(logits[:, 0], logits[:, 1])


def test_a_tied_decoder_is_the_embedding() -> None:
    network = EventNetwork(NetworkConfig(tokens=9, hidden_sizes=(7, 5), embedding_size=5, tied_decoder=True))
    assert network.decoder_weight is network.embedding
    assert "decoder_weight" not in dict(network.named_parameters())
    assert network.double().decoder_weight is network.embedding
    with pytest.raises(ValueError, match="tied_decoder needs embedding_size=4"):
        NetworkConfig(tokens=9, hidden_sizes=(7, 5), embedding_size=4, tied_decoder=True)
