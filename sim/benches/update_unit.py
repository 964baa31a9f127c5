"""egru_update_unit: state and events equal `sw_model.reference.update`, on random formats, with sums the network would seldom give."""

import os
import random
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge
from cocotb.types import LogicArray

from hls_gen.hardware_config import BlockPlan, HardwareConfig
from hls_gen.rtl_backend import generate
from sim.drivers import Link, Pace, StreamSink, pauses, start, to_signed, to_unsigned, wait_until
from sim.read_port import READ_CYCLES
from sim.runner import BenchResult, Parameter, bench_seed, failure_folder, run_bench, write_report
from sim.scoreboard import Scoreboard
from sw_model.fixed_point import Formats, rescale, signed_limits
from sw_model.quantized_model import QuantizedLayer, QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.reference import Accumulators, update

STEPS = 30
MEMORIES = {"InputFile": "input", "ResetBiasFile": "reset_bias", "ThresholdFile": "threshold"}
# The order in which a row's sums arrive, in the order of `Accumulators`: r, gr, gx, z.
FIELD_ORDER = (1, 3, 2, 0)


@dataclass(frozen=True)
class Configuration:
    """One build: the last update unit of the engine that holds `layer`, or all layers when the engine is shared.

    Attributes:
        formats: Widths.
        hidden: Neurons of each layer, in all units together.
        layer: 0 has an input row for each token, 1 has a single one.
        weight_frac: Of each layer; sets the scale of the sums; fraction bits may be added as well as dropped.
        lanes: Of the engine.
        unit_lanes: Of one update unit.
        event_density: 1 makes every neuron fire at every step.
        shared: Whether all layers share the engine.
    """

    formats: Formats
    hidden: tuple[int, ...]
    weight_frac: tuple[int, ...]
    lanes: int
    unit_lanes: int
    layer: int = 0
    event_density: float = 0.5
    shared: bool = False


CONFIGURATIONS = {
    "default": Configuration(Formats(), (45,), (6,), lanes=8, unit_lanes=4),
    "widest": Configuration(Formats(12, 16, 15, 18, 16), (12, 45), (6, 9), lanes=6, unit_lanes=3, layer=1),
    "narrowest": Configuration(Formats(7, 8, 4, 8, 4), (9, 33), (6, -5), lanes=2, unit_lanes=1, layer=1),
    "all fire": Configuration(Formats(2, 12, 11, 10, 5), (90,), (4,), lanes=16, unit_lanes=8, event_density=1.0),
    "three layers on three lanes": Configuration(Formats(), (19, 31, 24), (6, 9, 4), lanes=3, unit_lanes=3, shared=True),
    "two layers on eight lanes": Configuration(Formats(6, 14, 10, 14, 9), (45, 32), (3, 7), lanes=16, unit_lanes=8, shared=True),
}


@dataclass(frozen=True)
class PartCase:
    """What the unit is fed of one layer; arrays are in the order of the unit's neurons, physical, padding included.

    Attributes:
        layer: The layer with reset bias and threshold of the unit's neurons.
        neurons: int64: their indices in the unit.
        table: Input rows, int64, shape (tokens, 3, neurons).
        sums: int64, shape (STEPS, 4, neurons): acc_z, acc_r, acc_gx, acc_gr.
        lasts: Whether a sequence of the layer ends with the step.
        actives: Whether the layer has a token in the step; else its rows are not sent.
    """

    layer: QuantizedLayer
    neurons: np.ndarray
    table: np.ndarray
    sums: np.ndarray
    lasts: list[bool]
    actives: list[bool]


@dataclass(frozen=True)
class UnitCase:
    """The last update unit of an engine and what it is fed.

    Attributes:
        model: Gives formats and tables.
        parts: The layers of the engine.
        tokens: Token of each step.
        parameters: Of egru_update_unit.
        files: Its memory images.
    """

    model: QuantizedModel
    parts: list[PartCase]
    tokens: list[int]
    parameters: dict[str, Parameter]
    files: dict[str, str]


