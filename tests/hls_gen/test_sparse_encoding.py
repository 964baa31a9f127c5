"""Compressed columns hold exactly the non-zero weights, in their lanes, rows and sums; words are laid out as the RTL reads them."""

import numpy as np
import pytest

from hls_gen.block_memories import lane_memories
from hls_gen.hardware_config import BlockPart, BlockPlan, HardwareConfig, HardwarePlan, plan
from hls_gen.sparse_encoding import (
    LaneColumns,
    LaneMemory,
    decoder_columns,
    directory_words,
    engine_columns,
    group_entries,
    single_entries,
)
from sw_model.random_model import RandomModelSpec, random_model

MODEL = random_model(RandomModelSpec(hidden=(18, 24, 20), density=0.25, classes=11, seed=3))
OWN = plan(MODEL, HardwareConfig(lanes=(4, 8, 5, 3)))
SHARED = plan(MODEL, HardwareConfig(lanes=(5, 3), engines="shared", packing="interleaved"))
# The sums of a row, as egru_accumulator.sv numbers them; by gates z, r, g.
RECURRENT, INPUT = (3, 0, 1), (3, 0, 2)


def dense(columns: list[LaneColumns], block: BlockPlan) -> np.ndarray:
    """Expand to (sums, slots, columns)."""
    full = np.zeros((4, block.slots, block.columns), np.int64)
    for lane, content in enumerate(columns):
        for source in range(block.columns):
            for entry in range(content.start[source], content.start[source] + content.count[source]):
                place = (content.field[entry], lane * block.rows + content.row[entry], source)
                assert full[place] == 0, "a weight is stored twice"
                full[place] = content.weight[entry]
    return full


def expected_engine(hardware: HardwarePlan, block: BlockPlan) -> np.ndarray:
    """Lay out the uncompressed ``W`` and ``R`` of a block's layers the same way."""
    full = np.zeros((4, block.slots, block.columns), np.int64)

    def put(part: BlockPart, matrix: np.ndarray, sources: np.ndarray, fields: tuple[int, ...]) -> None:
        for gate, field in enumerate(fields):
            full[np.ix_(np.array([field]), block.slot_of(part), sources)] += matrix[gate]

    for part in block.parts:
        assert part.layer is not None
        layer = MODEL.layers[part.layer]
        put(part, layer.recurrent_weight, block.slot_of(part), RECURRENT)
        if part.layer:
            before, source = hardware.place_of(part.layer - 1)
            put(part, layer.input_weight, block.slots + before.slot_of(source), INPUT)
            if before is block:
                put(part, layer.input_weight, before.slot_of(source), INPUT)
    return full


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_layer_expands_to_its_weights(index: int) -> None:
    block, layer = OWN.engines[index], MODEL.layers[index]
    full = dense(engine_columns(MODEL, OWN, block), block)
    assert np.array_equal(full, expected_engine(OWN, block))
    assert np.count_nonzero(full) == np.count_nonzero(layer.input_weight) + np.count_nonzero(layer.recurrent_weight)


def test_a_shared_engine_expands_to_all_weights_and_to_w_alone_in_the_second_half() -> None:
    (block,) = SHARED.engines
    full = dense(engine_columns(MODEL, SHARED, block), block)
    assert np.array_equal(full, expected_engine(SHARED, block))
    inputs = sum(np.count_nonzero(layer.input_weight) for layer in MODEL.layers)
    recurrent = sum(np.count_nonzero(layer.recurrent_weight) for layer in MODEL.layers)
    first, second = full[..., : block.own], full[..., block.own :]
    assert np.count_nonzero(second) == inputs
    assert np.count_nonzero(first) == inputs + recurrent
    assert not second[1].any(), "the second half has no recurrent sum"
    last = block.slot_of(block.parts[-1])
    assert not second[..., last].any(), "no layer follows the last one"


@pytest.mark.parametrize("hardware", [OWN, SHARED])
def test_the_decoder_expands_to_its_weights(hardware: HardwarePlan) -> None:
    block = hardware.decoder
    before, part = hardware.place_of(2)
    full = dense(decoder_columns(MODEL, hardware), block)
    assert np.array_equal(full[0][block.slot_of(block.parts[0])][:, before.slot_of(part)], MODEL.decoder.weight)
    assert np.count_nonzero(full) == np.count_nonzero(MODEL.decoder.weight)


@pytest.mark.parametrize("hardware", [OWN, SHARED])
def test_no_zero_is_stored_and_entries_ascend(hardware: HardwarePlan) -> None:
    for content in engine_columns(MODEL, hardware, hardware.engines[-1]):
        assert np.all(content.weight != 0)
        for start, count in zip(content.start, content.count, strict=True):
            keys = (content.row * 4 + content.field)[start : start + count]
            assert np.all(np.diff(keys) > 0)


