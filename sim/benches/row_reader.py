"""egru_row_reader: every row once, in order, with its four sums; four cycles a row when nobody waits."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from sim.drivers import Link, Pace, StreamSink, start
from sim.runner import bench_seed

PASSES = 30


class Memory:
    """The lane's side of the read port: a word two cycles of rd_advance after its address; what nobody asked for is random."""

    def __init__(self, dut: Any, rng: random.Random) -> None:
        """Start to answer."""
        self.words: list[int] = []
        self.reads: list[int] = []
        self._dut, self._rng = dut, rng
        cocotb.start_soon(self._run())

    def fill(self, count: int) -> None:
        """Draw ``count`` new words and forget the reads."""
        self.words = [self._rng.getrandbits(len(self._dut.rd_data_i)) for _ in range(count)]
        self.reads = []

    async def _run(self) -> None:
        dut = self._dut
        stage = 0
        dut.rd_data_i.value = 0
        while True:
            await RisingEdge(dut.clk_i)
            if dut.rst_ni.value == 1 and dut.rd_advance_o.value == 1:
                dut.rd_data_i.value = stage
                if dut.rd_valid_o.value == 1:
                    address = int(dut.rd_addr_o.value)
                    self.reads.append(address)
                    stage = self.words[address]
                else:
                    stage = self._rng.getrandbits(len(dut.rd_data_i))


@cocotb.test()
@cocotb.parametrize(back_pressure=list(Pace))
async def reads_every_row(dut: Any, back_pressure: Pace) -> None:
    """Many passes over random contents."""
    rng = random.Random(bench_seed())
    rows, bits = int(dut.Rows.value), int(dut.AccBits.value)
    await start(dut, inputs=["start_i", "ready_i"])
    memory = Memory(dut, rng)
    sink = StreamSink(Link.of(dut, "valid_o", "ready_i", "row_o", "acc_o"), back_pressure, rng)
    for _ in range(PASSES):
        memory.fill(4 * rows)
        sink.monitor.clear()
        dut.start_i.value = 1
        await RisingEdge(dut.clk_i)
        dut.start_i.value = 0
        await sink.wait_for(rows)
        expected = [memory.words[4 * row : 4 * row + 4] for row in range(rows)]
        assert sink.items == [(row, sum(word << (bits * field) for field, word in enumerate(sums))) for row, sums in enumerate(expected)]
        assert memory.reads == list(range(4 * rows)), "every sum is read, and thereby cleared, once"
        if back_pressure is Pace.FULL:
            assert sink.monitor.cycles[-1] - sink.monitor.cycles[0] == 4 * (rows - 1)
        if rows > 1 and back_pressure is Pace.HEAVY:
            assert sink.monitor.stalls > 0
        for _ in range(rng.randint(0, 5)):
            await RisingEdge(dut.clk_i)
    assert len(sink.items) == rows
