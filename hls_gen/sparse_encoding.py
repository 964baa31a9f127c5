"""Compressed columns: what each lane stores of a pruned matrix.

A lane holds, for every event source, the non-zero weights of its own rows as entries in ascending order of row and field, and their place
{before, count} in the directory. A zero weight is never stored, except inside a group of three gates of which another is not zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hls_gen.hardware_config import BlockPlan, HardwareConfig, HardwarePlan, plan
from sw_model.quantized_model import QuantizedLayer, QuantizedModel

# Where the gates z, r, g go in a row's sums, see egru_accumulator.sv: from the block's own events, and from its input events.
RECURRENT_FIELDS = (3, 0, 1)
INPUT_FIELDS = (3, 0, 2)
GATES = 3


@dataclass(frozen=True)
class LaneColumns:
    """The columns of one lane, weight by weight.

    Attributes:
        start: int64, shape (columns,): place of each column's first weight.
        count: int64, shape (columns,): its weights.
        row: int64, shape (weights,): row within the lane.
        field: int64, shape (weights,): the sum of the row that it adds to; 0 in the decoder.
        weight: int64, shape (weights,), never 0.
    """

    start: np.ndarray
    count: np.ndarray
    row: np.ndarray
    field: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class LaneMemory:
    """The entry memory of one lane and the place of each column in it.

    Attributes:
        start: int64, shape (columns,): address of the column's first entry.
        count: int64, shape (columns,): its entries.
        words: Entries; at least one, because no memory is empty.
        bits: Width of an entry.
    """

    start: np.ndarray
    count: np.ndarray
    words: tuple[int, ...]
    bits: int


@dataclass(frozen=True)
class PackedModel:
    """A model on a configuration, with its columns compressed: what cycles and resources are predicted from.

    Attributes:
        plan: Lanes, rows and widths.
        columns: Of every block, in the order of ``plan.blocks``: one `LaneColumns` per lane.
    """

    plan: HardwarePlan
    columns: tuple[list[LaneColumns], ...]


@dataclass(frozen=True)
class _Matrix:
    """Weights (gates, rows, sources) with the physical slot of each row, the column of each source and the field of each gate."""

    weight: np.ndarray
    slot_of: np.ndarray
    column_of: np.ndarray
    fields: Sequence[int]


def pack(model: QuantizedModel, hardware: HardwareConfig | HardwarePlan | PackedModel) -> PackedModel:
    """Compress the columns of ``model``; what has been done already is not done again.

    Raises:
        UserError: When the configuration cannot work for this model.
    """
    if isinstance(hardware, PackedModel):
        return hardware
    hardware = plan(model, hardware) if isinstance(hardware, HardwareConfig) else hardware
    engines = (engine_columns(model, hardware, engine) for engine in hardware.engines)
    return PackedModel(hardware, (*engines, decoder_columns(model, hardware)))


def engine_columns(model: QuantizedModel, hardware: HardwarePlan, engine: BlockPlan) -> list[LaneColumns]:
    """Compress ``W`` and ``R`` of the layers of ``engine``; one `LaneColumns` per lane."""
    matrices = []
    for part in engine.parts:
        layer = model.layers[_index(part.layer)]
        rows = engine.slot_of(part)
        matrices.append(_Matrix(layer.recurrent_weight, rows, rows, RECURRENT_FIELDS))
        matrices += _inputs(hardware, engine, layer, _index(part.layer), rows)
    return _compress(matrices, engine)


def _inputs(hardware: HardwarePlan, engine: BlockPlan, layer: QuantizedLayer, index: int, rows: np.ndarray) -> list[_Matrix]:
    if index == 0:
        return [_Matrix(layer.input_weight, rows, np.arange(layer.inputs) + engine.own, INPUT_FIELDS)]
    before, part = hardware.place_of(index - 1)
    source = before.slot_of(part)
    columns = [source + engine.own]
    if before is engine:
        # The layer before is one step ahead on the same lanes: its events carry W beside its own R, and W alone when its
        # sequence has ended.
        columns.append(source)
    return [_Matrix(layer.input_weight, rows, column, INPUT_FIELDS) for column in columns]


def decoder_columns(model: QuantizedModel, hardware: HardwarePlan) -> list[LaneColumns]:
    """Compress the decoder's ``D``; one `LaneColumns` per lane."""
    block = hardware.decoder
    before, part = hardware.place_of(len(model.layers) - 1)
    return _compress([_Matrix(model.decoder.weight[np.newaxis], block.slot_of(block.parts[0]), before.slot_of(part), (0,))], block)


