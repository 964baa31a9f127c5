import pytest

from sim.benches.load_port import WORDS, launch


@pytest.mark.parametrize("load_bits", [32, 160])
def test_words_arrive_whole(load_bits: int) -> None:
    assert launch(2, load_bits).report["words"] == WORDS


def test_without_loading_the_bus_ends_here() -> None:
    assert launch(1, 64).report["words"] == 0
