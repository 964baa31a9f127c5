import pytest

from sim.benches.lane import launch


@pytest.mark.parametrize("decoder", [False, True])
def test_lane(decoder: bool) -> None:
    result = launch(seed=1, decoder=decoder)
    assert result.report["mismatches"] == 0
