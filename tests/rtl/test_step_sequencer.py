import pytest

from sim.runner import run_bench


# the offset leaves no column unused, or some
@pytest.mark.parametrize(("layers", "in_bits", "own_bits", "offset"), [(1, 5, 9, 512), (1, 8, 4, 11), (2, 5, 6, 64), (3, 7, 6, 50)])
def test_step_sequencer(layers: int, in_bits: int, own_bits: int, offset: int) -> None:
    column_bits = (offset + (1 << (max(in_bits, own_bits) if layers == 1 else own_bits)) - 1).bit_length()
    parameters = {
        "Layers": layers,
        "InIndexBits": in_bits,
        "OwnIndexBits": own_bits,
        "ColumnBits": column_bits,
        "ColumnOffset": offset,
        "EventBits": 6,
    }
    run_bench("egru_step_sequencer", "sim.benches.step_sequencer", parameters=parameters)
