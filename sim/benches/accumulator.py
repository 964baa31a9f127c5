"""egru_accumulator: sums equal integer sums kept in Python, whatever hits the same address how soon after."""

import random
from collections import Counter
from functools import partial
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from sim.drivers import Pace, pauses, reset, start, to_signed, to_unsigned, wait_until
from sim.read_port import empty_all, read_all
from sim.runner import bench_seed, failure_folder
from sim.scoreboard import Scoreboard
from sw_model.fixed_point import symmetric_limit

STEPS = 40
MOST_OPERATIONS = 120
Operation = tuple[int, int, int]  # address {row, field}, weight, value


@cocotb.test()
@cocotb.parametrize(idle=[Pace.FULL, Pace.LIGHT, Pace.HEAVY], reading=[Pace.FULL, Pace.HEAVY])
async def sums_are_exact(dut: Any, idle: Pace, reading: Pace) -> None:
    """Random operations on few addresses; each step's sums are read, in random order, while those of the next one grow."""
    rng = random.Random(bench_seed())
    await _begin(dut, rng)
    steps = [_operations(dut, rng, number) for number in range(STEPS)]
    feeder = Feeder(dut, steps, idle, rng)
    scoreboard = Scoreboard(failure_folder(), bench_seed(), context={"operations": steps})
    await _check_steps(dut, feeder, scoreboard, reading, rng)
    assert feeder.done == STEPS
    assert scoreboard.values == STEPS * len(_addresses(dut))
    if idle is Pace.FULL:
        assert all(feeder.distances[cycles] > 30 for cycles in (1, 2, 3, 4)), feeder.distances
    if idle is not Pace.HEAVY and reading is Pace.FULL:
        # the end takes a cycle of its own
        assert all(feeder.across_end[cycles] > 2 for cycles in (2, 3, 4)), feeder.across_end


@cocotb.test()
@cocotb.parametrize(ended_steps=[0, 1])
async def is_empty_after_a_reset(dut: Any, ended_steps: int) -> None:
    """Neither bank keeps a sum that grew before a reset in the midst of a step; the reset finds either bank in use."""
    rng = random.Random(bench_seed())
    await _begin(dut, rng)
    everywhere = [(address, 1, 1) for address in _addresses(dut)]
    before = Feeder(dut, [everywhere] * (ended_steps + 1), Pace.FULL, rng, last_ends=False)
    if ended_steps:
        before.steps_read = 1  # nobody reads: both banks are full at the reset
    await wait_until(dut, lambda: before.finished, "operations before the reset")
    await reset(dut)
    await empty_all(dut, _addresses(dut), rng)
    steps = [_operations(dut, rng, number) for number in (1, 1, 0)]
    await _check_steps(dut, Feeder(dut, steps, Pace.FULL, rng), Scoreboard(failure_folder(), bench_seed()), Pace.FULL, rng)


async def _begin(dut: Any, rng: random.Random) -> None:
    await start(dut, inputs=["op_valid_i", "op_end_i", "rd_both_i", "rd_valid_i", "rd_addr_i"])
    # The memory starts random, so a word that is not emptied shows in the sums.
    await empty_all(dut, _addresses(dut), rng)


async def _check_steps(dut: Any, feeder: "Feeder", scoreboard: Scoreboard, reading: Pace, rng: random.Random) -> None:
    bits, addresses = int(dut.AccBits.value), _addresses(dut)
    for number, operations in enumerate(feeder.steps):
        await wait_until(dut, partial(feeder.has_done, number + 1), f"the end of step {number}")
        expected = dict.fromkeys(addresses, 0)
        for address, weight, value in operations:
            expected[address] += weight * value
        order = rng.sample(addresses, len(addresses))
        words = await read_all(dut, order, reading, rng)
        scoreboard.check(
            number, "egru_accumulator", "sum", [to_signed(word, bits) for word in words], np.array([expected[address] for address in order])
        )
        feeder.steps_read += 1


