"""Moves registers into the block RAMs that they stand behind, in a netlist between yosys and nextpnr.

yosys knows the block RAMs of the ECP5 but not their output registers: a register behind one stays in the fabric, and the way to it
(5.8 ns of clock-to-output and the routing) is the slowest of the design; out of the RAM's own register it is 1 ns. A DP16KD has a register
on each output, clocked with the port (Lattice FPGA-TN-02204, parameters REGMODE_A and REGMODE_B). This pass uses it where it means the
same: every bit that the port gives goes to one flip-flop and nowhere else, of the same clock, without enable or reset.

A register in front of a multiplier stays where it is: a block RAM is seldom near a DSP block, and the multiplication (4 ns) leaves no time
for the way from one to the other.

The file runs alone as well: ``python absorb_output_registers.py IN.json OUT.json TOP``.
"""

import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RAM = "DP16KD"
MULTIPLIER = "MULT18X18D"
FLIP_FLOP = "TRELLIS_FF"
# With this width both halves of the outputs belong to one read port, clocked by CLKB.
WIDE_PORT = 36

Cell = dict[str, Any]
Bit = int | str  # a net, or a constant "0", "1", "x"


@dataclass(frozen=True)
class _ReadPort:
    """The outputs that one clock serves: prefixes of their names, and the half (A or B) whose clock and enable they have."""

    halves: tuple[str, ...]
    clock: str


def absorb_output_registers(netlist: dict[str, Any], top: str) -> int:
    """Change ``netlist`` (yosys' JSON, synthesised for ECP5, flat) in place.

    Args:
        netlist: The whole JSON document.
        top: Name of the module.

    Returns:
        The number of flip-flops that moved into block RAMs.
    """
    module = netlist["modules"][top]
    cells: dict[str, Cell] = module["cells"]
    users = _users(module)
    moved = 0
    for ram in [cell for cell in cells.values() if cell["type"] == RAM]:
        for port in _read_ports(ram):
            registers = _registers(ram, port, cells, users)
            if not registers:
                continue
            for output, name in registers.items():
                ram["connections"][output] = cells.pop(name)["connections"]["Q"]
            for half in port.halves:
                ram["parameters"][f"REGMODE_{half}"] = "OUTREG"
            ram["connections"][f"OCE{port.clock}"] = ["1"]
            moved += len(registers)
    return moved


def _users(module: dict[str, Any]) -> dict[Bit, list[tuple[str, str]]]:
    """Return who reads each net: cell and port; a port of the module counts as a cell without name."""
    users: dict[Bit, list[tuple[str, str]]] = defaultdict(list)
    for name, cell in module["cells"].items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                for bit in bits:
                    users[bit].append((name, port))
    for name, port in module["ports"].items():
        if port["direction"] != "input":
            for bit in port["bits"]:
                users[bit].append(("", name))
    return users


def _read_ports(ram: Cell) -> tuple[_ReadPort, ...]:
    if int(ram["parameters"]["DATA_WIDTH_A"], 2) == WIDE_PORT:
        return (_ReadPort(("A", "B"), "B"),)
    return (_ReadPort(("A",), "A"), _ReadPort(("B",), "B"))


def _registers(ram: Cell, port: _ReadPort, cells: dict[str, Cell], users: dict[Bit, list[tuple[str, str]]]) -> dict[str, str]:
    """Return the flip-flop behind each used output of ``port``; none when any of them has something else behind it."""
    registers = {}
    for half in port.halves:
        for index in range(18):
            output = f"DO{half}{index}"
            bits = ram["connections"].get(output, [])
            readers = [user for bit in bits for user in users[bit]]
            if not readers:
                continue
            name, pin = readers[0]
            if len(readers) > 1 or pin != "DI" or not _is_plain(cells[name], ram["connections"][f"CLK{port.clock}"]):
                return {}
            if any(reader and cells[reader]["type"] == MULTIPLIER for bit in cells[name]["connections"]["Q"] for reader, _ in users[bit]):
                return {}
            registers[output] = name
    return registers


def _is_plain(cell: Cell, clock: list[Bit]) -> bool:
    """Say whether ``cell`` is a flip-flop of ``clock`` that every cycle loads and nothing resets."""
    if cell["type"] != FLIP_FLOP or cell["connections"]["CLK"] != clock:
        return False
    # yosys writes a string that could be a number with a blank behind it.
    parameters = {name: str(value).strip() for name, value in cell["parameters"].items()}
    resets = cell["connections"].get("LSR", ["0"])
    return parameters.get("CEMUX") == "1" and parameters.get("CLKMUX", "CLK") == "CLK" and resets == ["0"]


def main(arguments: list[str]) -> None:
    """Read the netlist ``arguments[0]``, change its module ``arguments[2]`` and write it to ``arguments[1]``."""
    source, target, top = arguments
    netlist = json.loads(Path(source).read_text())
    moved = absorb_output_registers(netlist, top)
    Path(target).write_text(json.dumps(netlist))
    print(f"{moved} flip-flops moved into block RAMs")


if __name__ == "__main__":
    main(sys.argv[1:])
