from dataclasses import replace

import numpy as np
import pytest

from sw_model.fixed_point import Formats
from sw_model.quantized_model import InputProjection, QuantizedDecoder, QuantizedLayer, QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.reference import Accumulators, BatchedReference, EventDrivenStream, initial_state, update

SPECS = [
    RandomModelSpec(hidden=(16,), seed=1),
    RandomModelSpec(hidden=(24, 16), weight_bits=4, density=0.5, seed=2),
    RandomModelSpec(
        hidden=(16, 8, 12), weight_bits=2, formats=Formats(event_bits=4, state_bits=10, gate_bits=6, preact_bits=9, preact_frac=5), seed=3
    ),
    RandomModelSpec(hidden=(12, 12), event_density=1.0, seed=4),
    RandomModelSpec(hidden=(12, 12), silent_layer=0, seed=5),
]


@pytest.mark.parametrize("spec", SPECS)
def test_batched_and_event_driven_reference_agree(spec: RandomModelSpec) -> None:
    model = random_model(spec)
    tokens = np.random.default_rng(spec.seed).integers(0, spec.tokens, (3, 60))
    streams = [EventDrivenStream(model) for _ in tokens]
    for t, step in enumerate(BatchedReference(model).run(tokens)):
        for s, stream in enumerate(streams):
            alone = stream.step(int(tokens[s, t]))
            assert (alone.logits == step.logits[s]).all()
            for layer in range(len(model.layers)):
                assert (alone.events[layer] == step.events[layer][s]).all()
                assert (alone.fired[layer] == step.fired[layer][s]).all()


def test_sums_beyond_what_float32_holds_are_exact() -> None:
    model = random_model(RandomModelSpec(hidden=(150,), formats=Formats(event_bits=12), event_density=1.0, density=1.0, seed=6))
    weight = np.abs(model.decoder.weight)
    weight[1::2] *= -1
    model = replace(model, decoder=replace(model.decoder, weight=weight))
    tokens = np.random.default_rng(6).integers(0, 16, (2, 12))
    streams = [EventDrivenStream(model) for _ in tokens]
    for t, step in enumerate(BatchedReference(model).run(tokens)):
        alone = np.stack([stream.step(int(tokens[s, t])).logits for s, stream in enumerate(streams)])
        assert np.array_equal(alone, step.logits)
    assert alone.max() > 1 << 24
    assert alone.min() < -(1 << 24)
    assert (alone % 2).any()


def test_every_neuron_fires_and_a_silent_layer_is_silent() -> None:
    tokens = np.random.default_rng(0).integers(0, 16, (2, 30))
    for step in BatchedReference(random_model(SPECS[3])).run(tokens):
        assert all(fired.all() for fired in step.fired)
    for step in BatchedReference(random_model(SPECS[4])).run(tokens):
        assert not step.fired[0].any()


def test_reset_starts_a_new_sequence_and_keeps_the_counts() -> None:
    stream = EventDrivenStream(random_model(SPECS[0]))
    first = [stream.step(t).logits for t in (1, 2, 3)]
    stream.reset()
    again = [stream.step(t).logits for t in (1, 2, 3)]
    assert np.array_equal(first, again)
    assert stream.counts.steps == 6


def _one_neuron(threshold: int, formats: Formats | None = None) -> QuantizedModel:
    formats = formats or Formats()
    one = np.ones((1, 1), np.int8)
    return QuantizedModel(
        formats=formats,
        input_projection=InputProjection(one, 0, np.ones((3, 1, 1), np.int8), 0),
        layers=(
            QuantizedLayer(
                input_weight=np.zeros((3, 1, 0), np.int8),
                recurrent_weight=np.zeros((3, 1, 1), np.int8),
                weight_bits=8,
                weight_frac=6,
                bias=np.zeros((3, 1), np.int32),
                reset_bias=np.zeros(1, np.int32),
                threshold=np.array([threshold], np.int32),
            ),
        ),
        decoder=QuantizedDecoder(one, 8, 0, np.zeros(1, np.int32)),
        sigmoid_table=formats.sigmoid_table().astype(np.int32),
        tanh_table=formats.tanh_table().astype(np.int32),
    )


def _step(model: QuantizedModel, p: list[int], c: int) -> tuple[int, int, bool]:
    zero = np.zeros(1, np.int64)
    after = update(model, model.layers[0], Accumulators(zero, zero, zero, zero), np.array(p).reshape(3, 1), np.array([c]))
    return int(after.c[0]), int(after.y[0]), bool(after.fired[0])


def test_candidate_equal_to_threshold_is_no_event() -> None:
    # z saturates near one and g = c, so ĉ = c exactly
    assert _step(_one_neuron(1000), [0, 0, 0], 2000)[2] is False  # z = 1/2, g = 0: ĉ = 1000 = θ
    assert _step(_one_neuron(999), [0, 0, 0], 2000) == (1, 8, True)  # ĉ = 1000 > θ; y = rescale(1000, 15, 8) = 8


def test_half_a_step_of_state_rounds_up() -> None:
    assert _step(_one_neuron(32767), [0, 0, 0], 3)[0] == 2  # rescale(2048 * 3, 12, 0) = 1.5 -> 2
    assert _step(_one_neuron(32767), [0, 0, 0], -3)[0] == -1  # -1.5 -> -1


def test_event_value_is_capped_at_its_largest() -> None:
    c, y, fired = _step(_one_neuron(0), [2047, 0, 0], 32767)
    assert fired
    assert y == 255
    assert c <= 32767


def test_an_event_whose_value_rounds_to_zero_is_still_an_event() -> None:
    assert _step(_one_neuron(1), [0, 0, 0], 20) == (9, 0, True)


def test_a_neuron_at_rest_stays_at_rest() -> None:
    model = _one_neuron(0)
    assert _step(model, [0, 0, 0], 0) == (0, 0, False)


def test_state_shapes_follow_the_streams() -> None:
    states = initial_state(random_model(SPECS[1]), (4,))
    assert [s.c.shape for s in states] == [(4, 24), (4, 16)]
