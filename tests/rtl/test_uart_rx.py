import pytest

from sim.runner import run_bench


@pytest.mark.parametrize("clocks_per_bit", [8, 13, 50])
def test_uart_rx(clocks_per_bit: int) -> None:
    run_bench("egru_uart_rx", "sim.benches.uart_rx", parameters={"ClocksPerBit": clocks_per_bit})
