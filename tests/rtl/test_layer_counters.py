import pytest

from sim.runner import run_bench


# counters of 8 bits wrap around during the test
@pytest.mark.parametrize(("lanes", "bits"), [(1, 40), (5, 8), (19, 24)])
def test_layer_counters(lanes: int, bits: int) -> None:
    run_bench("egru_layer_counters", "sim.benches.layer_counters", parameters={"Lanes": lanes, "CounterBits": bits})
