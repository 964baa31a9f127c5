import pytest

from sim.runner import run_bench


@pytest.mark.parametrize("clocks_per_bit", [2, 8, 13])
def test_uart_tx(clocks_per_bit: int) -> None:
    run_bench("egru_uart_tx", "sim.benches.uart_tx", parameters={"ClocksPerBit": clocks_per_bit})
