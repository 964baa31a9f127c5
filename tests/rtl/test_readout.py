import pytest

from sim.benches.readout import launch


@pytest.mark.parametrize(("lanes", "rows", "classes"), [(3, 5, 13), (1, 12, 12), (9, 1, 7)])
def test_readout(lanes: int, rows: int, classes: int) -> None:
    launch(lanes, rows, classes, seed=1)
