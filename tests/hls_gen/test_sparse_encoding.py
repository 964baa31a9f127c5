"""Compressed columns hold exactly the non-zero weights, in their lanes and rows."""

import numpy as np
import pytest

from hls_gen.hardware_config import HardwareConfig, plan
from hls_gen.sparse_encoding import LaneColumns, decoder_columns, entry_words, layer_columns, pointer_words
from sw_model.random_model import RandomModelSpec, random_model

MODEL = random_model(RandomModelSpec(hidden=(18, 24), density=0.25, classes=11, seed=3))
PLAN = plan(MODEL, HardwareConfig(lanes=(4, 8, 3)))


def dense(columns: list[LaneColumns], lanes: int, rows: int, gates: int, sources: int) -> np.ndarray:
    """Expand to (gates, lanes * rows, sources)."""
    full = np.zeros((gates, lanes * rows, sources), np.int64)
    for lane, content in enumerate(columns):
        for source in range(sources):
            for entry in range(content.start[source], content.start[source] + content.count[source]):
                place = (content.gate[entry], lane * rows + content.row[entry], source)
                assert full[place] == 0, "an entry is stored twice"
                full[place] = content.weight[entry]
    return full


def test_a_layer_expands_to_its_weights() -> None:
    layer, block, before = MODEL.layers[1], PLAN.layers[1], PLAN.layers[0].packing
    columns = layer_columns(layer, block, before)
    full = dense(columns, block.packing.lanes, block.packing.rows, 3, block.columns)
    inputs, own = full[:, :, : block.inputs], full[:, :, block.inputs :]
    assert np.array_equal(inputs[:, block.packing.slot_of][:, :, before.slot_of], layer.input_weight)
    assert np.array_equal(own[:, block.packing.slot_of][:, :, block.packing.slot_of], layer.recurrent_weight)
    assert np.count_nonzero(full) == np.count_nonzero(layer.input_weight) + np.count_nonzero(layer.recurrent_weight)


def test_the_decoder_expands_to_its_weights() -> None:
    block, before = PLAN.decoder, PLAN.layers[-1].packing
    full = dense(decoder_columns(MODEL.decoder, block, before), block.packing.lanes, block.packing.rows, 1, block.columns)
    assert np.array_equal(full[0][block.packing.slot_of][:, before.slot_of], MODEL.decoder.weight)


def test_no_zero_is_stored_and_entries_ascend() -> None:
    for content in layer_columns(MODEL.layers[0], PLAN.layers[0], None):
        assert np.all(content.weight != 0)
        for start, count in zip(content.start, content.count, strict=True):
            keys = (content.row * 4 + content.gate)[start : start + count]
            assert np.all(np.diff(keys) > 0)


def test_word_layout() -> None:
    columns = LaneColumns(np.array([0, 2]), np.array([2, 0]), np.array([1, 3]), np.array([2, 0]), np.array([-1, 5]))
    assert entry_words(columns, 4, gates=True).tolist() == [0b01_10_1111, 0b11_00_0101]
    assert entry_words(columns, 4, gates=False).tolist() == [0b01_1111, 0b11_0101]
    assert pointer_words(columns, 3).tolist() == [0b0_010, 0b10_000]


@pytest.mark.parametrize("density", [0.0, 1.0])
def test_empty_and_full_matrices(density: float) -> None:
    model = random_model(RandomModelSpec(hidden=(8,), density=density, classes=4))
    hardware = plan(model, HardwareConfig(lanes=2))
    counts = [int(content.count.sum()) for content in layer_columns(model.layers[0], hardware.layers[0], None)]
    assert counts == ([0, 0] if density == 0.0 else [96, 96])
