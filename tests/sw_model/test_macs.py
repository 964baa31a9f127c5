import numpy as np
import pytest

from sw_model.macs import count_events, count_macs, weight_density
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.reference import EventDrivenStream


@pytest.mark.parametrize(
    "spec",
    [
        RandomModelSpec(hidden=(12,), seed=1),
        RandomModelSpec(hidden=(16, 12, 8), density=0.4, seed=2),
        RandomModelSpec(hidden=(8, 8), silent_layer=0, seed=3),
    ],
)
def test_counts_equal_the_work_of_the_event_driven_stream(spec: RandomModelSpec) -> None:
    model = random_model(spec)
    tokens = np.random.default_rng(spec.seed).integers(0, spec.tokens, 80)
    stream = EventDrivenStream(model)
    for token in tokens.tolist():
        stream.step(token)
    events = count_events(model, tokens[None])
    report = count_macs(model, events)
    assert events.steps == stream.counts.steps
    assert [int(sent.sum()) for sent in events.sent] == stream.counts.events
    assert [round(macs.event_sparse * events.steps) for macs in report.layers] == stream.counts.macs
    assert round(report.decoder.event_sparse * events.steps) == stream.counts.decoder_macs


def test_dense_and_weight_sparse_counts() -> None:
    model = random_model(RandomModelSpec(hidden=(6, 4), classes=5, density=0.3, seed=8))
    report = count_macs(model, count_events(model, np.zeros((1, 3), np.int64)))
    assert [macs.dense for macs in report.layers] == [3 * 6 * 6, 3 * 4 * (4 + 6)]
    assert report.decoder.dense == 5 * 4
    assert report.input_projection == 3 * 6 * 8
    nonzero = sum(int(np.count_nonzero(layer.input_weight)) + int(np.count_nonzero(layer.recurrent_weight)) for layer in model.layers)
    assert report.without_decoder.weight_sparse == nonzero
    assert report.with_decoder.weight_sparse == nonzero + int(np.count_nonzero(model.decoder.weight))
    assert weight_density(model) == pytest.approx(report.with_decoder.weight_sparse / report.with_decoder.dense)


def test_density_of_a_network_that_always_fires() -> None:
    model = random_model(RandomModelSpec(hidden=(6, 4), event_density=1.0, seed=8))
    events = count_events(model, np.zeros((2, 5), np.int64))
    assert events.density == (1.0, 1.0)
    assert events.total_density == 1.0
