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
@pytest.mark.parametrize("weights", [0, 2, 3])
def test_rom(width: int, depth: int, slices: int, weights: int) -> None:
    report = launch(width, depth, slices, weights).report
    assert report["written"] >= depth * 3 // 4
    assert report["others"] > depth // 8


@pytest.mark.parametrize(("width", "depth"), [(5, 1), (40, 100), (7, 300)])
def test_a_memory_whose_words_are_rounded_up(width: int, depth: int) -> None:
    launch(width, depth, 1, weights=1)
