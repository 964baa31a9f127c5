import pytest

from sim.benches.lane import launch


# the smallest queue, and others whose depth is no power of two
@pytest.mark.parametrize(("name", "queue_depth"), [("layer", 6), ("groups of gates", 7), ("shared", 11), ("decoder", 6)])
def test_lane(name: str, queue_depth: int) -> None:
    result = launch(name, queue_depth, seed=1)
    assert result.report["mismatches"] == 0
