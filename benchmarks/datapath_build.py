"""Clock and tables of the generated datapath after place and route on an ECP5-85F: ``python -m benchmarks.datapath_build``.

A layer of 256 units, weight density .1, with 16 and with 64 lanes, in the board top of the ULX3S (UART bridge, registers and counters
included), three placer seeds each. The results join those of `benchmarks.datapath`.

    lut4_per_lane        one lane alone: queue, walker, accumulators and their read-out, synthesised with the hierarchy kept
    core_lut4_per_lane   the whole placed design ÷ lanes: update units, counters, decoder, registers and UART too
"""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from benchmarks.datapath import RESULT_FILE, Results
from benchmarks.datapath_model import ControlledSpec, controlled_model
from benchmarks.results_file import errors_to_exit_codes, require_results, write_results
from egru.output import print_json, progress_console
from egru.place_and_route import build
from egru.tools import require_script
from hls_gen.board import Toolchain, load_board
from hls_gen.board_flow import SYNTHESISED, YOSYS, read_command, synthesis_command
from hls_gen.hardware_config import HardwareConfig, plan
from hls_gen.rtl_backend import TOP_MODULE, write
from sw_model.errors import UserError

BOARD = "ulx3s_85f"
FIRST = "run python -m benchmarks.datapath first"
SPEC = ControlledSpec(units=256, weight_density=0.1, event_density=0.1, steps=32)
# lanes: lanes of an update unit, and the clock that is asked for
CONFIGURATIONS = {16: (4, 120.0), 64: (16, 100.0)}
LANE_MODULES = ("egru_lane", "egru_row_reader")
TABLES = SYNTHESISED[Toolchain.ECP5].lut


def measure(lanes: int, seeds: tuple[int, ...], work: Path) -> dict[str, Any]:
    """Place and route the layer on ``lanes`` lanes."""
    unit_lanes, clock = CONFIGURATIONS[lanes]
    model, config = controlled_model(SPEC), HardwareConfig(lanes=(lanes, 1), lanes_per_update_unit=unit_lanes)
    generated = work / f"rtl-{lanes}"
    write(model, config, generated, force=True)
    found = build(generated, load_board(BOARD), work / f"build-{lanes}", seeds=seeds, clock_mhz=clock, force=True)
    return {
        "lanes": lanes,
        "units": SPEC.units,
        "update_units": plan(model, config).engines[0].update_units,
        "board": BOARD,
        "target_mhz": found.target_mhz,
        "fmax_mhz": found.fmax_mhz,
        "fmax_mhz_per_seed": found.fmax_mhz_per_seed,
        "seeds": len(seeds),
        "lut4": found.lut,
        "lut4_per_lane": lane_tables(generated),
        "core_lut4_per_lane": round(found.lut / lanes, 1),
        "ff": found.ff,
        "bram": found.bram,
        "dsp": found.dsp,
        "seconds": found.seconds,
        "versions": found.versions,
    }


def lane_tables(generated: Path) -> float:
    """Return the tables of a lane of the first engine, in the mean of its lanes, by a synthesis that keeps the hierarchy."""
    engine = json.loads((generated / "hardware.json").read_text())["blocks"][0]
    sources = [f"rtl/{path.name}" for path in sorted((generated / "rtl").glob("*.sv"))]
    with TemporaryDirectory(dir=generated) as folder:
        script, netlist = Path(folder) / "lane.ys", Path(folder) / "lane.json"
        synthesis = synthesis_command(load_board(BOARD), TOP_MODULE, str(netlist.relative_to(generated)), "-noflatten")
        script.write_text(f"{read_command(sources)}\n{synthesis}\n")
        subprocess.run([require_script(YOSYS), "-q", "-s", str(script.relative_to(generated))], cwd=generated, check=True)
        modules = json.loads(netlist.read_text())["modules"]
    engine_cells = modules[f"egru_{engine['name']}"]["cells"].values()
    lanes = [cell["type"] for cell in engine_cells if any(f"\\{name}" in cell["type"] or cell["type"] == name for name in LANE_MODULES)]
    tables: dict[str, float] = {}
    return round(sum(_tables(modules, name, tables) for name in lanes) / int(engine["lanes"]), 1)


def _tables(modules: dict[str, Any], name: str, known: dict[str, float]) -> float:
    """Return the tables of module ``name`` with everything in it."""
    if name not in known:
        cells = modules[name]["cells"].values()
        inside = [cell["type"] for cell in cells]
        # Cells of the part are modules without contents.
        known[name] = sum(TABLES.get(kind, 0) or (_tables(modules, kind, known) if _has_contents(modules, kind) else 0) for kind in inside)
    return known[name]


def _has_contents(modules: dict[str, Any], kind: str) -> bool:
    return kind in modules and bool(modules[kind]["cells"])


def run(
    lanes: Annotated[list[int] | None, typer.Option(help="16 or 64; both if not given.")] = None,
    seeds: Annotated[int, typer.Option(help="Placer seeds.", min=1)] = 3,
    out: Annotated[Path, typer.Option(help="Result file of benchmarks.datapath.")] = RESULT_FILE,
    work: Annotated[Path, typer.Option(help="Folder for generated RTL and builds.")] = Path("runs/datapath_build"),
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures to stdout as well.")] = False,
) -> None:
    """Place and route the benchmark's layer and write what came out into the result file."""
    with errors_to_exit_codes():
        for count in lanes or CONFIGURATIONS:
            if count not in CONFIGURATIONS:
                raise UserError(f"--lanes {count}", f"is none of {', '.join(map(str, CONFIGURATIONS))}", "choose one of them")
            require_results(out, Results, FIRST)
            found = measure(count, tuple(range(1, seeds + 1)), work)
            results = require_results(out, Results, FIRST)  # read late: the other benchmark may have written meanwhile
            rows = sorted([*(row for row in results.place_and_route if row["lanes"] != count), found], key=lambda row: int(row["lanes"]))
            write_results(results.model_copy(update={"place_and_route": rows}), out)
            words = f"{count} lanes: {found['fmax_mhz']:.1f} MHz, {found['lut4_per_lane']} LUT4 a lane"
            progress_console.print(words, soft_wrap=True, highlight=False)
            if as_json:
                print_json(found)


if __name__ == "__main__":
    typer.run(run)
