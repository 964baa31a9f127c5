"""egru_fifo: every word once and in order; the count is exact in every cycle."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from sim.drivers import Link, Pace, StreamMonitor, StreamSink, StreamSource, reset, start
from sim.runner import bench_seed

PACES = [Pace.FULL, Pace.HEAVY, Pace.BURSTS]
WORDS = 300


class CountChecker:
    """Holds `count_o`, `ready_o` and `valid_o` against a count of pushes and pops, and notes what happened."""

    def __init__(self, dut: Any) -> None:
        """Start to watch."""
        self.full = self.empty = self.push_and_pop = self.push_while_full = 0
        self._dut = dut
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, depth, count = self._dut, int(self._dut.Depth.value), 0
        while True:
            await RisingEdge(dut.clk_i)
            if dut.rst_ni.value != 1:
                count = 0
                continue
            assert int(dut.count_o.value) == count
            assert int(dut.ready_o.value) == (count < depth)
            assert int(dut.valid_o.value) == (count > 0)
            push, pop = dut.valid_i.value == 1 and count < depth, dut.ready_i.value == 1 and count > 0
            self.full += count == depth
            self.empty += count == 0
            self.push_and_pop += push and pop
            self.push_while_full += dut.valid_i.value == 1 and count == depth
            count += push - pop


@cocotb.test()
@cocotb.parametrize(idle=PACES, back_pressure=PACES)
async def keeps_order(dut: Any, idle: Pace, back_pressure: Pace) -> None:
    """Random words with random idle cycles and back-pressure."""
    rng = random.Random(bench_seed())
    await start(dut, inputs=["valid_i", "ready_i", "data_i"])
    checker = CountChecker(dut)
    source = StreamSource(Link.of(dut, "valid_i", "ready_o", "data_i"), idle, rng)
    sink = StreamSink(Link.of(dut, "valid_o", "ready_i", "data_o"), back_pressure, rng)
    words = [(rng.getrandbits(len(dut.data_i)),) for _ in range(WORDS)]
    source.send(*words)
    await sink.wait_for(WORDS)
    await RisingEdge(dut.clk_i)
    assert sink.items == words
    assert checker.empty > 0
    if int(dut.Depth.value) > 1:
        assert checker.push_and_pop > 0
    if back_pressure is Pace.HEAVY and idle is not Pace.HEAVY:
        assert checker.full > 10
        assert checker.push_while_full > 10


@cocotb.test()
async def reset_empties_it(dut: Any) -> None:
    """A reset in the middle forgets what was queued, and nothing else comes out afterwards."""
    rng = random.Random(bench_seed())
    await start(dut, inputs=["valid_i", "ready_i", "data_i"])
    source = StreamSource(Link.of(dut, "valid_i", "ready_o", "data_i"), Pace.FULL, rng)
    monitor = StreamMonitor(Link.of(dut, "valid_o", "ready_i", "data_o"), "output")
    for _ in range(10):
        source.send(*[(rng.getrandbits(len(dut.data_i)),) for _ in range(rng.randint(1, int(dut.Depth.value)))])
        await source.drained()
        await RisingEdge(dut.clk_i)
        assert dut.valid_o.value == 1
        await reset(dut)
        assert dut.valid_o.value == 0
        dut.ready_i.value = 1
        word = (rng.getrandbits(len(dut.data_i)),)
        source.send(word)
        await source.drained()
        await RisingEdge(dut.clk_i)
        await RisingEdge(dut.clk_i)
        assert monitor.items == [word]
        monitor.clear()
        dut.ready_i.value = 0
        await RisingEdge(dut.clk_i)
