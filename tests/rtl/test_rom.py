import pytest

from sim.benches.rom import launch


@pytest.mark.parametrize(("width", "depth"), [(19, 37), (70, 64)])
def test_rom(width: int, depth: int) -> None:
    launch(width, depth)
