"""Rows are dealt to lanes by load, or in turn."""

import numpy as np
import pytest

from hls_gen.hardware_config import BlockPart, BlockPlan
from hls_gen.lane_packing import Packing, interleave_rows, pack_rows


def slots(packing: Packing) -> list[int]:
    places: list[int] = (packing.lane_of * packing.rows + packing.row_of).tolist()
    return places


@pytest.mark.parametrize(("rows", "lanes"), [(50, 8), (48, 16), (7, 7), (9, 1)])
@pytest.mark.parametrize("by_load", [True, False])
def test_every_row_has_a_place_of_its_own(rows: int, lanes: int, by_load: bool) -> None:
    rng = np.random.default_rng(0)
    packing = pack_rows(rng.integers(0, 100, rows), lanes) if by_load else interleave_rows(rows, lanes)
    assert packing.lanes == lanes
    assert packing.rows == -(-rows // lanes)
    assert len(set(slots(packing))) == rows
    assert 0 <= packing.lane_of.min() <= packing.lane_of.max() < lanes
    assert 0 <= packing.row_of.min() <= packing.row_of.max() < packing.rows


def test_loads_are_even() -> None:
    rng = np.random.default_rng(1)
    load = np.floor(rng.lognormal(3.0, 0.8, 256)).astype(int)
    packing = pack_rows(load, 16)
    per_lane = np.bincount(packing.lane_of, weights=load, minlength=16)
    dealt_in_order = load.reshape(16, 16).sum(axis=1)
    assert per_lane.max() - per_lane.min() < 0.1 * (dealt_in_order.max() - dealt_in_order.min())


def test_interleaving_deals_in_turn() -> None:
    packing = interleave_rows(8, 3)
    assert packing.lane_of.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert packing.row_of.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


def test_scatter_puts_values_in_their_slots_and_leaves_the_rest() -> None:
    # two parts of two lanes: rows 0 to 1 and 2 to 4 of each
    first, second = pack_rows(np.array([5, 1, 1]), 2), pack_rows(np.array([3, 9, 2, 2, 1]), 2)
    parts = (BlockPart(0, first, 0, 0), BlockPart(1, second, 2, 0))
    block = BlockPlan(
        "layers",
        parts,
        inputs=0,
        lanes=2,
        rows=5,
        update_units=1,
        field_bits=2,
        weight_bits=8,
        acc_bits=20,
        acc_frac=14,
        capacity=None,
        longest_column=0,
    )
    placed = np.full(block.slots, -1)
    block.scatter(parts[0], np.array([10, 11, 12]), placed)
    block.scatter(parts[1], np.array([20, 21, 22, 23, 24]), placed)
    assert placed[block.slot_of(parts[0])].tolist() == [10, 11, 12]
    assert placed[block.slot_of(parts[1])].tolist() == [20, 21, 22, 23, 24]
    assert np.count_nonzero(placed == -1) == 2
    assert set(block.slot_of(parts[0]) % 5) <= {0, 1}
    assert set(block.slot_of(parts[1]) % 5) <= {2, 3, 4}


def test_the_same_load_gives_the_same_packing() -> None:
    load = np.zeros(32, int)
    assert slots(pack_rows(load, 4)) == slots(pack_rows(load, 4))
