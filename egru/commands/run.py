"""`egru run`: a model on a board, or on the simulated board, live."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from egru.output import CheckFailedError, print_json, progress_console

if TYPE_CHECKING:
    from egru.running import Connection, RunResult

COUNT_SECONDS = 2.0
TOKENS = 200


def run(
    folder: Annotated[Path, typer.Argument(help="Folder that `egru generate` wrote; for a real port also one that `egru export` wrote.")],
    port: Annotated[str, typer.Option(help="Serial port of the board, e.g. /dev/ttyUSB0; `sim` builds and runs the board in simulation.")],
    board: Annotated[str | None, typer.Option(help="What is at the port, or is simulated; the board FOLDER was generated for.")] = None,
    baud: Annotated[int | None, typer.Option(help="Baud rate; the board's if not given. With `sim` the board is built for it.")] = None,
    load: Annotated[Path | None, typer.Option(help="Another model, written into the device first; FOLDER has loadable weights.")] = None,
    data: Annotated[
        str | None, typer.Option(help="Text or data set whose held-out part is streamed; the embedded one if the model knows it.")
    ] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="Tokens to stream; 200 if not given.")] = None,
    sequences: Annotated[int | None, typer.Option(min=1, help="Of a model of features: test sequences to show; 2 if not given.")] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Of a model of features: frames in all; if not given whole sequences, or 200 random ones.")
    ] = None,
    logits: Annotated[bool, typer.Option("--logits", help="Of a model of features: read and compare all logits of every frame.")] = False,
    batch: Annotated[int, typer.Option(min=1, help="Tokens, or words of features, per request; at most the device's limit.")] = 32,
    generate: Annotated[int | None, typer.Option(min=1, help="Write so many symbols instead: each answer is the next token.")] = None,
    prompt: Annotated[str, typer.Option(help="With --generate: the text to go on from.")] = "The ",
    temperature: Annotated[float, typer.Option(help="With --generate: 0 takes the likeliest symbol; above, symbols are drawn.")] = 0.0,
    check: Annotated[bool, typer.Option("--check", help="Compare every answer, and the counters, with the integer reference.")] = False,
    noise: Annotated[float, typer.Option(help="A test of the link, with `sim` only: share of bytes dropped, doubled or flipped.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of random tokens, noise, drawn symbols and the simulation's initial state.")] = 1,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of the live view.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Stream text or features to a device, show its answers and its pace. Exit code 1 when --check finds another than the reference's."""
    from egru import running
    from egru.commands.run_features import FeatureOptions, run_features
    from egru.run_view import watching
    from sim.simulated_board import board_of

    model = running.load_runnable(folder if load is None else load)
    if model.channels:
        require_absent("is for models of tokens, and this one reads features", {"--tokens": tokens, "--generate": generate})
        target = running.Target(port, board or board_of(folder), baud, noise, seed)
        run_features(
            folder, model, target, FeatureOptions(data, sequences, frames, logits, batch, check, load is not None, plain=plain, json=json)
        )
        return
    given = {"--sequences": sequences, "--frames": frames, "--logits": logits or None}
    require_absent("is for models of features, and this one reads tokens", given)
    stimulus = running.held_out(model, tokens or TOKENS, data, seed) if generate is None else running.prompt_tokens(model, prompt)
    if stimulus.remark:
        progress_console.print(stimulus.remark, soft_wrap=True)
    with running.connected(
        folder, model, running.Target(port, board or board_of(folder), baud, noise, seed), load=load is not None
    ) as connection:
        device = connection.accelerator
        with watching(stimulus, connection.description, plain=plain) as watch:
            session = running.Run(connection, stimulus, watch or (lambda _: None), COUNT_SECONDS if watch else 0.0)
            if generate is None:
                result = session.stream(batch)
            else:
                result = session.generate(generate, running.sampler(device, model, temperature, seed))
        if check:
            result = running.compare(result, model, device.logits() if device.has_logits else None, connection.counter_bits)
    result = replace(result, counters_hold=connection.counters_hold(result.seconds))
    if json:
        print_json(_report(result, connection))
    else:
        if generate is not None:
            Console(markup=False).print(
                stimulus.separator.join(stimulus.vocabulary[token] for token in result.tokens), highlight=False, markup=False
            )
        Console(markup=False).print(_table(result, connection, checked=check))
    if result.mismatch:
        raise CheckFailedError(result.mismatch)


def require_absent(rule: str, options: dict[str, Any]) -> None:
    """Refuse options that do not go with a model.

    Raises:
        UserError: When one of them is not None.
    """
    from sw_model.errors import UserError

    for name, value in options.items():
        if value is not None:
            raise UserError(name, rule, "leave it out")


def _report(result: "RunResult", connection: "Connection") -> dict[str, Any]:
    noise = None if connection.noise is None else {way: vars(damage) for way, damage in connection.noise.items()}
    return {**result.to_json(), "noise": noise, "simulation": connection.simulation or None}


def _table(result: "RunResult", connection: "Connection", *, checked: bool) -> Table:
    from egru.running import WRAPPED

    table = Table("what", "measured", title=result.device)
    steps, counters, link = len(result.answers), result.counters, result.link
    table.add_row("shown", result.stimulus)
    table.add_row("answers", f"{steps:,} in {result.seconds:.2f} s: {steps / result.seconds:,.1f} per second")
    if result.predicted is not None and steps > 1:
        table.add_row("next symbol foreseen", f"{100 * result.predicted / (steps - 1):.1f} %")
    if result.counters_hold:
        per_second = f"{counters.events / result.seconds:,.0f} per second"
        table.add_row("events", f"{counters.events:,}: {counters.events / steps:,.1f} per step, {per_second}")
        table.add_row("clock cycles per step", f"{counters.cycles / steps:,.1f}")
    else:
        table.add_row("clock cycles and events", WRAPPED)
    table.add_row("link", f"{link.requests:,} requests, {link.retries:,} retries, {link.rejected:,} bad frames")
    for way, damage in (connection.noise or {}).items():
        table.add_row(f"bytes spoilt {way}", f"{damage.dropped} dropped, {damage.doubled} doubled, {damage.flipped} flipped")
    if connection.simulation:
        table.add_row("simulated clock cycles per second", f"{connection.simulation['cycles_per_second']:,.0f}")
    if checked:
        table.add_row(
            "compared with the reference", f"{result.compared:,}, " + (f"then: {result.mismatch}" if result.mismatch else "all equal")
        )
    return table
