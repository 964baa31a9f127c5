import pytest

from sim.runner import run_bench


# the last of each kind: no saturation possible, nothing to round, fraction bits added
@pytest.mark.parametrize(("in_bits", "out_bits", "shift"), [(24, 12, 8), (12, 5, 4), (12, 12, 3), (12, 9, 0), (12, 14, -4)])
def test_rescale(in_bits: int, out_bits: int, shift: int) -> None:
    run_bench("egru_rescale", "sim.benches.rescale", parameters={"InBits": in_bits, "OutBits": out_bits, "Shift": shift})
