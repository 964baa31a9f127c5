"""`egru run` of a model of features: whole test sequences, what is decided of them, and how fast."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from egru.feature_running import frame_rate, pace, report, run_sequences
from egru.output import CheckFailedError, print_json, progress_bar, progress_console
from egru.running import WRAPPED, Target, connected
from egru.stimulus import choose_inputs
from sw_model.quantized_model import QuantizedModel

SEQUENCES, FRAMES = 2, 200


@dataclass(frozen=True)
class FeatureOptions:
    """Options of `egru run`, see there."""

    data: str | None
    sequences: int | None
    frames: int | None
    logits: bool
    batch: int
    check: bool
    load: bool
    plain: bool
    json: bool


def run_features(folder: Path, model: QuantizedModel, target: Target, options: FeatureOptions) -> None:
    """Show test sequences, or random input events, to a device.

    Raises:
        UserError: When the data will not do, or the device does not give the logits that the read-out needs.
        LinkError: When the link cannot be kept.
        CheckFailedError: When ``check`` is asked for and something is not the reference's.
    """
    inputs = choose_inputs(
        model, sequences=options.sequences or SEQUENCES, seed=target.seed, steps=options.frames, source=options.data, usual_steps=FRAMES
    )
    if inputs.remark:
        progress_console.print(inputs.remark, soft_wrap=True)
    assert model.readout is not None
    every = options.logits or model.readout.needs_logits
    with connected(folder, model, target, load=options.load) as connection:
        device = connection.accelerator
        with progress_bar() as bar:
            task = bar.add_task(connection.description, total=inputs.steps)

            def advance(frames: int, decided: str) -> None:
                bar.update(task, advance=frames)
                if options.plain:
                    progress_console.print(f"{frames} frames: {decided}", soft_wrap=True, highlight=False, markup=False)

            transcript, seconds = run_sequences(device, model, inputs, batch=options.batch, all_logits=every, advance=advance)
        counters = device.counters()
        last_logits = None if every or not device.has_logits else device.logits()
    checked = transcript.compare(counters, connection.counter_bits, last_logits) if options.check else None
    certain = counters if connection.counters_hold(seconds) else None
    found = {
        "device": connection.description,
        "stimulus": inputs.title,
        "frames": inputs.steps,
        "seconds": seconds,
        **pace(inputs.steps, seconds, frame_rate(model), certain, connection.clock_mhz),
        **report(model, inputs, transcript),
        "events": None if certain is None else certain.events,
        "counters": counters.to_json(),
        "link": asdict(device.statistics),
        "compared": 0 if checked is None else checked.compared,
        "mismatches": 0 if checked is None else checked.mismatches,
        "mismatch": "" if checked is None else checked.first,
        "answers": [list(answer) for answer in transcript.answers],
        "noise": None if connection.noise is None else {way: vars(damage) for way, damage in connection.noise.items()},
        "simulation": connection.simulation or None,
    }
    if options.json:
        print_json(found)
    else:
        Console(markup=False).print(_table(found, checked=options.check))
    if checked is not None and checked.mismatches:
        raise CheckFailedError(checked.first)


def _table(found: dict[str, Any], *, checked: bool) -> Table:
    table = Table("what", "measured", title=found["device"])
    frames, link = found["frames"], found["link"]
    table.add_row("shown", found["stimulus"])
    for number, one in enumerate(found["sequences"], 1):
        truth = f", is {one['class']}" if "class" in one else ""
        table.add_row(f"sequence {number}, {one['frames']} frames", one["decision"] + truth)
    if found.get("accuracy") is not None:
        table.add_row("right decisions", f"{found['right']:,} of {found['decisions']:,}: accuracy {found['accuracy']:.4f}")
    for name, error in found.get("squared_error", {}).items():
        table.add_row(f"squared error of {name}, in its variance", f"{error:.4f}")
    table.add_row("frames answered", f"{frames:,} in {found['seconds']:.2f} s: {found['frames_per_second']:,.1f} per second")
    add_pace(table, found)
    table.add_row("input events", f"{found['input_events']:,}: {found['input_events'] / frames:,.1f} per frame")
    if found["events"] is not None:
        table.add_row("events", f"{found['events']:,}: {found['events'] / frames:,.1f} per frame")
    else:
        table.add_row("clock cycles and events", WRAPPED)
    table.add_row("saturated inputs", f"{found['saturated_inputs']:,}")
    table.add_row("link", f"{link['requests']:,} requests, {link['retries']:,} retries, {link['rejected']:,} bad frames")
    if checked:
        table.add_row("compared with the reference", compared(found["compared"], found["mismatches"], found["mismatch"]))
    return table


def add_pace(table: Table, found: dict[str, Any]) -> None:
    """Add rows of what `egru.feature_running.pace` found and knows."""
    if found["cycles_per_frame"] is not None:
        table.add_row("clock cycles per frame", f"{found['cycles_per_frame']:,.1f}")
    if found["core_real_time_factor"] is not None:
        table.add_row("real-time factor of the core, from its clock", f"{found['core_real_time_factor']:.6f}")
    if found["real_time_factor"] is not None:
        table.add_row("real-time factor here", f"{found['real_time_factor']:.3f}")


def compared(values: int, mismatches: int, first: str) -> str:
    """Say in words what a comparison with the reference came to."""
    return f"{values:,}, " + (f"{mismatches:,} differ, the first: {first}" if mismatches else "all equal")
