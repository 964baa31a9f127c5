"""Rows are dealt to lanes by load."""

import numpy as np
import pytest

from hls_gen.lane_packing import pack_rows


def test_every_row_has_a_place_of_its_own() -> None:
    rng = np.random.default_rng(0)
    packing = pack_rows("layer0", rng.integers(0, 100, 50), 8)
    assert packing.rows == 7
    assert packing.slots == 56
    assert len(set(packing.slot_of.tolist())) == 50
    assert packing.row_of.max() < packing.rows


def test_loads_are_even() -> None:
    rng = np.random.default_rng(1)
    load = np.floor(rng.lognormal(3.0, 0.8, 256)).astype(int)
    packing = pack_rows("layer0", load, 16)
    per_lane = np.bincount(packing.lane_of, weights=load, minlength=16)
    dealt_in_order = load.reshape(16, 16).sum(axis=1)
    assert per_lane.max() - per_lane.min() < 0.1 * (dealt_in_order.max() - dealt_in_order.min())


def test_scatter_puts_values_in_their_slots_and_padding_elsewhere() -> None:
    packing = pack_rows("layer0", np.array([5, 1, 1]), 2)
    placed = packing.scatter(np.array([10, 11, 12]), -1)
    assert placed[packing.slot_of].tolist() == [10, 11, 12]
    assert np.count_nonzero(placed == -1) == 1


def test_the_same_load_gives_the_same_packing() -> None:
    load = np.zeros(32, int)
    first, second = pack_rows("a", load, 4), pack_rows("a", load, 4)
    assert np.array_equal(first.slot_of, second.slot_of)


@pytest.mark.parametrize("lanes", [0, 4])
def test_impossible_lanes_are_refused(lanes: int) -> None:
    with pytest.raises(ValueError, match="lanes for 3 rows"):
        pack_rows("layer0", np.ones(3, int), lanes)
