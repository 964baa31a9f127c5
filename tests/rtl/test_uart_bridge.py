import pytest

from sim.runner import run_bench


@pytest.mark.parametrize(("clocks_per_bit", "queue_bytes"), [(8, 64), (11, 16)])
def test_uart_bridge(clocks_per_bit: int, queue_bytes: int) -> None:
    run_bench("egru_uart_bridge", "sim.benches.uart_bridge", parameters={"ClocksPerBit": clocks_per_bit, "QueueBytes": queue_bytes})
