"""The compiled core in Python: what it predicts, whose state it has, and what happens when somebody has changed its sources."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hls_gen import hls_backend
from hls_gen.backend import Backend
from hls_gen.hardware_config import HardwareConfig
from hls_gen.hls_backend import CSIM_SOURCE, HLS_FOLDER, TOP_SOURCE
from hls_gen.testbench import cpp_testbench_files, random_stimulus
from sim import csim as csim_module
from sim.build_cache import BenchError
from sim.csim import CHECKED_STREAMS, WARNINGS, CompiledModel, Compiler, compiled_library, find_compiler
from sim.drivers import Pace
from sim.equivalence import check_equivalence
from sim.hls_headers import Headers, find_headers
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, draw_events, random_model
from sw_model.reference import BatchedReference, Step
from tests.equivalence_cases import CASES, FEATURE_CASES, Case, write_core

pytestmark = pytest.mark.usefixtures("csim")

SPECS = {name: RandomModelSpec(hidden=(7, 5), density=0.5, classes=4, tokens=9, seed=seed) for name, seed in (("one", 1), ("other", 2))}
MODELS = {name: random_model(spec) for name, spec in SPECS.items()}
TOKENS = np.random.default_rng(1).integers(9, size=50)


def write(model: QuantizedModel, folder: Path) -> Path:
    generated = hls_backend.generate(model, HardwareConfig(lanes=(2, 2, 1)))
    folder.mkdir(parents=True)
    hls_backend.write_core(model, generated, folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("cores")
    return {name: write(model, root / name) for name, model in MODELS.items()}


def expected(name: str, sequence: np.ndarray) -> list[Step]:
    return list(BatchedReference(MODELS[name]).run(sequence[np.newaxis]))


def assert_equal(found: csim_module.Prediction, steps: list[Step]) -> None:
    assert found.logits.dtype == np.int32
    np.testing.assert_array_equal(found.logits, np.concatenate([step.logits for step in steps]))
    for layer, (events, fired) in enumerate(zip(found.events, found.fired, strict=True)):
        np.testing.assert_array_equal(events, np.concatenate([step.events[layer] for step in steps]))
        np.testing.assert_array_equal(fired, np.concatenate([step.fired[layer] for step in steps]))


def test_predicts_like_the_reference_and_carries_its_state(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csim_module, "CHUNK", 7)
    model, steps = CompiledModel(folders["one"]), expected("one", TOKENS)
    assert any(step.fired[0].any() for step in steps)
    assert_equal(model.predict(TOKENS[:20]), steps[:20])
    assert len(model.predict([]).logits) == 0
    assert_equal(model.predict(TOKENS[20:].tolist()), steps[20:])


def test_each_sequence_starts_at_zero_whatever_went_before(folders: dict[str, Path]) -> None:
    model = CompiledModel(folders["one"])
    model.predict(TOKENS[:3])
    parts = [TOKENS[:1], TOKENS[1:30], TOKENS[30:]]
    assert_equal(model.predict([part.tolist() for part in parts]), [step for part in parts for step in expected("one", part)])
    assert_equal(model.predict(TOKENS), expected("one", TOKENS))


def test_models_side_by_side_stay_apart(folders: dict[str, Path]) -> None:
    models = [(name, CompiledModel(folders[name])) for name in ("one", "other", "one")]
    for start in range(0, 50, 10):
        for place, (name, model) in enumerate(models):
            shifted = np.roll(TOKENS, place)
            assert_equal(model.predict(shifted[start : start + 10]), expected(name, shifted)[start : start + 10])


def test_reset_forgets_the_state_and_keeps_the_count_of_token_errors(folders: dict[str, Path]) -> None:
    model = CompiledModel(folders["one"])
    assert model.token_errors == 0
    strange = TOKENS.copy()
    strange[[3, 17]] = [9, 65535]
    taken = np.where(strange < 9, strange, 0)
    assert_equal(model.predict(strange), expected("one", taken))
    assert model.token_errors == 2
    model.reset()
    model.reset()
    assert_equal(model.predict(TOKENS), expected("one", TOKENS))
    assert model.token_errors == 2
    assert CompiledModel(folders["one"]).token_errors == 0


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ([1, 65536], "token 65536 does not fit the 16 bits of the token stream; give integers from 0 to 65535"),
        ([[1], [-1]], "token -1 does not fit"),
        ([0.5], "tokens of type float64 and shape"),
        ([[1, 2], []], "a sequence of 0 tokens has no end to mark; leave it out"),
    ],
)
def test_what_is_no_token_is_refused(folders: dict[str, Path], tokens: list[object], said: str) -> None:
    model = CompiledModel(folders["one"])
    with pytest.raises(UserError, match=said):
        model.predict(tokens)
    assert_equal(model.predict(TOKENS), expected("one", TOKENS))


def test_features_are_read_step_by_step_or_in_whole_sequences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = RandomModelSpec(hidden=(7, 5), density=0.5, classes=4, features=3, seed=1)
    monkeypatch.setitem(MODELS, "features", random_model(spec))
    monkeypatch.setattr(csim_module, "CHUNK", 7)
    model = CompiledModel(write(MODELS["features"], tmp_path / "core"))
    events = draw_events(np.random.default_rng(1), MODELS["features"], (50,))
    events[[0, 7, 49]] = 0  # steps without an event
    steps = expected("features", events)
    assert any(step.fired[0].any() for step in steps)
    assert_equal(model.predict(events[:20]), steps[:20])
    assert len(model.predict([]).logits) == 0
    assert_equal(model.predict(events[20:].tolist()), steps[20:])
    parts = [events[:1], events[1:30], events[30:]]
    assert_equal(model.predict(parts), [step for part in parts for step in expected("features", part)])
    model.predict(events[:3])
    model.reset()
    assert_equal(model.predict(events), steps)
    refused: list[tuple[list[Any], str]] = [
        ([0, 1, 2], r"input events of type int64 and shape \(\) are not integers of 3 channels"),
        ([[0, 1]], r"input events of type int64 and shape \(1, 2\) are not integers of 3 channels; give integers from 0 to 255, 3 a step"),
        ([[0.0, 1.0, 2.0]], "input events of type float64"),
        ([[[0, 256, 0]]], "input event 256 leaves 0 to 255"),
        ([[[0, 1, 0]], []], "a sequence of 0 frames has no end to mark; leave it out"),
    ]
    for strange, said in refused:
        with pytest.raises(UserError, match=said):
            model.predict(strange)
    assert model.token_errors == 0


def test_a_build_is_kept_and_knows_nothing_of_its_place(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = compiled_library(folders["one"])
    copied = shutil.copytree(folders["one"], tmp_path / "copied")
    headers = shutil.copytree(find_headers().folder, tmp_path / "headers")
    monkeypatch.setattr(csim_module, "find_headers", lambda: Headers(headers, "a copy"))
    assert compiled_library(copied) == library
    for place in (folders["one"], find_headers().folder, library.parent):
        assert str(place).encode() not in library.read_bytes()
    CompiledModel(copied)
    assert not list(library.parent.glob("loaded-*"))


def test_a_program_that_ends_within_a_sequence_prints_nothing(folders: dict[str, Path]) -> None:
    program = f"from sim.csim import CompiledModel\nm = CompiledModel({str(folders['one'])!r})\nm.predict({TOKENS.tolist()})\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no hls/egru_csim\.cpp; give a folder that egru generate --backend hls wrote"):
        CompiledModel(tmp_path)


def test_stalls_and_waves_need_a_clock(folders: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="neither stalls nor waves"):
        check_equivalence(folders["one"], [[1]], input_pace=Pace.LIGHT)


def test_long_estimates_cover_the_first_steps(folders: dict[str, Path], tmp_path: Path) -> None:
    short = check_equivalence(folders["one"], [TOKENS[:10].tolist() * 100], run_dir=tmp_path / "short")
    long = check_equivalence(folders["one"], [TOKENS[:10].tolist() * 100, TOKENS.tolist()], run_dir=tmp_path / "long")
    assert (short.steps, short.timed_steps) == (1000, 1000)
    assert (long.steps, long.timed_steps) == (1050, 1000)
    assert (long.cycles, long.blocks) == (short.cycles, short.blocks)
    assert long.events > short.events == sum(block.counters["own_events"] for block in short.blocks)
    assert set(long.seconds) == {"build", "run", "core"}
    assert long.to_json()["backend"] == "hls"


# The compiler


def test_another_compiler_is_taken_from_the_environment(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "c++"
    mine.write_text('#!/bin/sh\n[ "$1$2" = --mine--version ] && echo mine 1.0 && exit\necho "top.cpp:3:1: error: no" >&2\nexit 3\n')
    mine.chmod(0o755)
    monkeypatch.setenv("CXX", f"{mine} --mine")
    assert find_compiler() == Compiler((str(mine), "--mine"), "mine 1.0\n")
    with pytest.raises(
        BenchError, match=r"build of egru_csim failed \(.*c\+\+ ended with status 3\); log .*build\.log:\ntop\.cpp:3:1: error: no"
    ):
        compiled_library(folders["one"], cache=tmp_path / "cache")


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", "nvcc++")
    with pytest.raises(UserError, match=r"C\+\+ compiler nvcc\+\+ is not found; leave CXX unset for g\+\+"):
        find_compiler()
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"C\+\+ compiler g\+\+ is not found; sudo apt-get install g\+\+"):
        find_compiler()


def test_clang_is_spared_what_it_does_not_know(tmp_path: Path) -> None:
    headers, options = Headers(tmp_path, "x"), ("-O2", "-fno-gnu-unique")
    assert "-fno-gnu-unique" in Compiler(("g++",), "g++ (Debian) 12").line(headers, options, ())
    line = Compiler(("clang++",), "Debian clang version 13.0").line(headers, options, ())
    assert "-fno-gnu-unique" not in line
    assert "-O2" in line


# Sources that somebody has changed


def changed(source: Path, folder: Path, file: str, old: str, new: str) -> Path:
    shutil.copytree(source, folder)
    path = folder / HLS_FOLDER / file
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    return folder


def test_a_read_of_an_empty_stream_ends_the_simulation(folders: dict[str, Path], tmp_path: Path) -> None:
    broken = changed(folders["one"], tmp_path / "hls", "lib/update.hpp", "events.write(end.pack());", "static_cast<void>(end);")
    with pytest.raises(
        BenchError, match=r"C simulation failed with seed 3: step 0 of 2: a stream of \d+-bit words was read while it was empty"
    ):
        check_equivalence(broken, [[1, 2]], seed=3, run_dir=tmp_path / "run")
    assert json.loads((tmp_path / "run" / "stimulus.json").read_text()) == [[1, 2]]
    model = CompiledModel(broken)
    with pytest.raises(BenchError, match=r"step 0 of 2: a stream of"):
        model.predict([1, 2])
    with pytest.raises(BenchError, match=r"the core failed before: .*; load it again"):
        model.predict([1, 2])


def test_words_that_nobody_reads_are_seen(folders: dict[str, Path], tmp_path: Path) -> None:
    end = "if (!end.last) {"
    broken = changed(folders["one"], tmp_path / "hls", "lib/update.hpp", end, f"own.write(end.pack());\n  {end}")
    with pytest.raises(BenchError, match=r"step 0 of 1: \d+ words wait in the streams between processes, expected 0"):
        CompiledModel(broken).predict([[1]])


def test_a_crash_is_named_and_what_was_printed_is_in_the_log(
    folders: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # A conversion that loses bits, too: the compiler's warning is kept.
    crash = "const unsigned char narrow = token.data.to_uint();\n  std::cout << int(narrow) << std::endl;\n  abort();\n  ++errors;"
    broken = changed(folders["one"], tmp_path / "hls", "lib/sequencer.hpp", "\n    ++errors;", crash)
    with pytest.raises(BenchError, match=r"the program ended by SIGABRT; stimulus in .*stimulus\.json; log ") as caught:
        check_equivalence(broken, [[1, 77]], run_dir=tmp_path / "run")
    log = tmp_path / "run" / "run.log"
    assert f"log {log}:\n" in str(caught.value)
    assert log.read_text() == "77\n"
    assert capfd.readouterr() == ("", "")
    assert "-Wconversion" in (compiled_library(broken).parent / "build.log").read_text()


def test_a_source_that_does_not_compile_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    broken = changed(folders["one"], tmp_path / "hls", "lib/lane.hpp", "namespace egru {\n\n// A weight", "nonsense\n// A weight")
    with pytest.raises(BenchError, match=r"build of egru_csim failed \(g\+\+ ended with status 1\); log .*build\.log:\n.*lane\.hpp:8"):
        CompiledModel(broken)


# What the sanitizers say


@pytest.mark.parametrize("cases", [CASES, FEATURE_CASES], ids=["tokens", "features"])
def test_nothing_undefined_happens(cases: list[Case], tmp_path: Path) -> None:
    case = next(
        case for case in cases if case.hardware.entry_format == "gate-group" and not case.hls_refuses
    )  # single ones are in its decoder
    model = write_core(case, Backend.HLS, tmp_path / "hls")
    hardware = hls_backend.generate(model, case.hardware).plan
    for name, text in cpp_testbench_files(model, hardware, random_stimulus(model)).items():
        (tmp_path / name).write_text(text)
    sources = tmp_path / "hls" / HLS_FOLDER
    files = ("-o", tmp_path / "main", sources / TOP_SOURCE, sources / CSIM_SOURCE, Path(__file__).parent / "sanitized_main.cpp")
    # AMD's integers shift negative values to the left, which C++17 leaves undefined and every compiler defines: this alone may go on.
    checks = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fsanitize-recover=shift")
    headers = find_headers()
    options = (CHECKED_STREAMS, *WARNINGS, *checks, f"-I{sources}", f"-I{tmp_path}")
    command = find_compiler().line(headers, options, map(str, files))
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    sizes = (len(model.layers), model.classes, sum(layer.neurons for layer in model.layers), model.tokens or model.channels)
    done = subprocess.run(
        [tmp_path / "main", *map(str, (*sizes, model.formats.event_bits if model.channels else 0))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in done.stderr.splitlines() if not line.startswith(f"{headers.folder}/")] == []
    assert done.returncode == 0
    assert done.stdout.startswith("PASS: ")
    assert done.stdout.endswith("\nran 40 1 2\n")
