import numpy as np
import pytest

from sw_model.equivalence import compare_with_reference
from sw_model.export import export_network
from sw_model.fixed_point import symmetric_limit
from sw_model.import_network import import_network
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import DECODER_BIAS_LIMITS, draw_model, redraw_values, redraw_weights

DRAWS = 200


@pytest.fixture(scope="module")
def models() -> list[QuantizedModel]:
    return [draw_model(np.random.default_rng(seed)) for seed in range(DRAWS)]


def test_the_ends_of_what_is_legal_are_drawn(models: list[QuantizedModel]) -> None:
    formats = [model.formats for model in models]
    for name, low, high in (
        ("event_bits", 2, 12),
        ("state_bits", 8, 16),
        ("gate_bits", 4, 15),
        ("preact_bits", 8, 18),
        ("preact_frac", 4, 16),
    ):
        assert {low, high} <= {getattr(each, name) for each in formats}
    layers = [layer for model in models for layer in model.layers]
    assert {len(model.layers) for model in models} == {1, 2, 3}
    assert {layer.weight_bits for layer in layers} == set(range(2, 9))
    assert {layer.neurons for layer in layers} >= {1, 2, 20}
    assert max(layer.neurons for layer in layers) <= 24
    assert {model.tokens for model in models} >= {1, 20}
    assert {int(model.decoder.bias.min()) for model in models} >= {DECODER_BIAS_LIMITS[0]}
    assert any((layer.threshold == 0).any() for layer in layers)
    assert any((layer.threshold == model.formats.state_max).any() for model in models for layer in model.layers)
    assert any((layer.bias == model.formats.preact_limits[1]).any() for model in models for layer in model.layers)
    assert any(len({layer.weight_bits for layer in model.layers}) > 1 for model in models)
    tops = [(1 << model.formats.gate_bits) - 1 for model in models]
    assert any(set(model.sigmoid_table) == {0, top} for model, top in zip(models, tops, strict=True))
    recurrent = [(layer.recurrent_weight, symmetric_limit(layer.weight_bits)) for layer in layers if layer.neurons > 3]
    assert any(weight.all() for weight, _ in recurrent)
    assert any(not weight.any() for weight, _ in recurrent)
    assert any(set(np.abs(weight).flat) == {0, limit} for weight, limit in recurrent if limit > 1)
    assert any(not weight.any(axis=(0, 1)).all() and weight.any() for weight, _ in recurrent)


def test_the_same_seed_draws_the_same_model(models: list[QuantizedModel]) -> None:
    assert draw_model(np.random.default_rng(7)).content_hash() == models[7].content_hash()
    assert len({model.content_hash() for model in models}) == DRAWS


def test_redrawing_leaves_what_the_hardware_follows_from(models: list[QuantizedModel]) -> None:
    rng = np.random.default_rng(1)
    for model in models[:20]:
        values, weights = redraw_values(rng, model), redraw_weights(rng, model)
        assert values.decoder == model.decoder
        for before, after, other in zip(model.layers, values.layers, weights.layers, strict=True):
            assert after.recurrent_weight is before.recurrent_weight
            assert after.input_weight is before.input_weight
            assert (other.weight_bits, other.weight_frac, other.neurons) == (before.weight_bits, before.weight_frac, before.neurons)
            assert other.threshold is before.threshold
    assert redraw_values(rng, models[3]).content_hash() != models[3].content_hash()
    assert redraw_weights(rng, models[3]).content_hash() != models[3].content_hash()


def test_a_trainable_model_is_the_export_of_a_network_that_computes_the_same() -> None:
    events = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        model = draw_model(rng, trainable=True)
        network = import_network(model)
        assert network is not None
        assert export_network(network).content_hash() == model.content_hash()
        result = compare_with_reference(network, rng.integers(0, model.tokens, (2, 20)), model=model)
        assert result.mismatches == 0
        events += result.events
    assert events > 500


def test_what_no_network_can_be_is_none(models: list[QuantizedModel]) -> None:
    found = [import_network(model) for model in models[:40]]
    assert any(network is None for network in found)
    for model, network in zip(models, found, strict=False):
        if network is not None:
            assert export_network(network).content_hash() == model.content_hash()
