import pytest

from sim.benches.column_reader import launch


@pytest.mark.parametrize("decoder", [False, True])
def test_column_reader(decoder: bool) -> None:
    launch(seed=1, decoder=decoder)
