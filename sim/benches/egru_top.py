"""The generated core against the integer reference: every event of every layer, every logit, every counter.

The launcher (`sim.equivalence`) gives the generated folder and the token sequences; each sequence ends with TLAST.
"""

import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from sim.drivers import EventMonitor, Link, LogitCollector, TokenDriver, pace_from, start, wait_until
from sim.runner import bench_seed, failure_folder, write_report
from sim.scoreboard import Scoreboard
from sw_model.quantized_model import QuantizedModel
from sw_model.reference import EventDrivenStream, Step, WorkCounts

GENERATED_VARIABLE = "EGRU_GENERATED"
STIMULUS_FILE = "stimulus.json"
COUNTERS = ("steps", "input_events", "own_events", "macs", "fetch_slots", "idle_slots", "bus_stalls", "output_stalls", "update_cycles")
# Registers, see egru_axil_registers.sv.
CYCLES, STEPS, ERRORS, BLOCKS, BLOCK_SIZE = 0x040, 0x048, 0x038, 0x100, 0x80


@cocotb.test()
async def equals_the_reference(dut: Any) -> None:
    """Stream all tokens through the core and compare with ==."""
    generated = Path(os.environ[GENERATED_VARIABLE])
    model = QuantizedModel.load(generated / "model")
    hardware = json.loads((generated / "hardware.json").read_text())
    sequences = json.loads(Path(STIMULUS_FILE).read_text())
    expected, work = _expected(model, sequences)
    rng = random.Random(bench_seed())
    scoreboard = Scoreboard(
        failure_folder(),
        bench_seed(),
        context={"sequences": sequences, "hardware": hardware["config"]},
        save_more=lambda folder: model.save(folder / "model"),
    )

    monitors = []
    for index, block in enumerate(hardware["blocks"][:-1]):
        monitors.append(_watch_layer(dut, index, block["physical_index"], scoreboard, expected))
    collector = LogitCollector(
        dut,
        "m_axis",
        model.classes,
        pace_from(os.environ, "EGRU_OUTPUT_PACE"),
        rng,
        lambda step, logits: scoreboard.check_logits(step, logits, expected[step].logits),
    )
    driver = TokenDriver(dut, "s_axis", pace_from(os.environ, "EGRU_INPUT_PACE"), rng)
    registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk_i, dut.rst_ni, reset_active_level=False)
    registers.write_if.log.setLevel("WARNING")
    registers.read_if.log.setLevel("WARNING")

    await start(dut)
    for sequence in sequences:
        await driver.send(sequence)
    steps = sum(len(sequence) for sequence in sequences)
    await wait_until(dut, lambda: collector.steps == steps, f"{steps} steps", cycles=20_000_000)

    ends = np.cumsum([len(sequence) for sequence in sequences]) - 1
    scoreboard.check(steps - 1, "top", "end of sequence", collector.sequence_ends, ends)
    counters = await _read_counters(registers, len(hardware["blocks"]))
    _check_counters(scoreboard, counters, work, hardware)
    write_report(
        {
            "equivalence": scoreboard.report(),
            "cycles": counters["cycles"],
            "blocks": counters["blocks"],
            "logit_stalls": collector.stream.stalls,
            "layer_stalls": [monitor.stream.stalls for monitor in monitors],
        }
    )


def _expected(model: QuantizedModel, sequences: Sequence[Sequence[int]]) -> tuple[list[Step], WorkCounts]:
    stream, steps = EventDrivenStream(model), []
    for sequence in sequences:
        steps += [stream.step(token) for token in sequence]
        stream.reset()
    return steps, stream.counts


def _watch_layer(dut: Any, layer: int, physical_index: list[int], scoreboard: Scoreboard, expected: list[Step]) -> EventMonitor:
    handle = getattr(dut, f"u_layer{layer}")
    neuron_of = {place: neuron for neuron, place in enumerate(physical_index)}

    def check(step: int, events: list[tuple[int, int]]) -> None:
        # A padding row has no neuron: it gets a number outside the layer, which the scoreboard refuses.
        observed = [(neuron_of.get(index, len(neuron_of) + index), value) for index, value in events]
        scoreboard.check_events(step, layer, observed, expected[step].fired[layer], expected[step].events[layer])

    payload = (handle.out_end_o, handle.out_index_o, handle.out_value_o)
    return EventMonitor(Link(dut.clk_i, handle.out_valid_o, handle.out_ready_i, payload, dut.rst_ni), f"layer {layer}", check)


async def _read_counters(registers: AxiLiteMaster, blocks: int) -> dict[str, Any]:
    async def read64(address: int) -> int:
        low, high = await registers.read_dword(address), await registers.read_dword(address + 4)
        return int(low) | int(high) << 32

    counters: dict[str, Any] = {
        "cycles": await read64(CYCLES),
        "steps": await read64(STEPS),
        "errors": int(await registers.read_dword(ERRORS)),
    }
    counters["blocks"] = [
        {name: await read64(BLOCKS + BLOCK_SIZE * block + 8 * place) for place, name in enumerate(COUNTERS)} for block in range(blocks)
    ]
    return counters


def _check_counters(scoreboard: Scoreboard, counters: dict[str, Any], work: WorkCounts, hardware: dict[str, Any]) -> None:
    """The counters say what the reference counted, and every lane-cycle has a cause."""
    after = work.steps - 1
    scoreboard.check(after, "top", "error flag", [counters["errors"]], [0])
    scoreboard.check(after, "top", "step counter", [counters["steps"]], [work.steps])
    own = [*work.events, 0]
    inputs = [0, *work.events]
    macs = [*work.macs, work.decoder_macs]
    for index, (block, found) in enumerate(zip(hardware["blocks"], counters["blocks"], strict=True)):
        wanted = [work.steps, inputs[index], own[index], macs[index], block["lanes"] * counters["cycles"]]
        slots = found["macs"] + found["fetch_slots"] + found["idle_slots"]
        observed = [found["steps"], found["input_events"], found["own_events"], found["macs"], slots]
        scoreboard.check(after, block["name"], "counter", observed, wanted)
