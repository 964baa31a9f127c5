import pytest

from sim.benches.load_port import WORDS, launch


@pytest.mark.parametrize(("weights", "load_bits"), [(2, 32), (2, 160), (3, 64)])
def test_words_arrive_whole(weights: int, load_bits: int) -> None:
    assert launch(weights, load_bits).report["words"] == WORDS


def test_without_loading_the_bus_ends_here() -> None:
    assert launch(1, 64).report["words"] == 0
