"""The options that choose the hardware, for every command that needs them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sw_model.errors import UserError

if TYPE_CHECKING:
    from hls_gen.hardware_config import HardwareConfig

ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file; its table [hardware] is read.")]
Lanes = Annotated[str | None, typer.Option(help="Of every block, or per engine and decoder as in 8,16,4; 16 if not given.")]
QueueDepth = Annotated[int | None, typer.Option(help="Places in the queue of each lane; 16 if not given.")]
LanesPerUpdateUnit = Annotated[int | None, typer.Option(help="Most lanes that share an update unit; 4 if not given.")]
StreamDepth = Annotated[int | None, typer.Option(help="Events that wait between two layers; 8 if not given.")]
Engines = Annotated[str | None, typer.Option(help="per-layer (if not given): lanes for each layer; shared: all layers on the same lanes.")]
Packing = Annotated[str | None, typer.Option(help="How rows are dealt to lanes: load (if not given) or interleaved.")]
EntryFormat = Annotated[str | None, typer.Option(help="single (if not given): an index per weight; gate-group: one for three gates.")]


def chosen_hardware(config: Path | None, *, lanes: str | None, **choices: Any) -> "HardwareConfig":
    """Return the hardware of the file's table, or the default, with what was given on the command line in its place.

    Args:
        config: The TOML file.
        lanes: As given with ``--lanes``.
        choices: Other fields of `HardwareConfig`; None where nothing was given.

    Raises:
        UserError: When the file or a value will not do.
    """
    from egru.flow_config import load_flow_config
    from hls_gen.hardware_config import HardwareConfig

    choices["lanes"] = None if lanes is None else parse_lanes(lanes)
    settings = load_flow_config(config, {f"hardware.{name}": value for name, value in choices.items()})
    return settings.hardware or HardwareConfig()


def parse_lanes(text: str) -> int | list[int]:
    """Read ``--lanes``: one number, or one for each engine and then the decoder.

    Raises:
        UserError: When it is neither.
    """
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--lanes {text}", "is neither a number nor numbers with commas", "give e.g. 16 or 8,16,4") from None
    return numbers[0] if len(numbers) == 1 else numbers
