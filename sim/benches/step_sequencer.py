"""egru_step_sequencer: what reaches lanes and output in every step, whatever idles or stalls.

One layer: the lanes get, before the end of step t, the input events of step t and the layer's own events of step t - 1, each once; the
output gets the own events of step t and then an end. Several layers: each is a step of the lanes behind the one before, and steps without
a token bring those under way to the end.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from sim.drivers import Item, Link, Pace, StreamSink, StreamSource, pauses, start, wait_until
from sim.runner import bench_seed

STEPS = 60
PACES = [
    (Pace.FULL, Pace.FULL, Pace.FULL, Pace.FULL),
    (Pace.FULL, Pace.FULL, Pace.HEAVY, Pace.FULL),
    (Pace.FULL, Pace.FULL, Pace.FULL, Pace.HEAVY),
    (Pace.HEAVY, Pace.FULL, Pace.LIGHT, Pace.LIGHT),
    (Pace.LIGHT, Pace.HEAVY, Pace.BURSTS, Pace.BURSTS),
    (Pace.BURSTS, Pace.BURSTS, Pace.BURSTS, Pace.BURSTS),
]


@dataclass(frozen=True)
class Token:
    """The input of one time step; events are (index, value)."""

    inputs: list[tuple[int, int]]
    token: int
    last: int


@dataclass
class LaneStep:
    """One step of the lanes.

    Attributes:
        token: Number of the token that the first layer takes in it; none in a step that only brings others to the end.
        active: Layers with a token.
        last: Layers whose sequence ends; of active ones.
        own: What the update sends, (last, output, index, value).
    """

    token: int | None
    active: int
    last: int
    own: list[Item] = field(default_factory=list)


class Update:
    """Plays the update units: at ``step_o`` sends the step's own events, then raises ``update_done_i`` after a random time.

    Attributes:
        steps: The steps of the lanes so far.
    """

    def __init__(self, dut: Any, tokens: list[Token], source: StreamSource, rng: random.Random) -> None:
        """Start to watch."""
        self.steps: list[LaneStep] = []
        self._dut, self._tokens, self._source, self._rng = dut, tokens, source, rng
        self._layers, self._taken = int(dut.Layers.value), 0
        dut.update_done_i.value = 1
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut = self._dut
        left, delay, early = 0, 0, False
        while True:
            await RisingEdge(dut.clk_i)
            if dut.rst_ni.value != 1:
                continue
            offered = dut.own_valid_i.value == 1
            taken = offered and dut.own_ready_o.value == 1
            left -= taken
            delay -= 1
            if self.steps and dut.updating_o.value == 1:
                assert int(dut.active_o.value) == self.steps[-1].active
            if dut.step_o.value == 1:
                assert dut.update_done_i.value == 1, "a step began during an update"
                step = self._begin()
                self.steps.append(step)
                self._source.send(*step.own)
                left, delay, early = len(step.own), self._rng.choice([1, 3, 16, 40]), self._rng.random() < 0.5
                dut.update_done_i.value = 0
            elif delay <= 0 and (left == 0 or (early and left == 1 and offered and not taken)):
                # with the last event taken, or earlier: the units are done when it waits in the queue behind them
                dut.update_done_i.value = 1

    def _begin(self) -> LaneStep:
        """Follow the layers by one step and draw their events."""
        dut, everyone = self._dut, (1 << self._layers) - 1
        before = self.steps[-1] if self.steps else LaneStep(None, 0, 0)
        number, last = None, before.last << 1
        if dut.step_taken_o.value == 1:
            number, self._taken = self._taken, self._taken + 1
            token = self._tokens[number]
            assert int(dut.step_token_o.value) == token.token
            last |= token.last
        else:
            assert self._layers > 1, "a step without a token"
        active = (before.active << 1 | (number is not None)) & everyone
        last &= active
        assert int(dut.step_last_o.value) & active == last
        return LaneStep(number, active, last, self._own_events(active, last))

    def _own_events(self, active: int, last: int) -> list[Item]:
        rng, dut = self._rng, self._dut
        layers = [layer for layer in range(self._layers) if active >> layer & 1]
        count = 0 if len(self.steps) % 8 == 3 or not layers else rng.choice([0, 1, 2, 7, 12])
        chosen = [rng.choice(layers) for _ in range(count)]
        index, value = len(dut.own_index_i), len(dut.own_value_i)
        return [(last >> layer & 1, int(layer == self._layers - 1), rng.getrandbits(index), rng.getrandbits(value)) for layer in chosen]


class Bus:
    """Plays the directory: records the items of the bus and stops it at random; nothing may come in the cycle after a stall.

    In every cycle `bus_waits_o` must say whether something stands before the stalled bus.

    Attributes:
        items: {end, column, value}; of an end only that it is one.
        waits: Cycles in which something stood before the stalled bus.
    """

    def __init__(self, dut: Any, pace: Pace, rng: random.Random) -> None:
        """Start to watch."""
        self.items: list[Item] = []
        self.waits = 0
        self._dut, self._pauses = dut, pauses(pace, rng)
        self._own_went = self._input_ended = False  # the own event on offer is on the bus; a step has all its input
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, stalled = self._dut, False
        while True:
            dut.bus_stall_i.value = int(next(self._pauses))
            await RisingEdge(dut.clk_i)
            if dut.rst_ni.value != 1:
                continue
            if dut.bus_valid_o.value == 1:
                assert not stalled, "an item came out of a stalled bus"
                end = int(dut.bus_end_o.value)
                self.items.append((1, 0, 0) if end else (0, int(dut.bus_column_o.value), int(dut.bus_value_o.value)))
            stalled = dut.bus_stall_i.value == 1
            waits = self._wanted(stalled=stalled) and stalled
            assert dut.bus_waits_o.value == waits
            self.waits += waits

    def _wanted(self, *, stalled: bool) -> bool:
        """Return whether something wants the bus in this cycle, and follow what goes on it."""
        dut, own, event, step = self._dut, False, False, False
        if dut.own_valid_i.value == 1:
            own = not self._own_went and not (dut.own_last_i.value == 1 and dut.own_output_i.value == 1)
            self._own_went = dut.own_ready_o.value == 0 and (self._own_went or (own and not stalled))
        if dut.ready_i.value == 1:
            under_way = int(dut.active_o.value) & (1 << len(dut.active_o) - 1) - 1  # of the last layer nothing is waited for
            step = dut.updating_o.value == 0 and (self._input_ended or under_way != 0)
            if self._input_ended:
                self._input_ended = dut.step_taken_o.value == 0
            elif dut.in_valid_i.value == 1:
                event = dut.in_end_i.value == 0
                self._input_ended = not event
        return own or event or step


@cocotb.test()
@cocotb.parametrize(paces=PACES)
async def keeps_steps_apart(dut: Any, paces: tuple[Pace, Pace, Pace, Pace]) -> None:
    """Random steps, some without events; ``paces`` are those of input, own events, bus and output."""
    rng, layers = random.Random(bench_seed()), int(dut.Layers.value)
    await start(dut, inputs=["ready_i", "in_valid_i", "own_valid_i", "bus_stall_i", "out_ready_i"])
    tokens = [_token(dut, rng, number, with_events=layers == 1) for number in range(STEPS)]
    in_link = Link.of(dut, "in_valid_i", "in_ready_o", "in_end_i", "in_last_i", "in_index_i", "in_value_i")
    own_link = Link.of(dut, "own_valid_i", "own_ready_o", "own_last_i", "own_output_i", "own_index_i", "own_value_i")
    out_link = Link.of(dut, "out_valid_o", "out_ready_i", "out_end_o", "out_last_o", "out_index_o", "out_value_o")
    inputs, own = StreamSource(in_link, paces[0], rng), StreamSource(own_link, paces[1], rng)
    bus, out = Bus(dut, paces[2], rng), StreamSink(out_link, paces[3], rng, "output")
    update = Update(dut, tokens, own, rng)
    cocotb.start_soon(_send(dut, inputs, tokens, rng, gaps=layers > 1))
    for _ in range(20):
        await RisingEdge(dut.clk_i)
    assert inputs.sent == 0, "took an item before the memories were cleared"
    dut.ready_i.value = 1
    await wait_until(dut, lambda: _ends(out.items) == STEPS, "the last step")
    for _ in range(200):  # nothing more comes
        await RisingEdge(dut.clk_i)
    _check_order(update.steps, layers)
    _check_bus(dut, tokens, update.steps, bus.items)
    _check_output(update.steps, layers, out.items)
    assert paces[2] is Pace.FULL or bus.waits > 50
    assert paces[3] is Pace.FULL or out.monitor.stalls > 50


async def _send(dut: Any, inputs: StreamSource, tokens: list[Token], rng: random.Random, *, gaps: bool) -> None:
    """Send the input; with ``gaps`` sometimes so late that the layers come to rest before."""
    for token in tokens:
        inputs.send(*[(0, rng.getrandbits(1), index, value) for index, value in token.inputs])
        inputs.send((1, token.last, token.token, rng.getrandbits(len(dut.in_value_i))))
        if gaps and rng.random() < 0.5:
            await inputs.drained()
            for _ in range(rng.choice([5, 60, 600])):
                await RisingEdge(dut.clk_i)


def _ends(items: Iterable[Item]) -> int:
    return sum(item[0] for item in items)


def _check_order(steps: list[LaneStep], layers: int) -> None:
    """Tokens in order; between two of them an even number of steps without one; at the end just enough for the last layer."""
    taken = [place for place, step in enumerate(steps) if step.token is not None]
    assert [steps[place].token for place in taken] == list(range(STEPS))
    gaps = [after - before - 1 for before, after in pairwise(taken)]
    assert all(gap % 2 == 0 for gap in gaps), gaps
    assert len(steps) - 1 - taken[-1] == layers - 1
    # A layer never rests longer than it must: what a gap adds brings the layers to rest, and one step more where that makes it even.
    longest = (layers - 1) + (layers - 1) % 2
    assert max(gaps) == longest
    if layers > 1:
        assert gaps.count(0) > 5
        assert gaps.count(longest) > 5


def _check_bus(dut: Any, tokens: list[Token], steps: list[LaneStep], items: list[Item]) -> None:
    layers, offset = int(dut.Layers.value), int(dut.ColumnOffset.value)
    found = _split(items)
    both = moved = 0
    # After the last end only events without a step may remain: there are none, because the last step ends all sequences.
    assert len(found) == len(steps)
    for number, (step, items) in enumerate(zip(steps, found, strict=True)):
        own: list[Item] = []
        for last, output, index, value in steps[number - 1].own if number else []:
            if not (last and output):
                own.append((0, index + offset * (last and layers > 1), value))
                moved += last
        inputs: list[Item] = [(0, index + offset, value) for index, value in tokens[step.token].inputs] if step.token is not None else []
        # The two come in any order, each by itself in its own.
        assert _merges(inputs, own, items[:-1]), f"events before the end of step {number}: {items[:-1]}, expected {inputs} and {own}"
        both += bool(inputs and own)
    assert both > 10 if layers == 1 else moved > 10


def _merges(first: list[Item], second: list[Item], merged: list[Item]) -> bool:
    """Whether ``merged`` holds both lists, each in its order, and nothing else."""
    reached = {0}  # items of `first` so far
    for place, item in enumerate(merged):
        ahead = {taken + 1 for taken in reached if taken < len(first) and first[taken] == item}
        beside = {taken for taken in reached if place - taken < len(second) and second[place - taken] == item}
        reached = ahead | beside
    return len(merged) == len(first) + len(second) and len(first) in reached


def _check_output(steps: list[LaneStep], layers: int, items: list[Item]) -> None:
    found = _split(items)
    sending = [step for step in steps if step.active >> (layers - 1) & 1]
    assert len(found) == len(sending) == STEPS
    for number, (step, sent) in enumerate(zip(sending, found, strict=True)):
        expected = [(index, value) for _, output, index, value in step.own if output]
        assert [item[2:] for item in sent[:-1]] == expected, f"output of step {number}"
        assert sent[-1][1:] == (step.last >> (layers - 1), 0, 0), f"end of step {number}: whether it ends a sequence, and no event"
    assert 5 < sum(step.last >> (layers - 1) for step in sending) < STEPS - 5


def _split(items: list[Item]) -> list[list[Item]]:
    """Cut a stream after each end item."""
    steps: list[list[Item]] = [[]]
    for item in items:
        steps[-1].append(item)
        if item[0]:
            steps.append([])
    assert steps.pop() == [], "items after the last end"
    return steps


def _token(dut: Any, rng: random.Random, number: int, *, with_events: bool) -> Token:
    count = rng.choice([0, 1, 2, 7, 12]) if with_events and number != 3 else 0
    inputs = [(rng.getrandbits(len(dut.in_index_i)), rng.getrandbits(len(dut.in_value_i))) for _ in range(count)]
    # the very last step ends a sequence, so that nothing follows its end on the bus
    last = number == STEPS - 1 or rng.random() < 0.25
    return Token(inputs, rng.getrandbits(len(dut.in_index_i)), int(last))
