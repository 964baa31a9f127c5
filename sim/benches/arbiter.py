"""egru_arbiter: nothing lost, doubled or reordered within an input, no input starved, the output stable while it is stalled."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from sim.drivers import Link, Pace, PackedVector, ReadyBit, StreamSink, StreamSource, start
from sim.runner import bench_seed

PACES = [Pace.FULL, Pace.HEAVY, Pace.BURSTS]
WORDS_PER_INPUT = 150


class FairnessChecker:
    """Counts, per waiting input, the transfers that went to others."""

    def __init__(self, dut: Any) -> None:
        """Start to watch."""
        self.contended = 0
        self._dut = dut
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, inputs = self._dut, int(self._dut.Inputs.value)
        passed = [0] * inputs
        while True:
            await RisingEdge(dut.clk_i)
            valid, ready = int(dut.valid_i.value), int(dut.ready_o.value)
            served = valid & ready
            assert served & (served - 1) == 0, f"two inputs served at once: {served:b}"
            assert bool(served) == (dut.valid_o.value == 1 and dut.ready_i.value == 1)
            self.contended += valid & (valid - 1) != 0
            for i in range(inputs):
                passed[i] = passed[i] + (served != 0) if (valid & ~served) >> i & 1 else 0
                assert passed[i] <= inputs, f"input {i} waited for {passed[i]} transfers of the other {inputs - 1}"


@cocotb.test()
@cocotb.parametrize(idle=PACES, back_pressure=PACES)
async def serves_all_inputs(dut: Any, idle: Pace, back_pressure: Pace) -> None:
    """Every input sends its own numbered words; input 0 never idles."""
    rng = random.Random(bench_seed())
    inputs, width = int(dut.Inputs.value), int(dut.Width.value)
    valid, data = PackedVector(dut.valid_i), PackedVector(dut.data_i)
    await start(dut, inputs=["ready_i"])
    fairness = FairnessChecker(dut)
    fields = zip(valid.fields(1), data.fields(width), strict=True)
    links = [Link(dut.clk_i, bit, ReadyBit(dut.ready_o, i), (word,), dut.rst_ni) for i, (bit, word) in enumerate(fields)]
    sources = [StreamSource(link, idle if i else Pace.FULL, rng) for i, link in enumerate(links)]
    sink = StreamSink(Link.of(dut, "valid_o", "ready_i", "data_o"), back_pressure, rng)
    number_bits = width - (inputs - 1).bit_length()
    words = [[(i << number_bits | n & ((1 << number_bits) - 1),) for n in range(WORDS_PER_INPUT)] for i in range(inputs)]
    for source, mine in zip(sources, words, strict=True):
        source.send(*mine)
    await sink.wait_for(WORDS_PER_INPUT * inputs)
    for i in range(inputs):
        assert [item for item in sink.items if item[0] >> number_bits == i] == words[i], f"input {i}"
    assert inputs == 1 or fairness.contended > 50
    assert back_pressure is Pace.FULL or sink.monitor.stalls > 20
