"""The benchmark's models have the densities they were asked for, and their sums matter."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.datapath_model import ControlledSpec, DenseInputSpec, controlled_model, dense_input_model, magnitude_pruned
from sw_model.quantized_model import QuantizedModel
from sw_model.reference import BatchedReference, Step


def run(model: QuantizedModel) -> list[Step]:
    return list(BatchedReference(model).run(np.arange(model.tokens)[np.newaxis]))


@pytest.mark.parametrize("weights", [1.0, 0.2, 0.05])
@pytest.mark.parametrize("events", [1.0, 0.5, 0.05])
def test_densities_are_as_asked(weights: float, events: float) -> None:
    model = controlled_model(ControlledSpec(units=256, weight_density=weights, event_density=events, steps=24))
    recurrent = model.layers[0].recurrent_weight
    assert np.count_nonzero(recurrent) == round(weights * recurrent.size)
    fired = np.mean([step.fired[0].mean() for step in run(model)])
    assert fired == pytest.approx(events, rel=0.02)


def test_rows_columns_and_rates_are_uneven_and_every_step_has_its_own_events() -> None:
    model = controlled_model(ControlledSpec(units=256, weight_density=0.1, event_density=0.1, steps=48))
    kept = model.layers[0].recurrent_weight != 0
    for loads in (kept.sum(axis=(0, 2)), kept.sum(axis=(0, 1))):
        assert loads.std() > 3 * np.sqrt(loads.mean())  # even rows would have the deviation of a binomial
    fired = np.array([step.fired[0][0] for step in run(model)])
    assert fired.sum(axis=0).std() > 1.3 * np.sqrt(fired.sum(axis=0).mean())
    assert len({row.tobytes() for row in fired}) == len(fired)


def test_the_sums_move_the_event_values() -> None:
    """Without the recurrent weights the same neurons fire, with other values: a wrong sum cannot hide."""
    model = controlled_model(ControlledSpec(units=128, weight_density=0.1, event_density=0.2, steps=12))
    layer = model.layers[0]
    silent = replace(model, layers=(replace(layer, recurrent_weight=np.zeros_like(layer.recurrent_weight)),))
    with_sums, without = run(model), run(silent)
    common = [a.fired[0] & b.fired[0] for a, b in zip(with_sums, without, strict=True)]
    assert sum(c.sum() for c in common) > 0.98 * sum(step.fired[0].sum() for step in with_sums)
    # the first step has no recurrent events yet
    differ = [(a.events[0] != b.events[0])[c].mean() for a, b, c in zip(with_sums, without, common, strict=True)][1:]
    assert np.mean(differ) > 0.6


def test_same_spec_same_model_other_seed_other_model() -> None:
    spec = ControlledSpec(units=32, weight_density=0.3, event_density=0.3, steps=8)
    assert controlled_model(spec).content_hash() == controlled_model(spec).content_hash()
    assert controlled_model(spec).content_hash() != controlled_model(replace(spec, seed=2)).content_hash()


def test_pruning_keeps_the_largest_and_none_of_them_becomes_zero() -> None:
    shape = (3, 40, 40)
    full, pruned = (magnitude_pruned(np.random.default_rng(3), shape, density) for density in (1.0, 0.25))
    assert np.count_nonzero(full) == full.size
    assert np.count_nonzero(pruned) == 1200
    assert np.abs(full[pruned != 0]).min() >= np.abs(full[pruned == 0]).max()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_dense_inputs_always_fire_and_half_of_the_neurons_behind_them(seed: int) -> None:
    model = dense_input_model(DenseInputSpec(inputs=8, units=(16, 16), steps=128, seed=seed))
    assert not model.layers[0].recurrent_weight.any()
    assert all(layer.input_weight.all() and layer.recurrent_weight.all() for layer in model.layers[1:])
    steps = run(model)
    assert all(step.fired[0].all() for step in steps)
    for layer in (1, 2):
        fired = np.array([step.fired[layer][0] for step in steps])
        assert fired.mean() == pytest.approx(0.5, abs=0.03)
        assert fired.mean(axis=0).min() > 0.2  # no neuron is stuck
        assert fired.mean(axis=0).max() < 0.8
