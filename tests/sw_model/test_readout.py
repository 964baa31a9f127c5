from typing import Any

import numpy as np
import pytest

from sw_model.errors import UserError
from sw_model.readout import Readout, RunningReadout

LOGITS = np.array([[0, 4, 4], [9, 2, 2], [1, 1, 0], [0, 5, 5]], np.int64)


def test_ties_go_to_the_lowest_index() -> None:
    assert Readout("last").decisions(LOGITS) == 1
    assert Readout("mean").decisions(LOGITS) == 1  # sums 10, 12, 11
    assert Readout("mean").decisions(np.array([[3, 1, 2], [0, 2, 1]])) == 0  # sums 3, 3, 3
    assert Readout("steps").decisions(LOGITS).tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("window", [1, 2, 3, 4, 9])
def test_a_window_sums_the_last_steps(window: int) -> None:
    logits = np.random.default_rng(window).integers(-20, 20, (2, 30, 3))
    decided = Readout("steps", window).decisions(logits)
    for t in range(30):
        assert decided[:, t].tolist() == logits[:, max(0, t + 1 - window) : t + 1].sum(axis=1).argmax(axis=1).tolist()


def test_sums_are_exact_beyond_what_a_float_holds() -> None:
    logits = np.array([[(1 << 54) + 1, 1 << 54], [0, 0]])
    assert Readout("mean").decisions(logits[:, ::-1]) == 1


def test_regression_scales_the_logits() -> None:
    readout = Readout("regression", target_offset=np.array([10.0, 0.0]), target_scale=np.array([2.0, -1.0]))
    assert readout.outputs(np.array([[256, 128], [-64, 0]]), 8).tolist() == [[12.0, -0.5], [9.5, 0.0]]
    with pytest.raises(UserError, match="decides no class"):
        readout.decisions(LOGITS)
    with pytest.raises(UserError, match="has no outputs"):
        Readout("last").outputs(LOGITS, 8)


def test_a_sequence_without_steps_decides_nothing() -> None:
    with pytest.raises(UserError, match="0 steps"):
        Readout("mean").decisions(np.zeros((0, 3), np.int64))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "first"}, "'first' is not known"),
        ({"kind": "steps", "window": 0}, "window=0"),
        ({"kind": "mean", "window": 2}, "window=2"),
        ({"kind": "regression"}, "target_offset"),
        ({"kind": "last", "target_scale": np.ones(2)}, "target_scale"),
        ({"kind": "regression", "target_offset": np.ones(2), "target_scale": np.array([1.0, 0.0])}, "holds a 0"),
        ({"kind": "regression", "target_offset": np.full(2, np.nan), "target_scale": np.ones(2)}, "finite"),
    ],
)
def test_an_illegal_readout_cannot_be_made(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Readout(**values)


@pytest.mark.parametrize("readout", [Readout("last"), Readout("mean"), *(Readout("steps", window) for window in (1, 2, 5, 40))])
def test_decisions_as_the_logits_come_are_those_of_the_whole(readout: Readout) -> None:
    logits = np.random.default_rng(readout.window).integers(-9, 9, (30, 4)) + (1 << 54)  # more than a float holds; with ties
    running = RunningReadout(readout)
    for _ in range(2):
        decided = [running.step(row) for row in logits]
        whole = [int(readout.decisions(logits[: t + 1]).flat[-1]) for t in range(30)]
        assert decided == whole
        assert len(set(decided)) > 1
        running.reset()
        assert running.margin == 0.0


def test_the_margin_is_the_lead_of_the_decision() -> None:
    running = RunningReadout(Readout("mean"))
    margins = []
    for row in LOGITS:
        running.step(row)
        margins.append(running.margin)
    assert margins == [0.0, 1.5, 1.0, 0.25]  # sums 0 4 4, 9 6 6, 10 7 6, 10 12 11
    with pytest.raises(UserError, match="decides no class"):
        RunningReadout(Readout("regression", target_offset=np.zeros(1), target_scale=np.ones(1)))