@pytest.mark.parametrize("hardware", [OWN, SHARED])
def test_groups_of_gates_decode_to_the_same_weights(hardware: HardwarePlan) -> None:
    block = hardware.engines[-1]
    full = np.zeros((4, block.slots, block.columns), np.int64)
    row_bits, bits = (block.rows - 1).bit_length(), block.weight_bits
    for lane, memory in enumerate(lane_memories(block, engine_columns(MODEL, hardware, block), HardwareConfig(entry_format="gate-group"))):
        assert memory.bits == row_bits + 1 + 3 * bits
        for column, (start, count) in enumerate(zip(memory.start, memory.count, strict=True)):
            rows = []
            for word in memory.words[start : start + count]:
                row, recurrent = word >> (3 * bits + 1), word >> 3 * bits & 1
                rows.append(row)
                weights = [(word >> bits * gate & (1 << bits) - 1 ^ 1 << (bits - 1)) - (1 << (bits - 1)) for gate in range(3)]
                assert any(weights), "a group of zeros is stored"
                for field, weight in zip((3, 0, 1 if recurrent else 2), weights, strict=True):
                    full[field, lane * block.rows + row, column] = weight
            assert rows == sorted(set(rows))
        assert sum(memory.count) == len(memory.words)
    assert np.array_equal(full, expected_engine(hardware, block))


def test_the_decoder_has_no_groups() -> None:
    columns = decoder_columns(MODEL, OWN)
    grouped, single = (lane_memories(OWN.decoder, columns, HardwareConfig(entry_format=kind)) for kind in ("gate-group", "single"))
    assert [memory.words for memory in grouped] == [memory.words for memory in single]


def test_layout_of_single_entries() -> None:
    columns = LaneColumns(np.array([0, 2]), np.array([2, 0]), np.array([1, 3]), np.array([2, 0]), np.array([-1, 5]))
    memory = single_entries(columns, weight_bits=4, row_bits=2, field_bits=2)
    assert (memory.words, memory.bits) == ((0b01_10_1111, 0b11_00_0101), 8)
    assert memory.count.tolist() == [2, 0]
    decoder = LaneColumns(np.array([0]), np.array([2]), np.array([1, 3]), np.array([0, 0]), np.array([-1, 5]))
    memory = single_entries(decoder, weight_bits=4, row_bits=2, field_bits=0)
    assert (memory.words, memory.bits) == ((0b01_1111, 0b11_0101), 6)


def test_layout_of_groups_of_gates() -> None:
    # Column 0: row 1 with r and recurrent g; column 1: nothing; column 2: row 0 with z, row 3 with input g.
    count, row = np.array([2, 0, 2]), np.array([1, 1, 0, 3])
    columns = LaneColumns(np.array([0, 2, 2]), count, row, np.array([0, 1, 3, 2]), np.array([-1, 5, 3, -4]))
    memory = group_entries(columns, weight_bits=4, row_bits=2)
    assert memory.words == (0b01_1_0101_1111_0000, 0b00_0_0000_0000_0011, 0b11_0_1100_0000_0000)
    assert memory.bits == 15
    assert memory.start.tolist() == [0, 1, 1]
    assert memory.count.tolist() == [1, 0, 2]


def test_layout_of_the_directory() -> None:
    lanes = [
        LaneMemory(np.array([0, 2, 4]), np.array([2, 2, 0]), (0,) * 4, 8),
        LaneMemory(np.array([0, 0, 1]), np.array([0, 1, 1]), (0,) * 2, 8),
    ]
    # {before, count} of lane 1, then of lane 0; the address before 0 is the last one, and that before the empty column at the end the third
    assert directory_words(lanes, start_bits=2, count_bits=2) == (0b11_00_11_10, 0b11_01_01_10, 0b00_01_11_00)


@pytest.mark.parametrize(("density", "weights", "groups"), [(0.0, 0, 0), (1.0, 96, 32)])
def test_empty_and_full_matrices(density: float, weights: int, groups: int) -> None:
    model = random_model(RandomModelSpec(hidden=(8,), density=density, classes=4))
    hardware = plan(model, HardwareConfig(lanes=2))
    (block,) = hardware.engines
    columns = engine_columns(model, hardware, block)
    assert [int(content.count.sum()) for content in columns] == [weights, weights]
    for config, stored in ((HardwareConfig(), weights), (HardwareConfig(entry_format="gate-group"), groups)):
        memories = lane_memories(block, columns, config)
        # no memory is empty
        assert [len(memory.words) for memory in memories] == [max(1, stored)] * 2
        assert [int(memory.count.sum()) for memory in memories] == [stored, stored]
