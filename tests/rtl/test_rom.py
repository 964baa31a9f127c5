import pytest

from sim.benches.rom import launch


# one block RAM deep, the least more, and the ends of every width of slice; 19 slices go from _00 to _12
@pytest.mark.parametrize(
    ("width", "depth", "slices"),
    [
        (70, 64, 1),
        (13, 1024, 1),
        (13, 1025, 2),
        (19, 2048, 3),
        (19, 2049, 5),
        (13, 4096, 4),
        (5, 8193, 5),
        (19, 9000, 19),
    ],
)
def test_rom(width: int, depth: int, slices: int) -> None:
    launch(width, depth, slices)
