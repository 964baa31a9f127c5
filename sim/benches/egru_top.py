"""The generated core against the integer reference: every event of every layer, every logit, every counter.

The launcher (`sim.equivalence`) gives the generated folder and the sequences, of tokens or of input events; each ends with TLAST. It may
give another model: then the core answers a few tokens with its own model first, is loaded over AXI4-Lite, and is compared with the other.
A core whose weights are in single-port RAM is loaded with them first, and names no model before.
"""

import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Lock, Timer
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from hls_gen.bambu import COMPILER_KEY
from hls_gen.input_words import input_words
from hls_gen.registers import CLEAR_COUNTERS, COUNTERS, HASH_WORDS, REFUSED_LOAD, Register, counters_address
from hls_gen.rtl_backend import describe
from hls_gen.weight_image import RegisterWrite, generate_for, load_writes, read_config
from sim.comparison import LOGITS_FILE, STIMULUS_FILE, Places, check_complete, core_scoreboard, sequence_ends
from sim.drivers import (
    CLOCK_PERIOD_NS,
    EngineMonitor,
    EventStreamMonitor,
    Link,
    LogitCollector,
    Pace,
    StreamSource,
    TokenDriver,
    pace_from,
    start,
    wait_until,
)
from sim.runner import bench_seed, failure_folder, write_report
from sim.scoreboard import Scoreboard
from sw_model.quantized_model import QuantizedModel
from sw_model.reference import EventDrivenStream, Step, WorkCounts

GENERATED_VARIABLE = "EGRU_GENERATED"
LOADED_VARIABLE = "EGRU_LOADED"
PATIENCE = 20_000_000  # cycles for all steps
PRELUDE = [0, 1, 0]  # tokens for the first model, without TLAST: they leave state and events behind


@cocotb.test()
async def equals_the_reference(dut: Any) -> None:
    """Stream all tokens through the core and compare with ==."""
    generated = Path(os.environ[GENERATED_VARIABLE])
    model = QuantizedModel.load(generated / "model")
    hardware = json.loads((generated / "hardware.json").read_text())
    sequences = json.loads(Path(STIMULUS_FILE).read_text())
    prelude: list[Step] = []
    empty = read_config(hardware).starts_empty
    writes = load_writes(model, hardware) if empty else []
    if LOADED_VARIABLE in os.environ:
        prelude, _ = _expected(model, [PRELUDE])
        model = QuantizedModel.load(Path(os.environ[LOADED_VARIABLE]))
        writes = load_writes(model, hardware)
        hardware = describe(model, generate_for(model, hardware))
    expected, work = _expected(model, sequences)
    rng = random.Random(bench_seed())
    scoreboard = core_scoreboard(failure_folder(), bench_seed(), model, hardware, sequences)

    engines = [block for block in hardware["blocks"] if block["layers"]]
    answers: list[list[int]] = []

    def check_logits(step: int, logits: list[int]) -> None:
        if step < len(prelude):
            assert logits == prelude[step].logits.tolist(), "the first model answered wrongly"
        else:
            scoreboard.check_logits(step - len(prelude), logits, expected[step - len(prelude)].logits)
            answers.append(logits)

    collector = LogitCollector(
        dut,
        "m_axis",
        model.classes,
        pace_from(os.environ, "EGRU_OUTPUT_PACE"),
        rng,
        check_logits,
    )
    source = StreamSource(Link.of(dut, "s_axis_tvalid", "s_axis_tready", "s_axis_tdata", "s_axis_tlast"), Pace.FULL, rng)
    registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk_i, dut.rst_ni, reset_active_level=False)
    registers.write_if.log.setLevel("WARNING")
    registers.read_if.log.setLevel("WARNING")

    await start(dut)
    if empty:
        assert await _read_hash(registers) == f"{0:064x}"
        await _load(registers, writes)
    if prelude:
        source.send(*[(token, 0) for token in PRELUDE])
        await _refuse_a_load(dut, registers)
        await wait_until(dut, lambda: collector.steps == len(PRELUDE), "the first model's answers")
        await _load(registers, writes)
        assert await _read_hash(registers) == model.content_hash()
    monitors = [_watch_engine(dut, block, scoreboard, expected, from_hls=COMPILER_KEY in hardware) for block in engines]
    driver = TokenDriver(dut, "s_axis", pace_from(os.environ, "EGRU_INPUT_PACE"), rng)
    counters = CounterReader(registers, hardware)
    cocotb.start_soon(counters.keep_up())
    for sequence in sequences:
        await driver.send(input_words(model, sequence))
    steps = sum(len(sequence) for sequence in sequences)
    await wait_until(dut, lambda: collector.steps == len(prelude) + steps, f"{steps} steps", cycles=PATIENCE)

    for monitor in monitors:
        monitor.finish()
    check_complete(scoreboard, model, steps)
    scoreboard.check(steps - 1, "top", "end of sequence", collector.sequence_ends, sequence_ends(sequences) + len(prelude))
    assert await _read_hash(registers) == model.content_hash()
    counted = await counters.read()
    errors = int(await registers.read_dword(Register.ERRORS))
    scoreboard.check(steps - 1, "top", "error flag", [errors], [0])
    _check_counters(scoreboard, counted, work, hardware)
    if model.channels:
        np.save(LOGITS_FILE, np.array(answers, np.int64), allow_pickle=False)
    write_report(
        {
            "equivalence": scoreboard.report(),
            "cycles": counted["cycles"],
            "blocks": counted["blocks"],
            "engine_steps": [monitor.steps for monitor in monitors],
            "logit_stalls": collector.stream.stalls,
        }
    )


