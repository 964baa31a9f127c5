import pytest

from sim.benches.column_directory import launch


@pytest.mark.parametrize(("lanes", "columns", "place_bits"), [(1, 33, 5), (5, 200, 11)])
def test_column_directory(lanes: int, columns: int, place_bits: int) -> None:
    launch(lanes, columns, place_bits, seed=1)
