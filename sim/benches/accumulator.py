"""egru_accumulator: sums equal integer sums kept in Python, whatever hits the same address how soon after."""

import random
from collections import Counter
from functools import partial
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from sim.drivers import Pace, pauses, start, to_signed, to_unsigned, wait_until
from sim.read_port import read_all
from sim.runner import bench_seed, failure_folder
from sim.scoreboard import Scoreboard
from sw_model.fixed_point import symmetric_limit

STEPS = 40
MOST_OPERATIONS = 120
Operation = tuple[int, int, int, int, int]  # row, gate, recurrent, weight, value


@cocotb.test()
@cocotb.parametrize(idle=[Pace.FULL, Pace.LIGHT, Pace.HEAVY], reading=[Pace.FULL, Pace.HEAVY])
async def sums_are_exact(dut: Any, idle: Pace, reading: Pace) -> None:
    """Random operations on few addresses; each step's sums are read, in random order, while those of the next one grow."""
    rng = random.Random(bench_seed())
    await start(dut, inputs=["op_valid_i", "op_end_i", "rd_valid_i", "rd_advance_i", "rd_addr_i"])
    await wait_until(dut, lambda: dut.ready_o.value == 1, "clear memories")
    steps = [_operations(dut, rng, number) for number in range(STEPS)]
    feeder = Feeder(dut, steps, idle, rng)
    scoreboard = Scoreboard(failure_folder(), bench_seed(), context={"operations": steps})
    fields, bits = int(dut.Fields.value), int(dut.AccBits.value)
    for number, operations in enumerate(steps):
        await wait_until(dut, partial(feeder.has_done, number + 1), f"the end of step {number}")
        expected = np.zeros((int(dut.Rows.value), fields), np.int64)
        for row, gate, recurrent, weight, value in operations:
            expected[row, _field(fields, gate, recurrent)] += weight * value
        order = rng.sample(range(expected.size), expected.size)
        words = await read_all(dut, order, reading, rng)
        scoreboard.check(number, "egru_accumulator", "sum", [to_signed(word, bits) for word in words], expected.reshape(-1)[order])
        feeder.steps_read += 1
    assert feeder.done == STEPS
    assert scoreboard.values == STEPS * int(dut.Rows.value) * fields
    if idle is not Pace.HEAVY:
        assert all(feeder.distances[cycles] > 30 for cycles in (1, 2, 3, 4)), feeder.distances
        assert reading is Pace.HEAVY or feeder.across_end > 5


class Feeder:
    """Drives operations; the end of a step only after the sums of the step before have been read, as the contract asks.

    Attributes:
        steps_read: Steps whose sums have been read; the bench counts them up.
        done: Pulses of ``done_o``.
        distances: How often an address came up again after how many cycles, within a step.
        across_end: How often the address right after an end was among the last three before it.
    """

    def __init__(self, dut: Any, steps: list[list[Operation]], idle: Pace, rng: random.Random) -> None:
        """Start to drive."""
        self.steps_read = self.done = self.across_end = 0
        self.distances: Counter[int] = Counter()
        self._dut, self._steps, self._pauses, self._rng = dut, steps, pauses(idle, rng), rng
        cocotb.start_soon(self._run())
        cocotb.start_soon(self._watch())

    def has_done(self, steps: int) -> bool:
        """Whether ``steps`` steps have ended."""
        return self.done >= steps

    async def _watch(self) -> None:
        while True:
            await RisingEdge(self._dut.clk_i)
            self.done += self._dut.done_o.value == 1

    async def _run(self) -> None:
        dut, cycle = self._dut, 0
        last: dict[tuple[int, int], int] = {}
        for number, operations in enumerate(self._steps):
            before, last = last, {}
            for operation in operations:
                row, gate, recurrent, weight, value = operation
                while next(self._pauses):
                    cycle = await self._drive(cycle)
                dut.op_entry_i.value = _entry(dut, row, gate, weight)
                dut.op_value_i.value, dut.op_recurrent_i.value, dut.op_valid_i.value = value, recurrent, 1
                address = (row, _field(int(dut.Fields.value), gate, recurrent))
                if address in last:
                    self.distances[cycle - last[address]] += 1
                elif cycle - before.get(address, -9) <= 4:
                    self.across_end += 1
                last[address] = cycle
                cycle = await self._drive(cycle)
            while self.steps_read < number:
                cycle = await self._drive(cycle)
            dut.op_end_i.value = 1
            cycle = await self._drive(cycle)

    async def _drive(self, cycle: int) -> int:
        """Let one cycle pass; afterwards nothing is valid and the payload is random."""
        dut, rng = self._dut, self._rng
        await RisingEdge(dut.clk_i)
        dut.op_valid_i.value = dut.op_end_i.value = 0
        dut.op_entry_i.value, dut.op_value_i.value = rng.getrandbits(len(dut.op_entry_i)), rng.getrandbits(len(dut.op_value_i))
        return cycle + 1


def _operations(dut: Any, rng: random.Random, number: int) -> list[Operation]:
    """Draw the operations of a step: none in step 1, the largest possible sum in step 2, else many on a few hot addresses."""
    rows, gates = int(dut.Rows.value), 3 if int(dut.Fields.value) > 1 else 1
    limit, top = symmetric_limit(int(dut.WeightBits.value)), (1 << int(dut.EventBits.value)) - 1
    if number == 1:
        return []
    if number == 2:
        return [(rows - 1, gates - 1, 1, -limit, top)] * MOST_OPERATIONS
    # the same in every step, so that the two banks often see the same address one after the other
    hot = [(0, 0, 0), (rows - 1, gates - 1, 0), (rows - 1, gates - 1, 1)]
    operations = []
    for _ in range(rng.randint(0, MOST_OPERATIONS)):
        place = rng.choice(hot) if rng.random() < 0.7 else (rng.randrange(rows), rng.randrange(gates), rng.getrandbits(1))
        operations.append((*place, rng.choice([limit, -limit, rng.randint(-limit, limit)]), rng.choice([0, top, rng.randint(0, top)])))
    return operations


def _field(fields: int, gate: int, recurrent: int) -> int:
    return gate + (gate == 2 and recurrent) if fields > 1 else 0


def _entry(dut: Any, row: int, gate: int, weight: int) -> int:
    bits = int(dut.WeightBits.value)
    place = row << 2 | gate if int(dut.Fields.value) > 1 else row
    return place << bits | to_unsigned(weight, bits)
