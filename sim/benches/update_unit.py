"""egru_update_unit: state and events equal `sw_model.reference.update`, on random formats, with sums the network would seldom give."""

import os
import random
from dataclasses import dataclass, replace
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from hls_gen.hardware_config import HardwareConfig
from hls_gen.rtl_backend import generate
from sim.drivers import Link, Pace, PackedVector, ReadyBit, StreamSink, StreamSource, start, to_signed, to_unsigned, wait_until
from sim.runner import BenchResult, Parameter, bench_seed, failure_folder, run_bench, write_report
from sim.scoreboard import Scoreboard
from sw_model.fixed_point import Formats, rescale, signed_limits
from sw_model.quantized_model import QuantizedLayer, QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.reference import Accumulators, update

STEPS = 30
MEMORIES = {"InputFile": "input", "ResetBiasFile": "reset_bias", "ThresholdFile": "threshold"}


@dataclass(frozen=True)
class Configuration:
    """One build.

    Attributes:
        formats: Widths.
        layer: 0 has an input row for each token, 1 has a single one.
        weight_frac: Sets the scale of the sums; fraction bits may be added as well as dropped.
        neurons: In both units together.
        event_density: 1 makes every neuron fire at every step.
    """

    formats: Formats
    layer: int
    weight_frac: int
    neurons: int = 45
    event_density: float = 0.5


CONFIGURATIONS = {
    "default": Configuration(Formats(), layer=0, weight_frac=6),
    "widest": Configuration(Formats(12, 16, 15, 18, 16), layer=1, weight_frac=9),
    "narrowest": Configuration(Formats(7, 8, 4, 8, 4), layer=1, weight_frac=-5),
    "all fire": Configuration(Formats(2, 12, 11, 10, 5), layer=0, weight_frac=4, neurons=90, event_density=1.0),
}


@dataclass(frozen=True)
class UnitCase:
    """The last update unit of a layer and what it is fed.

    Attributes:
        model: Gives formats and tables.
        layer: The unit's neurons in physical order, padding included.
        table: Input rows, int64, shape (tokens, 3, neurons).
        sums: int64, shape (STEPS, 4, neurons): acc_z, acc_r, acc_gx, acc_gr.
        tokens: Token of each step.
        lasts: Whether a sequence ends with the step.
        parameters: Of egru_update_unit.
        files: Its memory images.
    """

    model: QuantizedModel
    layer: QuantizedLayer
    table: np.ndarray
    sums: np.ndarray
    tokens: list[int]
    lasts: list[bool]
    parameters: dict[str, Parameter]
    files: dict[str, str]

    def accumulators(self, step: int) -> Accumulators:
        """Return the sums of ``step`` as the reference takes them."""
        return Accumulators(*self.sums[step])


def unit_case(name: str, seed: int) -> UnitCase:
    """Draw a model, tokens and sums; thresholds are placed so that states meet them exactly."""
    chosen, rng = CONFIGURATIONS[name], np.random.default_rng(seed)
    formats = chosen.formats
    spec = RandomModelSpec(hidden=(chosen.neurons,) * 2, tokens=7, formats=formats, event_density=chosen.event_density, seed=seed)
    model = random_model(spec)
    layer = replace(model.layers[chosen.layer], weight_frac=chosen.weight_frac)
    model = replace(model, layers=tuple(layer if index == chosen.layer else other for index, other in enumerate(model.layers)))
    config = HardwareConfig(lanes=6, lanes_per_update_unit=3)
    block = generate(model, config).plan.layers[chosen.layer]
    table = model.input_table() if chosen.layer == 0 else layer.bias.astype(np.int64)[np.newaxis]
    tokens, lasts, sums = _stimulus(rng, len(table), chosen.neurons, block.acc_bits, block.acc_frac)
    if chosen.event_density < 1.0:
        _place_thresholds(model, layer, Accumulators(*sums[0]), table[tokens[0]])
    generated = generate(model, config)
    unit = block.update_units - 1
    slots = block.packing.slots // block.update_units
    mine = slice(unit * slots, (unit + 1) * slots)
    images = {image.name: image for image in generated.memories}
    used = {parameter: images[f"{block.name}_unit{unit}_{kind}"] for parameter, kind in MEMORIES.items()}
    used |= {"SigmoidFile": images["sigmoid"], "TanhFile": images["tanh"]}
    parameters: dict[str, Parameter] = {
        "Lanes": block.packing.lanes // block.update_units,
        "Rows": block.packing.rows,
        "Tokens": len(table),
        "FirstIndex": unit * slots,
        "IndexBits": (block.packing.slots - 1).bit_length(),
        "TokenBits": 3,
        "AccBits": block.acc_bits,
        "AccFrac": block.acc_frac,
        "EventBits": formats.event_bits,
        "StateBits": formats.state_bits,
        "GateBits": formats.gate_bits,
        "PreactBits": formats.preact_bits,
        "PreactFrac": formats.preact_frac,
        **{parameter: image.file for parameter, image in used.items()},
    }
    files = {image.file: image.text() for image in used.values()}
    scatter = block.packing.scatter
    physical = replace(layer, reset_bias=scatter(layer.reset_bias, 0)[mine], threshold=scatter(layer.threshold, formats.state_max)[mine])
    return UnitCase(model, physical, scatter(table, 0)[..., mine], scatter(sums, 0)[..., mine], tokens, lasts, parameters, files)


