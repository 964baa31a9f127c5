import pytest

from sim.benches.axil_registers import launch


@pytest.mark.parametrize(("blocks", "counters", "bits", "weights"), [(1, 1, 12, 0), (4, 9, 40, 2), (30, 16, 64, 1), (2, 9, 16, 3)])
def test_axil_registers(blocks: int, counters: int, bits: int, weights: int) -> None:
    launch(blocks, counters, bits, weights)
