"""The options that choose the hardware, for every command that needs them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sw_model.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from hls_gen.board import Board
    from hls_gen.fit import Fit as Fitted
    from hls_gen.hardware_config import HardwareConfig
    from sw_model.quantized_model import QuantizedModel

ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file; its table [hardware] is read.")]
Lanes = Annotated[str | None, typer.Option(help="Of every block, or per engine and decoder as in 8,16,4; 16 if not given.")]
QueueDepth = Annotated[int | None, typer.Option(help="Places in the queue of each lane; 16 if not given.")]
EventQueueDepth = Annotated[int | None, typer.Option(help="Places for events in each update unit; 32 if not given.")]
LanesPerUpdateUnit = Annotated[int | None, typer.Option(help="Most lanes that share an update unit; 4 if not given.")]
StreamDepth = Annotated[int | None, typer.Option(help="Events that wait between two layers; 8 if not given.")]
Engines = Annotated[str | None, typer.Option(help="per-layer (if not given): lanes for each layer; shared: all layers on the same lanes.")]
Packing = Annotated[str | None, typer.Option(help="How rows are dealt to lanes: load (if not given) or interleaved.")]
EntryFormat = Annotated[str | None, typer.Option(help="single (if not given): an index per weight; gate-group: one for three gates.")]
Weights = Annotated[
    str | None,
    typer.Option(
        help="fixed (if not given), swappable in the bitstream (egru swap), loadable over the registers, or single-port: in SPRAM."
    ),
]
WeightCapacity = Annotated[
    str | None, typer.Option(help="Entries per lane, one number or one per block; what the model needs, rounded up, if not given.")
]

Fit = Annotated[
    bool, typer.Option("--fit", help="Pick the fastest hardware that the board can hold; what is given with other options is kept.")
]


def chosen_hardware(config: Path | None, *, lanes: str | None, weight_capacity: str | None, **choices: Any) -> "HardwareConfig":
    """Return the hardware of the file's table, or the default, with what was given on the command line in its place.

    Args:
        config: The TOML file.
        lanes: As given with ``--lanes``.
        weight_capacity: As given with ``--weight-capacity``.
        choices: Other fields of `HardwareConfig`; None where nothing was given.

    Raises:
        UserError: When the file or a value will not do.
    """
    from egru.flow_config import load_flow_config
    from hls_gen.hardware_config import HardwareConfig

    choices["lanes"] = None if lanes is None else parse_numbers("--lanes", lanes)
    choices["weight_capacity"] = None if weight_capacity is None else parse_numbers("--weight-capacity", weight_capacity)
    settings = load_flow_config(config, {f"hardware.{name}": value for name, value in choices.items()})
    return settings.hardware or HardwareConfig()


def parse_numbers(option: str, text: str) -> int | list[int]:
    """Read ``option``: one number, or one for each engine and then the decoder.

    Raises:
        UserError: When it is neither.
    """
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"{option} {text}", "is neither a number nor numbers with commas", "give e.g. 16 or 8,16,4") from None
    return numbers[0] if len(numbers) == 1 else numbers


def fit_to_board(model: "QuantizedModel", hardware: "HardwareConfig", board: "Board | None", data: str | None, seed: int) -> "Fitted":
    """Pick the hardware for ``--fit``.

    Raises:
        UserError: When no board was named, or it cannot hold the model.
    """
    from egru.fitting import choose
    from egru.output import working

    if board is None:
        raise UserError("--fit", "needs a board to fit to", "name one with --board")
    with working(f"fitting to {board.name}"):
        return choose(model, board, hardware, data=data, seed=seed)


def print_fit(console: "Console", report: dict[str, Any]) -> None:
    """Show what was picked, as a table of a configuration file that can be kept, and why."""
    console.print(
        f"# {report['board']}: {report['cycles_per_step']:,.1f} cycles per step\n# {report['reason']}", soft_wrap=True, markup=False
    )
    console.print(report["toml"], soft_wrap=True, markup=False, highlight=False)
