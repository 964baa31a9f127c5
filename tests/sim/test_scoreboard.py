import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sim.scoreboard import MismatchError, Scoreboard

FIRED = np.array([True, False, True, False])
VALUE = np.array([5, 0, 0, 0])


def test_counts_what_it_compared(tmp_path: Path) -> None:
    board = Scoreboard(tmp_path / "case", seed=3)
    board.check_events(0, 0, [(2, 0), (0, 5)], FIRED, VALUE)
    board.check_logits(0, [1, -2], np.array([1, -2]))
    board.check_logits(1, [4, 4], np.array([4, 4]))
    assert board.report() == {"steps": 2, "events": 2, "values": 12, "mismatches": 0}
    assert not (tmp_path / "case").exists()


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([(0, 5)], "step 7, layer 1, neuron 2: event flag is 0, expected 1"),
        ([(0, 5), (2, 0), (3, 0)], "neuron 3: event flag is 1, expected 0"),
        ([(0, 6), (2, 0)], "neuron 0: event value is 6, expected 5"),
        ([(0, 5), (2, 0), (2, 0)], "neuron 2: event sent twice"),
        ([(0, 5), (2, 0), (4, 1)], "neuron 4: event sent twice or outside the layer"),
    ],
)
def test_an_event_that_differs_is_named(tmp_path: Path, events: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(MismatchError, match=message) as caught:
        Scoreboard(tmp_path / "case", seed=11).check_events(7, 1, events, FIRED, VALUE)
    assert "seed 11" in str(caught.value)


def test_a_missing_logit_is_named(tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match="number of logits is 1, expected 2"):
        Scoreboard(tmp_path / "case", seed=1).check_logits(0, [1], np.array([1, 2]))


def test_the_first_case_is_saved_whole(tmp_path: Path) -> None:
    board = Scoreboard(
        tmp_path / "case",
        seed=9,
        context={"lanes": 4},
        tensors={"tokens": np.arange(3)},
        save_more=lambda folder: (folder / "model").mkdir(),
    )
    for step, found in enumerate([[1, 2, 9], [0, 0, 0]]):
        with pytest.raises(MismatchError):
            board.check(step, "decoder", "logit", found, [1, 2, 3])
    case = json.loads((tmp_path / "case" / "case.json").read_text())
    assert case == {
        "step": 0,
        "layer": "decoder",
        "what": "logit",
        "neuron": 2,
        "observed": 9,
        "expected": 3,
        "seed": 9,
        "context": {"lanes": 4},
    }
    tensors = load_file(tmp_path / "case" / "tensors.safetensors")
    assert tensors["tokens"].tolist() == [0, 1, 2]
    assert tensors["observed"].tolist() == [1, 2, 9]
    assert tensors["expected"].tolist() == [1, 2, 3]
    assert (tmp_path / "case" / "model").is_dir()
    assert board.mismatches == 1 + 3
