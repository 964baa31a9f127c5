"""What `--fit` chooses: it fits, nothing larger is slower, and what cannot fit is refused with numbers."""

import itertools
import re
import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hls_gen.board import Board, Budget, known_boards, load_board
from hls_gen.cycle_model import Activity, predict, record_activity
from hls_gen.device import Resource
from hls_gen.fit import CLOSE, COUNTER_BITS, Fit, _Sketches, as_toml, candidates, fit
from hls_gen.hardware_config import HardwareConfig, plan
from hls_gen.resource_model import available, check_budget, estimate_on_board
from sw_model.errors import UserError
from sw_model.fixed_point import Formats
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, draw_events, random_model

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

NARROW = Formats(event_bits=4, state_bits=10, gate_bits=8, preact_bits=8, preact_frac=4)
SPECS = {
    "tiny": RandomModelSpec(hidden=(12,), tokens=6, classes=6, formats=NARROW, weight_bits=4, density=0.2),
    "small": RandomModelSpec(hidden=(32,), tokens=28, classes=28, density=0.2),
    "two layers": RandomModelSpec(hidden=(40, 48), tokens=28, classes=28, density=0.15),
    "large": RandomModelSpec(hidden=(160, 160), tokens=28, classes=28, density=0.3),
}


@cache
def case(name: str) -> tuple[QuantizedModel, Activity]:
    model = random_model(SPECS[name])
    return model, record_activity(model, [np.random.default_rng(1).integers(model.tokens, size=6).tolist()])


def with_budget(board: Board, **budget: int) -> Board:
    return board.model_copy(update={"budget": Budget(**(board.budget.model_dump() | budget))})


def fitted(name: str, board: Board, base: HardwareConfig | None = None) -> Fit | None:
    """Fit, and check what must always hold; None where it was refused, which must be by name and with numbers."""
    model, activity = case(name)
    try:
        found = fit(model, board, activity, base)
    except UserError as refusal:
        error = refusal
        found = None
    if found is None:
        assert re.search(rf"needs [\d,]+ .* but board {board.name} has [\d,]+", str(error))
        return None
    hardware = plan(model, found.config)
    needed = estimate_on_board(model, hardware, board)
    check_budget(needed, board)
    assert needed == found.resources
    assert all(needed.of(resource) <= available(board, resource) for resource in Resource)
    assert predict(model, hardware, activity).cycles == found.cycles.cycles
    assert found.reason.startswith("lanes ")
    return found


@pytest.mark.parametrize("board", known_boards())
def test_what_is_chosen_for_a_board_fits_it_and_a_small_model_fits_all_but_the_smallest(board: str) -> None:
    loaded = load_board(board)
    found = {name: fitted(name, loaded) for name in ("tiny", "small", "two layers")}
    if loaded.budget.lut > 10_000:
        assert found["tiny"]
        assert found["small"]


