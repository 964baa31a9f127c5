import pytest

from sim.runner import run_bench


@pytest.mark.parametrize(("width", "depth"), [(8, 2), (21, 5), (1, 8)])
def test_fifo(width: int, depth: int) -> None:
    run_bench("egru_fifo", "sim.benches.fifo", parameters={"Width": width, "Depth": depth})
