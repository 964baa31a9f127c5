"""`egru simulate`: what was generated against the integer reference."""

from pathlib import Path
from typing import Annotated, Any, Literal

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
    steps: Annotated[int | None, typer.Option(help="Time steps in all; if not given 500, or whole test sequences.")] = None,
    sequences: Annotated[
        int | None,
        typer.Option(
            help="Sequences that the steps are dealt over, or test sequences; 2 if not given, and of HLS C++ every test sequence."
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Text or data set whose held-out part is streamed; the embedded one if the model knows it.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of stalls, initial register values and random inputs; 1 if not given.")] = None,
    idle: Annotated[PaceName | None, typer.Option(help="How often the input stream idles; full speed if not given.")] = None,
    back_pressure: Annotated[PaceName | None, typer.Option(help="How often the logit stream refuses; never if not given.")] = None,
    waves: Annotated[bool, typer.Option("--waves", help="Record waves in the output folder.")] = False,
    counts: Annotated[bool, typer.Option("--counts", help="Count MACs, memory accesses and the bits they move; RTL only.")] = False,
    toggles: Annotated[bool, typer.Option("--toggles", help="Count the register bits that change, too; builds anew for it.")] = False,
    energy_model: Annotated[
        str | None, typer.Option(help="Energy of what is counted by constants: horowitz-45nm, or a TOML file like it.")
    ] = None,
    backend: Annotated[Backend | None, typer.Option(help="What the folder holds; seen from the folder if not given.")] = None,
    out: Annotated[Path, typer.Option(help="Output folder: log, result, waves, and the case of a mismatch.")] = Path("runs/simulation"),
    force: Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Simulate generated hardware and compare every event and logit with the reference. Exit code 1 at a mismatch.

    RTL is simulated in Verilator; HLS C++ is compiled and called, and its clock cycles are estimated.
    """
    from egru.energy import load_energy_model
    from egru.flow_config import load_flow_config
    from egru.simulation import Counting, run_simulation

    constants = None if energy_model is None else load_energy_model(energy_model)
    counting = Counting(toggles, constants) if counts or toggles or constants else None
    overrides = {"steps": steps, "sequences": sequences, "seed": seed, "idle": idle, "back_pressure": back_pressure}
    settings = load_flow_config(config, {f"simulation.{name}": value for name, value in overrides.items()}).simulation
    done = run_simulation(generated, settings, out, data=data, waves=waves, counting=counting, backend=backend, force=force)
    if json:
        print_json(done.to_json())
        return
    result = done.result
    measured = result.timing == "measured"
    what, caption = ("RTL", None) if measured else ("HLS C simulation", "estimate: cycles per step and occupancy, as of the RTL")
    columns = ("stimulus", "steps", "events", "values", "mismatches", "cycles per step", "lanes", "occupancy")
    table = Table(*columns, title=f"{what} = reference", caption=caption)
    figures = (done.stimulus, result.steps, result.events, result.values, result.mismatches, f"{result.cycles_per_step:.1f}", result.lanes)
    table.add_row(*map(str, figures), f"{result.occupancy:.3f}")
    Console(markup=False).print(table)
    if done.features:
        Console(markup=False).print(_features_table(done.features))
    if done.counts:
        Console(markup=False).print(_counts_table(done.counts))
    Console(markup=False).print(f"log: {result.log}", soft_wrap=True)


def _features_table(found: dict[str, Any]) -> Table:
    table = Table("input events", "a channel and step", "saturated inputs")
    cells = [f"{found['input_events']:,}", f"{found['input_event_density']:.3f}", f"{found['saturated_inputs']:,}"]
    if "decisions" in found:
        table.add_column("right decisions")
        table.add_column("accuracy")
        cells += [f"{found['right']:,} of {found['decisions']:,}", "-" if found["accuracy"] is None else f"{found['accuracy']:.4f}"]
    for name, error in found.get("squared_error", {}).items():
        table.add_column(f"squared error of {name}")
        cells.append(f"{error:.4f}")
    table.add_row(*cells)
    return table


def _counts_table(counts: dict[str, Any]) -> Table:
    model = counts["energy_model"]
    table = Table("a step", "times", "bits", "known", title=f"means of {counts['steps']} steps")
    if model:
        table.add_column("pJ, modelled")
        left_out = f"; without energy: {', '.join(model['without_energy'])}" if model["without_energy"] else ""
        table.caption = f"modelled: {model['pj_per_step']:,.1f} pJ a step by {model['title']}, {model['statement']}{left_out}"
    for row in counts["operations"]:
        bits, energy = row["bits_per_step"], row["pj_per_step"]
        cells = [row["operation"], f"{row['per_step']:,.1f}", "" if bits is None else f"{bits:,.1f}", row["known"]]
        table.add_row(*cells, *(["" if energy is None else f"{energy:,.1f}"] if model else []))
    return table
