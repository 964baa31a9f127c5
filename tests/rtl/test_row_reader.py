import pytest

from sim.runner import run_bench


@pytest.mark.parametrize(("rows", "acc_bits"), [(1, 10), (7, 23)])
def test_row_reader(rows: int, acc_bits: int) -> None:
    run_bench("egru_row_reader", "sim.benches.row_reader", parameters={"Rows": rows, "AccBits": acc_bits})
