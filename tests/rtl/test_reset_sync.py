import pytest

from sim.runner import run_bench


@pytest.mark.parametrize("stages", [2, 4])
def test_reset_sync(stages: int) -> None:
    run_bench("egru_reset_sync", "sim.benches.reset_sync", parameters={"Stages": stages})
