"""The whole generated core against the integer reference, as compiled C++: every event and logit, with ==."""

import re
from pathlib import Path

import pytest

from hls_gen.backend import Backend
from hls_gen.cycle_model import predict, record_activity
from hls_gen.hls_backend import HLS_FOLDER, TABLES_SOURCE
from sim.csim import compiled_library
from sw_model.errors import UserError
from sw_model.random_model import random_model
from tests.equivalence_cases import CASES, SMALL_CASES, Case, check_wrong_weights, prove, sequences, write_core

REFUSED = [case for case in CASES if case.hls_refuses]
EXPRESSED = [case for case in [*CASES, *SMALL_CASES] if not case.hls_refuses]


@pytest.mark.usefixtures("csim")
@pytest.mark.parametrize("case", EXPRESSED, ids=lambda case: case.name)
def test_equals_the_reference(case: Case, tmp_path: Path) -> None:
    found = prove(case, Backend.HLS, tmp_path / "hls")
    # Nothing that the compiler warns of, in any shape.
    assert (compiled_library(tmp_path / "hls").parent / "build.log").read_text() == ""
    model = random_model(case.model)
    predicted = predict(model, case.hardware, record_activity(model, sequences(case, model)))
    assert (found.timing, found.timed_steps, found.cycles) == ("estimated", case.steps, predicted.cycles)
    assert found.occupancy == predicted.occupancy
    assert found.events == sum(block.counters["own_events"] for block in found.blocks)
    assert [block.counters["input_events"] for block in found.blocks] == [0, *(block.counters["own_events"] for block in found.blocks[:-1])]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_cannot_be_said_is_refused_by_name(case: Case, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{case.hls_refuses} cannot be said in HLS C.*--backend rtl"):
        write_core(case, Backend.HLS, tmp_path / "hls")
    assert not (tmp_path / "hls").exists()


def test_most_of_the_suite_can_be_said() -> None:
    layers = {len(case.model.hidden) for case in EXPRESSED}
    assert (layers, {4, 8} <= {case.model.weight_bits for case in EXPRESSED}) == ({1, 2, 3}, True)
    assert any(case.silent_layers for case in EXPRESSED)
    assert any(case.all_fire for case in EXPRESSED)
    assert {case.model.density for case in EXPRESSED} >= {1.0, 0.03}


@pytest.mark.usefixtures("csim")
def test_wrong_weights_are_found_and_its_case_saved(tmp_path: Path) -> None:
    def damage(core: Path) -> None:
        tables = core / HLS_FOLDER / TABLES_SOURCE

        def flip(table: re.Match[str]) -> str:
            words = re.sub(r"\w+", lambda word: str(int(word[0], 0) ^ 1), table[2])
            return f"{table[1]}{words}"

        changed, count = re.subn(r"(layer1_lane\d+_entries_words\[\d+\] = \{)([^}]*)", flip, tables.read_text())
        assert count == CASES[1].hardware.lanes[1]  # type: ignore[index]
        tables.write_text(changed)

    check_wrong_weights(Backend.HLS, tmp_path, damage)
