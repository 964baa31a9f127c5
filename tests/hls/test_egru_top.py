"""The whole generated core against the integer reference, as compiled C++: every event and logit, with ==."""

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hls_gen.backend import Backend
from hls_gen.cycle_model import predict, record_activity
from hls_gen.hls_backend import HLS_FOLDER, TABLES_SOURCE
from hls_gen.rtl_backend import HARDWARE_FILE
from sim.build_cache import BenchError
from sim.csim import compiled_library, load_core
from sim.word_stream import draw_step, is_wrong, steps_of
from sw_model.errors import UserError
from sw_model.random_model import random_model
from sw_model.reference import EventDrivenStream
from tests.equivalence_cases import CASES, FEATURE_CASES, SMALL_CASES, Case, check_wrong_weights, prove, sequences, write_core

REFUSED = [case for case in [*CASES, *FEATURE_CASES] if case.hls_refuses]
EXPRESSED = [case for case in [*CASES, *SMALL_CASES, *FEATURE_CASES] if not case.hls_refuses]
# With an engine of its own for each layer, what a shared one takes of features can be said.
EXPRESSED += [
    replace(case, name=f"{case.name}_per_layer", hardware=case.hardware.model_copy(update={"engines": "per-layer"}), hls_refuses="")
    for case in FEATURE_CASES
    if case.hls_refuses == "engines=shared"
]


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
    own = [block.counters["own_events"] for block in found.blocks[:-1]]
    read = sum(int(np.count_nonzero(sequence)) for sequence in sequences(case, model)) if model.channels else 0
    assert [block.counters["input_events"] for block in found.blocks] == [read, *own]


@pytest.mark.usefixtures("csim")
@pytest.mark.parametrize("case", [CASES[1], *FEATURE_CASES[:2], FEATURE_CASES[3]], ids=lambda case: case.name)
def test_wrong_words_are_taken_and_counted_as_in_rtl(case: Case, tmp_path: Path) -> None:
    model = write_core(case, Backend.HLS, tmp_path / "hls")
    hardware = json.loads((tmp_path / "hls" / HARDWARE_FILE).read_text())
    core = load_core(compiled_library(tmp_path / "hls"), hardware)
    places = [block["physical_index"][0] for block in hardware["blocks"] if block["layers"]]
    rng = random.Random(case.model.seed)
    words = [word for _ in range(300) for word in draw_step(model, rng)]
    data, last = np.array(words).T
    beats, stream, empty = core.run(data, last > 0), EventDrivenStream(model), 0
    for (inputs, ends), events, logits, end in zip(steps_of(model, words), beats.events(), beats.logits, beats.ends, strict=True):
        wanted = stream.step(inputs)
        assert (logits.tolist(), int(end)) == (wanted.logits.tolist(), ends)
        for found, place, fired, values in zip(events, places, wanted.fired, wanted.events, strict=True):
            assert sorted(found) == sorted((place[neuron], values[neuron]) for neuron in np.flatnonzero(fired))
        if ends:
            stream.reset()
        empty += not np.any(inputs)
    assert core.token_errors == sum(is_wrong(model, word) for word in words) > 5
    assert 0 < sum(beats.ends) < 300 == len(beats.logits)
    assert empty > 5
    if model.channels:
        # The core would wait for the rest of the step.
        with pytest.raises(BenchError, match="step 1 of 1: the words end within a step"):
            core.run(np.array([1, 0, 1]), np.zeros(3, bool))


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