def _index(layer: int | None) -> int:
    if layer is None:
        raise ValueError("the decoder is no layer")
    return layer


def _compress(matrices: list[_Matrix], block: BlockPlan) -> list[LaneColumns]:
    """Sort all non-zero weights by lane, column, row, field."""
    found = []
    for matrix in matrices:
        gate, row, source = np.nonzero(matrix.weight)
        slot = matrix.slot_of[row]
        field = np.array(matrix.fields, np.int64)[gate]
        found.append(np.stack([slot // block.rows, matrix.column_of[source], slot % block.rows, field, matrix.weight[gate, row, source]]))
    lane, column, row, field, weight = np.concatenate(found, axis=1).astype(np.int64)
    order = np.lexsort((field, row, column, lane))
    lane, column, row, field, weight = (values[order] for values in (lane, column, row, field, weight))
    lanes = []
    for index in range(block.lanes):
        mine = lane == index
        count = np.bincount(column[mine], minlength=block.columns)
        lanes.append(LaneColumns(np.cumsum(count) - count, count, row[mine], field[mine], weight[mine]))
    return lanes


def single_entries(columns: LaneColumns, weight_bits: int, row_bits: int, field_bits: int) -> LaneMemory:
    """Store one entry {row, field, weight (two's complement)} per weight."""
    weight = columns.weight & ((1 << weight_bits) - 1)
    words = (columns.row << field_bits | columns.field) << weight_bits | weight
    return LaneMemory(columns.start, columns.count, tuple(words.tolist()) or (0,), row_bits + field_bits + weight_bits)


def group_entries(columns: LaneColumns, weight_bits: int, row_bits: int) -> LaneMemory:
    """Store one entry {row, recurrent, w_g, w_r, w_z} per neuron and source with any weight; it is walked in three operations."""
    column = np.repeat(np.arange(len(columns.count)), columns.count)
    gate = np.array([1, 2, 2, 0])[columns.field]  # by field
    key, group = np.unique(column * (1 << row_bits) + columns.row, return_inverse=True)
    weights = np.zeros((len(key), GATES), np.int64)
    weights[group, gate] = columns.weight & ((1 << weight_bits) - 1)
    # A row's g is either recurrent or not in one column: the two fields never meet.
    recurrent = np.zeros(len(key), np.int64)
    recurrent[group[columns.field == RECURRENT_FIELDS[2]]] = 1
    row = key % (1 << row_bits)
    words = (row << 1 | recurrent) << GATES * weight_bits | weights[:, 2] << 2 * weight_bits | weights[:, 1] << weight_bits | weights[:, 0]
    groups = np.bincount(key >> row_bits, minlength=len(columns.count))
    return LaneMemory(np.cumsum(groups) - groups, groups, tuple(words.tolist()) or (0,), row_bits + 1 + GATES * weight_bits)


def directory_words(lanes: Sequence[LaneMemory], start_bits: int, count_bits: int) -> tuple[int, ...]:
    """Return one word per column: the places {before, count} of all lanes, lane 0 lowest.

    ``before`` is the address one before the column's first entry, modulo the address range.
    """
    mask = (1 << start_bits) - 1  # the address before 0 is the last one
    places = np.array([((lane.start - 1) & mask) << count_bits | lane.count for lane in lanes])
    bits = start_bits + count_bits
    return tuple(sum(int(place) << (bits * lane) for lane, place in enumerate(word)) for word in places.T)
