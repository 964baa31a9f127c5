from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pytest

from sw_model.input_encoding import Encoding
from sw_model.macs import EventCounts, count_events, count_macs, weight_density
from sw_model.random_model import RandomModelSpec, draw_events, random_model
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


@pytest.mark.parametrize("encoding", ["dense", "delta"])
def test_counts_of_features_equal_the_work_of_the_event_driven_stream(encoding: Encoding) -> None:
    model = random_model(RandomModelSpec(hidden=(16, 12), features=5, encoding=encoding, density=0.4, seed=4))
    inputs = draw_events(np.random.default_rng(4), model, (1, 80))
    stream = EventDrivenStream(model)
    for frame in inputs[0]:
        stream.step(frame)
    events = count_events(model, inputs)
    report = count_macs(model, events)
    assert events.inputs is not None
    assert int(events.inputs.sum()) == stream.counts.input_events
    assert events.input_density == stream.counts.input_events / (80 * model.channels)
    assert [round(macs.event_sparse * events.steps) for macs in report.layers] == stream.counts.macs
    assert report.layers[0].dense == 3 * 16 * (16 + model.channels)
    assert report.input_projection == 0
    assert weight_density(model) == pytest.approx(report.with_decoder.weight_sparse / report.with_decoder.dense)


def test_what_comes_after_the_end_of_a_stream_is_not_counted() -> None:
    model = random_model(RandomModelSpec(hidden=(16, 12), features=5, seed=4))
    inputs = draw_events(np.random.default_rng(4), model, (4, 20))
    lengths = np.array([20, 7, 1, 13])
    together = count_events(model, inputs, lengths)
    alone = reduce(add, (count_events(model, one[None, :length]) for one, length in zip(inputs, lengths, strict=True)))
    assert together.steps == alone.steps == 41
    assert together.inputs is not None
    assert alone.inputs is not None
    assert np.array_equal(together.inputs, alone.inputs)
    for mine, other in zip(together.sent + together.last, alone.sent + alone.last, strict=True):
        assert np.array_equal(mine, other)


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


def test_counts_of_streams_add_up() -> None:
    model = random_model(RandomModelSpec(hidden=(6, 4), seed=8))
    tokens = np.random.default_rng(8).integers(0, 16, (5, 20))
    whole, joined = count_events(model, tokens), count_events(model, tokens[:2]) + count_events(model, tokens[2:])
    assert joined.steps == whole.steps == 100
    for found, wanted in zip(joined.sent + joined.fed_back, whole.sent + whole.fed_back, strict=True):
        assert np.array_equal(found, wanted)


def test_law_ratio_is_one_where_columns_are_alike_and_shows_where_they_are_not() -> None:
    model = random_model(RandomModelSpec(hidden=(2, 3), classes=4, density=1.0, seed=8))
    first, second = model.layers
    # Of the neurons of layer 0 the first fires in half of the steps and has a full column in R and an empty one in W.
    recurrent = np.zeros((3, 2, 2), np.int8)
    recurrent[..., 0] = 1
    inputs = np.ones((3, 3, 2), np.int8)
    inputs[..., 0] = 0
    model = replace(model, layers=(replace(first, recurrent_weight=recurrent), replace(second, input_weight=inputs)))
    silent = np.zeros(3, np.int64)
    report = count_macs(model, EventCounts(10, (np.array([5, 0]), silent), (np.zeros(2, np.int64), silent)))
    # Layer 0: 3 of 12 MACs; weight density 1/2, event density 1/4.
    assert (report.layers[0].event_sparse, report.layers[0].dense_columns) == (3, 3)
    assert report.layers[0].law_ratio == 3 / (12 * (1 / 2) * (1 / 4))
    # Layer 1 reads events in 9 * 5 / 10 of its 45 weights, and none of the non-zero ones.
    assert (report.layers[1].event_sparse, report.layers[1].dense_columns) == (0, 4.5)
    assert report.layers[1].law_ratio == 0
    assert report.decoder.law_ratio is None
    total = report.without_decoder
    assert total.law_ratio == 3 / (57 * ((6 + 9 + 27) / 57) * (7.5 / 57))
    dense = random_model(RandomModelSpec(hidden=(6, 4), density=1.0, seed=9))
    report = count_macs(dense, count_events(dense, np.arange(16)[None]))
    assert [macs.law_ratio for macs in (*report.layers, report.decoder)] == [1.0, 1.0, 1.0]


def test_density_of_a_network_that_always_fires() -> None:
    model = random_model(RandomModelSpec(hidden=(6, 4), event_density=1.0, seed=8))
    events = count_events(model, np.zeros((2, 5), np.int64))
    assert events.density == (1.0, 1.0)
    assert events.total_density == 1.0
