"""`egru estimate`: what a model costs on a board, in a second."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from egru.commands import hardware_options as options
from egru.output import print_json, progress_console

#: Time steps of tokens, or of random inputs, where nobody says how many.
STEPS = 50


def estimate(
    model: Annotated[Path, typer.Argument(help="Folder that `egru export` wrote.")],
    config: options.ConfigFile = None,
    lanes: options.Lanes = None,
    queue_depth: options.QueueDepth = None,
    event_queue_depth: options.EventQueueDepth = None,
    lanes_per_update_unit: options.LanesPerUpdateUnit = None,
    stream_depth: options.StreamDepth = None,
    engines: options.Engines = None,
    packing: options.Packing = None,
    entry_format: options.EntryFormat = None,
    weights: options.Weights = None,
    weight_capacity: options.WeightCapacity = None,
    fit: options.Fit = False,
    steps: Annotated[int | None, typer.Option(help="Time steps in all; if not given 50, or whole test sequences.", min=1)] = None,
    sequences: Annotated[int, typer.Option(help="Sequences that the steps are dealt over, or test sequences.", min=1)] = 1,
    data: Annotated[
        str | None, typer.Option(help="Text or data set whose held-out part is shown; the embedded one if the model knows it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random inputs.", min=0)] = 1,
    board: Annotated[str | None, typer.Option(help="A folder under boards/ that must hold the core.")] = None,
    clock_mhz: Annotated[float | None, typer.Option(help="Clock of the core; the board's default if not given.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Predict cycles, time and resources of an exported model, and what limits its speed."""
    from egru.estimation import estimate as run
    from egru.fitting import fit_report
    from egru.stimulus import choose_inputs
    from hls_gen.board import load_board
    from sw_model.errors import UserError
    from sw_model.quantized_model import QuantizedModel

    if clock_mhz is not None and clock_mhz <= 0:
        raise UserError(f"--clock-mhz {clock_mhz:g}", "is not positive", "give e.g. 50")
    hardware = options.chosen_hardware(
        config,
        lanes=lanes,
        queue_depth=queue_depth,
        event_queue_depth=event_queue_depth,
        lanes_per_update_unit=lanes_per_update_unit,
        stream_depth=stream_depth,
        engines=engines,
        packing=packing,
        entry_format=entry_format,
        weights=weights,
        weight_capacity=weight_capacity,
    )
    loaded_board = None if board is None else load_board(board)
    loaded = QuantizedModel.load(model)
    fitted = options.fit_to_board(loaded, hardware, loaded_board, data, seed) if fit else None
    hardware = fitted.config if fitted else hardware
    shown = choose_inputs(loaded, sequences=sequences, seed=seed, steps=steps, source=data, usual_steps=STEPS)
    report = run(loaded, hardware, shown.sequences, board=loaded_board, clock_mhz=clock_mhz) | {"stimulus": shown.title}
    report |= {"fit": fit_report(fitted)} if fitted else {}
    if shown.remark:
        progress_console.print(shown.remark, soft_wrap=True)
    if json:
        print_json(report)
        return
    console = Console(markup=False)
    console.print(_figures(model, report))
    console.print(_limits(report))
    if fitted:
        options.print_fit(console, report["fit"])


def _figures(model: Path, report: dict[str, Any]) -> Table:
    table = Table("what", "estimate", title=f"{model}: {report['steps']} steps of {report['stimulus']}")
    table.add_row("cycles per step", f"{report['cycles_per_step']:,.1f}")
    if report["clock_mhz"] is not None:
        table.add_row(f"time per step at {report['clock_mhz']:g} MHz", f"{report['us_per_step']:,.2f} µs")
    table.add_row("share of the lanes' cycles with a useful MAC", f"{report['occupancy']:.3f}")
    amounts = {"lut": "tables, estimated", "ff": "flip-flops, estimated", "bram": "block RAMs", "dsp": "multipliers"}
    amounts |= {"spram": "large single-port RAMs"} if report["spram"] else {}
    for name, words in amounts.items():
        table.add_row(words, f"{report[name]:,}" + (f" of {report['board'][name]:,}" if report["board"] else ""))
    return table


def _limits(report: dict[str, Any]) -> Table:
    limit = report["limit"]
    table = Table("block", "waits for", "share of the cycles", title=f"limited by {limit['block']}: {limit['term']} ({limit['share']:.0%})")
    for share in report["critical_path"]:
        table.add_row(share["block"], share["term"], f"{share['share']:.1%}")
    return table
