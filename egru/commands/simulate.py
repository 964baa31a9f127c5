"""`egru simulate`: what was generated against the integer reference."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from egru.output import print_json
from hls_gen.backend import Backend

#: `sim.drivers.Pace`, which is not imported here because it pulls in cocotb.
PaceName = Literal["full", "light", "heavy", "bursts", "rare"]


def simulate(
    generated: Annotated[Path, typer.Argument(help="Folder that `egru generate` wrote.")],
    config: Annotated[Path | None, typer.Option(help="TOML file; its table [simulation] is read.")] = None,
    steps: Annotated[int | None, typer.Option(help="Time steps in all; 500 if not given.")] = None,
    sequences: Annotated[int | None, typer.Option(help="Sequences that the steps are dealt over; 2 if not given.")] = None,
    data: Annotated[str | None, typer.Option(help="Text whose held-out part is streamed; the embedded one if the model knows it.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of stalls, initial register values and random tokens; 1 if not given.")] = None,
    idle: Annotated[PaceName | None, typer.Option(help="How often the token stream idles; full speed if not given.")] = None,
    back_pressure: Annotated[PaceName | None, typer.Option(help="How often the logit stream refuses; never if not given.")] = None,
    waves: Annotated[bool, typer.Option("--waves", help="Record waves in the output folder.")] = False,
    backend: Annotated[Backend | None, typer.Option(help="What the folder holds; seen from the folder if not given.")] = None,
    out: Annotated[Path, typer.Option(help="Output folder: log, result, waves, and the case of a mismatch.")] = Path("runs/simulation"),
    force: Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Simulate generated hardware and compare every event and logit with the reference. Exit code 1 at a mismatch.

    RTL is simulated in Verilator; HLS C++ is compiled and called, and its clock cycles are estimated.
    """
    from egru.flow_config import load_flow_config
    from egru.simulation import run_simulation

    overrides = {"steps": steps, "sequences": sequences, "seed": seed, "idle": idle, "back_pressure": back_pressure}
    settings = load_flow_config(config, {f"simulation.{name}": value for name, value in overrides.items()}).simulation
    result, stimulus = run_simulation(generated, settings, out, data=data, waves=waves, backend=backend, force=force)
    if json:
        print_json({**result.to_json(), "stimulus": stimulus})
        return
    measured = result.timing == "measured"
    what, caption = ("RTL", None) if measured else ("HLS C simulation", "estimate: cycles per step and occupancy, as of the RTL")
    columns = ("stimulus", "steps", "events", "values", "mismatches", "cycles per step", "lanes", "occupancy")
    table = Table(*columns, title=f"{what} = reference", caption=caption)
    counts = (stimulus, result.steps, result.events, result.values, result.mismatches, f"{result.cycles_per_step:.1f}", result.lanes)
    table.add_row(*map(str, counts), f"{result.occupancy:.3f}")
    Console(markup=False).print(table)
    Console(markup=False).print(f"log: {result.log}", soft_wrap=True)
