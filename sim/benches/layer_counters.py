"""egru_layer_counters: every counter equals a count kept in Python; lane-cycles add up to lanes times busy cycles."""

import random
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from sim.drivers import reset, start
from sim.runner import bench_seed

CYCLES = 1500
PULSES = ("step_i", "input_event_i", "own_event_i", "bus_stall_i", "output_stall_i", "update_i")
# number of the counter that each pulse moves
COUNTER_OF = {"step_i": 0, "input_event_i": 1, "own_event_i": 2, "bus_stall_i": 6, "output_stall_i": 7, "update_i": 8}
COUNTERS, MACS, WAITS, IDLES = 9, 3, 4, 5
# cycles in which an index is held before its value stands; cycles before a refresh whose increments the value does not hold
READ_WAIT, READ_LAG = 16, 5


@cocotb.test()
async def counts_all_from_the_first_cycle_after_reset_on(dut: Any) -> None:
    """Random pulses; a lane that has a MAC is working or not. The second reset finds the RAM in use."""
    bench = await Bench.begin(dut)
    for _ in range(2):
        await bench.drive(CYCLES)
        await bench.check()
        assert bench.bits < 16 or sum(bench.expected[MACS : IDLES + 1]) == bench.lanes * bench.busy_cycles
        assert min(bench.expected) > 100
        await reset(dut)
        bench.forget()
    await bench.check()


@cocotb.test()
@cocotb.parametrize(lanes=["multiply", "wait", "idle"])
async def counts_the_most_it_can(dut: Any, lanes: str) -> None:
    """Every pulse in every cycle, and all lanes the same: no small counter overflows. An index without a counter disturbs nobody."""
    bench = await Bench.begin(dut)
    await bench.drive(100, all_lanes=lanes)
    await bench.read(bench.rng.randrange(COUNTERS, 16))
    await bench.check()


@cocotb.test()
async def clears_at_once_and_loses_nothing_later(dut: Any) -> None:
    """Clear in the midst of counting, at every phase of the slot: the cycle of the clear counts no more."""
    bench = await Bench.begin(dut)
    for phase in range(16):
        await bench.drive(40 + phase, settle=False)
        dut.clear_i.value = 1
        await bench.drive(1, settle=False)
        dut.clear_i.value = 0
        bench.forget()
        await bench.drive(bench.rng.randrange(40))
        await bench.check()


@cocotb.test()
async def reads_while_it_counts(dut: Any) -> None:
    """A value read is one that the counter had while the index was held."""
    bench = await Bench.begin(dut)
    counting = cocotb.start_soon(bench.drive(CYCLES))
    await ClockCycles(dut.clk_i, 2 * READ_LAG)
    while not counting.done():
        index = bench.rng.randrange(COUNTERS)
        least = bench.history[-1 - READ_LAG][index]
        value = await bench.read(index)
        assert (value - least) % (1 << bench.bits) <= bench.expected[index] - least


class Bench:
    """The module and a count of what was put into it.

    Attributes:
        expected: Value of every counter after the latest cycle driven, not cut to its width.
        history: `expected` after every cycle driven so far.
        busy_cycles: Cycles in which it was busy.
    """

    def __init__(self, dut: Any) -> None:
        self.dut, self.rng = dut, random.Random(bench_seed())
        self.lanes, self.bits = int(dut.Lanes.value), int(dut.CounterBits.value)
        self.history: list[list[int]] = []
        self.forget()

    @classmethod
    async def begin(cls, dut: Any) -> "Bench":
        """Reset the module."""
        await start(dut, inputs=["clear_i", "busy_i", "mac_i", "working_i", "read_index_i", *PULSES])
        return cls(dut)

    def forget(self) -> None:
        """All counters are 0 from now on."""
        self.busy_cycles, self.expected = 0, [0] * COUNTERS

    async def drive(self, cycles: int, *, all_lanes: str = "", settle: bool = True) -> None:
        """Drive random inputs, or all pulses and all lanes alike; then, to settle, nothing until the small counters hold all of it."""
        for _ in range(cycles):
            draw: Callable[[int], int] = (lambda bits: (1 << bits) - 1) if all_lanes else self.rng.getrandbits
            self._drive_cycle(draw, all_lanes)
            await RisingEdge(self.dut.clk_i)
            self.history.append(list(self.expected))
        for name in ("busy_i", "mac_i", "working_i", *PULSES):
            getattr(self.dut, name).value = 0
        if settle:
            await ClockCycles(self.dut.clk_i, READ_LAG)

    def _drive_cycle(self, draw: Callable[[int], int], all_lanes: str) -> None:
        dut, expected = self.dut, self.expected
        busy, mac, working = draw(1), draw(self.lanes), draw(self.lanes)
        if all_lanes in ("wait", "idle"):
            mac = 0
        if all_lanes == "idle":
            working = 0
        dut.busy_i.value, dut.mac_i.value, dut.working_i.value = busy, mac, working
        for name in PULSES:
            value = draw(1)
            getattr(dut, name).value = value
            expected[COUNTER_OF[name]] += value
        if busy:
            self.busy_cycles += 1
            expected[MACS] += mac.bit_count()
            expected[WAITS] += (working & ~mac).bit_count()
            expected[IDLES] += self.lanes - (working | mac).bit_count()

    async def read(self, index: int) -> int:
        """Read a counter in the first cycle in which its value stands."""
        self.dut.read_index_i.value = index
        await ClockCycles(self.dut.clk_i, READ_WAIT + 1)
        return int(self.dut.read_data_o.value)

    async def check(self) -> None:
        """Compare all counters, in random order; a read takes 17 cycles, so it begins at another slot each time."""
        for index in self.rng.sample(range(COUNTERS), COUNTERS):
            assert await self.read(index) == self.expected[index] % (1 << self.bits), f"counter {index}"
