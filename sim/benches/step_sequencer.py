"""egru_step_sequencer: what reaches lanes and output in every step, whatever idles or stalls.

The lanes get, before the end of step t, the input events of step t and the layer's own events of step t - 1, each once; the output gets
the own events of step t and then an end. After the last step of a sequence the lanes do not get the own events.
"""

import random
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from sim.drivers import Item, Link, Pace, StreamSink, StreamSource, start, wait_until
from sim.runner import bench_seed

STEPS = 60


@dataclass(frozen=True)
class Step:
    """What happens in one time step: events are (index, value)."""

    inputs: list[tuple[int, int]]
    own: list[tuple[int, int]]
    token: int
    last: int


class Update:
    """Plays the update units: at ``step_o`` sends the step's own events, then raises ``update_done_i`` after a random time.

    Attributes:
        started: (token, last) of each ``step_o``.
    """

    def __init__(self, dut: Any, steps: list[Step], source: StreamSource, rng: random.Random) -> None:
        """Start to watch."""
        self.started: list[tuple[int, int]] = []
        self._dut, self._steps, self._source, self._rng = dut, steps, source, rng
        dut.update_done_i.value = 1
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut = self._dut
        left, delay = 0, 0
        while True:
            await RisingEdge(dut.clk_i)
            if dut.rst_ni.value != 1:
                continue
            left -= dut.own_valid_i.value == 1 and dut.own_ready_o.value == 1
            delay -= 1
            if dut.step_o.value == 1:
                assert dut.update_done_i.value == 1, "a step began during an update"
                assert dut.bus_valid_o.value == 0 or dut.bus_ready_i.value == 1
                own = self._steps[len(self.started)].own
                self.started.append((int(dut.step_token_o.value), int(dut.step_last_o.value)))
                self._source.send(*own)
                left, delay = len(own), self._rng.choice([1, 3, 16, 40])
                dut.update_done_i.value = 0
            elif left == 0 and delay <= 0:
                # as in the update unit, done rises with the last event taken
                dut.update_done_i.value = 1


@cocotb.test()
@cocotb.parametrize(
    paces=[
        (Pace.FULL, Pace.FULL, Pace.FULL, Pace.FULL),
        (Pace.FULL, Pace.FULL, Pace.HEAVY, Pace.FULL),
        (Pace.FULL, Pace.FULL, Pace.FULL, Pace.HEAVY),
        (Pace.HEAVY, Pace.FULL, Pace.LIGHT, Pace.LIGHT),
        (Pace.LIGHT, Pace.HEAVY, Pace.BURSTS, Pace.BURSTS),
        (Pace.BURSTS, Pace.BURSTS, Pace.BURSTS, Pace.BURSTS),
    ]
)
async def keeps_steps_apart(dut: Any, paces: tuple[Pace, Pace, Pace, Pace]) -> None:
    """Random steps, some without events; ``paces`` are those of input, own events, lanes and output."""
    rng = random.Random(bench_seed())
    await start(dut, inputs=["ready_i", "in_valid_i", "own_valid_i", "bus_ready_i", "out_ready_i"])
    steps = [_step(dut, rng, number) for number in range(STEPS)]
    in_link = Link.of(dut, "in_valid_i", "in_ready_o", "in_end_i", "in_last_i", "in_index_i", "in_value_i")
    own_link = Link.of(dut, "own_valid_i", "own_ready_o", "own_index_i", "own_value_i")
    bus_link = Link.of(dut, "bus_valid_o", "bus_ready_i", "bus_end_o", "bus_recurrent_o", "bus_index_o", "bus_value_o")
    out_link = Link.of(dut, "out_valid_o", "out_ready_i", "out_end_o", "out_last_o", "out_index_o", "out_value_o")
    inputs, own = StreamSource(in_link, paces[0], rng), StreamSource(own_link, paces[1], rng)
    bus, out = StreamSink(bus_link, paces[2], rng, "bus"), StreamSink(out_link, paces[3], rng, "output")
    update = Update(dut, steps, own, rng)
    for step in steps:
        inputs.send(*[(0, rng.getrandbits(1), index, value) for index, value in step.inputs])
        inputs.send((1, step.last, step.token, rng.getrandbits(len(dut.in_value_i))))
    for _ in range(20):
        await RisingEdge(dut.clk_i)
    assert inputs.sent == 0, "took an item before the memories were cleared"
    dut.ready_i.value = 1
    await wait_until(dut, lambda: _ends(out.items) == _ends(bus.items) == STEPS, "the last step")
    assert update.started == [(step.token, step.last) for step in steps]
    _check_bus(steps, _split(bus.items))
    _check_output(steps, _split(out.items))
    assert paces[2] is Pace.FULL or bus.monitor.stalls > 50
    assert paces[3] is Pace.FULL or out.monitor.stalls > 50


def _ends(items: list[Item]) -> int:
    return sum(item[0] for item in items)


def _check_bus(steps: list[Step], found: list[list[Item]]) -> None:
    assert len(found) == len(steps)
    both = 0
    for number, (step, items) in enumerate(zip(steps, found, strict=True)):
        before = steps[number - 1] if number else None
        own = before.own if before and not before.last else []
        assert [item[2:] for item in items[:-1] if not item[1]] == step.inputs, f"input events of step {number}"
        assert [item[2:] for item in items[:-1] if item[1]] == own, f"own events before the end of step {number}"
        both += bool(step.inputs and own)
    assert both > 10


def _check_output(steps: list[Step], found: list[list[Item]]) -> None:
    assert len(found) == len(steps)
    for number, (step, items) in enumerate(zip(steps, found, strict=True)):
        assert [item[2:] for item in items[:-1]] == step.own, f"output of step {number}"
        assert items[-1][1] == step.last, f"end of a sequence at step {number}"


def _split(items: list[Item]) -> list[list[Item]]:
    """Cut a stream after each end item."""
    steps: list[list[Item]] = [[]]
    for item in items:
        steps[-1].append(item)
        if item[0]:
            steps.append([])
    assert steps.pop() == [], "items after the last end"
    return steps


def _step(dut: Any, rng: random.Random, number: int) -> Step:
    def events(handle: Any) -> list[tuple[int, int]]:
        count = 0 if number == 3 else rng.choice([0, 1, 2, 7, 12])
        return [(rng.getrandbits(len(handle)), rng.getrandbits(len(dut.in_value_i))) for _ in range(count)]

    # the very last step ends a sequence, so that nothing follows its end on the bus
    last = number == STEPS - 1 or rng.random() < 0.2
    return Step(events(dut.in_index_i), events(dut.own_index_i), rng.getrandbits(len(dut.in_index_i)), int(last))
