"""Compressed columns: what each lane stores of a pruned matrix.

A lane holds, for every event source, the non-zero weights of its own rows, as entries {row, gate, weight} in ascending order (the decoder
has no gate), and a pointer {start, count} per source. A zero weight is never stored.
"""

from dataclasses import dataclass

import numpy as np

from hls_gen.hardware_config import MatrixPlan
from hls_gen.lane_packing import Packing
from sw_model.quantized_model import QuantizedDecoder, QuantizedLayer


@dataclass(frozen=True)
class LaneColumns:
    """The columns of one lane.

    Attributes:
        start: int64, shape (columns,): address of each column's first entry.
        count: int64, shape (columns,): its entries.
        row: int64, shape (entries,): row within the lane.
        gate: int64, shape (entries,): 0 z, 1 r, 2 g; 0 in the decoder.
        weight: int64, shape (entries,), never 0.
    """

    start: np.ndarray
    count: np.ndarray
    row: np.ndarray
    gate: np.ndarray
    weight: np.ndarray


def layer_columns(layer: QuantizedLayer, plan: MatrixPlan, inputs: Packing | None) -> list[LaneColumns]:
    """Compress a layer's ``W`` and ``R``; one `LaneColumns` per lane.

    Args:
        layer: The weights.
        plan: Lanes and rows of the layer.
        inputs: Packing of the layer before, whose physical indices address the input columns; none for layer 0.
    """
    parts = [(layer.recurrent_weight, plan.packing.slot_of + plan.inputs)]
    if inputs is not None:
        parts.append((layer.input_weight, inputs.slot_of))
    return _compress(parts, plan)


def decoder_columns(decoder: QuantizedDecoder, plan: MatrixPlan, inputs: Packing) -> list[LaneColumns]:
    """Compress the decoder's ``D``; one `LaneColumns` per lane."""
    return _compress([(decoder.weight[np.newaxis], inputs.slot_of)], plan)


def _compress(parts: list[tuple[np.ndarray, np.ndarray]], plan: MatrixPlan) -> list[LaneColumns]:
    """Sort the non-zero weights of all ``parts``, (gates, rows, sources) with a column per source, by lane, column, row, gate."""
    found = []
    for weight, column_of in parts:
        gate, row, source = np.nonzero(weight)
        found.append(np.stack([plan.packing.lane_of[row], column_of[source], plan.packing.row_of[row], gate, weight[gate, row, source]]))
    lane, column, row, gate, value = np.concatenate(found, axis=1).astype(np.int64)
    order = np.lexsort((gate, row, column, lane))
    lane, column, row, gate, value = (field[order] for field in (lane, column, row, gate, value))
    columns = []
    for index in range(plan.packing.lanes):
        mine = lane == index
        count = np.bincount(column[mine], minlength=plan.columns)
        columns.append(LaneColumns(np.cumsum(count) - count, count, row[mine], gate[mine], value[mine]))
    return columns


def entry_words(columns: LaneColumns, weight_bits: int, *, gates: bool) -> np.ndarray:
    """Pack entries into words {row, gate (2 bits, when ``gates``), weight (two's complement)}; int64."""
    weight = columns.weight & ((1 << weight_bits) - 1)
    row_and_gate = columns.row << 2 | columns.gate if gates else columns.row
    words: np.ndarray = row_and_gate << weight_bits | weight
    return words


def pointer_words(columns: LaneColumns, count_bits: int) -> np.ndarray:
    """Pack pointers into words {start, count}; int64."""
    words: np.ndarray = columns.start << count_bits | columns.count
    return words
