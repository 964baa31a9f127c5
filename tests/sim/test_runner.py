import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sim.build_cache import BenchError, cache_folder
from sim.runner import LIBRARY, BenchResult, build_simulation, library_closure, run_bench

SOURCE = Path(__file__).parent / "tiny.sv"


@pytest.fixture(autouse=True)
def _bench_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SOURCE.parent))


def run(testcase: str, **options: Any) -> BenchResult:
    return run_bench("tiny", "tiny_bench", sources=[SOURCE], testcase=testcase, **options)


def test_a_build_is_reused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = run("passes")
    monkeypatch.chdir(tmp_path)  # nothing depends on the current directory
    second = run("passes")
    assert second.build_seconds < 1
    assert second.run_dir == first.run_dir
    assert [test.name for test in second.tests] == ["passes"]


def test_the_headers_of_verilator_are_not_compiled_again() -> None:
    build = build_simulation("tiny", [SOURCE], {}, cache=cache_folder(), waves=False)
    lines = [line for line in (build / "build.log").read_text().splitlines() if line.startswith("c++ ") and line.endswith(".cpp")]
    runtime = [line for line in lines if "/include/verilated" in line]
    own = [line for line in lines if line not in runtime]
    assert [line.split("/")[-1].split()[-1] for line in own] == ["verilator.cpp", "Vtop__ALL.cpp"]
    for line in own:
        # The compiler says so where it does not take the precompiled ones.
        command = [*shlex.split(line), "-Winvalid-pch", "-Werror=invalid-pch", "-fsyntax-only"]
        assert subprocess.run(command, cwd=build, capture_output=True, text=True, check=False).stderr == ""


def test_the_report_comes_back_and_the_seed_is_the_bench_s() -> None:
    assert run("passes", seed=77).report["seed"] == 77


def test_unreset_registers_are_random_and_repeatable() -> None:
    values = [run("passes", seed=seed).report["unreset"] for seed in (1, 1, 2, 3)]
    assert values[0] == values[1]
    assert len(set(values)) == 3
    assert 0 not in values


def test_a_failure_names_seed_log_and_case() -> None:
    with pytest.raises(BenchError, match=r"seed 5.*word is 3, expected 7") as caught:
        run("finds_a_mismatch", seed=5)
    message = str(caught.value)
    folder = Path(message.split("case saved in ")[1].split(";")[0].split()[0])
    case = json.loads((folder / "case.json").read_text())
    assert (case["neuron"], case["observed"], case["expected"], case["seed"]) == (3, 3, 7, 5)
    assert "run.log" in message


@pytest.mark.parametrize(
    ("testcase", "expected"),
    [
        ("changes_its_payload", "changed to"),
        ("withdraws_an_item", "was withdrawn"),
        ("breaks_an_assertion", "told to fail"),
        ("no_such_test", "without a result"),
    ],
)
def test_faults_are_seen(testcase: str, expected: str) -> None:
    with pytest.raises(BenchError, match=expected):
        run(testcase)


def test_a_source_that_does_not_compile_is_named(tmp_path: Path) -> None:
    source = tmp_path / "broken.sv"
    source.write_text("module broken (input logic clk_i);\n  assign nothing = 1;\nendmodule\n")
    with pytest.raises(BenchError, match=r"build of broken .*\n.*broken\.sv:2"):
        run_bench("broken", "tiny_bench", sources=[source])


def test_waves_are_recorded() -> None:
    result = run("passes", waves=True)
    assert [path.stat().st_size > 1000 for path in result.run_dir.glob("dump.*")] == [True]


def test_library_closure_follows_instances() -> None:
    names = [path.stem for path in library_closure("egru_lane")]
    assert names == ["egru_accumulator", "egru_column_walker", "egru_fifo", "egru_lane", "egru_rom"]
    assert library_closure("egru_rom") == [LIBRARY / "egru_rom.sv"]
    with pytest.raises(BenchError, match="egru_nothing is not in"):
        library_closure("egru_nothing")
