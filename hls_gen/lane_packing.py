"""Rows are dealt to lanes offline; the permutation is folded into the memory images and costs no hardware."""

import heapq
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Packing:
    """The place of every row of one matrix.

    Attributes:
        lanes: Number of lanes.
        rows: Rows of each lane; the last ones of a lane may be padding.
        lane_of: int64, shape (rows of the matrix,): lane of each row.
        row_of: int64, same shape: row within its lane.
    """

    lanes: int
    rows: int
    lane_of: np.ndarray
    row_of: np.ndarray


def interleave_rows(rows: int, lanes: int) -> Packing:
    """Deal row r to lane r mod ``lanes``: what column-balanced pruning takes for granted."""
    index = np.arange(rows, dtype=np.int64)
    return Packing(lanes=lanes, rows=-(-rows // lanes), lane_of=index % lanes, row_of=index // lanes)


def pack_rows(load: np.ndarray, lanes: int) -> Packing:
    """Deal rows to lanes so that the sums of their loads are as equal as can be.

    Longest processing time first (Graham 1969): the heaviest row left goes to the lightest lane that has a free row. Ties go to the lower
    row and the lower lane, so the same input gives the same packing.

    Args:
        load: Non-zero weights of each row, int, shape (rows,).
        lanes: Number of lanes, 1 to ``len(load)``; `hls_gen.hardware_config.plan` refuses others.
    """
    capacity = -(-len(load) // lanes)
    lane_of, row_of = np.zeros(len(load), np.int64), np.zeros(len(load), np.int64)
    open_lanes = [(0, lane, 0) for lane in range(lanes)]
    for row in np.argsort(-np.asarray(load), kind="stable"):
        total, lane, used = heapq.heappop(open_lanes)
        lane_of[row], row_of[row] = lane, used
        if used + 1 < capacity:
            heapq.heappush(open_lanes, (total + int(load[row]), lane, used + 1))
    return Packing(lanes=lanes, rows=capacity, lane_of=lane_of, row_of=row_of)
