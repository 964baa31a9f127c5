"""The core that Bambu's modules make against the integer reference, in Verilator: every event, logit and counter, with ==."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from egru.artifacts import read_generated
from egru.hls_build import compile_core, require_compiler
from hls_gen.backend import Backend
from hls_gen.bambu import COMPILER
from hls_gen.board import load_board
from hls_gen.rtl_backend import MEMORY_FOLDER
from sim.build_cache import BenchError
from sim.drivers import Pace
from sim.equivalence import check_equivalence
from tests.equivalence_cases import FEATURE_CASES, SMALL_CASES, Case, check_exercised, sequences, write_core

pytestmark = pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"{COMPILER} is not on PATH: HLS C++ cannot be compiled")


@pytest.mark.parametrize("case", [*SMALL_CASES, FEATURE_CASES[0]], ids=lambda case: case.name)
def test_equals_the_reference(case: Case, tmp_path: Path) -> None:
    model = write_core(case, Backend.HLS, tmp_path / "hls")
    core = tmp_path / "core"
    compile_core(read_generated(tmp_path / "hls"), load_board("ulx3s_85f"), core, compiler=require_compiler(), log_beside=core)
    check = partial(check_equivalence, core, sequences(case, model))
    full = check(seed=case.model.seed)
    check_exercised(case, full, counts_macs=False)
    assert (full.backend, full.timing, full.timed_steps) == (Backend.RTL, "measured", case.steps)
    # Under random stalls on both streams and with other initial values.
    stalled = check(seed=case.model.seed + 1000, input_pace=Pace.LIGHT, output_pace=Pace.BURSTS)
    check_exercised(case, stalled, counts_macs=False)
    assert stalled.logit_stalls > 0
    assert stalled.cycles >= full.cycles
    assert (stalled.events, stalled.values) == (full.events, full.values)
    # The lowest bit of every weight of the first layer, and of the number of weights in a column.
    images = sorted((core / MEMORY_FOLDER).glob("layer0_lane*.mem"))
    assert len(images) >= 2 * case.hardware.lanes[0]  # type: ignore[index]
    for image in images:
        image.write_text("".join(f"{int(word, 2) ^ 1:0{len(word)}b}\n" for word in image.read_text().split()))
    with pytest.raises(BenchError, match=r"step \d+, layer \w+, neuron \d+: .* seed 2, case saved in"):
        check(seed=2, run_dir=tmp_path / "run")
    assert (tmp_path / "run" / "failure" / "case.json").is_file()
