from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor

from sw_model.event_gru import THRESHOLD_MAX, EventNetwork, NetworkConfig
from sw_model.pruning import apply_masks, magnitude_masks
from sw_model.stepper import PlainStepper, activity_loss, decayed_parameters, state_tensors, states_of
from sw_model.train_config import TrainConfig

CHUNK = torch.arange(30).view(10, 3) % 8


def _config(**values: Any) -> TrainConfig:
    return TrainConfig.model_validate({"steps": 1, "streams": 3, "chunk": 9} | values)


def _network(**values: Any) -> EventNetwork:
    torch.manual_seed(4)
    shape: dict[str, Any] = {"embedding_size": 5, "hidden_sizes": (6, 5), "threshold_mean": 0.1, "learn_thresholds": True}
    return EventNetwork(NetworkConfig(tokens=8, **shape | values))


def _weights(network: EventNetwork) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def _equal(first: EventNetwork, second: EventNetwork) -> bool:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("tied", [False, True])
def test_matrices_decay_and_nothing_else(tied: bool) -> None:
    names = ["embedding", "input_weight"] + ([] if tied else ["decoder_weight"])
    names += ["layers.0.recurrent_weight", "layers.1.recurrent_weight", "layers.1.weight"]
    assert sorted(decayed_parameters(_network(tied_decoder=tied))) == sorted(names)


def test_decay_pulls_the_weights_and_only_them() -> None:
    free, decayed = _network(), _network()
    before = _weights(free)
    for network, decay in ((free, 0.0), (decayed, 0.5)):
        PlainStepper(network, _config(weight_decay=decay)).step(CHUNK, True, 0.125, 0)
    for (name, one), other in zip(free.named_parameters(), decayed.parameters(), strict=True):
        share = 0.125 * 0.5 if name in decayed_parameters(free) else 0.0
        torch.testing.assert_close(one - other, share * before[name], rtol=0, atol=1e-7)


def test_the_state_goes_on_until_a_sequence_begins() -> None:
    losses = {}
    for first in (True, False):
        stepper = PlainStepper(_network(), _config())
        stepper.step(CHUNK, True, 0.01, 0)
        losses[first] = stepper.step(CHUNK, first, 0.01, 1)
    assert losses[True] != losses[False]


def test_the_seed_of_a_step_fixes_its_dropout() -> None:
    networks = []
    for seed, elsewhere in ((7, 1), (7, 2), (8, 1)):
        networks.append(_network())
        stepper = PlainStepper(networks[-1], _config(dropout={"word": 0.5, "decoder": 0.5}))
        torch.manual_seed(elsewhere)
        stepper.step(CHUNK, True, 0.01, seed)
    assert _equal(networks[0], networks[1])
    assert not _equal(networks[0], networks[2])


def test_masked_weights_stay_zero() -> None:
    network = _network()
    masks = magnitude_masks(network, 0.5)
    apply_masks(network, masks)
    stepper = PlainStepper(network, _config())
    stepper.set_masks(masks)
    before = _weights(network)
    for seed in range(2):
        stepper.step(CHUNK, seed == 0, 0.01, seed)
    after = _weights(network)
    for name, mask in masks.items():
        assert not bool(after[name][~mask].any())
        assert not bool((after[name] == before[name])[mask].all())


def test_thresholds_stay_within_their_range() -> None:
    network = _network()
    stepper = PlainStepper(network, _config())
    for seed in range(3):
        stepper.step(CHUNK, seed == 0, 0.9, seed)  # each step moves θ by almost its whole range
    theta = torch.cat([layer.threshold.detach() for layer in network.event_layers()])
    assert set(theta.tolist()) & {0.0, THRESHOLD_MAX}
    assert 0.0 <= float(theta.min()) <= float(theta.max()) <= THRESHOLD_MAX


def test_pressure_on_the_activity_counts_every_neuron_alike() -> None:
    with torch.no_grad():
        output = _network()(CHUNK[:-1])
    fired = torch.cat([flags.flatten() for flags in output.fired])
    density = float(fired.sum()) / len(fired)
    target = density / 2
    pressed = activity_loss(_config(activity={"target": target, "weight": 4.0}), output)
    assert float(pressed) == pytest.approx(4.0 * (density - target), rel=1e-6)
    assert float(activity_loss(_config(activity={"target": 1.0, "weight": 4.0}), output)) == 0.0
    assert activity_loss(_config(), output) == 0.0


def test_a_restored_stepper_goes_on_as_the_first_would() -> None:
    config = _config(dropout={"recurrent": 0.5})
    network = _network()
    stepper = PlainStepper(network, config)
    stepper.step(CHUNK, True, 0.01, 0)
    tensors, copied = {name: tensor.clone() for name, tensor in stepper.tensors().items()}, deepcopy(network)
    other = PlainStepper(copied, config)
    other.restore(tensors)
    for each in (stepper, other):
        each.step(CHUNK, False, 0.01, 1)
        each.publish()
    assert _equal(network, copied)
    assert stepper.tensors().keys() == other.tensors().keys()


def test_state_keeps_its_names() -> None:
    states = _network()(CHUNK[:-1]).state
    named = state_tensors(states)
    assert named.keys() == {"state.0.c", "state.0.y", "state.1.c", "state.1.y"}
    for state, wanted in zip(states_of(named, 2), states, strict=True):
        assert state.c is wanted.c
        assert state.y is wanted.y
