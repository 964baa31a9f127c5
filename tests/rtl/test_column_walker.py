import pytest

from sim.benches.column_walker import SHAPES, launch


@pytest.mark.parametrize("name", SHAPES)
def test_column_walker(name: str) -> None:
    launch(name, seed=1)