def _stimulus(
    rng: np.random.Generator, tokens: int, neurons: int, acc_bits: int, acc_frac: int
) -> tuple[list[int], list[bool], np.ndarray]:
    """Draw tokens, ends of sequences and sums: mostly of the size of one, some from the whole range of the accumulator."""
    low, high = signed_limits(acc_bits)
    usual = np.rint(rng.normal(0.0, 2.0**acc_frac, (STEPS, 4, neurons))).astype(np.int64)
    sums = np.where(rng.random(usual.shape) < 0.1, rng.integers(low, high + 1, usual.shape), np.clip(usual, low, high))
    chosen, lasts = rng.integers(0, tokens, STEPS), rng.random(STEPS) < 0.25
    # Every sequence begins like the first one, so that it meets the thresholds placed for it.
    begins = np.flatnonzero(np.concatenate([[True], lasts[:-1]]))
    chosen[begins], sums[begins] = chosen[0], sums[0]
    return chosen.tolist(), lasts.tolist(), sums


def _place_thresholds(model: QuantizedModel, layer: QuantizedLayer, sums: Accumulators, p: np.ndarray) -> None:
    """Put θ on, just below and just above the state ĉ of the first step, for the neurons where that is legal."""
    unreachable = replace(layer, threshold=np.full(layer.neurons, model.formats.state_max))
    c_hat = update(model, unreachable, sums, p, np.zeros(layer.neurons, np.int64)).c
    placed = c_hat + np.resize([0, -1, 1, 0], layer.neurons)
    layer.threshold[:] = np.where((placed >= 0) & (placed <= model.formats.state_max), placed, layer.threshold)


def launch(name: str, seed: int) -> BenchResult:
    """Run the bench in the configuration ``name``."""
    case = unit_case(name, seed)
    bench = "sim.benches.update_unit"
    return run_bench("egru_update_unit", bench, parameters=case.parameters, files=case.files, seed=seed, extra_env={"EGRU_CASE": name})


@cocotb.test()
@cocotb.parametrize(paces=[(Pace.FULL, Pace.FULL), (Pace.HEAVY, Pace.FULL), (Pace.BURSTS, Pace.HEAVY), (Pace.FULL, Pace.BURSTS)])
async def equals_the_reference(dut: Any, paces: tuple[Pace, Pace]) -> None:
    """Records in random order, events taken at random; state and events of every step are compared."""
    rng, case = random.Random(bench_seed()), unit_case(os.environ["EGRU_CASE"], bench_seed())
    bench = UnitBench(dut, case, paces, rng)
    await start(dut, inputs=["step_i"])
    await wait_until(dut, lambda: dut.ready_o.value == 1, "clear memories")
    scoreboard = Scoreboard(failure_folder(), bench_seed(), context={"parameters": case.parameters}, tensors={"sums": case.sums})
    seen = dict.fromkeys(("ties", "one above", "clipped values", "silent values", "saturated sums", "sequence ends"), 0)
    c = np.zeros(len(case.layer.threshold), np.int64)
    for step in range(STEPS):
        expected = update(case.model, case.layer, case.accumulators(step), case.table[case.tokens[step]], c)
        events = await bench.run_step(step)
        scoreboard.check_events(step, 0, events, expected.fired, expected.y)
        c = np.zeros_like(c) if case.lasts[step] else expected.c
        scoreboard.check(step, 0, "state", bench.state(), c)
        _note(seen, case, step, expected.fired, expected.y, expected.c)
    assert scoreboard.events > 50
    assert paces != (Pace.FULL, Pace.FULL) or bench.refused == 0, "one neuron a cycle while the events are taken at once"
    assert seen["sequence ends"] > 2
    assert seen["saturated sums"] > 20
    if os.environ["EGRU_CASE"] == "all fire":
        assert scoreboard.events > 1000
        assert seen["clipped values"] > 20
        assert bench.refused > 20 or paces[1] is Pace.FULL, "the pipeline was never stopped for lack of room"
    else:
        assert seen["ties"] > 5
        assert seen["one above"] > 3
    write_report({"events": scoreboard.events, **seen})


