"""egru_answer: the first largest logit of each step; the last step is kept; words that come while it is not active leave no trace."""

import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from sim.drivers import Link, Pace, StreamSink, StreamSource, start
from sim.runner import bench_seed, write_report

STEPS = 60
INT_MIN, INT_MAX = -(1 << 31), (1 << 31) - 1


def signed(word: int) -> int:
    """Return a 32-bit word as a signed number."""
    return word - (1 << 32) if word >> 31 else word


class Bench:
    """Logits in, answers out."""

    def __init__(self, dut: Any, idle: Pace, back_pressure: Pace) -> None:
        self.dut = dut
        self.rng = random.Random(bench_seed())
        self.classes = int(dut.Classes.value)
        self.source = StreamSource(Link.of(dut, "s_axis_tvalid", "s_axis_tready", "s_axis_tdata", "s_axis_tlast"), idle, self.rng)
        self.sink = StreamSink(Link.of(dut, "valid_o", "ready_i", "class_o", "logit_o"), back_pressure, self.rng)

    def draw(self) -> list[int]:
        """Draw the logits of a step: ties and the ends of the range are frequent."""
        choices = self.rng.choice([[INT_MIN, INT_MAX, -1, 0], [INT_MIN], [4, 5], range(INT_MIN, INT_MAX)])
        return [self.rng.choice(choices) for _ in range(self.classes)]

    def give(self, logits: list[int], last: bool) -> None:
        """Offer the words of a step."""
        self.source.send(*((logit & 0xFFFF_FFFF, int(last and place == len(logits) - 1)) for place, logit in enumerate(logits)))

    async def check_stored(self, logits: list[int]) -> None:
        """Compare what is kept."""
        for place, logit in enumerate(logits):
            self.dut.stored_class_i.value = place
            await ClockCycles(self.dut.clk_i, 2)
            assert signed(int(self.dut.stored_o.value)) == logit


@cocotb.test()
@cocotb.parametrize(idle=[Pace.FULL, Pace.HEAVY], back_pressure=[Pace.FULL, Pace.BURSTS])
async def the_first_largest_logit(dut: Any, idle: Pace, back_pressure: Pace) -> None:
    """Random steps, sequences ending at random."""
    await start(dut, inputs=["active_i", "s_axis_tvalid", "ready_i", "stored_class_i"])
    bench = Bench(dut, idle, back_pressure)
    steps = [bench.draw() for _ in range(STEPS)]
    dut.active_i.value = 1
    for logits in steps:
        bench.give(logits, last=bench.rng.random() < 0.3)
    await bench.sink.wait_for(STEPS)
    found = [(place, signed(logit)) for place, logit in bench.sink.items]
    assert found == [(logits.index(max(logits)), max(logits)) for logits in steps]
    ties = sum(logits.count(max(logits)) > 1 for logits in steps)
    if bench.classes > 1:
        assert 0 < ties < STEPS
    if dut.LogitStore.value == 1:
        await bench.check_stored(steps[-1])
    write_report({"ties": ties})


async def _takes_all_while_not_active(dut: Any) -> None:
    while True:
        await RisingEdge(dut.clk_i)
        assert dut.active_i.value == 1 or dut.s_axis_tready.value == 1


@cocotb.test()
async def what_comes_while_not_active_is_thrown_away(dut: Any) -> None:
    """Words between steps, and a step that is given up half-way: neither shifts nor spoils what follows."""
    await start(dut, inputs=["active_i", "s_axis_tvalid", "ready_i", "stored_class_i"])
    bench = Bench(dut, Pace.FULL, Pace.FULL)
    cocotb.start_soon(_takes_all_while_not_active(dut))
    thrown = 0
    for count in range(1, 2 * bench.classes + 1):
        bench.give([INT_MAX] * count, last=True)
        await bench.source.drained()
        await RisingEdge(dut.clk_i)
        thrown += count
        logits = bench.draw()
        dut.active_i.value = 1
        bench.give(logits, last=False)
        await bench.sink.wait_for(count)
        assert bench.sink.items[-1] == (logits.index(max(logits)), max(logits) & 0xFFFF_FFFF)
        if count < bench.classes:
            bench.give([INT_MAX] * count, last=False)
            await bench.source.drained()
            for _ in range(count % 3):  # given up while the last word is still compared, or later
                await RisingEdge(dut.clk_i)
        dut.active_i.value = 0
        await RisingEdge(dut.clk_i)
    assert len(bench.sink.items) == 2 * bench.classes
    assert thrown > 0
