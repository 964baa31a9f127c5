import pytest

from sim.runner import run_bench


@pytest.mark.parametrize(("in_bits", "own_bits"), [(5, 9), (8, 4)])
def test_step_sequencer(in_bits: int, own_bits: int) -> None:
    parameters = {"InIndexBits": in_bits, "OwnIndexBits": own_bits, "EventBits": 6}
    run_bench("egru_step_sequencer", "sim.benches.step_sequencer", parameters=parameters)