def _note(seen: dict[str, int], case: UnitCase, step: int, fired: np.ndarray, y: np.ndarray, c: np.ndarray) -> None:
    """Count what makes a step worth testing."""
    formats = case.model.formats
    low, high = formats.preact_limits
    scaled = rescale(case.sums[step], case.layer.weight_frac + formats.event_bits, formats.preact_frac)
    c_hat = np.where(fired, c + case.layer.threshold, c)
    seen["ties"] += int(np.sum(c_hat == case.layer.threshold))
    seen["one above"] += int(np.sum(fired & (c == 1)))
    seen["clipped values"] += int(np.sum(fired & (rescale(c_hat, formats.state_frac, formats.event_bits) > formats.event_max)))
    seen["silent values"] += int(np.sum(fired & (y == 0)))
    seen["saturated sums"] += int(np.sum((scaled < low) | (scaled > high)))
    seen["sequence ends"] += case.lasts[step]


class UnitBench:
    """Feeds records lane by lane and collects events.

    Attributes:
        refused: Cycles in which every waiting record was refused.
    """

    def __init__(self, dut: Any, case: UnitCase, paces: tuple[Pace, Pace], rng: random.Random) -> None:
        """Connect drivers; ``paces`` are those of the records and of the events."""
        self.refused = 0
        self._dut, self._case, self._rng = dut, case, rng
        self._lanes, self._rows = int(dut.Lanes.value), int(dut.Rows.value)
        valid, row, acc = PackedVector(dut.valid_i), PackedVector(dut.row_i), PackedVector(dut.acc_i)
        fields = zip(valid.fields(1), row.fields(len(dut.row_i) // self._lanes), acc.fields(len(dut.acc_i) // self._lanes), strict=True)
        links = [Link(dut.clk_i, v, ReadyBit(dut.ready_record_o, lane), (r, a), dut.rst_ni) for lane, (v, r, a) in enumerate(fields)]
        self._sources = [StreamSource(link, paces[0], rng) for link in links]
        self._sink = StreamSink(Link.of(dut, "valid_o", "ready_i", "index_o", "value_o"), paces[1], rng, "events")
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        dut = self._dut
        while True:
            await RisingEdge(dut.clk_i)
            self.refused += int(dut.valid_i.value) != 0 and int(dut.ready_record_o.value) == 0

    async def run_step(self, step: int) -> list[tuple[int, int]]:
        """Run one step; return its events (neuron of this unit, value)."""
        dut, case, bits = self._dut, self._case, int(self._dut.AccBits.value)
        assert dut.done_o.value == 1
        self._sink.monitor.clear()
        dut.step_i.value, dut.token_i.value, dut.last_i.value = 1, case.tokens[step], int(case.lasts[step])
        await RisingEdge(dut.clk_i)
        dut.step_i.value, dut.token_i.value, dut.last_i.value = 0, self._rng.getrandbits(len(dut.token_i)), self._rng.getrandbits(1)
        for lane, source in enumerate(self._sources):
            for row in self._rng.sample(range(self._rows), self._rows):
                sums = case.sums[step][:, lane * self._rows + row]
                source.send((row, sum(to_unsigned(int(value), bits) << (bits * field) for field, value in enumerate(sums))))
        await RisingEdge(dut.clk_i)
        await wait_until(dut, lambda: dut.done_o.value == 1, f"the end of step {step}")
        return [(index - int(dut.FirstIndex.value), value) for index, value in self._sink.items]

    def state(self) -> list[int]:
        """Return the state memory."""
        bits = int(self._dut.StateBits.value)
        return [to_signed(int(self._dut.state_mem[neuron].value), bits) for neuron in range(self._lanes * self._rows)]