def unit_case(name: str, seed: int) -> UnitCase:
    """Draw a model, tokens and sums; thresholds are placed so that states meet them exactly."""
    chosen, rng = CONFIGURATIONS[name], np.random.default_rng(seed)
    spec = RandomModelSpec(hidden=chosen.hidden, tokens=7, formats=chosen.formats, event_density=chosen.event_density, seed=seed)
    model = random_model(spec)
    layers = [replace(layer, weight_frac=frac) for layer, frac in zip(model.layers, chosen.weight_frac, strict=True)]
    model = replace(model, layers=tuple(layers))
    config = HardwareConfig(
        lanes=(chosen.lanes,) * (2 if chosen.shared else len(layers) + 1),
        lanes_per_update_unit=chosen.unit_lanes,
        engines="shared" if chosen.shared else "per-layer",
    )
    engine = generate(model, config).plan.engines[0 if chosen.shared else chosen.layer]
    tokens = rng.integers(0, model.tokens if engine.layers[0] == 0 else 1, STEPS)
    parts = [_part(rng, model, engine, place, tokens, place_thresholds=chosen.event_density < 1.0) for place in range(len(engine.parts))]
    generated = generate(model, config)
    unit = engine.update_units - 1
    images = {image.name: image for image in generated.memories}
    used = {parameter: images[f"{engine.name}_unit{unit}_{kind}"] for parameter, kind in MEMORIES.items()}
    used |= {"SigmoidFile": images["sigmoid"], "TanhFile": images["tanh"]}
    files = {path: text for image in used.values() for path, text in image.files().items()}
    parameters = _parameters(model, engine, unit) | {parameter: image.name for parameter, image in used.items()}
    return UnitCase(model, [_of_unit(model, engine, place, part) for place, part in enumerate(parts)], tokens.tolist(), parameters, files)


def _parameters(model: QuantizedModel, engine: BlockPlan, unit: int) -> dict[str, Parameter]:
    formats = model.formats
    lanes = engine.lanes // engine.update_units
    return {
        "Lanes": lanes,
        "Rows": engine.rows,
        "Layers": len(engine.parts),
        "RowEnds": _packed([part.first_row + part.packing.rows for part in engine.parts], 16),
        # in this order: yosys sets one after the other, and no left shift may exceed the spread
        "Spread": max(part.left_shift for part in engine.parts),
        "LeftShifts": _packed([part.left_shift for part in engine.parts], 8),
        "Tokens": model.tokens if engine.layers[0] == 0 else 1,
        "FirstIndex": unit * lanes * engine.rows,
        "IndexBits": (engine.slots - 1).bit_length(),
        "TokenBits": 3,
        "AccBits": engine.acc_bits,
        "AccFrac": engine.acc_frac,
        "EventBits": formats.event_bits,
        "StateBits": formats.state_bits,
        "GateBits": formats.gate_bits,
        "PreactBits": formats.preact_bits,
        "PreactFrac": formats.preact_frac,
    }


def _packed(values: list[int], bits: int) -> LogicArray:
    return LogicArray.from_unsigned(sum(value << bits * place for place, value in enumerate(values)), bits * len(values))


