"""The whole generated core against the integer reference, in Verilator: every event, logit and counter, with ==."""

from pathlib import Path

import pytest

from hls_gen.backend import Backend
from hls_gen.hardware_config import HardwareConfig
from sim.benches.egru_top import GENERATED_VARIABLE
from sim.drivers import Pace
from sim.runner import library_closure, run_bench
from sw_model.random_model import RandomModelSpec, random_model
from tests.equivalence_cases import CASES, FEATURE_CASES, Case, check_prediction, check_wrong_weights, prove, sequences, write_core


@pytest.mark.parametrize("case", [*CASES, *FEATURE_CASES], ids=lambda case: case.name)
def test_equals_the_reference(case: Case, tmp_path: Path) -> None:
    loaded = None
    if case.loaded is not None:
        loaded = tmp_path / "other"
        random_model(case.loaded).save(loaded)
    full = prove(case, Backend.RTL, tmp_path / "rtl", loaded=loaded)
    assert (full.timing, full.timed_steps) == ("measured", full.steps)
    if case.loaded is None:  # cycles from reset; the others are in tests/hls_gen/test_cycle_model.py
        model = random_model(case.model)
        check_prediction(full, model, case.hardware, sequences(case, model))
    # The same build under random stalls on both streams and with other initial values.
    shared = case.hardware.engines == "shared" and len(case.model.hidden) > 1
    pace = Pace.RARE if shared else Pace.LIGHT
    stalls = {"input_pace": pace, "output_pace": Pace.BURSTS}
    stalled = prove(case, Backend.RTL, tmp_path / "rtl", loaded=loaded, seed=case.model.seed + 1000, **stalls)
    assert stalled.logit_stalls > 0
    # Where input events come later they meet other events on the bus, and lanes may then wait less.
    assert stalled.cycles >= full.cycles or case.model.features
    assert stalled.events == full.events
    # Without a token waiting, a shared engine makes steps to bring those under way to the end, in pairs where another token follows.
    extra = stalled.engine_steps[0] - case.steps
    assert extra > case.steps / 2 if shared else extra == 0


def test_narrow_counters_wrap_and_are_added_up(tmp_path: Path) -> None:
    case = Case("narrow_counters", RandomModelSpec(hidden=(32,), seed=21), HardwareConfig(lanes=(8, 1), counter_bits=16), steps=500)
    result = prove(case, Backend.RTL, tmp_path / "rtl")
    model = random_model(case.model)
    check_prediction(result, model, case.hardware, sequences(case, model))
    slots = [block.counters["macs"] + block.counters["fetch_slots"] + block.counters["idle_slots"] for block in result.blocks]
    assert slots[0] == 8 * result.cycles > 3 * 2**case.hardware.counter_bits
    assert slots[1] == result.cycles


@pytest.mark.parametrize(
    ("case", "seed"), [(CASES[1], 1), (CASES[7], 2), (FEATURE_CASES[0], 3)], ids=lambda value: getattr(value, "name", value)
)
def test_a_reset_in_mid_step_leaves_nothing_behind(case: Case, seed: int, tmp_path: Path) -> None:
    generated = tmp_path / "rtl"
    write_core(case, Backend.RTL, generated)
    result = run_bench(
        "egru_top",
        "sim.benches.egru_top_resets",
        sources=library_closure("egru_top", library=generated / "rtl"),
        files={f"mem/{path.name}": path.read_text() for path in sorted((generated / "mem").glob("*.mem"))},
        seed=seed,
        extra_env={GENERATED_VARIABLE: str(generated)},
        probes=[("egru_layer*", "own_*"), ("egru_layer*", "step"), ("egru_layer*", "active")],  # as above, for the same build
    )
    assert result.report["in_mid_step"].keys() == {"hard", "soft"}


def test_wrong_weights_are_found_and_its_case_saved(tmp_path: Path) -> None:
    def damage(core: Path) -> None:
        # The lowest bit of every weight of a layer: which columns are walked, and which neurons fire, depends on the draw.
        for image in (core / "mem").glob("layer1_lane*_entries.mem"):
            image.write_text("".join(f"{int(word, 16) ^ 1:x}\n" for word in image.read_text().split()))

    check_wrong_weights(Backend.RTL, tmp_path, damage)
