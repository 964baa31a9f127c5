"""Which registers move into a block RAM, and which must stay."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from egru.tools import require_script
from hls_gen.board_flow import YOSYS
from hls_gen.ecp5_netlist import absorb_output_registers
from hls_gen.render import LIBRARY_FOLDER

CLOCK, OTHER_CLOCK, RESET = 2, 3, 4
TOP = "top"


def flip_flop(data: int, out: int, **changes: Any) -> dict[str, Any]:
    connections = {"CLK": [CLOCK], "DI": [data], "LSR": ["0"], "Q": [out]} | changes.get("connections", {})
    return {
        "type": "TRELLIS_FF",
        "parameters": {"CEMUX": "1 ", "CLKMUX": "CLK"} | changes.get("parameters", {}),
        "port_directions": {name: "output" if name == "Q" else "input" for name in connections},
        "connections": connections,
    }


def netlist(width: int = 18) -> dict[str, Any]:
    """A block RAM with two used outputs of half A and one of half B, each with a register behind it that a port of the module shows."""
    outputs = {"DOA0": [10], "DOA1": [11], "DOB0": [12], "DOB1": [13]}
    inputs = {"CLKA": [CLOCK], "CLKB": [CLOCK], "OCEA": ["0"], "OCEB": ["0"]}
    ram = {
        "type": "DP16KD",
        "parameters": {"DATA_WIDTH_A": f"{width:032b}", "REGMODE_A": "NOREG", "REGMODE_B": "NOREG"},
        "port_directions": dict.fromkeys(outputs, "output") | dict.fromkeys(inputs, "input"),
        "connections": outputs | inputs,
    }
    cells = {"ram": ram, "a0": flip_flop(10, 20), "a1": flip_flop(11, 21), "b0": flip_flop(12, 22)}
    ports = {"q": {"direction": "output", "bits": [20, 21, 22]}, "clk": {"direction": "input", "bits": [CLOCK]}}
    return {"modules": {TOP: {"cells": cells, "ports": ports}}}


def cells(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["modules"][TOP]["cells"]
    return found


def test_registers_move_into_both_ports() -> None:
    document = netlist()
    assert absorb_output_registers(document, TOP) == 3
    ram = cells(document)["ram"]
    assert list(cells(document)) == ["ram"]
    assert [ram["parameters"][f"REGMODE_{half}"] for half in "AB"] == ["OUTREG", "OUTREG"]
    assert [ram["connections"][name] for name in ("DOA0", "DOA1", "DOB0", "DOB1")] == [[20], [21], [22], [13]]
    assert [ram["connections"][f"OCE{half}"] for half in "AB"] == [["1"], ["1"]]


def test_a_wide_port_reads_with_clock_b() -> None:
    document = netlist(width=36)
    cells(document)["ram"]["connections"]["CLKA"] = ["0"]
    assert absorb_output_registers(document, TOP) == 3
    ram = cells(document)["ram"]
    assert [ram["parameters"][f"REGMODE_{half}"] for half in "AB"] == ["OUTREG", "OUTREG"]
    assert [ram["connections"][f"OCE{half}"] for half in "AB"] == [["0"], ["1"]]


def other_clock(found: dict[str, Any]) -> None:
    found["a1"]["connections"]["CLK"] = [OTHER_CLOCK]


def inverted_clock(found: dict[str, Any]) -> None:
    found["a1"]["parameters"]["CLKMUX"] = "INV"


def enabled(found: dict[str, Any]) -> None:
    found["a1"] = flip_flop(11, 21, parameters={"CEMUX": "CE"}, connections={"CE": [RESET]})


def reset(found: dict[str, Any]) -> None:
    found["a1"]["connections"]["LSR"] = [RESET]


def second_reader(found: dict[str, Any]) -> None:
    found["more"] = flip_flop(11, 23)


def no_register(found: dict[str, Any]) -> None:
    found["a1"] |= {"type": "LUT4", "connections": {"A": [11], "Z": [21]}, "port_directions": {"A": "input", "Z": "output"}}


def multiplier_behind(found: dict[str, Any]) -> None:
    found["product"] = {"type": "MULT18X18D", "parameters": {}, "port_directions": {"A0": "input"}, "connections": {"A0": [21]}}


@pytest.mark.parametrize("change", [other_clock, inverted_clock, enabled, reset, second_reader, no_register, multiplier_behind])
def test_one_bit_that_differs_keeps_the_whole_port_as_it_is(change: Callable[[dict[str, Any]], None]) -> None:
    document = netlist()
    change(cells(document))
    before = json.loads(json.dumps(cells(document)["ram"]))
    assert absorb_output_registers(document, TOP) == 1  # that of the other half
    ram = cells(document)["ram"]
    assert ram["parameters"]["REGMODE_A"] == "NOREG"
    assert [ram["connections"][name] for name in ("DOA0", "DOA1")] == [before["connections"][name] for name in ("DOA0", "DOA1")]


def test_an_output_that_the_module_shows_keeps_its_port_as_it_is() -> None:
    document = netlist()
    document["modules"][TOP]["ports"]["raw"] = {"direction": "output", "bits": [12]}
    assert absorb_output_registers(document, TOP) == 2
    assert cells(document)["ram"]["parameters"]["REGMODE_B"] == "NOREG"


@pytest.mark.parametrize(("width", "depth", "rams"), [(18, 1024, 1), (30, 512, 1), (9, 2048, 1), (13, 2048, 2)])
def test_every_register_of_a_synthesised_rom_moves(width: int, depth: int, rams: int, tmp_path: Path) -> None:
    (tmp_path / "egru_rom.sv").write_text((LIBRARY_FOLDER / "egru_rom.sv").read_text())
    names = ["rom.mem"] if depth <= 1024 or width <= 9 else [f"rom_{index:02x}.mem" for index in range(-(-width // 9))]
    for name in names:
        (tmp_path / name).write_text("".join(f"{index * 7919 % 2**8:x}\n" for index in range(depth)))
    address = (depth - 1).bit_length()
    (tmp_path / "top.sv").write_text(
        f"module top (input logic clk_i, input logic [{address - 1}:0] addr_i, output logic [{width - 1}:0] data_o);\n"
        f'  egru_rom #(.Width({width}), .Depth({depth}), .InitFile("rom")) u_rom (.load_i(0), .*);\nendmodule\n'
    )
    (tmp_path / "s.ys").write_text("read_verilog -sv -DSYNTHESIS egru_rom.sv top.sv\nsynth_ecp5 -abc9 -nowidelut -top top -json top.json\n")
    subprocess.run([require_script(YOSYS), "-q", "-s", "s.ys"], cwd=tmp_path, check=True, capture_output=True)
    document = json.loads((tmp_path / "top.json").read_text())
    used = [cell for cell in cells(document).values() if cell["type"] == "TRELLIS_FF"]
    assert absorb_output_registers(document, TOP) == len(used) > 0
    kinds = [cell["type"] for cell in cells(document).values()]
    assert kinds.count("TRELLIS_FF") == 0
    assert kinds.count("DP16KD") == rams
