import pytest

from sim.runner import run_bench


@pytest.mark.parametrize(("inputs", "width"), [(1, 12), (3, 12), (8, 17)])
def test_arbiter(inputs: int, width: int) -> None:
    run_bench("egru_arbiter", "sim.benches.arbiter", parameters={"Inputs": inputs, "Width": width})
