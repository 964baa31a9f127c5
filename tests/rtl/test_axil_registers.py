import pytest

from sim.runner import run_bench


@pytest.mark.parametrize(("blocks", "counters", "bits"), [(1, 1, 16), (4, 9, 40), (30, 16, 64)])
def test_axil_registers(blocks: int, counters: int, bits: int) -> None:
    parameters = {"Blocks": blocks, "CountersPerBlock": counters, "CounterBits": bits, "Lanes": 7 * blocks}
    run_bench("egru_axil_registers", "sim.benches.axil_registers", parameters=parameters)
