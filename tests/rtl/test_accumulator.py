import pytest

from sim.runner import run_bench


# the accumulators are as narrow as 120 largest products allow
@pytest.mark.parametrize(
    ("rows", "field_bits", "weight_bits", "event_bits", "acc_bits"),
    [(5, 2, 8, 8, 23), (1, 2, 2, 3, 11), (8, 0, 4, 6, 17)],
)
def test_accumulator(rows: int, field_bits: int, weight_bits: int, event_bits: int, acc_bits: int) -> None:
    parameters = {"Rows": rows, "FieldBits": field_bits, "WeightBits": weight_bits, "EventBits": event_bits, "AccBits": acc_bits}
    run_bench("egru_accumulator", "sim.benches.accumulator", parameters=parameters)
