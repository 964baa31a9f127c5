"""`egru listen`: sound through a model of features on a board, decisions while it goes on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from egru.output import CheckFailedError, print_json, progress_console

if TYPE_CHECKING:
    from egru.listening import Heard

REFERENCE = "reference"
SHOWN_FRAMES = 12


def listen(
    folder: Annotated[Path, typer.Argument(help="Folder that `egru generate` wrote; for other ports also one that `egru export` wrote.")],
    port: Annotated[str, typer.Option(help="Serial port of the board; `sim` simulates it; `reference` computes without hardware.")],
    wav: Annotated[Path | None, typer.Option(help="Wav file to listen to.")] = None,
    microphone: Annotated[bool, typer.Option("--microphone", help="Listen to the microphone; needs egru-fpga[audio].")] = False,
    seconds: Annotated[float, typer.Option(min=0.01, help="With --microphone: for how long.")] = 10.0,
    window: Annotated[
        int | None, typer.Option(min=1, help="Frames of an utterance, after which a new one begins; all of the sound is one if not given.")
    ] = None,
    default_front_end: Annotated[
        bool,
        typer.Option("--default-front-end", help="Features were made as docs/audio_front_end.md says; the model does not."),
    ] = False,
    mix_down: Annotated[bool, typer.Option("--mix-down", help="Take the mean of the wav file's channels.")] = False,
    board: Annotated[str | None, typer.Option(help="What is at the port, or is simulated; the board FOLDER was generated for.")] = None,
    baud: Annotated[int | None, typer.Option(help="Baud rate; the board's if not given. With `sim` the board is built for it.")] = None,
    seed: Annotated[int, typer.Option(help="Of the simulation's initial state.")] = 1,
    plain: Annotated[bool, typer.Option("--plain", help="A line for every frame instead of the live view.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Listen to a wav file or the microphone, and show decisions as they come. Exit code 1 when a device differs from the reference."""
    from egru import listening
    from egru.feature_running import ReferenceDevice, pace
    from egru.running import Target, connected, load_runnable
    from sim.simulated_board import board_of
    from sw_model.errors import UserError
    from sw_model.front_end import FrontEnd

    if (wav is None) != microphone:
        raise UserError("egru listen", "needs either --wav or --microphone", "give one of them")
    model = load_runnable(folder)
    config = listening.find_front_end(model, default=default_front_end)
    if wav is not None:
        sound = listening.wav_sound(wav, config, window, mix_down=mix_down)
    else:
        sound = listening.microphone_sound(config, window, seconds)
    with ExitStack() as stack:
        connection, counters, link = None, None, None
        if port == REFERENCE:
            listener = listening.Listener(model, config, ReferenceDevice(model), window)
            description = "integer reference, no hardware"
        else:
            target = Target(port, board or board_of(folder), baud, seed=seed)
            connection = stack.enter_context(connected(folder, model, target))
            listener = listening.Listener(model, config, connection.accelerator, window)
            description = connection.description
        with _watching(description, plain=plain) as watch:
            listener.listen(sound, watch)
        if connection is not None:
            counters, link = connection.accelerator.counters(), vars(connection.accelerator.statistics)
    said = listener.transcript
    checked = None if connection is None else said.compare(counters, connection.counter_bits)
    certain = counters if connection is None or connection.counters_hold(listener.seconds) else None
    frames = len(said.frames)
    found = {
        "device": description,
        "sound": sound.description,
        "front_end": FrontEnd.of(config).model_dump(),
        "window": window,
        "frames": frames,
        "seconds": listener.seconds,
        **pace(frames, listener.seconds, config.frame_rate, certain, None if connection is None else connection.clock_mhz),
        "latency_seconds": {"mean": listener.seconds / frames, "largest": listener.slowest},
        "utterances": listener.utterances,
        "decision": listener.utterances[-1]["decision"],
        "input_events": said.input_events,
        "input_events_per_frame": said.input_events / frames,
        "events_per_frame": None if certain is None else certain.events / frames,
        "saturated_inputs": listener.saturated,
        "link": link,
        "compared": None if checked is None else checked.compared,
        "mismatches": None if checked is None else checked.mismatches,
        "mismatch": "" if checked is None else checked.first,
        "simulation": None if connection is None else connection.simulation or None,
    }
    if json:
        print_json(found)
    else:
        Console(markup=False).print(_table(found))
    if checked is not None and checked.mismatches:
        raise CheckFailedError(checked.first)


@contextmanager
def _watching(title: str, *, plain: bool) -> Iterator[Callable[["Heard"], None]]:
    """Show frames on stderr: the latest in a table that moves on a terminal, every one as a line where that is asked for."""
    latest: list[Heard] = []

    def line(heard: "Heard") -> None:
        said = ", ".join(f"{name} {value}" for name, value in zip(COLUMNS, _cells(heard), strict=True))
        progress_console.print(said, soft_wrap=True, highlight=False, markup=False)

    if plain or not progress_console.is_terminal:
        yield line if plain else lambda _: None
        return
    with Live(console=progress_console, refresh_per_second=12, transient=True) as live:

        def show(heard: "Heard") -> None:
            latest.append(heard)
            del latest[:-SHOWN_FRAMES]
            table = Table(*COLUMNS, title=title)
            for one in latest:
                table.add_row(*_cells(one), style="bold" if one.ends else None)
            live.update(table)

        yield show


COLUMNS = ("time", "decision", "margin", "input events", "latency")


def _cells(heard: "Heard") -> tuple[str, ...]:
    decision = heard.decision + (f" (end of {heard.place} frames)" if heard.ends else "")
    return (f"{heard.seconds:.2f} s", decision, f"{heard.margin:.3f}", str(heard.input_events), f"{1000 * heard.latency:.1f} ms")


def _table(found: dict[str, Any]) -> Table:
    from egru.commands.run_features import add_pace, compared

    table = Table("what", "found", title=found["device"])
    table.add_row("sound", found["sound"])
    table.add_row("frames", f"{found['frames']:,}, answered in {found['seconds']:.2f} s")
    for number, one in enumerate(found["utterances"], 1):
        what = "decision" if len(found["utterances"]) == 1 else f"decision {number}, to {one['seconds']:.2f} s"
        table.add_row(what, f"{one['decision']}, margin {one['margin']:.3f}")
    latency = found["latency_seconds"]
    table.add_row("latency of a frame", f"{1000 * latency['mean']:.1f} ms, at most {1000 * latency['largest']:.1f} ms")
    add_pace(table, found)
    table.add_row("input events per frame", f"{found['input_events_per_frame']:,.1f}")
    if found["events_per_frame"] is not None:
        table.add_row("events per frame", f"{found['events_per_frame']:,.1f}")
    table.add_row("saturated inputs", f"{found['saturated_inputs']:,}")
    if found["compared"] is not None:
        table.add_row("compared with the reference", compared(found["compared"], found["mismatches"], found["mismatch"]))
    return table