async def _refuse_a_load(dut: Any, registers: AxiLiteMaster) -> None:
    """While the core is busy a load is refused, and says so."""
    await wait_until(dut, lambda: dut.busy.value == 1, "the first token")
    for address in (Register.LOAD_ADDRESS, Register.LOAD_DATA):
        answer = await registers.write(address, bytes(4))
        assert answer.resp == AxiResp.SLVERR
        assert await registers.read_dword(Register.ERRORS) == REFUSED_LOAD
        await registers.write_dword(Register.ERRORS, REFUSED_LOAD)
        assert await registers.read_dword(Register.ERRORS) == 0


async def _load(registers: AxiLiteMaster, writes: Sequence[RegisterWrite]) -> None:
    for write in [*writes, RegisterWrite(Register.CONTROL, (CLEAR_COUNTERS,))]:
        for word in write.words:
            answer = await registers.write(write.address, word.to_bytes(4, "little"))
            assert answer.resp == AxiResp.OKAY


async def _read_hash(registers: AxiLiteMaster) -> str:
    words = [await registers.read_dword(Register.MODEL_HASH + 4 * word) for word in range(HASH_WORDS)]
    return f"{sum(int(word) << 32 * place for place, word in enumerate(words)):064x}"


def _expected(model: QuantizedModel, sequences: Sequence[Sequence[Any]]) -> tuple[list[Step], WorkCounts]:
    stream, steps = EventDrivenStream(model), []
    for sequence in sequences:
        steps += [stream.step(np.asarray(inputs)) if model.channels else stream.step(inputs) for inputs in sequence]
        stream.reset()
    return steps, stream.counts


def _watch_engine(
    dut: Any, block: dict[str, Any], scoreboard: Scoreboard, expected: list[Step], *, from_hls: bool
) -> EngineMonitor | EventStreamMonitor:
    places = Places(block)
    steps = dict.fromkeys(block["layers"], 0)

    def check(active: int, events: list[tuple[int, int]]) -> None:
        for place, (layer, mine) in enumerate(places.by_layer(events).items()):
            if active >> place & 1:
                step = steps[layer]
                scoreboard.check_events(step, layer, mine, expected[step].fired[layer], expected[step].events[layer])
                steps[layer] += 1
            else:
                assert not mine, f"layer {layer} sent events in a step without a token"

    if from_hls:
        return EventStreamMonitor(dut, f"{block['name']}_events_i", check)
    return EngineMonitor(dut, getattr(dut, f"u_{block['name']}"), block["name"], check)


def _check_counters(scoreboard: Scoreboard, counters: dict[str, Any], work: WorkCounts, hardware: dict[str, Any]) -> None:
    """The counters say what the reference counted, and every lane-cycle has a cause."""
    after = work.steps - 1
    scoreboard.check(after, "top", "step counter", [counters["steps"]], [work.steps])
    arriving = work.input_events
    for block, found in zip(hardware["blocks"], counters["blocks"], strict=True):
        own = sum(work.events[layer] for layer in block["layers"])
        macs = sum(work.macs[layer] for layer in block["layers"]) if block["layers"] else work.decoder_macs
        wanted = [work.steps, arriving, own, macs, block["lanes"] * counters["cycles"]]
        arriving = work.events[block["layers"][-1]] if block["layers"] else 0
        if COMPILER_KEY in hardware:  # such lanes have no counters
            wanted = wanted[:3]
        slots = found["macs"] + found["fetch_slots"] + found["idle_slots"]
        observed = [found["steps"], found["input_events"], found["own_events"], found["macs"], slots]
        scoreboard.check(after, block["name"], "counter", observed[: len(wanted)], wanted)


class CounterReader:
    """Reads the counters, which have ``counter_bits`` and wrap, and adds up what each gained from one reading to the next.

    Args:
        registers: The core's registers.
        hardware: What ``hardware.json`` says.
    """

    def __init__(self, registers: AxiLiteMaster, hardware: dict[str, Any]) -> None:
        self._registers, self._bits = registers, hardware["config"]["counter_bits"]
        self._lanes = max(block["lanes"] for block in hardware["blocks"])
        self._blocks = [
            {name: counters_address(block) + 8 * place for place, name in enumerate(COUNTERS)} for block in range(len(hardware["blocks"]))
        ]
        addresses = [Register.CYCLES, Register.STEPS, *(address for block in self._blocks for address in block.values())]
        self._last, self._sum = dict.fromkeys(addresses, 0), dict.fromkeys(addresses, 0)
        self._lock = Lock()

    async def keep_up(self) -> None:
        """Read for ever, four times as often as a counter can wrap: of a block, it gains up to its lanes in a cycle."""
        cycles = (1 << self._bits) // (4 * self._lanes)
        while cycles < PATIENCE:  # else none can wrap
            await Timer(cycles * CLOCK_PERIOD_NS, "ns")
            await self.read()

    async def read(self) -> dict[str, Any]:
        """Return every counter since they were cleared."""
        async with self._lock:
            for address, last in self._last.items():
                low, high = await self._registers.read_dword(address), await self._registers.read_dword(address + 4)
                self._last[address] = int(low) | int(high) << 32
                self._sum[address] += (self._last[address] - last) % (1 << self._bits)
            return {
                "cycles": self._sum[Register.CYCLES],
                "steps": self._sum[Register.STEPS],
                "blocks": [{name: self._sum[address] for name, address in block.items()} for block in self._blocks],
            }