def test_a_bigger_board_is_never_slower_by_more_than_is_called_close() -> None:
    cycles = []
    board = load_board("ulx3s_85f")
    for percent in (12, 25, 40, 60, 100):
        budget = {name: count * percent // 100 for name, count in board.budget.model_dump().items()}
        found = fitted("two layers", with_budget(board, **budget))
        cycles.append(found.cycles.cycles if found else None)
    known = [count for count in cycles if count is not None]
    assert len(known) >= 3
    assert cycles[: -len(known)] == [None] * (len(cycles) - len(known))
    assert all(after <= CLOSE * before for before, after in itertools.pairwise(known))
    assert known[0] > known[-1]


def test_the_choice_is_the_smallest_close_to_the_fastest_of_all_candidates_that_fit() -> None:
    model, activity = case("small")
    board = with_budget(load_board("ulx3s_85f"), bram=24)
    found = fitted("small", board)
    assert found
    fitting = []
    for option in candidates(model, board.family, activity, HardwareConfig()):
        hardware = plan(model, option.config)
        time = predict(model, hardware, activity)
        assert time.cycles_per_step >= option.least_cycles, option
        needed = estimate_on_board(model, hardware.__class__(option.config, hardware.engines, hardware.decoder), board)
        if all(needed.of(resource) <= available(board, resource) for resource in Resource):
            fitting.append((needed.lut, time.cycles))
    assert len(fitting) > 3
    fastest = min(cycles for _, cycles in fitting)
    assert (found.resources.lut, found.cycles.cycles) == min(one for one in fitting if one[1] <= CLOSE * fastest)


def test_what_the_user_sets_is_kept() -> None:
    base = HardwareConfig(engines="shared", queue_depth=12, counter_bits=24, packing="interleaved")
    found = fitted("two layers", load_board("ulx3s_85f"), base)
    assert found
    assert found.config.model_dump(include=base.model_fields_set) == base.model_dump(include=base.model_fields_set)
    pinned = fitted("two layers", load_board("ulx3s_85f"), HardwareConfig(lanes=(2, 2, 1)))
    assert pinned
    assert pinned.config.lanes == (2, 2, 1)
    assert pinned.reason == "lanes 2,2,1: as asked for"


def test_the_reason_names_the_next_step_and_what_it_lacks() -> None:
    found = fitted("two layers", with_budget(load_board("ulx3s_85f"), bram=36))
    assert found
    assert "more of the block RAMs than the board can give" in found.reason
    roomy = fitted("small", load_board("zcu104"))
    assert roomy
    assert "they gain nothing" in roomy.reason


def test_too_few_block_rams_are_refused_with_the_sparsity_and_the_width_that_would_do() -> None:
    model, activity = case("large")
    board = with_budget(load_board("ulx3s_85f"), bram=120)
    with pytest.raises(
        UserError, match=r"needs \d+ block RAMs \(\d+ for the .*\) but board ulx3s_85f has 120; prune to >= (\d+) %"
    ) as error:
        fit(model, board, activity)
    assert "4-bit weights" in str(error.value)
    sparsity = int(str(error.value).split("prune to >= ")[1].split(" %")[0])
    sparse = random_model(RandomModelSpec(**(vars(SPECS["large"]) | {"density": (100 - sparsity) / 100 * 0.95})))
    assert fit(sparse, board, activity)


def test_where_there_is_single_port_ram_it_is_named_and_then_used() -> None:
    formats = Formats(event_bits=4, state_bits=12, gate_bits=7, preact_bits=10, preact_frac=6)
    model = random_model(RandomModelSpec(hidden=(48,), tokens=5, classes=6, density=0.9, formats=formats, seed=5))
    activity = record_activity(model, [[1, 2, 3, 4, 0, 2]])
    board = load_board("icebreaker")
    with pytest.raises(UserError, match=r"but board icebreaker has 30; use weights=single-port \((\d+) block RAMs\) or prune to") as error:
        fit(model, board, activity)
    found = fit(model, board, activity, HardwareConfig(weights="single-port"))
    assert found.config.starts_empty
    assert found.resources.bram <= 30
    assert f"({found.resources.bram} block RAMs)" in str(error.value)
    assert 0 < found.resources.spram <= 4


def test_the_shallowest_queues_are_the_last_resort() -> None:
    model = QuantizedModel.load(EXAMPLES / "spoken_digits" / "model")
    activity = record_activity(model, [draw_events(np.random.default_rng(1), model, (6,))])
    board, base = load_board("icebreaker"), HardwareConfig(weights="single-port")
    found = fit(model, board, activity, base)
    assert (found.config.event_queue_depth, found.config.stream_depth) == (8, 2)
    assert found.resources.bram == 30
    with pytest.raises(UserError, match=r"needs [\d,]+ logic cells but board icebreaker has 5,280"):
        fit(model, board, activity, base.model_copy(update={"event_queue_depth": 12, "stream_depth": 8}))
    with pytest.raises(UserError, match=r"but board icebreaker has 30; use weights=single-port \(30 block RAMs\)"):
        fit(model, board, activity)


def test_what_no_pruning_mends_is_refused_with_the_memory_that_is_too_large() -> None:
    model, activity = case("small")
    with pytest.raises(UserError, match=r"use a smaller model: without any weight it needs \d+ block RAMs \(\d+ for the .* of layer0\)"):
        fit(model, with_budget(load_board("ulx3s_85f"), bram=4), activity)


def test_too_little_logic_is_refused() -> None:
    model, activity = case("small")
    with pytest.raises(
        UserError, match=r"needs [\d,]+ LUT4 but board ulx3s_85f has 1,000, of which 850 can be filled; use a board with more"
    ):
        fit(model, with_budget(load_board("ulx3s_85f"), lut=1000), activity)


def test_counters_that_the_user_wants_wide_are_what_is_refused() -> None:
    board, answers = load_board("icebreaker"), set()
    least = min(count for count in range(12, 31) if fitted("tiny", with_budget(board, bram=count)))
    for count in (least - 1, least, least + 6):
        answers.add(fitted("tiny", with_budget(board, bram=count), HardwareConfig(counter_bits=64)) is None)
    assert answers == {True, False}


def test_a_model_of_features_is_sized_with_its_channels() -> None:
    model = random_model(RandomModelSpec(hidden=(24,), features=90, classes=6, formats=Formats(event_bits=7), density=0.2))
    activity = record_activity(model, [draw_events(np.random.default_rng(1), model, (6,))])
    board = load_board("tang_nano_9k")
    found = fit(model, board, activity)
    assert estimate_on_board(model, plan(model, found.config), board) == found.resources
    (directory,) = [use for use in found.resources.memories if use.block == "layer0" and use.purpose == "directory"]
    assert directory.depth == found.cycles.blocks[0].lanes * -(-24 // found.cycles.blocks[0].lanes) + 90
    sketched = _Sketches(model, board).excess(found.config)
    exact = plan(model, found.config.model_copy(update={"counter_bits": min(COUNTER_BITS)}))
    needed = estimate_on_board(model, exact, board)
    assert sketched == pytest.approx(max(needed.of(one) / max(available(board, one), 1) for one in Resource), rel=0.05)


def test_the_choice_can_be_kept_as_a_file() -> None:
    found = fitted("two layers", load_board("ulx3s_85f"))
    assert found
    table = tomllib.loads("\n".join(as_toml(found.config)))["hardware"]
    assert HardwareConfig.model_validate(table) == found.config
