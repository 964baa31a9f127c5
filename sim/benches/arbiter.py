"""egru_arbiter: nothing lost, doubled or reordered within an input, the lowest first, the output stable while it is stalled."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from sim.drivers import Link, Pace, PackedVector, ReadyBit, StreamSink, StreamSource, start
from sim.runner import bench_seed

PACES = [Pace.FULL, Pace.HEAVY, Pace.BURSTS]
WORDS_PER_INPUT = 150
PLACES = 2


class OrderChecker:
    """Checks that of the inputs that wait the lowest is taken, alone, whenever the queue has a place for it.

    Attributes:
        contended: Cycles in which several inputs waited.
    """

    def __init__(self, dut: Any) -> None:
        """Start to watch."""
        self.contended = 0
        self._dut = dut
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, held = self._dut, 0
        while True:
            await RisingEdge(dut.clk_i)
            if dut.rst_ni.value != 1:
                continue
            valid, ready = int(dut.valid_i.value), int(dut.ready_o.value)
            assert valid & ready == (valid & -valid if held < PLACES else 0), f"of {valid:b} took {valid & ready:b} with {held} held"
            held += (valid & ready != 0) - (dut.valid_o.value == 1 and dut.ready_i.value == 1)
            self.contended += valid & (valid - 1) != 0


@cocotb.test()
@cocotb.parametrize(idle=PACES, back_pressure=PACES)
async def serves_all_inputs(dut: Any, idle: Pace, back_pressure: Pace) -> None:
    """Every input sends words of its own, all different; the last one never idles, so the others often pass it."""
    rng = random.Random(bench_seed())
    inputs, width = int(dut.Inputs.value), int(dut.Width.value)
    valid, data = PackedVector(dut.valid_i), PackedVector(dut.data_i)
    await start(dut, inputs=["ready_i"])
    order = OrderChecker(dut)
    fields = zip(valid.fields(1), data.fields(width), strict=True)
    links = [Link(dut.clk_i, bit, ReadyBit(dut.ready_o, i), (word,), dut.rst_ni) for i, (bit, word) in enumerate(fields)]
    sources = [StreamSource(link, Pace.FULL if i == inputs - 1 else idle, rng) for i, link in enumerate(links)]
    sink = StreamSink(Link.of(dut, "valid_o", "ready_i", "data_o"), back_pressure, rng)
    number_bits = width - (inputs - 1).bit_length()
    numbers = rng.sample(range(1 << number_bits), WORDS_PER_INPUT)  # in no order, so that every bit changes from word to word
    words = [[(i << number_bits | n,) for n in numbers] for i in range(inputs)]
    for source, mine in zip(sources, words, strict=True):
        source.send(*mine)
    await sink.wait_for(WORDS_PER_INPUT * inputs)
    for i in range(inputs):
        assert [item for item in sink.items if item[0] >> number_bits == i] == words[i], f"input {i}"
    if idle is back_pressure is Pace.FULL:
        assert sink.monitor.cycles[-1] - sink.monitor.cycles[0] == len(sink.items) - 1, "one word a cycle"
    assert inputs == 1 or order.contended > 50
    assert back_pressure is Pace.FULL or sink.monitor.stalls > 20