def _part(
    rng: np.random.Generator, model: QuantizedModel, engine: BlockPlan, place: int, tokens: np.ndarray, *, place_thresholds: bool
) -> PartCase:
    """Draw sums and ends of sequences of a layer, in the order of its own neurons; may change its thresholds and ``tokens``."""
    index = engine.layers[place]
    layer = model.layers[index]
    table = model.input_table() if index == 0 else layer.bias.astype(np.int64)[np.newaxis]
    low, high = signed_limits(engine.acc_bits)
    one = 2.0 ** (engine.acc_frac - engine.parts[place].left_shift)
    # mostly of the size of one, some from the whole range of the accumulator
    usual = np.rint(rng.normal(0.0, one, (STEPS, 4, layer.neurons))).astype(np.int64)
    sums = np.where(rng.random(usual.shape) < 0.1, rng.integers(low, high + 1, usual.shape), np.clip(usual, low, high))
    sums[1, :, : layer.neurons // 2], sums[1, :, layer.neurons // 2 :] = low, high
    lasts, actives = rng.random(STEPS) < 0.25, np.ones(STEPS, bool)
    if len(engine.parts) > 1:
        actives = rng.random(STEPS) < 0.8
        actives[:2] = True
    # Every sequence begins like the first one, so that it meets the thresholds placed for it.
    places = np.flatnonzero(actives)
    begins = places[np.concatenate([[True], lasts[places[:-1]]])]
    sums[begins] = sums[0]
    if index == 0:
        tokens[begins] = tokens[0]
    if place_thresholds:
        _place_thresholds(model, layer, Accumulators(*sums[0]), table[tokens[0] if index == 0 else 0])
    return PartCase(layer, np.arange(layer.neurons), table, sums, lasts.tolist(), actives.tolist())


def _place_thresholds(model: QuantizedModel, layer: QuantizedLayer, sums: Accumulators, p: np.ndarray) -> None:
    """Put θ on, just below and just above the state ĉ of the first step, for the neurons where that is legal."""
    unreachable = replace(layer, threshold=np.full(layer.neurons, model.formats.state_max))
    c_hat = update(model, unreachable, sums, p, np.zeros(layer.neurons, np.int64)).c
    placed = c_hat + np.resize([0, -1, 1, 0], layer.neurons)
    layer.threshold[:] = np.where((placed >= 0) & (placed <= model.formats.state_max), placed, layer.threshold)


def _of_unit(model: QuantizedModel, engine: BlockPlan, place: int, part: PartCase) -> PartCase:
    """Bring a layer's case into the order of the last unit's neurons."""
    slots = engine.slots // engine.update_units
    first = (engine.update_units - 1) * slots
    block = engine.parts[place]
    row = np.arange(slots) % engine.rows
    neurons = np.flatnonzero((row >= block.first_row) & (row < block.first_row + block.packing.rows))

    def pick(values: np.ndarray, padding: int) -> np.ndarray:
        placed = np.full((*values.shape[:-1], engine.slots), padding, np.int64)
        engine.scatter(block, values, placed)
        return placed[..., first + neurons]

    layer = replace(part.layer, reset_bias=pick(part.layer.reset_bias, 0), threshold=pick(part.layer.threshold, model.formats.state_max))
    return replace(part, layer=layer, neurons=neurons, table=pick(part.table, 0), sums=pick(part.sums, 0))


def launch(name: str, seed: int) -> BenchResult:
    """Run the bench in the configuration ``name``."""
    case = unit_case(name, seed)
    bench = "sim.benches.update_unit"
    return run_bench("egru_update_unit", bench, parameters=case.parameters, files=case.files, seed=seed, extra_env={"EGRU_CASE": name})


@cocotb.test()
@cocotb.parametrize(paces=[(Pace.FULL, Pace.FULL), (Pace.HEAVY, Pace.FULL), (Pace.BURSTS, Pace.HEAVY), (Pace.FULL, Pace.BURSTS)])
async def equals_the_reference(dut: Any, paces: tuple[Pace, Pace]) -> None:
    """Rows in random order, turns and events taken at random; state and events of every step are compared."""
    rng, case = random.Random(bench_seed()), unit_case(os.environ["EGRU_CASE"], bench_seed())
    bench = UnitBench(dut, case, paces, rng)
    await start(dut, inputs=["step_i", "take_i", "sum_i"])
    await wait_until(dut, lambda: dut.ready_o.value == 1, "clear memories")
    scoreboard = Scoreboard(failure_folder(), bench_seed(), context={"parameters": {k: str(v) for k, v in case.parameters.items()}})
    seen = dict.fromkeys(("ties", "one above", "clipped values", "silent values", "saturated sums", "sequence ends", "resting layers"), 0)
    states = [np.zeros(len(part.neurons), np.int64) for part in case.parts]
    for step in range(STEPS):
        events = await bench.run_step(step)
        memory = np.array(bench.state())
        for number, part in enumerate(case.parts):
            mine = [(index, value) for index, value, _, _ in events if index in part.neurons]
            if not part.actives[step]:
                assert not mine
                seen["resting layers"] += 1
            else:
                states[number] = _check_part(scoreboard, case, step, number, states[number], mine, seen)
                flags = {(last, output) for index, _, last, output in events if index in part.neurons}
                assert flags <= {(int(part.lasts[step]), int(number == len(case.parts) - 1))}
            scoreboard.check(step, number, "state", memory[part.neurons], states[number])
    _check_exercised(bench, scoreboard, paces, seen)
    write_report({"events": scoreboard.events, **seen})


def _check_part(
    scoreboard: Scoreboard,
    case: UnitCase,
    step: int,
    number: int,
    c: np.ndarray,
    events: list[tuple[int, int]],
    seen: dict[str, int],
) -> np.ndarray:
    """Compare one layer's events of a step; return its new state."""
    part = case.parts[number]
    p = part.table[case.tokens[step] if len(part.table) > 1 else 0]
    expected = update(case.model, part.layer, Accumulators(*part.sums[step]), p, c)
    place_of = {int(neuron): place for place, neuron in enumerate(part.neurons)}
    scoreboard.check_events(step, number, [(place_of[index], value) for index, value in events], expected.fired, expected.y)
    _note(seen, case, part, step, expected.fired, expected.y, expected.c)
    return np.zeros_like(expected.c) if part.lasts[step] else expected.c


def _note(seen: dict[str, int], case: UnitCase, part: PartCase, step: int, fired: np.ndarray, y: np.ndarray, c: np.ndarray) -> None:
    """Count what makes a step worth testing."""
    formats = case.model.formats
    low, high = formats.preact_limits
    scaled = rescale(part.sums[step], part.layer.weight_frac + formats.event_bits, formats.preact_frac)
    c_hat = np.where(fired, c + part.layer.threshold, c)
    seen["ties"] += int(np.sum(c_hat == part.layer.threshold))
    seen["one above"] += int(np.sum(fired & (c == 1)))
    seen["clipped values"] += int(np.sum(fired & (rescale(c_hat, formats.state_frac, formats.event_bits) > formats.event_max)))
    seen["silent values"] += int(np.sum(fired & (y == 0)))
    seen["saturated sums"] += int(np.sum((scaled < low) | (scaled > high)))
    seen["sequence ends"] += part.lasts[step]


def _check_exercised(bench: "UnitBench", scoreboard: Scoreboard, paces: tuple[Pace, Pace], seen: dict[str, int]) -> None:
    assert scoreboard.events > 50
    if paces == (Pace.FULL, Pace.FULL):
        assert bench.withheld == 0, "turns withheld while the events are taken at once"
        assert bench.longest_step <= bench.most_turns, "every lane had its turn once in a period"
    assert seen["sequence ends"] > 2
    assert seen["saturated sums"] > 20
    if os.environ["EGRU_CASE"] == "all fire":
        assert scoreboard.events > 1000
        assert seen["clipped values"] > 20
        assert bench.withheld > 10 or paces[1] is Pace.FULL, "the event queue was never full"
    else:
        assert seen["ties"] > 5
        assert seen["one above"] > 3
    assert len(bench.case.parts) == 1 or seen["resting layers"] > 5


class UnitBench:
    """Plays row readers and lanes: takes turns, sends the sums of the rows, collects events.

    Attributes:
        case: What is fed.
        withheld: Cycles beyond a whole period without a turn.
        longest_step: Most cycles from the first row of a step to the last one.
        most_turns: The most that may be, when no turn is left out.
    """

    def __init__(self, dut: Any, case: UnitCase, paces: tuple[Pace, Pace], rng: random.Random) -> None:
        """Connect drivers; ``paces`` are those of the turns taken and of the events."""
        self.case, self.withheld, self.longest_step = case, 0, 0
        self._dut, self._rng, self._pauses = dut, rng, pauses(paces[0], rng)
        self._lanes, self._rows = int(dut.Lanes.value), int(dut.Rows.value)
        self._period = -(-self._lanes // 4) * 4
        self.most_turns = self._rows * self._period
        self._row_bits, self._bits = len(dut.row_i) // self._lanes, int(dut.AccBits.value)
        # What is still to be sent: rows of each lane with their four words; and words by the cycle in which they are due, from now on.
        self._left: list[deque[tuple[int, list[int]]]] = [deque() for _ in range(self._lanes)]
        self._due: deque[int] = deque([0] * (READ_CYCLES + len(FIELD_ORDER)))
        self._taken: list[int] = []
        link = Link.of(dut, "valid_o", "ready_i", "index_o", "value_o", "last_o", "output_o")
        self._sink = StreamSink(link, paces[1], rng, "events")
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, cycle, without_turn = self._dut, 0, 0
        while True:
            # A turn is taken, and its sums are sent, in the same cycle.
            await FallingEdge(dut.clk_i)
            cycle += 1
            if dut.rst_ni.value != 1 or dut.ready_o.value != 1:
                continue
            turn = int(dut.turn_o.value)
            assert turn & (turn - 1) == 0, "two lanes have a turn at once"
            without_turn = 0 if turn else without_turn + 1
            self.withheld += without_turn >= self._period
            lane = turn.bit_length() - 1
            take = bool(turn) and bool(self._left[lane]) and not next(self._pauses)
            dut.take_i.value = turn if take else 0
            # The rows of lanes that do not take their turn mean nothing.
            rows = self._rng.getrandbits(len(dut.row_i))
            if take:
                row, words = self._left[lane].popleft()
                self._taken.append(cycle)
                mask = ((1 << self._row_bits) - 1) << self._row_bits * lane
                rows = rows & ~mask | row << self._row_bits * lane
                for field, word in enumerate(words):
                    self._due[READ_CYCLES + field] |= word << self._bits * lane
            dut.row_i.value, dut.sum_i.value = rows, self._due.popleft()
            self._due.append(0)

    async def run_step(self, step: int) -> list[tuple[int, int, int, int]]:
        """Run one step; return its events (neuron of this unit, value, last, output)."""
        dut, parts = self._dut, self.case.parts
        assert dut.empty_o.value == 1
        self._sink.monitor.clear()
        self._taken.clear()
        dut.step_i.value, dut.token_i.value = 1, self.case.tokens[step]
        dut.last_i.value = sum(part.lasts[step] << number for number, part in enumerate(parts))
        await RisingEdge(dut.clk_i)
        dut.step_i.value, dut.token_i.value, dut.last_i.value = 0, self._rng.getrandbits(3), self._rng.getrandbits(len(parts))
        for part in parts:
            if part.actives[step]:
                self._queue(part, step)
        for left in self._left:
            self._rng.shuffle(left)
        await RisingEdge(dut.clk_i)
        await wait_until(dut, lambda: not any(self._left), "the rows to be taken")
        await RisingEdge(dut.clk_i)
        await wait_until(dut, lambda: dut.empty_o.value == 1, f"the end of step {step}")
        if self._taken:
            self.longest_step = max(self.longest_step, self._taken[-1] - self._taken[0] + 1)
        return [(index - int(dut.FirstIndex.value), *rest) for index, *rest in self._sink.items]  # type: ignore[misc]  # four each

    def _queue(self, part: PartCase, step: int) -> None:
        for place, neuron in enumerate(part.neurons.tolist()):
            words = [to_unsigned(int(part.sums[step, number, place]), self._bits) for number in FIELD_ORDER]
            self._left[neuron // self._rows].append((neuron % self._rows, words))

    def state(self) -> list[int]:
        """Return the state memory."""
        bits = int(self._dut.StateBits.value)
        return [to_signed(int(self._dut.state_mem[neuron].value), bits) for neuron in range(self._lanes * self._rows)]
