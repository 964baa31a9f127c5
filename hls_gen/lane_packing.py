"""Rows are dealt to lanes offline, by load; the permutation is folded into the memory images and costs no hardware."""

import heapq
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Packing:
    """The place of every row.

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

    @property
    def slots(self) -> int:
        """Physical rows, padding included; also the number of physical event indices."""
        return self.lanes * self.rows

    @property
    def slot_of(self) -> np.ndarray:
        """Physical index of each row, ``lane * rows + row``; int64."""
        slot: np.ndarray = self.lane_of * self.rows + self.row_of
        return slot

    def scatter(self, values: np.ndarray, padding: int) -> np.ndarray:
        """Order ``values`` (..., rows of the matrix) by physical index, with ``padding`` in the empty slots."""
        placed = np.full((*values.shape[:-1], self.slots), padding, dtype=np.int64)
        placed[..., self.slot_of] = values
        return placed


def pack_rows(name: str, load: np.ndarray, lanes: int) -> Packing:
    """Deal rows to lanes so that the sums of their loads are as equal as can be.

    Longest processing time first (Graham 1969): the heaviest row left goes to the lightest lane that has a free row. Ties go to the lower
    row and the lower lane, so the same input gives the same packing.

    Args:
        name: Of the matrix, for messages.
        load: Non-zero weights of each row, int, shape (rows,).
        lanes: Number of lanes, 1 to ``len(load)``.

    Raises:
        ValueError: When ``lanes`` is out of range; `hls_gen.hardware_config.plan` refuses that before.
    """
    if not 1 <= lanes <= len(load):
        raise ValueError(f"{name}: {lanes} lanes for {len(load)} rows")
    capacity = -(-len(load) // lanes)
    lane_of, row_of = np.zeros(len(load), np.int64), np.zeros(len(load), np.int64)
    open_lanes = [(0, lane, 0) for lane in range(lanes)]
    for row in np.argsort(-np.asarray(load), kind="stable"):
        total, lane, used = heapq.heappop(open_lanes)
        lane_of[row], row_of[row] = lane, used
        if used + 1 < capacity:
            heapq.heappush(open_lanes, (total + int(load[row]), lane, used + 1))
    return Packing(lanes=lanes, rows=capacity, lane_of=lane_of, row_of=row_of)
