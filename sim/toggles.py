"""Register bits that change, counted while a design is simulated.

Which registers there are is read from Verilator's own syntax tree: all that a non-blocking assignment writes, memories left out. A module
made of that list is bound to the top and compares every register with itself, clock edge by clock edge; so nothing has to be recorded.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.build_cache import cache_folder
from sim.runner import kept_build

TOGGLES_FILE = "toggles.txt"
_COUNTER_FILE = "toggle_counter.sv"

# Blocking: a count grows by many sums in one edge.
_MODULE = """\
module toggle_counter (input logic clk_i, input logic rst_ni, input logic active_i);
  // verilator lint_off BLKSEQ
  logic active_q;
{declarations}
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      active_q <= 1'b0;
      for (int b = 0; b < {blocks}; b++) toggles[b] = 0;
    end else begin
      active_q <= active_i;
      if (active_q) begin
{counts}
      end
{copies}
    end
  end
  final begin
    int file;
    file = $fopen("{file}", "w");
{writes}
    $fclose(file);
  end
endmodule
bind {top} toggle_counter u_toggle_counter (.clk_i(clk_i), .rst_ni(rst_ni), .active_i({active}));
"""


@dataclass(frozen=True)
class Scope:
    """An instance of a module, or a generate block, and the registers declared in it.

    Attributes:
        block: What they count under: the top's instance, or the top.
        path: Names from the top downwards; empty for the top itself.
        registers: Name and bits of each.
    """

    block: str
    path: tuple[str, ...]
    registers: tuple[tuple[str, int], ...]


def toggle_counter(top: str, sources: Sequence[Path], active: str) -> Path:
    """Return a source file to be simulated beside ``sources``: it counts, in clock edges at which ``active`` was 1, the bits that change.

    Counts begin anew in every reset. What was counted stands in `TOGGLES_FILE` of the run folder when the simulation has ended.

    Args:
        top: The top module, with ports ``clk_i`` and ``rst_ni``; without parameters of its own.
        sources: All source files.
        active: A signal of ``top``.

    Raises:
        BenchError: When Verilator refuses the sources.
    """
    paths = [str(Path(source).resolve()) for source in sources]

    def make(folder: Path, log: Path) -> None:
        tree = folder / "tree.json"
        command = ["verilator", "--json-only", "--timing", "-Wno-fatal", "--top-module", top, "-Mdir", str(folder)]
        with log.open("w") as output:
            done = subprocess.run([*command, "--json-only-output", str(tree), *paths], stdout=output, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise RuntimeError(f"verilator ended with status {done.returncode}")
        scopes = find_registers(json.loads(tree.read_text()), top)
        tree.unlink()  # megabytes
        (folder / _COUNTER_FILE).write_text(_counter_source(top, scopes, active))

    texts = [(Path(path).name, Path(path).read_text()) for path in paths]
    inputs = [texts, top, active, Path(__file__).read_text()]
    return kept_build("toggle_counter", [], inputs, make, cache=cache_folder(), make_flags="") / _COUNTER_FILE


def read_toggles(run_dir: Path) -> dict[str, int]:
    """Return what a finished simulation counted: bits that changed, by the instances of the top, and by the top's name for its own."""
    lines = (line.split() for line in (Path(run_dir) / TOGGLES_FILE).read_text().splitlines())
    return {block: int(count) for block, count in lines}


def find_registers(tree: dict[str, Any], top: str) -> list[Scope]:
    """Return the registers of an elaborated design, as Verilator writes it with ``--json-only``."""
    modules = {module["addr"]: module for module in tree["modulesp"]}
    types = {node["addr"]: node for node in _nodes(tree["miscsp"]) if node["type"].endswith("DTYPE")}
    scopes: list[Scope] = []

    def visit(module: dict[str, Any], path: tuple[str, ...], block: str) -> None:
        written = {
            target["varp"]
            for assignment in _nodes(module)
            if assignment["type"] == "ASSIGNDLY"
            for target in _nodes(assignment["lhsp"])
            if target["type"] == "VARREF" and target["access"] == "WR"
        }
        declared: dict[tuple[str, ...], list[tuple[str, int]]] = {}

        def scan(node: Any, inner: tuple[str, ...]) -> None:
            if isinstance(node, list):
                for child in node:
                    scan(child, inner)
            elif isinstance(node, dict):
                if node["type"] == "VAR" and node["addr"] in written:
                    bits = _packed_bits(types, node["dtypep"])
                    declared.setdefault(inner, []).extend([(node["name"], bits)] if bits else [])
                elif node["type"] == "CELL":
                    cell = (*path, *inner, node["name"])
                    visit(modules[node["modp"]], cell, block if path else ".".join(cell).replace("u_", "", 1))
                elif node["type"] == "GENBLOCK":
                    inner = (*inner, node["name"])
                for child in node.values():
                    scan(child, inner)

        scan(module, ())
        scopes.extend(Scope(block, (*path, *inner), tuple(registers)) for inner, registers in declared.items() if registers)

    visit(next(module for module in modules.values() if module["name"] == top), (), top)
    return scopes


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every node of a syntax tree."""
    if isinstance(value, list):
        for child in value:
            yield from _nodes(child)
    elif isinstance(value, dict):
        yield value
        for child in value.values():
            yield from _nodes(child)


def _packed_bits(types: dict[str, dict[str, Any]], name: str) -> int:
    """Return the bits of a type; 0 of a memory."""
    kind = types[name]
    if kind["type"] == "BASICDTYPE":
        return _length(kind.get("range", "0:0"))
    if kind["type"] == "PACKARRAYDTYPE":
        return _length(kind["declRange"].strip("[]")) * _packed_bits(types, kind["refDTypep"])
    if kind["type"] == "UNPACKARRAYDTYPE":
        return 0
    if "refDTypep" in kind:  # an enum, or another name of a type
        return _packed_bits(types, kind["refDTypep"])
    raise RuntimeError(f"a register of type {kind['type']} is not understood")


def _length(bounds: str) -> int:
    left, right = map(int, bounds.split(":"))
    return abs(left - right) + 1


def _counter_source(top: str, scopes: list[Scope], active: str) -> str:
    blocks = sorted({scope.block for scope in scopes})
    declarations, counts, copies = [f"  longint unsigned toggles [{len(blocks)}];"], [], []
    for number, scope in enumerate(scopes):
        bits = sum(width for _, width in scope.registers)
        names = ", ".join(".".join((top, *scope.path, name)) for name, _ in scope.registers)
        declarations.append(f"  logic [{bits - 1}:0] now_{number}, before_{number};\n  assign now_{number} = {{{names}}};")
        total = f"toggles[{blocks.index(scope.block)}]"
        counts.append(f"        {total} = {total} + 64'($countones(now_{number} ^ before_{number}));")
        copies.append(f"      before_{number} <= now_{number};")
    return _MODULE.format(
        top=top,
        active=active,
        file=TOGGLES_FILE,
        blocks=len(blocks),
        declarations="\n".join(declarations),
        counts="\n".join(counts),
        copies="\n".join(copies),
        writes="\n".join(f'    $fwrite(file, "{block} %0d\\n", toggles[{place}]);' for place, block in enumerate(blocks)),
    )
