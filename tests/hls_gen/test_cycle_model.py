"""The cycle model: by hand on what is small enough, and cycle for cycle against the RTL, counters included."""

from pathlib import Path

import numpy as np
import pytest

from hls_gen.backend import Backend
from hls_gen.cycle_model import Activity, CyclePrediction, predict, record_activity
from hls_gen.datapath_timing import (
    BUS_TO_QUEUE,
    CLASS_TO_LOGIT,
    EMPTY_TO_DONE,
    END_TO_CLASSES,
    END_TO_ROWS,
    PLACE_TO_EMPTY,
    QUEUE_TO_LANE,
    UPDATE_STAGES,
    Lanes,
    Moment,
    Term,
)
from hls_gen.hardware_config import HardwareConfig
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.reference import EventDrivenStream
from tests.equivalence_cases import CASES, Case, check_prediction, prove, sequences

END_TO_TAKE = BUS_TO_QUEUE + QUEUE_TO_LANE  # of an idle lane


# All other cases of the suite are compared where they are simulated, in tests/rtl/test_egru_top.py; these it loads with another model.
@pytest.mark.parametrize("case", [case for case in CASES if case.loaded], ids=lambda case: case.name)
def test_equals_the_rtl_with_the_weights_that_it_was_generated_with(case: Case, tmp_path: Path) -> None:
    model = random_model(case.model)
    found = prove(case, Backend.RTL, tmp_path / "rtl")
    check_prediction(found, model, case.hardware, sequences(case, model))


def sent(lanes: Lanes, cycle: int, column: int | None) -> None:
    lanes.send(cycle, column, Moment(cycle, Term.LATENCY, "x", None))


def test_lanes_walk_at_their_own_pace_and_skip_columns_without_weights() -> None:
    lanes = Lanes("x", np.array([[3, 0], [2, 5]]), queue_depth=16)
    for cycle, column in enumerate((0, 1, None)):
        sent(lanes, cycle, column)
    take, _ = lanes.ends()
    assert take.tolist() == [4 + 3 + 2, 5 + 5]
    assert lanes.working.tolist() == [9, 9]  # cycles 4 to 12 and 5 to 13
    assert lanes.sent.tolist() == [1, 1]


def test_the_bus_stops_for_a_full_queue_and_what_is_on_its_way_has_a_place() -> None:
    lanes = Lanes("x", np.array([[10]]), queue_depth=6)
    for cycle in range(6):
        assert lanes.free_from(cycle) == cycle
        sent(lanes, cycle, 0)
    # One place counts as full: the sixth event must be taken, in cycle 4 + 5 * 10, before the bus hears of it three cycles later.
    assert lanes.free_from(6) == 57
    assert lanes.stall_cause(57).time == 54


def silent(steps: int, lanes: int = 1, neurons: int = 1) -> tuple[CyclePrediction, int]:
    """Predict a network without weights or events; return also its classes."""
    spec = RandomModelSpec(hidden=(neurons,), tokens=4, classes=3, density=0.0, event_density=0.0)
    activity = Activity((np.zeros((steps, neurons), bool),), np.arange(steps) == steps - 1)
    return predict(random_model(spec), HardwareConfig(lanes=(lanes, 1)), activity), spec.classes


def test_a_step_without_work_is_latency_alone() -> None:
    # One row, emptied in cycles 0 to 3: the token is taken in cycle 5 and the end item goes out in cycle 6. The lane's turn comes every
    # 4 cycles.
    row_read = -(-(6 + END_TO_TAKE + END_TO_ROWS) // 4) * 4
    updated = row_read + UPDATE_STAGES + PLACE_TO_EMPTY + EMPTY_TO_DONE
    # Stream, end of the decoder's input, end item, last class.
    prediction, classes = silent(steps=1)
    assert prediction.cycles == updated + 1 + 1 + END_TO_TAKE + END_TO_CLASSES + (classes - 1) + CLASS_TO_LOGIT - 5
    assert [block.macs for block in prediction.blocks] == [0, 0]
    assert sum(share.cycles for share in prediction.critical_path) == prediction.cycles
    assert prediction.limit.term is Term.LATENCY


def test_rows_that_share_a_lane_are_read_every_four_cycles() -> None:
    assert silent(steps=1, neurons=16)[0].cycles - silent(steps=1, neurons=12)[0].cycles == 4 * 4
    update = [share for share in silent(steps=1, neurons=64)[0].critical_path if share.term is Term.UPDATE]
    assert [(share.block, share.cycles) for share in update] == [("layer0", 1 + 4 * 63)]  # one cycle until its turn


def test_critical_path_names_the_lanes_where_they_have_most_to_do() -> None:
    spec = RandomModelSpec(hidden=(32,), density=1.0, event_density=1.0)
    model = random_model(spec)
    activity = record_activity(model, [list(range(10))])
    slow, fast = (predict(model, HardwareConfig(lanes=(lanes, 2)), activity) for lanes in (2, 16))
    assert (slow.limit.block, slow.limit.term) == ("layer0", Term.LANES)
    assert slow.cycles > 5 * fast.cycles
    for prediction in (slow, fast):
        assert sum(share.cycles for share in prediction.critical_path) == prediction.cycles
        for block in prediction.blocks:
            assert block.macs + block.fetch_slots + block.idle_slots == block.lanes * prediction.cycles


def test_activity_is_that_of_the_reference_with_the_state_reset_between_sequences() -> None:
    model = random_model(RandomModelSpec(hidden=(12, 8)))
    tokens = [[1, 2, 3], [4], [5, 6]]
    activity = record_activity(model, tokens)
    stream = EventDrivenStream(model)
    step = 0
    for sequence in tokens:
        stream.reset()
        for token in sequence:
            expected = stream.step(token).fired
            assert all(np.array_equal(activity.fired[layer][step], expected[layer]) for layer in range(2))
            step += 1
    assert activity.last.tolist() == [False, False, True, True, False, True]
    assert activity.steps == 6


def test_an_activity_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="every layer needs the same number"):
        Activity((np.zeros((3, 4), bool),), np.array([False, True]))
    with pytest.raises(ValueError, match="every layer needs the same number"):
        Activity((np.zeros((0, 4), bool),), np.zeros(0, bool))
    with pytest.raises(ValueError, match="does not end its sequence"):
        Activity((np.zeros((1, 4), bool),), np.array([False]))
