import pytest
from cocotb.types import LogicArray

from sim.runner import Parameter, run_bench


# ends of the layers' rows; one layer needs none
@pytest.mark.parametrize("row_ends", [(1,), (7,), (3, 8), (1, 6, 11), (2, 3, 5)])
def test_row_reader(row_ends: tuple[int, ...]) -> None:
    packed = LogicArray.from_unsigned(sum(end << 16 * layer for layer, end in enumerate(row_ends)), 16 * len(row_ends))
    parameters: dict[str, Parameter] = {"Rows": row_ends[-1], "Layers": len(row_ends), "RowEnds": packed}
    run_bench("egru_row_reader", "sim.benches.row_reader", parameters=parameters)