class Feeder:
    """Drives operations; the end of a step only after the sums of the step before have been read, as the contract asks.

    Attributes:
        steps: The operations of each step.
        steps_read: Steps whose sums have been read; the bench counts them up.
        done: Pulses of ``done_o``.
        finished: Whether everything has been driven.
        distances: How often an address came up again after how many cycles, within a step.
        across_end: The same for addresses whose last operation was in the step before.
    """

    def __init__(self, dut: Any, steps: list[list[Operation]], idle: Pace, rng: random.Random, *, last_ends: bool = True) -> None:
        """Start to drive; the last step gets its end only if ``last_ends``."""
        self.steps, self.steps_read, self.done, self.finished = steps, 0, 0, False
        self.distances: Counter[int] = Counter()
        self.across_end: Counter[int] = Counter()
        self._dut, self._pauses, self._rng, self._last_ends, self._cycle = dut, pauses(idle, rng), rng, last_ends, 0
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
        dut = self._dut
        last: dict[int, int] = {}
        for number, operations in enumerate(self.steps):
            before, last = last, {}
            for operation in operations:
                while next(self._pauses):
                    await self._pass_cycle()
                self._note(operation[0], before, last)
                self._drive(operation)
                await self._pass_cycle()
            if number + 1 == len(self.steps) and not self._last_ends:
                break
            while self.steps_read < number:
                await self._pass_cycle()
            dut.op_end_i.value = 1
            await self._pass_cycle()
        self.finished = True

    def _note(self, address: int, before: dict[int, int], last: dict[int, int]) -> None:
        if address in last:
            self.distances[self._cycle - last[address]] += 1
        elif address in before:
            self.across_end[self._cycle - before[address]] += 1
        last[address] = self._cycle

    def _drive(self, operation: Operation) -> None:
        dut = self._dut
        address, weight, value = operation
        bits = int(dut.WeightBits.value)
        dut.op_entry_i.value = address << bits | to_unsigned(weight, bits)
        dut.op_value_i.value, dut.op_valid_i.value = value, 1

    async def _pass_cycle(self) -> None:
        """Let one cycle pass; afterwards nothing is valid and the payload is random."""
        dut, rng = self._dut, self._rng
        await RisingEdge(dut.clk_i)
        self._cycle += 1
        dut.op_valid_i.value = dut.op_end_i.value = 0
        dut.op_entry_i.value, dut.op_value_i.value = rng.getrandbits(len(dut.op_entry_i)), rng.getrandbits(len(dut.op_value_i))


def _addresses(dut: Any) -> range:
    return range(int(dut.Rows.value) << int(dut.FieldBits.value))


def _operations(dut: Any, rng: random.Random, number: int) -> list[Operation]:
    """Draw the operations of a step: none in step 1, the largest possible sum in step 2, else many on a few hot addresses."""
    addresses = _addresses(dut)
    limit, top = symmetric_limit(int(dut.WeightBits.value)), (1 << int(dut.EventBits.value)) - 1
    if number == 1:
        return []
    if number == 2:
        return [(addresses[-1], -limit, top)] * MOST_OPERATIONS
    # the same in every step, so that the two banks often see the same address one after the other
    hot = [addresses[0], addresses[-1], addresses[-2]]
    count = rng.randint(0, MOST_OPERATIONS - 4)
    inner = [rng.choice(hot) if rng.random() < 0.7 else rng.choice(addresses) for _ in range(count)]
    # A step begins and ends near the same address, so that it comes up 2 to 4 cycles apart across an end.
    order = [*hot[1 : 1 + rng.randint(0, 1)], hot[0], *inner, hot[0], *hot[2 : 2 + rng.randint(0, 1)]]
    weights = [limit, -limit, *(rng.randint(-limit, limit) for _ in range(3))]
    return [(address, rng.choice(weights), rng.choice([0, top, rng.randint(0, top)])) for address in order]
